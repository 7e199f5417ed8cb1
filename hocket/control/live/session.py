"""A live session of one task: requests go in, answers come out, and it stays up while the world changes."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import NamedTuple, Self

import numpy as np

from hocket.control.live.facts import Facts, World
from hocket.control.live.keeper import Keeper
from hocket.control.live.mirror import Mirrored
from hocket.control.live.shelf import Shelf
from hocket.control.live.step import calm
from hocket.control.live.thinking import facts_of, foreseen
from hocket.cost import Problem
from hocket.errors import LateError, NodeError, PlanError
from hocket.plan import Plan
from hocket.program import Span, Trace
from hocket.runtime.answers import Answer, check_inputs
from hocket.runtime.session import measured_trace
from hocket.runtime.wire import Step

_LOOK_S = 0.01


class Status(NamedTuple):
    """How a task is doing."""

    task: str
    plan: int
    """Number of the plan in force; -1 = none can run."""
    used: frozenset[str]
    """Nodes of that plan."""
    calm: bool
    """Whether the plan that should be in force is, and nothing is being prepared, tried or thought about."""
    nodes: Mapping[str, str]
    """Node -> `up`, `suspect` or `down`."""
    cut: Sequence[tuple[str, str]]
    """Ways that lead nowhere."""
    rates: Mapping[tuple[str, str], float]
    """Payload bytes per second of ways that were seen."""
    loads: Mapping[str, float]
    """Node -> how many times longer it computes than its profile says."""
    counts: Mapping[str, int]
    """What has happened how often: `answered`, `failed`, `late`, `resent`, `switches`, `losses`."""
    waiting: int
    under_way: int
    latency_s: float
    """Usual, lately; 0 = not known."""
    trouble: str
    """Why nothing can run; empty = it can."""


class LiveSession:
    """Serves one task and keeps it alive; made by `deploy`. Its methods may be called from any thread.

    Args:
        problem: of one task.
        keeper: the loop behind it.
        shelf: its plans.
        window: requests that `stream` has under way unless told otherwise.
        timeout_s: most seconds that a request may take, unless it brings its own deadline.
        log: moments and sentences, the newest last; shared with the keeper.
    """

    def __init__(
        self, problem: Problem, keeper: Keeper, shelf: Shelf, window: int, timeout_s: float,
        log: "deque[tuple[float, str]]",
    ) -> None:  # fmt: skip
        self.problem, self.window, self.timeout_s = problem, window, timeout_s
        self._keeper, self._shelf, self._log = keeper, shelf, log
        self._sequences = itertools.count(1)
        # Inputs are the same in every plan: any program says what they are.
        self._program = shelf.made(0)[0].program

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ------------------------------------------------------------ requests

    def submit(
        self,
        inputs: Mapping[str, np.ndarray],
        *,
        deadline_s: float | None = None,
        step: Step | None = None,
        heir_of: int | None = None,
    ) -> "Future[Answer]":
        """Send a request; the answer comes in the future.

        Args:
            inputs: name -> array, as the model wants them; copied.
            deadline_s: seconds from now after which the answer is of no use; None = the session's timeout.
            step: its place in a sequence of `open_sequence`, for models that keep states on their nodes.
            heir_of: another sequence whose positions before the step's, as `mirrored` has them, are brought first to
                the nodes; the step's own sequence goes on from there.

        Raises:
            FormatError: the inputs are not those of the model.
            NodeError: the session has ended. Later, from the future: no plan can run; `LateError`: the deadline passed.
        """
        limit_s = self.timeout_s if deadline_s is None else deadline_s
        if not limit_s > 0:
            raise PlanError(f"a deadline is more than 0 s from now, got {limit_s:g}; give the request some time")
        return self._keeper.submit(check_inputs(self._program, inputs), time.monotonic() + limit_s, step, heir_of)

    def open_sequence(self) -> int:
        """The number of a new sequence, whose requests find what its earlier ones have left on the nodes.

        When the nodes that keep it fail, its requests do: read it again from its beginning, as a new sequence, or let
        a new one be its heir.
        """
        return next(self._sequences)

    def mirrored(self, sequence: int) -> Mirrored:
        """What the session has of what the nodes keep for a sequence; nothing without `Rules.mirror_bytes`."""
        return self._keeper.mirror.find(sequence)

    def end_sequence(self, sequence: int) -> None:
        """Give back what the nodes keep for a sequence."""
        self._keeper.release(sequence)

    def run(self, inputs: Mapping[str, np.ndarray], *, deadline_s: float | None = None) -> Answer:
        """Serve one request and wait for its answer."""
        future = self.submit(inputs, deadline_s=deadline_s)
        try:
            return future.result()
        except KeyboardInterrupt:
            self.cancel(future)
            raise

    def batch(self, requests: Sequence[Mapping[str, np.ndarray]], *, deadline_s: float | None = None) -> list[Answer]:
        """Serve several requests at once; answers in their order."""
        return list(self.stream(requests, window=max(len(requests), 1), deadline_s=deadline_s))

    def stream(
        self,
        requests: Iterable[Mapping[str, np.ndarray]],
        *,
        window: int | None = None,
        deadline_s: float | None = None,
    ) -> Iterator[Answer]:
        """Serve requests as they are drawn from an iterable; answers come in their order.

        Args:
            requests: inputs of each; the next is drawn when there is room for it.
            window: most requests under way; None = the plan's.
            deadline_s: of each, from when it is drawn.
        """
        most = self._window(window)
        under_way: deque[Future[Answer]] = deque()
        try:
            for inputs in requests:
                under_way.append(self.submit(inputs, deadline_s=deadline_s))
                while under_way and (len(under_way) >= most or under_way[0].done()):
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                self.cancel(future)

    async def astream(
        self,
        requests: AsyncIterable[Mapping[str, np.ndarray]],
        *,
        window: int | None = None,
        deadline_s: float | None = None,
    ) -> AsyncIterator[Answer]:
        """`stream` for asyncio."""
        most = self._window(window)
        under_way: deque[Future[Answer]] = deque()
        try:
            async for inputs in requests:
                under_way.append(self.submit(inputs, deadline_s=deadline_s))
                while under_way and (len(under_way) >= most or under_way[0].done()):
                    yield await asyncio.wrap_future(under_way.popleft())
            while under_way:
                yield await asyncio.wrap_future(under_way.popleft())
        finally:
            for future in under_way:
                self.cancel(future)

    def cancel(self, future: "Future[Answer]") -> None:
        """Give a request up, also one that is under way; its future raises."""
        if not future.cancel() and not future.done():
            self._keeper.cancel(future)

    # ------------------------------------------------------------ plans

    def switch(self, plan: Plan) -> "Future[None]":
        """Have another plan in force, without a gap; done when it is.

        Raises:
            PlanError: the plan does not fit the problem.
        """
        return self._keeper.want(plan, self._facts(plan))

    def wait(self, timeout_s: float = 60.0) -> None:
        """Wait until a plan is in force.

        Raises:
            NodeError: none can run, and why; or none has come into force in time.
        """
        until_s = time.monotonic() + timeout_s
        while (status := self.status()).plan < 0:
            if status.trouble:
                raise NodeError(status.trouble)
            if time.monotonic() > until_s:
                silent = ", ".join(node for node, how in status.nodes.items() if how == "down") or "none"
                raise LateError(
                    f"no plan was in force after {timeout_s:g} s (nodes that are down: {silent}); look at the log"
                )
            time.sleep(_LOOK_S)

    def pardon(self, node: str) -> None:
        """Let a node be used again that was excluded because its answers differed."""
        self._keeper.pardon(node)

    @property
    def plan(self) -> Plan | None:
        """The plan in force; None = none can run."""
        number = self.status().plan
        return None if number < 0 else self._shelf.plan(number)

    def _facts(self, plan: Plan) -> Facts:
        return facts_of(foreseen(self.problem, World()), plan)

    # ------------------------------------------------------------ what is known

    def status(self) -> Status:
        """How it is doing at this moment."""
        state = self._keeper.state
        active = state.runs.get(state.active) if state.active is not None else None
        world = state.sight.world(frozenset(), frozenset())
        return Status(
            task=self.problem.task.name,
            plan=-1 if active is None else active.plan,
            used=frozenset() if active is None else state.plans[active.plan].nodes,
            calm=calm(state),
            nodes={node: health.status for node, health in state.nodes.items()},
            cut=sorted(state.cut),
            rates=world.rates,
            loads=world.loads,
            counts=state.counts,
            waiting=len(state.queue),
            under_way=sum(bool(request.where) for request in state.requests.values()),
            latency_s=state.pace_s,
            trouble=state.trouble,
        )

    def log(self) -> list[tuple[float, str]]:
        """What was worth writing down: moments of `time.monotonic` and sentences."""
        return list(self._log)

    def trace(self) -> Trace:
        """What the nodes and links did lately, by request, on one clock."""
        return measured_trace(self.problem.task.name, self.spans(), self._keeper.clock_error_s)

    def spans(self) -> list[Span]:
        """The same in the order in which it became known, on `time.monotonic`; what is new stands at the end."""
        return self._keeper.spans()

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Node -> what it counted: dropped, refused and held; memory and energy where they are known."""
        return self._keeper.counters

    def close(self) -> None:
        """End the session; requests without an answer fail."""
        self._keeper.close()

    def _window(self, window: int | None) -> int:
        if window is not None and window < 1:
            raise PlanError(f"a window is at least 1, got {window}; let one request be under way")
        return self.window if window is None else window
