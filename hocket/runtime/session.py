"""A session: runs a program on its nodes, from the process where the requests are born."""

import contextlib
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, Unpack

import numpy as np

from hocket.errors import LateError, NodeError, PlanError
from hocket.program import Artifact, Program, Span, Trace, WeightSource
from hocket.runtime import wire
from hocket.runtime.answers import Answer, Coming, Pending, check_inputs
from hocket.runtime.client import Client, check_welcome
from hocket.runtime.clock import clock_id
from hocket.runtime.codecs import family
from hocket.runtime.deploy import align, deploy
from hocket.runtime.fleet import Fleet, Reach
from hocket.runtime.tensors import describe, restore
from hocket.runtime.transport import Transport

_LEASE_S = 600.0
_WAIT_S = 0.1


class Session:
    """Runs one program; a context manager that leaves nothing running.

    It lives in the process of the program's source: the way from here to the source node is not part of any latency.
    It belongs to the thread that uses it; several sessions on one fleet may be used by a thread each.

    Args:
        program: what to run.
        artifacts: the model of every segment.
        weights: gives a weight by its hash; asked only for what nodes lack.
        fleet: running nodes that it attaches to; None = it has its own, which ends with it.
        timeout_s: how long a node may be silent and a request may take.
        warmups: runs of every segment before the first request.
        lanes: node -> the lane of its own that the program has there, shared with the sessions of this fleet that name
            it too: its work waits for nobody else's; on other nodes it takes turns with all.
        reach: as for `Fleet`, without one.

    Raises:
        NodeError: a node cannot be started or reached, or refuses.
    """

    def __init__(
        self,
        program: Program,
        artifacts: Sequence[Artifact],
        weights: WeightSource,
        *,
        fleet: Fleet | None = None,
        timeout_s: float = 30.0,
        warmups: int = 2,
        lanes: Mapping[str, str] | None = None,
        **reach: Unpack[Reach],
    ) -> None:
        if not timeout_s > 0:
            raise PlanError(f"a timeout is more than 0 s, got {timeout_s:g}; give one")
        if fleet is not None and reach:
            raise PlanError(f"a fleet says how its nodes are reached, and {min(reach)!r} is given too; give it there")
        self.program, self.timeout_s = program, timeout_s
        self._name = f"{program.name[:100]}/{secrets.token_hex(8)}"
        self._transport: Transport | None = None
        self._spans: list[Span] = []
        self._requests: list[Span] = []
        self._next = 0
        self._pending: dict[int, Pending] = {}
        self._low = 0
        nodes = set(program.nodes())
        self._owns = fleet is None
        self.fleet = fleet or Fleet(
            (site for site in program.sites if site.name in nodes), timeout_s=timeout_s, **reach
        )
        self.emulated = self.fleet.emulated
        try:
            self._open(artifacts, weights, warmups, lanes or {})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(self, inputs: Mapping[str, np.ndarray], *, step: wire.Step | None = None) -> Answer:
        """Serve one request.

        Args:
            inputs: name -> array.
            step: its place in a sequence, for models that keep states on their nodes.

        Raises:
            FormatError: the inputs are not those of the program.
            NodeError: a node failed; the session is closed.
            LateError: no answer within the timeout; the session is closed.
        """
        return next(iter(self.stream([inputs], window=1, steps=[step])))

    def stream(
        self,
        requests: Iterable[Mapping[str, np.ndarray]],
        window: int | None = None,
        *,
        arrivals_s: Iterable[float] | None = None,
        steps: Iterable[wire.Step | None] = (),
    ) -> Iterator[Answer]:
        """Serve requests as they are drawn from an iterable, several at once; answers come in their order.

        Args:
            requests: inputs of each.
            window: most requests under way; None = the program's.
            arrivals_s: when each arrives, rising, on `time.monotonic`; None = as soon as it can be served. Where the
                window is full it waits.
            steps: the place of each in its sequence; those that have none stand alone.
        """
        window = self.program.window if window is None else window
        if not 1 <= window <= self.program.window:
            raise PlanError(f"the window is 1 to {self.program.window} for this program, got {window}; choose another")
        if self._transport is None:
            raise NodeError("the session is closed; open a new one")
        if self._pending:
            raise NodeError("another stream of this session is under way; end it first, or use its window")
        coming, places = Coming(requests, arrivals_s), iter(steps)
        expected = self._low
        done: dict[int, Answer] = {}
        try:
            while coming.more or self._pending or done:
                while self._room(window) and coming.due_s <= time.monotonic():
                    drawn = coming.take()
                    if drawn is not None:
                        self._feed(check_inputs(self.program, drawn[0]), drawn[1], next(places, None))
                if expected not in done and (self._pending or coming.more):
                    due_s = coming.due_s if self._room(window) else float("inf")
                    self._step(done, min(max(due_s - time.monotonic(), 0.0), _WAIT_S))
                while expected in done:
                    yield done.pop(expected)
                    expected += 1
        except NodeError:
            self.close()
            raise
        finally:
            self._abandon()

    def trace(self) -> Trace:
        """All that has happened since the session began, on one clock from its first request."""
        return measured_trace(self.program.name, self.spans(), self.clock_error_s)

    def spans(self) -> list[Span]:
        """All that has happened since the session began, on `time.monotonic`."""
        self._collect()
        return [*self._requests, *self._spans]

    @property
    def clock_error_s(self) -> float:
        """How far the clocks of two nodes may differ after alignment; 0 where all are on one host."""
        return max((error for _, error in self._clocks.values()), default=0.0)

    def counters(self) -> dict[str, dict[str, int]]:
        """Node -> what it dropped, refused and holds; of this session also `used_us`, CPU time, and `busy_us`, how long
        its work kept a processor busy, in microseconds."""
        return {node: self._client.ask(node, wire.Count(), wire.Counted).counters for node in self._client.nodes}

    def probe(self, source: str, target: str, nbytes: int) -> float:
        """Seconds that a message of some bytes takes from one node to another."""
        number = secrets.randbits(40)
        self._client.send(source, wire.Probe(self._name, target, number, nbytes))
        while (probed := self._client.wait(target, wire.Probed)).number != number:
            pass
        return (probed.stop_s + self._clocks[target][0]) - (probed.start_s + self._clocks[source][0])

    def close(self) -> None:
        """End the session, and the nodes that it started; may be called again."""
        transport, self._transport = self._transport, None
        try:
            if transport is not None:
                self._say_goodbye(transport)
                transport.close()
        finally:
            if self._owns:
                self.fleet.close()

    # ------------------------------------------------------------ beginning and end

    def _open(
        self, artifacts: Sequence[Artifact], weights: WeightSource, warmups: int, lanes: Mapping[str, str]
    ) -> None:
        self._transport = self.fleet.connect()
        self._client = Client(self._transport, self.fleet.check, self.timeout_s)
        places = {node: self._place(node) for node in self.program.nodes()}
        for node, (address, key) in places.items():
            self._client.connect(node, address, key)
        welcomes = {node: self._greet(node) for node in places}
        self._clocks = align(self._client, welcomes, clock_id())
        deploy(
            self._client,
            self._name,
            self.program,
            artifacts,
            weights,
            [wire.Peer(node, address, key) for node, (address, key) in places.items()],
            emulate=self.emulated,
            lease_s=_LEASE_S,
            warmups=warmups,
            lanes={node: f"{self.fleet.name}/{lane}" for node, lane in lanes.items()},
        )
        if self._owns:
            self.fleet.restart_links()

    def _place(self, node: str) -> tuple[str, str]:
        if node not in self.fleet.places:
            raise NodeError(f"the fleet has no node {node!r}; it has {', '.join(self.fleet.places)}")
        return self.fleet.places[node]

    def _greet(self, node: str) -> wire.Welcome:
        welcome = self._client.ask(node, wire.Hello(wire.VERSION, "session"), wire.Welcome)
        codecs = {family(transfer.codec) for transfer in self.program.transfers if node in transfer.path}
        providers = {name for site in self.program.sites if site.name == node for name in site.providers}
        check_welcome(node, welcome, codecs, providers, self.fleet.ledger_id)
        return welcome

    def _say_goodbye(self, transport: Transport) -> None:
        for node in self._client.nodes if hasattr(self, "_client") else ():
            with contextlib.suppress(NodeError):
                transport.send(node, wire.pack(wire.Forget(self._name)))

    # ------------------------------------------------------------ requests

    def _room(self, window: int) -> bool:
        """Whether another request may be sent."""
        return len(self._pending) < window and self._next < self._low + self.program.window

    def _feed(self, inputs: Mapping[str, np.ndarray], arrival_s: float, step: wire.Step | None) -> None:
        request, self._next = self._next, self._next + 1
        wanted: dict[str, int] = {}
        for binding in self.program.outputs:
            wanted[binding.tensor] = wanted.get(binding.tensor, 0) + 1
        nodes = sorted({binding.node for binding in self.program.inputs})
        now_s = time.monotonic()
        self._pending[request] = Pending(request, inputs, now_s, wanted, set(nodes), min(arrival_s, now_s))
        for node in nodes:
            names = tuple(binding.tensor for binding in self.program.inputs if binding.node == node)
            described = [describe(inputs[name]) for name in names]
            tensors = tuple(tensor for tensor, _ in described)
            message = wire.Feed(self._name, request, self._low, names, tensors, step)
            self._client.send(node, message, [buffer for _, buffers in described for buffer in buffers])

    def _step(self, done: dict[int, Answer], patience_s: float) -> None:
        """Take one message, or find out that a request is late."""
        event = self._client.receive(patience_s)
        if event is not None:
            self._take(*event, done)
        oldest = min(self._pending.values(), key=lambda pending: pending.sent_s, default=None)
        if oldest is not None and time.monotonic() - oldest.sent_s > self.timeout_s:
            raise LateError(self._late(oldest))

    def _take(self, node: str, message: wire.Message, buffers: Sequence[wire.Frame], done: dict[int, Answer]) -> None:
        if not isinstance(message, wire.Fed | wire.Output | wire.Failed) or message.program != self._name:
            return
        pending = self._pending.get(message.request)
        if pending is None:
            return
        if isinstance(message, wire.Failed):
            raise NodeError(message.sentence)
        at_s = message.at_s + self._clocks[node][0]
        if isinstance(message, wire.Fed):
            pending.fed(node, at_s)
        else:
            self._bring(pending, message, buffers, at_s)
        if pending.finished:
            self._finish(pending, done)

    def _bring(self, pending: Pending, message: wire.Output, buffers: Sequence[wire.Frame], at_s: float) -> None:
        if message.binding >= len(self.program.outputs):
            return
        tensor = self.program.outputs[message.binding].tensor
        array = restore(message.tensor, buffers) if message.tensor is not None else None
        if not pending.bring(tensor, array, at_s, time.monotonic()):
            raise NodeError(
                f"output {tensor!r} of request {pending.request} is void: every gate before it was closed;"
                " let one way stay open"
            )

    def _finish(self, pending: Pending, done: dict[int, Answer]) -> None:
        del self._pending[pending.request]
        done[pending.request] = pending.answer()
        source = self.program.inputs[0].node
        self._requests.append(
            Span(
                kind="request",
                id=self.program.name,
                request=pending.request,
                node=source,
                start_s=pending.start_s - pending.waited_s,
                stop_s=pending.stop_s,
            )
        )
        self._low = min(self._pending, default=self._next)
        if not self._pending:
            self._tell_low()

    def _tell_low(self) -> None:
        for node in self._client.nodes:
            self._client.send(node, wire.Low(self._name, self._low))

    def _abandon(self) -> None:
        """Requests whose answers nobody waits for any more."""
        if self._pending and self._transport is not None:
            self._low = self._next
            self._pending.clear()
            self._tell_low()

    def _late(self, pending: Pending) -> str:
        waited = f"request {pending.request} had no answer within {self.timeout_s:g} s"
        silent = max(self._client.nodes, key=self._client.silence_s)
        if self._client.silence_s(silent) > min(self.timeout_s / 2, 2.5):
            address = self._client.nodes[silent]
            return f"{waited}: node {silent!r} at {address} is silent; check that it runs, or raise the timeout"
        for node, pong in self._client.pongs.items():
            if pong.busy:
                return f"{waited}: node {node!r} is computing {pong.busy!r}; give it less to do, or raise the timeout"
        missing = [binding for binding in self.program.outputs if binding.tensor not in pending.outputs]
        node = missing[0].node if missing else self.program.inputs[0].node
        return (
            f"{waited}: node {node!r} still waits for what leads to its output; check its links, or raise the timeout"
        )

    def _collect(self) -> None:
        for node in self._client.nodes if self._transport is not None else ():
            more = True
            while more:
                spans = self._client.ask(node, wire.Collect(self._name), wire.Spans)
                more = spans.more
                self._spans += [self._span(node, row) for row in spans.rows]

    def _span(self, node: str, row: Sequence[object]) -> Span:
        kind, what, request, maker, target, start_s, stop_s, nbytes = row
        begun_s = float(start_s) + self._clocks[str(maker)][0]  # type: ignore[arg-type]
        ended_s = float(stop_s) + self._clocks[node][0]  # type: ignore[arg-type]
        return Span(
            kind=kind,  # type: ignore[arg-type]
            id=str(what),
            request=int(request),  # type: ignore[call-overload]
            node=str(maker),
            target=str(target),
            start_s=begun_s,
            stop_s=ended_s,
            nbytes=int(nbytes),  # type: ignore[call-overload]
        )


def measured_trace(name: str, spans: Iterable[Span], clock_error_s: float) -> Trace:
    """Spans on one clock as a trace that begins with its first request."""
    ordered = sorted(spans, key=lambda span: (span.start_s, span.stop_s))
    origin_s = min((span.start_s for span in ordered if span.kind == "request"), default=0.0)
    moved = tuple(span.replace(start_s=span.start_s - origin_s, stop_s=span.stop_s - origin_s) for span in ordered)
    return Trace(name=name, judge="measured", spans=moved, clock_error_s=clock_error_s)
