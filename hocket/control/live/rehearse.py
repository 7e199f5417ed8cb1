"""Rehearsing: the decisions of a live session in simulated time, on links whose rates follow traces.

`step` is driven as a live session drives it; only the nodes, the planner and the clock are simulated. Requests do not
queue for each other here: what is compared is which plan is in force when.
"""

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from hocket.cluster import RateTrace
from hocket.control.live import events
from hocket.control.live.facts import Facts, World
from hocket.control.live.policy import Policy
from hocket.control.live.state import Rules
from hocket.control.live.step import begin, step
from hocket.control.live.thinking import Manner, described, facts_of, programs_of, stated, think
from hocket.cost import Problem
from hocket.cost.engine import Durations, Job, timeline
from hocket.cost.evaluate import durations, entries_of
from hocket.errors import PlanError
from hocket.plan import Plan
from hocket.program import Program, Span
from hocket.program.sending import finish_s

_BEAT_S = 0.1
_LEAST_BYTES = 200
"""Of any message, so that none passes a link that stands still."""


class Worlds(NamedTuple):
    """How long what is not simulated takes, in seconds."""

    think_s: float = 0.2
    """Until the planner has answered."""
    load_s: float = 0.3
    """Until a node has loaded a plan whose weights it has."""
    installed: bool = True
    """Every node has all weights; otherwise they come over the links, as they are described."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would have happened."""

    arrivals_s: tuple[float, ...]
    latencies_s: tuple[float, ...]
    """Of each request; infinity = it was never answered."""
    plans: tuple[Plan, ...]
    """All that the planner found, by number."""
    switches: int

    @property
    def mean_s(self) -> float:
        """Mean latency."""
        return sum(self.latencies_s) / len(self.latencies_s)


def rehearse(
    problem: Problem,
    plan: Plan,
    policy: Policy,
    arrivals_s: Sequence[float],
    *,
    manner: Manner | None = None,
    rules: Rules | None = None,
    worlds: Worlds | None = None,
    known: Problem | None = None,
    slow: Mapping[str, RateTrace] | None = None,
) -> Rehearsal:
    """Serve requests at some moments of simulated time.

    Args:
        problem: of one task; the traces of its links are what really happens.
        plan: to begin with.
        policy: when to have another.
        arrivals_s: of the requests, rising, in seconds of the traces.
        manner: how to solve again.
        rules: how careful to be.
        worlds: how long the rest takes.
        known: the problem as it is described to the planner, which keeps with it what it has found; absent = with the
            mean of each trace.
        slow: node -> how many times longer than promised it computes, over time.
    """
    if not arrivals_s:
        raise PlanError("a rehearsal needs at least one request; give it arrivals")
    planned = known or problem.replace(cluster=described(problem.cluster))
    reality = _Reality(problem, slow or {})
    careful = rules or Rules(standby="none")
    return _Stage(reality, planned, plan, policy, manner or Manner("chain_dp"), careful, worlds or Worlds()).play(
        arrivals_s
    )


def latencies(
    problem: Problem, plan: Plan, arrivals_s: Sequence[float], slow: Mapping[str, RateTrace] | None = None
) -> list[float]:
    """Latency of each request that comes at some moment of the traces, alone; infinity = it never ends."""
    reality = _Reality(problem, slow or {})
    found = []
    for at_s in arrivals_s:
        ended = [span.stop_s - span.start_s for span in reality.served(plan, 0, at_s) if span.kind == "request"]
        found.append(ended[0] if ended else math.inf)
    return found


class _Reality:
    """What happens to one request alone, with the rates and loads of its moment."""

    def __init__(self, problem: Problem, slow: Mapping[str, RateTrace]) -> None:
        self.problem, self._slow = problem, slow
        self._lines: dict[str, list[tuple[Program, Durations]]] = {}

    def lines(self, plan: Plan) -> list[tuple[Program, Durations]]:
        """Every line of a plan with what it takes where nothing is slow."""
        text = plan.to_json()
        if text not in self._lines:
            problem, task = self.problem, self.problem.task
            pairs = zip(programs_of(problem, plan), entries_of(plan, task), strict=True)
            self._lines[text] = [(program, durations(problem, task, program, entry)) for program, (_, entry) in pairs]
        return self._lines[text]

    def served(self, plan: Plan, line: int, at_s: float) -> list[Span]:
        """All that happens to a request that comes at a moment."""
        program, promised = self.lines(plan)[line]
        factors = {node: trace.rate_at(at_s) for node, trace in self._slow.items()}
        if factors:
            seconds = promised.segments
            taken = {each.id: seconds[each.id] * factors.get(each.node, 1.0) for each in program.segments}
            promised = promised.replace(segments=taken)
        return timeline([Job(program, promised, [at_s])])


