"""The rim of a live session: a thread that turns what the nodes say into events, and commands into messages.

All that is decided is decided by `step`; here are the clock, the sockets and the tensors.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from hocket.control.live import events
from hocket.control.live.bringing import Asking, Bringer, ground
from hocket.control.live.desk import Arrays, Audits, Desk, Orders
from hocket.control.live.facts import Facts, World
from hocket.control.live.mirror import NO_COPY, Mirror
from hocket.control.live.policy import Policy
from hocket.control.live.shelf import Shelf
from hocket.control.live.sightings import Sightings
from hocket.control.live.state import Rules, State
from hocket.control.live.step import begin, step
from hocket.control.live.thinking import Manner, stated
from hocket.cost import Problem
from hocket.errors import NodeError
from hocket.plan import Plan
from hocket.program import Span
from hocket.runtime import happenings as runtime
from hocket.runtime.answers import Answer
from hocket.runtime.crew import Crew
from hocket.runtime.fleet import Fleet
from hocket.runtime.wire import Step

_BEAT_S = 0.1
_COUNT_S = 1.0
_AGAIN_S = 1.0
_GREETING_S = 3.0


class Keeper:
    """Keeps one task alive on a fleet.

    Args:
        problem: of one task.
        shelf: of the plans.
        first: the plan to begin with, which is on the shelf.
        fleet: the nodes.
        rules: how careful to be.
        policy: when to have another plan.
        manner: how to solve again; None = nothing is ever solved again.
        lanes: node -> the lane that the task has there for itself.
        others: name -> the problem with another model, and its accuracy.
        told: called with (moment, sentence) for what is worth writing down.
    """

    def __init__(
        self,
        problem: Problem,
        shelf: Shelf,
        first: Facts,
        fleet: Fleet,
        *,
        rules: Rules,
        policy: Policy,
        manner: Manner | None,
        lanes: Mapping[str, str],
        others: Mapping[str, tuple[Problem, float]],
        told: Callable[[float, str], None],
    ) -> None:
        self._problem, self._shelf, self._fleet, self._told = problem, shelf, fleet, told
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._desk, self._orders, self._audits = Desk(), Orders(), Audits()
        self._sightings, self.mirror = Sightings(), Mirror(rules.mirror_bytes)
        self._came: dict[tuple[int, int, int], Answer] = {}
        self._counters: dict[str, Mapping[str, int]] = {}
        self._ended: set[str] = set()
        self._closing = self._over = False
        self._failure: BaseException | None = None
        self._crew = Crew(fleet, ground(problem), lanes=lanes, mirror=rules.mirror_bytes > 0)
        self._bringer = Bringer(self._crew, shelf, self._later, self._happen)
        self._asking = Asking(problem, others, shelf, manner, self._later, self._happen)
        try:
            instances = self._greet(first.nodes)
            self._state, commands = begin(
                first, instances, time.monotonic(), rules=rules, policy=policy, stated=stated(problem.cluster)
            )
            self._carry_out(commands)
        except BaseException:
            self._end()
            raise
        self._thread = threading.Thread(target=self._run, name="hocket-live", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------ from any thread

    @property
    def state(self) -> State:
        """What is known and decided at this moment; it never changes."""
        return self._state

    @property
    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Node -> what it counted last."""
        return dict(self._counters)

    def spans(self) -> list[Span]:
        """What has been seen, on `time.monotonic`, with the session's numbers of the requests."""
        return self._sightings.spans()

    @property
    def clock_error_s(self) -> float:
        """How far the clocks of two nodes may differ."""
        return self._crew.clock_error_s

    def submit(
        self, inputs: Arrays, deadline_s: float, step: Step | None = None, heir_of: int | None = None
    ) -> "Future[Answer]":
        """Serve a request; its deadline is a moment of `time.monotonic`."""
        future: Future[Answer] = Future()
        submitted_s = time.monotonic()

        def come() -> None:
            request = self._desk.take(inputs, future, submitted_s, step, heir_of)
            if step is not None:
                self.mirror.open(step.sequence, heir_of)
            if request is not None:
                sequence = None if step is None else step.sequence
                goes_on = step is not None and step.start > 0 and heir_of is None
                self._happen(events.Submitted(time.monotonic(), request, deadline_s, sequence, goes_on))

        self._put(come)
        return future

    def cancel(self, future: "Future[Answer]") -> None:
        """Nobody waits for the answer of a request that is under way."""

        def drop() -> None:
            request = self._desk.number(future)
            if request is not None:
                self._happen(events.Cancelled(time.monotonic(), request))
                self._desk.fail(request, "the request was cancelled; send it again if it is needed")

        self._put(drop)

    def want(self, plan: Plan, facts: Facts) -> "Future[None]":
        """Have another plan from now on; done when it is in force."""
        done: Future[None] = Future()

        def switch() -> None:
            known = self._shelf.number(plan, facts, World())
            self._orders.add(known.plan, done)
            self._happen(events.Wanted(time.monotonic(), known))

        self._put(switch)
        return done

    def release(self, sequence: int) -> None:
        """A sequence has ended."""

        def end() -> None:
            self.mirror.forget(sequence)
            self._happen(events.Released(time.monotonic(), sequence))

        self._put(end)

    def pardon(self, node: str) -> None:
        """Let a node be used again that was excluded for its answers."""
        self._put(lambda: self._happen(events.Pardoned(time.monotonic(), node)))

    def close(self) -> None:
        """End it; requests without an answer fail. May be called again."""
        self._closing = True
        self._crew.wake()
        self._thread.join()

    # ------------------------------------------------------------ the loop

    def _put(self, work: Callable[[], None]) -> None:
        if self._closing or not self._thread.is_alive():
            raise NodeError(f"the session has ended{f' ({self._failure})' if self._failure else ''}; open a new one")
        self._inbox.put(work)
        if self._thread.is_alive():
            self._crew.wake()
        else:
            self._drain()  # the loop ended meanwhile: what is left is settled here

    def _later(self, work: Callable[[], None]) -> None:
        """On this session's thread; from any."""
        self._inbox.put(work)
        self._crew.wake()

    def _drain(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()()

    def _run(self) -> None:
        try:
            last_s = time.monotonic()
            next_watch_s = next_count_s = next_again_s = last_s
            beat_s = last_s
            while not self._closing:
                for happening in self._crew.receive(max(beat_s - time.monotonic(), 0.0)):
                    self._heard(happening)
                self._drain()
                now_s = time.monotonic()
                if now_s < beat_s:
                    continue
                beat_s = now_s + _BEAT_S
                self._look_after_processes(now_s)
                paused_s = max(now_s - last_s - 3 * _BEAT_S, 0.0)
                last_s = now_s
                self._crew.ping()
                self._happen(events.Tick(now_s, paused_s))
                if now_s >= next_watch_s:
                    next_watch_s = now_s + self._state.rules.watch_s
                    self._crew.watch()
                if now_s >= next_again_s:
                    next_again_s = now_s + _AGAIN_S
                    self._try_again()
                if now_s >= next_count_s:
                    next_count_s = now_s + _COUNT_S
                    self._crew.count()
        except BaseException as error:  # noqa: BLE001 (border of the thread: whoever waits must learn of it)
            self._failure = error
        finally:
            self._end()

    def _end(self) -> None:
        self._closing = True
        self._bringer.close()
        self._asking.close()
        self._crew.close()
        why = f"the session failed ({self._failure})" if self._failure else "the session was closed"
        self._over = True
        self._desk.close(f"{why} before the answer came; open a new one")
        self._drain()
        self._orders.close(f"{why} before the plan was in force; open a new one")

    def _greet(self, needed: frozenset[str]) -> dict[str, str]:
        """Wait a little until the nodes have answered; name -> instance, empty of those that have not."""
        instances = dict.fromkeys(self._crew.connected, "")
        until_s = time.monotonic() + _GREETING_S
        while any(not instances.get(node) for node in needed) and time.monotonic() < until_s:
            self._crew.ping()
            for happening in self._crew.receive(_BEAT_S):
                if isinstance(happening, runtime.Pinged):
                    instances[happening.node] = happening.instance
        return instances

    def _happen(self, event: events.Event) -> None:
        if self._over:
            return
        self._state, commands = step(self._state, event)
        self._carry_out(commands)
        run = self._state.runs.get(self._state.active) if self._state.active is not None else None
        self._orders.settle(self._state.home, None if run is None else run.plan)

    def _look_after_processes(self, now_s: float) -> None:
        ended = self._fleet.ended()
        for node in ended.keys() - self._ended:
            self._happen(events.Gone(now_s, node, ended[node]))
        self._ended = set(ended)

    def _try_again(self) -> None:
        """A node that is down, or has another place now, may answer on a new connection."""
        for node, health in self._state.nodes.items():
            moved = self._crew.connected.get(node) != self._fleet.places[node]
            if moved or (health.status == "down" and node not in self._ended):
                self._crew.connect(node)

    # ------------------------------------------------------------ what the nodes say

    def _heard(self, happening: runtime.Happening) -> None:
        now_s = time.monotonic()
        match happening:
            case runtime.Pinged(node, instance, lacking):
                self._happen(events.Heard(now_s, node, instance))
                for run, _ in lacking:
                    self._happen(events.Unready(now_s, run, node, f"node {node!r} no longer holds it"))
            case runtime.Lost(node, sentence):
                self._happen(events.Gone(now_s, node, sentence))
            case runtime.Prepared(key, node, sentence):
                self._prepared(key, node, sentence)
            case runtime.Came(key, number, answer):
                self._came[(*key, number)] = answer
                self._happen(events.Answered(now_s, *key, number))
                self._came.pop((*key, number), None)
            case runtime.Failed(key, number, node, sentence):
                self._happen(events.Refused(now_s, *key, number, node, sentence))
            case runtime.Reached(source, target, nbytes, start_s, stop_s):
                self._happen(events.Probed(now_s, (source, target), nbytes, start_s))
                sample = events.Sample((source, target), nbytes, start_s, stop_s)
                self._happen(events.Watched(now_s, (sample,)))
            case runtime.Seen(key, _, rows):
                self._seen(key, rows)
            case runtime.Kept(key, sequence, rows):
                if (program := self._bringer.program(*key)) is not None:
                    self.mirror.keep(program, sequence, rows)
            case runtime.Proceeded(key, number):
                self._happen(events.Proceeded(now_s, *key, number))
            case runtime.Counted(node, counters):
                self._counters[node] = counters

    def _prepared(self, key: runtime.Key, node: str, sentence: str) -> None:
        run = key[0]
        if sentence:
            self._happen(events.Unready(time.monotonic(), run, node, f"node {node!r}: {sentence}"))
        elif self._bringer.ready(run):
            self._happen(events.Ready(time.monotonic(), run))

    def _seen(self, key: runtime.Key, rows: Sequence[tuple[Any, ...]]) -> None:
        samples, computed = self._sightings.seen(*key, rows, self._bringer.expected_s(*key))
        if samples or computed:
            self._happen(events.Watched(time.monotonic(), samples, computed))

    # ------------------------------------------------------------ what is to be done

    def _carry_out(self, commands: Sequence[events.Command]) -> None:
        for command in commands:
            self._do(command)

    def _do(self, command: events.Command) -> None:
        match command:
            case events.Send(request, run, line, number):
                self._sightings.sent((run, line, number), request)
                self._start(request, run, line, number)
            case events.Finish(request, run, line, number):
                self._finish(request, run, self._came[run, line, number])
            case events.Fail(request, sentence, late):
                self._desk.fail(request, sentence, late=late)
            case events.Release(run, line, sequence):
                self._crew.release((run, line), sequence)
            case events.Drop(run, line, numbers):
                self._crew.drop((run, line), numbers)
            case events.Again(check, run, line, number):
                inputs = self._audits.inputs(check)
                if inputs is not None:
                    self._crew.start((run, line), number, inputs)
            case events.Compare(check, run, line, number):
                self._compare(check, run, self._came[run, line, number])
            case _:
                self._do_with_plans(command)

    def _start(self, request: int, run: int, line: int, number: int) -> None:
        step, kept = self._desk.step(request), None
        if step is not None and self._desk.inherits(request):
            kept = self.mirror.rows(self._bringer.program(run, line), step.sequence, step.start)
            if kept is None:
                refused = events.Refused(time.monotonic(), run, line, number, "", NO_COPY)
                self._later(lambda: self._happen(refused))  # not now: what is being carried out is not over
                return
        self._crew.start((run, line), number, self._desk.inputs(request), step, kept)

    def _do_with_plans(self, command: events.Command) -> None:
        match command:
            case events.Prepare(run, plan):
                self._bringer.prepare(run, plan)
            case events.Store(plan):
                self._bringer.store(plan, lambda sentence: self._told(time.monotonic(), sentence))
            case events.Forget(run):
                self._bringer.forget(run)
            case events.Probe((source, target), nbytes, fresh):
                self._crew.probe(source, target, nbytes, fresh=fresh)
            case events.Think():
                self._asking.ask(command)
            case events.Tell(sentence):
                self._told(time.monotonic(), sentence)

    def _finish(self, request: int, run: int, answer: Answer) -> None:
        stop_s = time.monotonic()
        task = self._problem.task
        self._sightings.answered(task.name, task.source, request, stop_s - answer.latency_s, stop_s)
        inputs, step = self._desk.inputs(request), self._desk.step(request)
        self._desk.finish(request, answer)
        share = 1.0 if self._state.doubted else self._state.rules.audit
        if step is not None:
            return  # it cannot be computed again without what came before it
        check = self._audits.take(share, self._plan_of(run), inputs, answer.outputs)
        if check is not None:
            self._inbox.put(lambda: self._happen(events.Check(time.monotonic(), check, run)))
            self._crew.wake()

    def _compare(self, check: int, run: int, answer: Answer) -> None:
        plan = self._plan_of(run)
        found = self._audits.compare(check, plan, answer.outputs)
        event: events.Event
        if len(found) == 1:
            event = events.Compared(time.monotonic(), check, (found[0][0], plan), found[0][1])
        elif len(found) == 2:
            (first, one), (second, other) = found
            event = events.Judged(time.monotonic(), (first, second), plan, (one, other))
        else:
            return
        self._inbox.put(lambda: self._happen(event))

    def _plan_of(self, run: int) -> int:
        return self._state.runs[run].plan if run in self._state.runs else -1
