"""The timeline: a discrete-event simulation of programs on their nodes and wires.

One request in an idle system is the prediction of a plan; many, with arrivals, are its simulation. The order is
fixed, and the runtime keeps the same: a node does one thing at a time, without interruption; when it is free programs
take turns, and of one program the least (request, priority, id) of what is ready goes first (`hocket.program.turns`). A
transfer books its wire's resources in the order in which tensors become ready, holds them all for bytes / least rate,
and then the latency passes, holding nothing.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from hocket.nouns import Value
from hocket.program import INPUT, Port, Program, Segment, Span, Transfer
from hocket.program.sending import finish_s
from hocket.program.trace import Kind
from hocket.program.turns import Turns

_Delivery = tuple[str, str, str]
"""Source, tensor, node."""


class Durations(Value, frozen=True):
    """Seconds of what the nodes do for one program."""

    segments: Mapping[str, float]
    """Segment id -> seconds."""
    encode: Mapping[str, float] = {}
    """Transfer id -> seconds on the sender; absent = none."""
    decode: Mapping[str, float] = {}
    message: Mapping[str, float] = {}
    """Transfer id -> seconds between its last byte and its being there, with nobody busy; absent = none."""
    wire_bytes: Mapping[str, float] = {}
    """Transfer id -> bytes after the codec; absent = before it."""


class Job(NamedTuple):
    """A program with its durations and the seconds at which its requests arrive, rising."""

    program: Program
    durations: Durations
    arrivals_s: Sequence[float] = (0.0,)
    numbers: Sequence[int] = ()
    """Of the requests, rising, where several jobs count theirs together; () = 0, 1, 2, ..."""
    lanes: Mapping[str, str] = {}
    """Node -> the lane of its own that this program has there; absent = the lane of the node."""

    def number(self, index: int) -> int:
        """The number of its request at a position."""
        return self.numbers[index] if self.numbers else index


class _Request(NamedTuple):
    """A request: of what happens at one instant the least happens first, and tasks come in their order."""

    number: int
    job: int


class _Work(NamedTuple):
    """Something for the lane of a node; tuples of one program compare in the order that the lane keeps."""

    request: _Request
    priority: int
    id: str
    kind: Kind
    seconds: float


class _Engine:
    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        # By job: where tasks have shares, each sees resources of its own on the same way.
        self.wires = [{(wire.source, wire.target): wire for wire in job.program.wires} for job in jobs]
        self.resources = {resource.name: resource for job in jobs for resource in job.program.resources}
        self.routes = [_Routes(job.program) for job in jobs]
        self.events: list[tuple[float, _Request, int, Callable[[float], None]]] = []
        self.count = 0
        self.names = [f"{job.program.name}/{number:04}" for number, job in enumerate(jobs)]
        self.ready: dict[str, Turns[tuple[_Work, str]]] = defaultdict(Turns)
        self.busy: set[str] = set()
        self.touched: set[str] = set()
        self.free_s: dict[str, float] = defaultdict(float)
        self.waiting: dict[tuple[_Request, str], int] = {}
        self.closed: set[tuple[_Request, str, int]] = set()
        self.arrived: dict[tuple[_Request, str, int], int] = {}
        self.open: dict[_Request, int] = {}
        self.arrived_s: dict[_Request, float] = {}
        self.spans: list[Span] = []

    def run(self) -> list[Span]:
        for number, job in enumerate(self.jobs):
            for index, at_s in enumerate(job.arrivals_s):
                request = _Request(job.number(index), number)
                self._at(at_s, request, partial(self._arrive, request))
        while self.events:
            now = self.events[0][0]
            # All that happens at one instant happens before any node chooses what to do next.
            while self.events and self.events[0][0] == now:
                heapq.heappop(self.events)[3](now)
            for lane in sorted(self.touched):
                self._start(now, lane)
            self.touched.clear()
        return self.spans

    def _at(self, when: float, request: _Request, what: Callable[[float], None]) -> None:
        self.count += 1
        # No work at no speed, 0 x infinity, is never done; as a NaN it would stand for ever at the head of the events.
        heapq.heappush(self.events, (math.inf if math.isnan(when) else when, request, self.count, what))

    def _arrive(self, request: _Request, now: float) -> None:
        program = self.jobs[request.job].program
        self.open[request] = len(program.outputs)
        self.arrived_s[request] = now
        for segment in program.segments:
            self.waiting[request, segment.id] = sum(map(_waits_for, segment.inputs))
        for binding in program.inputs:
            self._deliver(request, (INPUT, binding.tensor, binding.node), now)

    def _deliver(self, request: _Request, what: _Delivery, now: float) -> None:
        """A tensor is at a node: feed what waits for it there."""
        routes, durations = self.routes[request.job], self.jobs[request.job].durations
        for segment, number in routes.readers.get(what, ()):
            port = segment.inputs[number]
            if port.take == "all":
                self._open(request, segment)
            elif port.take == "first":
                self._close(request, segment, number, now)
            else:
                self._await(request, segment, number, now)
        for transfer in routes.leaving.get(what, ()):
            seconds = durations.encode.get(transfer.id, 0.0)
            if seconds:
                self._queue(transfer.path[0], _Work(request, transfer.priority, transfer.id, "encode", seconds))
            else:
                self._send(request, transfer, 0, now)
        for _ in range(routes.answers.get(what, 0)):
            self._answer(request, now)

    def _open(self, request: _Request, segment: Segment) -> None:
        """One of the things that a segment waits for is there; after the last it is ready."""
        self.waiting[request, segment.id] -= 1
        if self.waiting[request, segment.id] == 0:
            seconds = self.jobs[request.job].durations.segments[segment.id]
            self._queue(segment.node, _Work(request, segment.priority, segment.id, "compute", seconds))

    def _close(self, request: _Request, segment: Segment, number: int, _now: float) -> None:
        """A port has enough; what still comes to it is dropped."""
        if (request, segment.id, number) not in self.closed:
            self.closed.add((request, segment.id, number))
            self._open(request, segment)

    def _await(self, request: _Request, segment: Segment, number: int, now: float) -> None:
        """A port with a deadline: it has enough when all has come, or some time after the first has."""
        key = (request, segment.id, number)
        self.arrived[key] = self.arrived.get(key, 0) + 1
        port = segment.inputs[number]
        if self.arrived[key] == len(port.sources):
            self._close(request, segment, number, now)
        elif self.arrived[key] == 1:
            self._at(now + (port.deadline_s or 0.0), request, partial(self._close, request, segment, number))

    def _queue(self, node: str, work: _Work) -> None:
        lane = self.jobs[work.request.job].lanes.get(node, node)
        self.ready[lane].put(self.names[work.request.job], (work, node))
        self.touched.add(lane)

    def _start(self, now: float, lane: str) -> None:
        if lane in self.busy or not self.ready[lane]:
            return
        work, node = self.ready[lane].take()
        self.busy.add(lane)
        stop = now + work.seconds
        self._span(work.request, Span(kind=work.kind, id=work.id, request=0, node=node, start_s=now, stop_s=stop))
        self._at(stop, work.request, partial(self._finish, lane, node, work))

    def _span(self, request: _Request, span: Span) -> None:
        self.spans.append(span.replace(request=request.number) if request.number else span)

    def _finish(self, lane: str, node: str, work: _Work, now: float) -> None:
        self.busy.discard(lane)
        self.touched.add(lane)
        routes = self.routes[work.request.job]
        if work.kind == "compute":
            for tensor in routes.segments[work.id].outputs:
                self._deliver(work.request, (work.id, tensor, node), now)
        elif work.kind == "encode":
            self._send(work.request, routes.transfers[work.id], 0, now)
        else:
            self._deliver(work.request, (work.id, routes.transfers[work.id].tensor, node), now)

    def _send(self, request: _Request, transfer: Transfer, hop: int, now: float) -> None:
        source, target = transfer.path[hop : hop + 2]
        wire = self.wires[request.job][source, target]
        nbytes = self.jobs[request.job].durations.wire_bytes.get(transfer.id, float(transfer.nbytes))
        start = max([now, *(self.free_s[name] for name in wire.resources)])
        stop = finish_s([self.resources[name] for name in wire.resources], start, nbytes)
        self.free_s.update(dict.fromkeys(wire.resources, stop))
        arrival = stop + wire.latency_s
        span = Span(kind="transfer", id=transfer.id, request=0, node=source, target=target,
                    start_s=start, stop_s=arrival, nbytes=round(nbytes))  # fmt: skip
        self._span(request, span)
        if arrival < float("inf"):
            self._at(arrival, request, partial(self._arrived, request, transfer, hop + 1))

    def _arrived(self, request: _Request, transfer: Transfer, hop: int, now: float) -> None:
        if hop < len(transfer.path) - 1:
            self._send(request, transfer, hop, now)
            return
        durations = self.jobs[request.job].durations
        if hop == len(transfer.path) - 1 and durations.message.get(transfer.id):
            later = now + durations.message[transfer.id]
            self._at(later, request, partial(self._arrived, request, transfer, hop + 1))
            return
        node, seconds = transfer.path[-1], durations.decode.get(transfer.id, 0.0)
        if seconds:
            self._queue(node, _Work(request, transfer.priority, transfer.id, "decode", seconds))
        else:
            self._deliver(request, (transfer.id, transfer.tensor, node), now)

    def _answer(self, request: _Request, now: float) -> None:
        self.open[request] -= 1
        if self.open[request] == 0:
            job = self.jobs[request.job]
            node, arrived = job.program.inputs[0].node, self.arrived_s[request]
            name = job.program.name
            self._span(request, Span(kind="request", id=name, request=0, node=node, start_s=arrived, stop_s=now))


def _waits_for(port: Port) -> int:
    """How many arrivals a port waits for."""
    return len(port.sources) if port.take == "all" else 1


class _Routes:
    """Who waits for what, looked up by (source, tensor, node)."""

    def __init__(self, program: Program) -> None:
        self.segments = {segment.id: segment for segment in program.segments}
        self.transfers = {transfer.id: transfer for transfer in program.transfers}
        readers = defaultdict(list)
        for segment in program.segments:
            for number, port in enumerate(segment.inputs):
                for source in port.sources:
                    readers[source, port.tensor, segment.node].append((segment, number))
        leaving = defaultdict(list)
        for transfer in program.transfers:
            leaving[transfer.source, transfer.tensor, transfer.path[0]].append(transfer)
        answers: dict[tuple[str, str, str], int] = defaultdict(int)
        for binding in program.outputs:
            answers[binding.source, binding.tensor, binding.node] += 1
        self.readers, self.leaving, self.answers = dict(readers), dict(leaving), dict(answers)


def timeline(jobs: Sequence[Job]) -> list[Span]:
    """Run programs through simulated time.

    Args:
        jobs: programs that share one cluster, each with the arrivals of its requests.

    Returns:
        Spans in the order in which they started to be booked; a request that never ends (a link whose rate stays 0)
        has no `request` span.
    """
    return _Engine(jobs).run()
