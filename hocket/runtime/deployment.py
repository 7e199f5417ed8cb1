"""One program on one node: the dataflow machine.

Everything here runs on the node's event loop, except the work of the jobs that it gives to the compute lane. Nothing
waits: what arrives is put into a mailbox, what is ready goes to the lane, what is computed goes on its way.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hocket.errors import FormatError, HocketError
from hocket.program import INPUT, Artifact, Program, Transfer
from hocket.runtime import wire
from hocket.runtime.emulation import Ledger
from hocket.runtime.executable import Executable
from hocket.runtime.lane import COMMON, Job, Key, Lane, Result, Together
from hocket.runtime.mailbox import Fire, Mailboxes
from hocket.runtime.pacer import Pacer
from hocket.runtime.routes import Routes
from hocket.runtime.states import States
from hocket.runtime.tensors import describe, expect, restore

_MOST_SPANS = 500_000
Row = tuple[str, str, int, str, str, float, float, int]
Send = Callable[[str, wire.Message, Sequence[wire.Frame]], None]


class Deployment:
    """A program's segments, mailboxes and routes on this node.

    Args:
        name: the program's id.
        program: what to run.
        node: which of its nodes this is.
        owner: the peer (a session) that gets outputs and failures.
        lane: where to compute.
        send: queues a message for a peer.
        ledger: of emulated links; None = the links are real.
        processor: the slower processor that the program has for itself here; empty = it has the node's like all others.
        room: whether so many more bytes may be held for sequences; None = always.
        mirror: tell the owner what segments add to their states.
    """

    def __init__(
        self,
        name: str,
        program: Program,
        node: str,
        owner: str,
        lane: Lane,
        send: Send,
        ledger: Ledger | None,
        processor: str = COMMON,
        room: Callable[[int], bool] | None = None,
        mirror: bool = False,
    ) -> None:
        self.name, self.program, self.node, self.owner = name, program, node, owner
        self.counts: Counter[str] = Counter(late=0, repeated=0)
        self.ledger = ledger
        self._routes, self._mailboxes = Routes(program, node), Mailboxes(program, node)
        self._lane, self._send = lane, send
        self._pacer = Pacer(self._routes.site.slowdown, threads=self._routes.site.threads)
        self._processor, self._mirror = processor, mirror
        self._executables: dict[str, Executable] = {}
        self.installed = False
        """Whether it is ready to run."""
        self._seen: dict[int, set[tuple[int, int]]] = {}
        self._spans: deque[Row] = deque(maxlen=_MOST_SPANS)
        self._feds: deque[wire.Fed] = deque()
        self._steps: dict[int, wire.Step] = {}
        self._states = States(room or (lambda nbytes: True))  # noqa: ARG005
        self._computing = len({segment.node for segment in program.segments})
        self._low = 0
        self._used_s = self._busy_s = 0.0

    @property
    def routes(self) -> Routes:
        """The wiring at this node."""
        return self._routes

    def build(
        self, models: Mapping[str, Artifact], warmups: int, weight: Callable[[str], np.ndarray]
    ) -> dict[str, Executable]:
        """What its segments compute, each loaded and run a few times; takes long, so it is for the compute lane."""
        executables = {}
        for segment in self.program.at(self.node):
            executable = Executable(
                segment,
                models[segment.id],
                weight,
                self._routes.site,
                self._routes.tensors,
                tuple(each for each in self.program.states if each.segment == segment.id),
                tuple(each for each in self.program.counters if each.segment == segment.id),
            )
            executable.warm_up(warmups)
            executables[segment.id] = executable
        return executables

    def install(self, executables: dict[str, Executable]) -> None:
        """Give it what its segments compute."""
        self._executables, self.installed = executables, True

    # ------------------------------------------------------------ what comes in

    def feed(self, message: wire.Feed, buffers: Sequence[wire.Frame]) -> None:
        """The inputs of a request enter here."""
        now_s = time.monotonic()
        if set(message.names) != self._routes.inputs.keys() or len(message.names) != len(message.tensors):
            raise FormatError(
                f"a feed brings {list(message.names)} where {sorted(self._routes.inputs)} enter; bring those"
            )
        arrays = {}
        place = 0
        for name, tensor in zip(message.names, message.tensors, strict=True):
            info = self._routes.tensors[name]
            expect(tensor, info, "raw")
            arrays[name] = restore(tensor, buffers[place : place + tensor.parts])
            place += tensor.parts
        if not self._admit(message.request, message.low, (-1, 0), message.step):
            return
        for name, array in arrays.items():
            self._deliver(message.request, INPUT, name, array)
        # Not sent at once: on a busy host the session's waking up would disturb what has just begun.
        self._feds.append(wire.Fed(self.name, message.request, now_s))

    def arrive(self, message: wire.Data, buffers: Sequence[wire.Frame]) -> None:
        """A transfer, or a hop of one, ends here."""
        transfer = self._routes.arriving(message.transfer, message.hop)
        if message.tensor is not None:
            expect(message.tensor, self._routes.carried(transfer), transfer.codec)
        array: np.ndarray | None = None
        if message.tensor is not None and transfer.codec == "raw":
            # Before it is admitted: a broken copy must not shut out a good one.
            array = restore(message.tensor, buffers)
        if not self._admit(message.request, message.low, (message.transfer, message.hop), message.step):
            return
        nbytes = sum(len(buffer) for buffer in buffers)
        sender, request = transfer.path[message.hop], message.request
        self._note("transfer", transfer.id, request, sender, self.node, message.start_s, time.monotonic(), nbytes)
        if message.hop + 2 < len(transfer.path):
            self._launch(message.transfer, message.hop + 1, request, message.tensor, buffers)
        elif message.tensor is None or array is not None:
            self._deliver(request, transfer.id, transfer.tensor, array)
        else:
            self._decode(transfer, request, message.tensor, buffers)

    def flush(self, before_s: float) -> None:
        """Tell the session of the requests that were fed before a moment."""
        while self._feds and self._feds[0].at_s <= before_s:
            self._send(self.owner, self._feds.popleft(), ())

    @property
    def fed_s(self) -> float:
        """When the oldest request was fed that the session has not been told of."""
        return self._feds[0].at_s if self._feds else float("inf")

    def expire(self, now_s: float) -> None:
        """Fire what waits for a deadline that has passed."""
        for fire in self._mailboxes.expire(now_s):
            self._fire(fire)

    def next_deadline_s(self) -> float:
        """When `expire` should be called."""
        return self._mailboxes.next_deadline_s()

    def drop_below(self, low: int) -> None:
        """All requests below have ended."""
        if low <= self._low:
            return
        self._low = low
        self._mailboxes.drop_below(low)
        for request in [request for request in self._seen if request < low]:
            del self._seen[request]
        for request in [request for request in self._steps if request < low]:
            del self._steps[request]

    def release(self, sequence: int) -> None:
        """A sequence has ended: what was kept for it is given back."""
        self._states.release(sequence)

    def bring(self, message: wire.Bring, buffers: Sequence[wire.Frame]) -> None:
        """What a sequence has kept elsewhere comes here; on the lane, so that no run writes into the same rows."""
        known = self._executables.get(message.segment)
        if known is None or len(buffers) != 1:
            raise FormatError(
                f"{len(buffers)} buffers are brought to segment {message.segment!r}; bring one to a segment"
            )
        step, data = wire.Step(message.sequence, message.start, message.stop), memoryview(buffers[0]).cast("B")

        def done(result: Result) -> None:
            self._send(self.owner, wire.Brought(self.name, message.request, result.error[:4000]), ())

        self._work((message.request, -1, "bringing states"), lambda: self._states.bring(known, step, data), done)

    @property
    def state_bytes(self) -> int:
        """Held for sequences."""
        return self._states.nbytes

    # ------------------------------------------------------------ what is asked

    def take_spans(self, most: int) -> list[Row]:
        """Remove and return the oldest spans."""
        return [self._spans.popleft() for _ in range(min(most, len(self._spans)))]

    def counters(self) -> dict[str, int]:
        """What was dropped, and what is held."""
        total = self.counts + self._mailboxes.counts
        return {**{name: total[name] for name in ("late", "repeated")}, "pending": self._mailboxes.pending()}

    def computing(self) -> dict[str, int]:
        """CPU time that was used here, and how long a processor was kept busy with it, in microseconds."""
        return {"used_us": round(1e6 * self._used_s), "busy_us": round(1e6 * self._busy_s)}

    def wire_to(self, target: str, nbytes: int) -> tuple[float, float]:
        """Take the wire to a neighbour now: when it starts, and when an emulated one delivers (0 = real)."""
        now_s = time.monotonic()
        known = self._routes.wires.get(target)
        if self.ledger is None or known is None:
            return now_s, 0.0
        return self.ledger.reserve(known[0], known[1], nbytes, now_s)

    # ------------------------------------------------------------ inside

    def _admit(self, request: int, low: int, what: tuple[int, int], step: wire.Step | None) -> bool:
        """Whether this is the first of its kind of a request under way."""
        if low > request or request - low >= self.program.window:
            raise FormatError(f"request {request} is outside of the window of {self.program.window} from {low}; wait")
        self.drop_below(low)
        if request < self._low:
            self.counts["late"] += 1
            return False
        if request - self._low >= self.program.window:
            raise FormatError(f"request {request} is outside of the window of {self.program.window}; wait")
        seen = self._seen.setdefault(request, set())
        if what in seen:
            self.counts["repeated"] += 1
            return False
        seen.add(what)
        if step is not None:
            self._steps[request] = step
        return True

    def _deliver(self, request: int, source: str, tensor: str, array: np.ndarray | None) -> None:
        """Something is there at this node: pass it to all who want it."""
        for binding in self._routes.outputs.get((source, tensor), ()):
            self._answer(binding, request, array)
        for index, transfer in self._routes.transfers.get((source, tensor), ()):
            self._ship(index, transfer, request, array)
        for fire in self._mailboxes.put(request, source, tensor, array, time.monotonic()):
            self._fire(fire)

    def _answer(self, binding: int, request: int, array: np.ndarray | None) -> None:
        now_s = time.monotonic()
        self.flush(now_s)
        described, buffers = describe(array) if array is not None else (None, [])
        self._send(self.owner, wire.Output(self.name, binding, request, now_s, described), buffers)

    def _fire(self, fire: Fire) -> None:
        segment, inputs = fire.segment, fire.inputs
        if inputs is None:
            for tensor in segment.outputs:
                self._deliver(fire.request, segment.id, tensor, None)
            return
        executable = self._executables[segment.id]
        step = self._steps.get(fire.request)
        together = None
        if segment.stacks and step is not None and step.stop - step.start == 1:
            work_all = lambda requests: self._states.steps(executable, requests)  # noqa: E731
            together = Together(segment.id, (inputs, step), work_all, self._most_together)
        self._work(
            (fire.request, segment.priority, segment.id),
            (lambda: self._states.step(executable, inputs, step))
            if executable.of_sequences
            else (lambda: executable.run(inputs)),
            lambda result: self._computed(fire, result),
            executable.expected_s * self._pacer.slowdown,
            together,
        )

    def _most_together(self) -> int:
        """How many sequences' steps are computed at once: their part of those under way, so that every node has one."""
        return math.ceil(len({step.sequence for step in self._steps.values()}) / self._computing)

    def _work(
        self,
        key: Key,
        work: Callable[[], Any],
        done: Callable[[Result], None],
        expected_s: float = float("inf"),
        together: Together | None = None,
    ) -> None:
        """Compute something when it is its turn, unless its request has been given up by then."""
        wanted: Callable[[], bool] = lambda: key[0] >= self._low  # noqa: E731

        def over(result: Result) -> None:
            self._used_s += result.used_s / result.together
            self._busy_s += (result.stop_s - result.start_s) / result.together
            done(result)

        self._lane.submit(
            Job(
                key, key[2], work, over, self._pacer, wanted, expected_s,
                program=self.name, processor=self._processor, together=together,
            )
        )  # fmt: skip

    def _computed(self, fire: Fire, result: Result) -> None:
        segment, request = fire.segment, fire.request
        if result.error:
            self._fail(request, result.error)
            return
        self._note("compute", segment.id, request, self.node, "", result.start_s, result.stop_s, 0)
        values: dict[str, np.ndarray] = result.value
        for tensor in segment.outputs:
            declared = self._routes.made(segment.id, tensor)
            if declared is not None and not declared.admits(values[tensor].shape):
                self._fail(
                    request,
                    f"segment {segment.id!r} makes {tensor!r} {list(values[tensor].shape)}, and"
                    f" {list(declared.shape)} is declared; correct the program's tensors",
                )
                return
        is_open = segment.gate is None or bool(np.all(values[segment.gate]))
        for tensor in segment.outputs:
            passes = is_open or tensor == segment.gate
            self._deliver(request, segment.id, tensor, values[tensor] if passes else None)
        step = self._steps.get(request)
        if self._mirror and step is not None:
            data = self._states.copy(self._executables[segment.id], step)
            if data is not None:
                self._send(self.owner, wire.Kept(self.name, segment.id, *step.place), [data])

    def _ship(self, index: int, transfer: Transfer, request: int, array: np.ndarray | None) -> None:
        """Send a tensor, or its part, on its first hop."""
        if array is None:
            self._launch(index, 0, request, None, ())
            return
        part = self._routes.part(transfer)
        array = array if part is None else array[part]
        info = self._routes.carried(transfer)
        if not info.admits(array.shape) or array.dtype.name != info.dtype:
            self._fail(
                request,
                f"transfer {transfer.id!r} has {array.dtype.name} {list(array.shape)} to carry, and"
                f" {info.dtype} {list(info.shape)} is declared; correct the program's tensors",
            )
        elif transfer.codec == "raw":
            # A part of a tensor is copied here and now: on the lane it would wait behind the segments that are ready.
            self._launch(index, 0, request, *describe(np.ascontiguousarray(array).reshape(array.shape)))
        else:
            self._encode(index, transfer, request, array)

    def _encode(self, index: int, transfer: Transfer, request: int, array: np.ndarray) -> None:
        def done(result: Result) -> None:
            if result.error:
                self._fail(request, result.error)
                return
            self._note("encode", transfer.id, request, self.node, "", result.start_s, result.stop_s, array.nbytes)
            self._launch(index, 0, request, *result.value)

        self._work((request, transfer.priority, transfer.id), lambda: describe(array, transfer.codec), done)

    def _decode(self, transfer: Transfer, request: int, tensor: wire.Tensor, buffers: Sequence[wire.Frame]) -> None:
        def done(result: Result) -> None:
            if result.error:
                self._fail(request, result.error)
                return
            nbytes = int(result.value.nbytes)
            self._note("decode", transfer.id, request, self.node, "", result.start_s, result.stop_s, nbytes)
            self._deliver(request, transfer.id, transfer.tensor, result.value)

        self._work((request, transfer.priority, transfer.id), lambda: restore(tensor, buffers), done)

    def _launch(
        self, index: int, hop: int, request: int, tensor: wire.Tensor | None, buffers: Sequence[wire.Frame]
    ) -> None:
        """Put something on the wire to the next node of its path."""
        target = self.program.transfers[index].path[hop + 1]
        try:
            start_s, due_s = self.wire_to(target, sum(len(buffer) for buffer in buffers))
        except HocketError as error:
            self._fail(request, str(error))
            return
        step = self._steps.get(request)
        self._send(target, wire.Data(self.name, index, hop, request, self._low, start_s, due_s, tensor, step), buffers)

    def _fail(self, request: int, sentence: str) -> None:
        self._send(self.owner, wire.Failed(self.name, request, f"node {self.node!r}: {sentence}"[:4000]), ())

    def _note(
        self, kind: str, what: str, request: int, node: str, target: str, start_s: float, stop_s: float, nbytes: int
    ) -> None:
        self._spans.append((kind, what, request, node, target, start_s, stop_s, nbytes))