class _Stage:
    """Simulated nodes and planner."""

    def __init__(
        self, reality: _Reality, known: Problem, plan: Plan, policy: Policy, manner: Manner, rules: Rules,
        worlds: Worlds,
    ) -> None:  # fmt: skip
        self._reality, self._known = reality, known
        self._manner, self._worlds = manner, worlds
        problem = reality.problem
        self._cluster = problem.cluster
        self._wires = {(wire.source, wire.target): wire for wire in problem.cluster.to_program()[1]}
        self._plans: list[Plan] = []
        self._numbers: dict[str, int] = {}
        self._held: set[int] = set()
        self._queue: list[tuple[float, int, events.Event | events.Think]] = []
        self._order = itertools.count()
        self._came_s: dict[int, float] = {}
        self._ended_s: dict[int, float] = {}
        self._seen: list[tuple[float, events.Sample | events.Computed]] = []
        facts = self._shelved(plan, facts_of(self._known, plan))
        nodes = {node.name: "0" for node in problem.cluster.nodes}
        self._state, commands = begin(facts, nodes, 0.0, rules=rules, policy=policy, stated=stated(self._known.cluster))
        self._carry_out(0.0, commands)

    def play(self, arrivals_s: Sequence[float]) -> Rehearsal:
        end_s = arrivals_s[-1] + 60.0
        for request, at_s in enumerate(arrivals_s):
            self._at(at_s, events.Submitted(at_s, request))
        beat_s = 0.0
        while len(self._ended_s) < len(arrivals_s) and beat_s < end_s:
            while self._queue and self._queue[0][0] <= beat_s:
                at_s, _, event = heapq.heappop(self._queue)
                self._happen(self._thought(at_s, event) if isinstance(event, events.Think) else event)
            self._beat(beat_s)
            beat_s += _BEAT_S
        latencies_s = [self._ended_s.get(request, math.inf) - at_s for request, at_s in enumerate(arrivals_s)]
        switches = self._state.counts.get("switches", 0)
        return Rehearsal(tuple(arrivals_s), tuple(latencies_s), tuple(self._plans), switches)

    def _beat(self, now_s: float) -> None:
        for node in self._state.nodes:
            self._happen(events.Heard(now_s, node, "0"))
        seen = [what for at_s, what in self._seen if at_s <= now_s]
        if seen:
            self._seen = [each for each in self._seen if each[0] > now_s]
            samples = tuple(what for what in seen if isinstance(what, events.Sample))
            computed = tuple(what for what in seen if isinstance(what, events.Computed))
            self._happen(events.Watched(now_s, samples, computed))
        self._happen(events.Tick(now_s))

    def _at(self, at_s: float, event: events.Event | events.Think) -> None:
        heapq.heappush(self._queue, (at_s, next(self._order), event))

    def _happen(self, event: events.Event) -> None:
        if isinstance(event, events.Submitted):
            self._came_s[event.request] = event.at_s
        self._state, commands = step(self._state, event)
        self._carry_out(event.at_s, commands)

    def _carry_out(self, now_s: float, commands: Sequence[events.Command]) -> None:
        for command in commands:
            match command:
                case events.Prepare(run, plan):
                    move_s = 0.0 if plan in self._held else self._state.plans[plan].move_s
                    self._held.add(plan)
                    self._at(
                        now_s + self._worlds.load_s + move_s, events.Ready(now_s + self._worlds.load_s + move_s, run)
                    )
                case events.Send(_, run, line, number):
                    self._serve(now_s, run, line, number)
                case events.Finish(request, _, _, _):
                    self._ended_s[request] = now_s
                case events.Probe((source, target), nbytes, _):
                    self._probe(now_s, (source, target), nbytes)
                case events.Think():
                    self._at(now_s + self._worlds.think_s, command)

    def _serve(self, now_s: float, run: int, line: int, number: int) -> None:
        """One request, and what the nodes will report of it."""
        plan = self._plans[self._state.runs[run].plan]
        promised = self._reality.lines(plan)[line][1].segments
        for span in self._reality.served(plan, line, now_s):
            if span.kind == "request":
                self._at(span.stop_s, events.Answered(span.stop_s, run, line, number))
            elif span.kind == "transfer":
                self._report(
                    span.stop_s, events.Sample((span.node, span.target), span.nbytes, span.start_s, span.stop_s)
                )
            elif span.kind == "compute" and promised[span.id]:
                self._report(span.stop_s, events.Computed(span.node, span.stop_s - span.start_s, promised[span.id]))

    def _report(self, at_s: float, what: events.Sample | events.Computed) -> None:
        """Nodes are asked for what they have seen at fixed intervals."""
        if at_s < math.inf:
            watch_s = self._state.rules.watch_s
            self._seen.append((math.ceil(at_s / watch_s) * watch_s, what))

    def _probe(self, now_s: float, hop: tuple[str, str], nbytes: int) -> None:
        wire = self._wires.get(hop)
        if wire is None:
            return
        resources = [self._cluster.resource[name] for name in wire.resources]
        stop_s = (finish_s(resources, now_s, max(nbytes, _LEAST_BYTES)) if resources else now_s) + wire.latency_s
        if stop_s < math.inf:
            self._at(stop_s, events.Probed(stop_s, hop, nbytes, now_s))
            self._seen.append((stop_s, events.Sample(hop, nbytes, now_s, stop_s)))

    def _thought(self, at_s: float, question: events.Think) -> events.Thought:
        current = self._plans[question.goal] if question.goal is not None else None
        thoughts = think(self._known, self._manner, question.kind, question.world, current, question.factors)
        found = tuple(self._shelved(plan, facts) for plan, facts in thoughts.found)
        return events.Thought(at_s, question.question, found, thoughts.sentence, thoughts.current_value)

    def _shelved(self, plan: Plan, facts: Facts) -> Facts:
        text = plan.to_json()
        if text not in self._numbers:
            self._numbers[text] = len(self._plans)
            self._plans.append(plan)
        move_s = 0.0 if self._worlds.installed else facts.move_s
        return replace(facts, plan=self._numbers[text], move_s=move_s)


def candidates(problem: Problem, manner: Manner, factors: Sequence[float]) -> list[Plan]:
    """The best plan for each of some speeds of all links, each once."""
    known = problem.replace(cluster=described(problem.cluster))
    found = think(known, manner, "table", World(), None, factors).found
    unique = {plan.to_json(): plan for plan, _ in found}
    return list(unique.values())
