"""A small world for the decisions: nodes that die, hang and come back, ways that break, a planner, in made-up time."""

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

from hocket.control.live import events
from hocket.control.live.facts import Facts, Line
from hocket.control.live.policy import Policy
from hocket.control.live.state import Rules, State
from hocket.control.live.step import begin, step

BEAT_S = 0.1


def facts(plan: int, nodes: str, value_s: float, *, window: int = 3, memory: int = 1) -> Facts:
    """A plan that uses some nodes and all ways between them; `a` is the source."""
    hops = frozenset((one, other) for one in nodes for other in nodes if one != other)
    return Facts(plan, frozenset(nodes), hops, frozenset("a"), (Line(window),), value_s, dict.fromkeys(nodes, memory))


PLANS = (facts(0, "ab", 0.1), facts(1, "ac", 0.2), facts(2, "a", 0.5))


class Stage:
    """Drives `step` in made-up time.

    Args:
        plans: all that there are, the first in force at the beginning; the planner finds the best that is whole.
        seed: of how long everything takes.
        loss: chance that an answer is lost on its way.
        whole: the planner tells all plans that are whole, and not only the best.
    """

    def __init__(
        self,
        plans: Sequence[Facts] = PLANS,
        *,
        rules: Rules | None = None,
        policy: Policy | None = None,
        seed: int = 0,
        loss: float = 0.0,
        whole: bool = False,
    ) -> None:
        self.plans = {each.plan: each for each in plans}
        self.chance, self.loss, self._all = random.Random(seed), loss, whole
        self.now_s = 0.0
        self.alive = dict.fromkeys("abc", True)
        self.instance = dict.fromkeys("abc", 0)
        self.cut: set[tuple[str, str]] = set()
        self.answered: dict[int, float] = {}
        self.failed: dict[int, events.Fail] = {}
        self.commands: list[tuple[float, events.Command]] = []
        self.sent = 0
        self._next_beat_s = 0.0
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._runs: dict[int, tuple[Facts, dict[str, int]]] = {}
        self.state: State
        self.state, commands = begin(plans[0], dict.fromkeys("abc", "0"), 0.0, rules=rules, policy=policy)
        self._carry_out(commands)

    # ------------------------------------------------------------ what tests do

    def at(self, at_s: float, work: Callable[[], None]) -> None:
        """Do something at a moment."""
        heapq.heappush(self._queue, (at_s, next(self._order), work))

    def submit(self, deadline_s: float = 30.0) -> int:
        """Send a request now; its number."""
        request, self.sent = self.sent, self.sent + 1
        self.feed(events.Submitted(self.now_s, request, self.now_s + deadline_s))
        return request

    def kill(self, node: str, *, seen: bool = True) -> None:
        """A node ends; it is seen at once, or only by its silence."""
        self.alive[node] = False
        if seen:
            self.feed(events.Gone(self.now_s, node, "it was killed"))

    def restart(self, node: str) -> None:
        """A node begins anew; it has forgotten everything."""
        self.instance[node] += 1
        self.alive[node] = True

    def hang(self, node: str) -> None:
        """A node says nothing."""
        self.alive[node] = False

    def go_on(self, node: str) -> None:
        """A node that hung goes on, and has forgotten nothing."""
        self.alive[node] = True

    def run(self, until_s: float) -> None:
        """Let time pass."""
        while self.now_s < until_s:
            if self._queue and self._queue[0][0] <= self._next_beat_s:
                self.now_s, _, work = heapq.heappop(self._queue)
                work()
                continue
            self.now_s = self._next_beat_s
            self._next_beat_s += BEAT_S
            for node, alive in self.alive.items():
                if alive:
                    self.feed(events.Heard(self.now_s, node, str(self.instance[node])))
            self.feed(events.Tick(self.now_s))

    def feed(self, event: events.Event) -> None:
        """Something happens."""
        self.state, commands = step(self.state, event)
        self._carry_out(commands)

    @property
    def plan(self) -> int | None:
        """The plan in force."""
        return None if self.state.active is None else self.state.runs[self.state.active].plan

    def of(self, kind: type[events.Command]) -> list[Any]:
        """All commands of a kind so far."""
        return [command for _, command in self.commands if isinstance(command, kind)]

    # ------------------------------------------------------------ the world

    def _whole(self, plan: Facts, instances: dict[str, int]) -> bool:
        there = all(self.alive[node] and self.instance[node] == known for node, known in instances.items())
        return there and plan.hops.isdisjoint(self.cut)

    def _later(self, least_s: float, most_s: float, work: Callable[[], None]) -> None:
        self.at(self.now_s + self.chance.uniform(least_s, most_s), work)

    def _carry_out(self, commands: Sequence[events.Command]) -> None:
        for command in commands:
            self.commands.append((self.now_s, command))
            match command:
                case events.Prepare(run, plan):
                    facts = self.plans[plan]
                    self._runs[run] = (facts, {node: self.instance[node] for node in facts.nodes})
                    self._later(0.01, 0.5, lambda run=run: self._prepared(run))  # type: ignore[misc]
                case events.Forget(run):
                    del self._runs[run]
                case events.Send(_, run, line, number):
                    self._later(0.05, 0.3, lambda key=(run, line, number): self._answer(*key))  # type: ignore[misc]
                case events.Finish(request, _, _, _):
                    assert request not in self.answered and request not in self.failed
                    self.answered[request] = self.now_s
                case events.Fail(request, _, _):
                    assert request not in self.answered and request not in self.failed
                    self.failed[request] = command
                case events.Probe(hop, nbytes, _):
                    self._later(0.02, 0.03, lambda hop=hop, nbytes=nbytes: self._probe(hop, nbytes))  # type: ignore[misc]
                case events.Think():
                    self._later(0.01, 0.3, lambda command=command: self._think(command))  # type: ignore[misc]

    def _prepared(self, run: int) -> None:
        if run not in self._runs:
            return
        plan, instances = self._runs[run]
        if self._whole(plan, instances):
            self.feed(events.Ready(self.now_s, run))
        elif all(self.alive[node] for node in plan.nodes):
            self.feed(events.Unready(self.now_s, run, "b", "it was restarted meanwhile"))

    def _answer(self, run: int, line: int, number: int) -> None:
        known = self._runs.get(run)
        if known is not None and self._whole(*known) and self.chance.random() >= self.loss:
            self.feed(events.Answered(self.now_s, run, line, number))

    def _probe(self, hop: tuple[str, str], nbytes: int) -> None:
        if hop not in self.cut and all(self.alive[node] for node in hop):
            self.feed(events.Probed(self.now_s, hop, nbytes, self.now_s - 0.02))

    def _think(self, question: events.Think) -> None:
        world = question.world
        whole = [
            each for each in self.plans.values()
            if each.nodes.isdisjoint(world.missing) and each.hops.isdisjoint(world.cut)
        ]  # fmt: skip
        best = tuple(sorted(whole, key=lambda each: (each.variant != "", each.value_s))[: None if self._all else 1])
        self.feed(events.Thought(self.now_s, question.question, best, "" if best else "no plan is whole"))
