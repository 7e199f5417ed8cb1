"""The timeline: a discrete-event simulation of programs on their nodes and wires.

One request in an idle system is the prediction of a plan; many, with arrivals, are its simulation. The order is
fixed, and the runtime keeps the same: a node does one thing at a time and, when free, takes of what is ready the
least (request, priority, id), without interruption; a transfer books its wire's resources in the order in which
tensors become ready, holds them all for bytes / least rate, and then the latency passes, holding nothing.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hocket.nouns import Value
from hocket.program import INPUT, Program, Resource, Span, Transfer, Wire


class Durations(Value, frozen=True):
    """Seconds of what the nodes do for one program."""

    segments: Mapping[str, float]
    """Segment id -> seconds."""
    encode: Mapping[str, float] = {}
    """Transfer id -> seconds on the sender; absent = none."""
    decode: Mapping[str, float] = {}
    wire_bytes: Mapping[str, float] = {}
    """Transfer id -> bytes after the codec; absent = before it."""


class Job(NamedTuple):
    """A program with its durations and the seconds at which its requests arrive, rising."""

    program: Program
    durations: Durations
    arrivals_s: Sequence[float] = (0.0,)


class _Work(NamedTuple):
    """Something for the lane of a node; tuples compare in the order that the lane keeps."""

    request: int
    priority: int
    id: str
    job: int
    kind: str
    seconds: float


def send_s(resources: Sequence[Resource], start_s: float, nbytes: float) -> float:
    """Seconds that a transfer holds its resources, from `start_s` on.

    Traces are added up piece by piece; where the rate is 0 the transfer waits. Unlimited resources take no time.
    """
    fixed = min((r.bytes_per_s for r in resources if r.bytes_per_s is not None and not r.trace), default=None)
    traced = [resource for resource in resources if resource.trace]
    if not traced:
        return nbytes / fixed if fixed else 0.0
    now, left = start_s, float(nbytes)
    while left > 0:
        rates = [_step(resource, now) for resource in traced]
        rate = min([rate for rate, _ in rates] + ([fixed] if fixed else []))
        until = min(until for _, until in rates)
        if rate * (until - now) >= left:
            return now + left / rate - start_s
        if until == float("inf"):
            return float("inf")
        left -= rate * (until - now)
        now = until
    return now - start_s


def _step(resource: Resource, now: float) -> tuple[float, float]:
    """The rate of a trace at a time, and until when it holds."""
    cycle = resource.trace_s
    base = (now // cycle) * cycle if cycle else 0.0
    local, rate, until = now - base, 0.0, cycle if cycle else float("inf")
    for at_s, value in resource.trace:
        if at_s <= local:
            rate = value
        else:
            until = at_s if until is None else min(until, at_s)
            break
    stop = base + until
    # Rounding may put the end of a step at `now` itself; then the step is over.
    return (rate, stop) if stop > now else (rate, now + 1e-9)


class _Engine:
    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.wires: dict[tuple[str, str], Wire] = {}
        self.resources: dict[str, Resource] = {}
        for job in jobs:
            self.wires |= {(wire.source, wire.target): wire for wire in job.program.wires}
            self.resources |= {resource.name: resource for resource in job.program.resources}
        self.routes = [_Routes(job.program) for job in jobs]
        self.events: list[tuple[float, int, int, int, str, object]] = []
        self.count = 0
        self.ready: dict[str, list[_Work]] = defaultdict(list)
        self.busy: dict[str, bool] = defaultdict(bool)
        self.free_s: dict[str, float] = defaultdict(float)
        self.waiting: dict[tuple[int, int, str], int] = {}
        self.open: dict[tuple[int, int], int] = {}
        self.spans: list[Span] = []

    def run(self) -> list[Span]:
        for number, job in enumerate(self.jobs):
            for request, at_s in enumerate(job.arrivals_s):
                self._at(at_s, request, number, "arrive", None)
        while self.events:
            now = self.events[0][0]
            # All that happens at one instant happens before any node chooses what to do next.
            touched: set[str] = set()
            while self.events and self.events[0][0] == now:
                _, request, _, job_number, kind, what = heapq.heappop(self.events)
                self._handle(now, request, job_number, kind, what, touched)
            for node in sorted(touched):
                self._start(now, node)
        return self.spans

    def _at(self, when: float, request: int, job: int, kind: str, what: object) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, request, self.count, job, kind, what))

    def _handle(self, now: float, request: int, job: int, kind: str, what: object, touched: set[str]) -> None:
        if kind == "arrive":
            self._arrive(now, request, job, touched)
        elif kind == "done":
            node, work = what  # type: ignore[misc]
            self.busy[node] = False
            touched.add(node)
            self._finished(now, work, touched)
        else:
            transfer, hop = what  # type: ignore[misc]
            self._arrived(now, request, job, transfer, hop, touched)

    def _arrive(self, now: float, request: int, job: int, touched: set[str]) -> None:
        program = self.jobs[job].program
        self.open[job, request] = len(program.outputs)
        for segment in program.segments:
            self.waiting[job, request, segment.id] = len(segment.inputs)
        for binding in program.inputs:
            self._deliver(now, request, job, INPUT, binding.tensor, binding.node, touched)

    def _deliver(
        self, now: float, request: int, job: int, source: str, tensor: str, node: str, touched: set[str]
    ) -> None:
        """A tensor is at a node: feed what waits for it there."""
        routes = self.routes[job]
        for segment in routes.readers.get((source, tensor, node), ()):
            key = (job, request, segment.id)
            self.waiting[key] -= 1
            if self.waiting[key] == 0:
                seconds = self.jobs[job].durations.segments[segment.id]
                self._queue(node, _Work(request, segment.priority, segment.id, job, "compute", seconds), touched)
        for transfer in routes.leaving.get((source, tensor, node), ()):
            seconds = self.jobs[job].durations.encode.get(transfer.id, 0.0)
            work = _Work(request, transfer.priority, transfer.id, job, "encode", seconds)
            if seconds:
                self._queue(node, work, touched)
            else:
                self._send(now, request, job, transfer, 0)
        for _ in range(routes.answers.get((source, tensor, node), 0)):
            self._answer(now, request, job)

    def _queue(self, node: str, work: _Work, touched: set[str]) -> None:
        heapq.heappush(self.ready[node], work)
        touched.add(node)

    def _start(self, now: float, node: str) -> None:
        if self.busy[node] or not self.ready[node]:
            return
        work = heapq.heappop(self.ready[node])
        self.busy[node] = True
        self.spans.append(
            Span(kind=work.kind, id=work.id, request=work.request, node=node, start_s=now, stop_s=now + work.seconds)  # type: ignore[arg-type]
        )
        self._at(now + work.seconds, work.request, work.job, "done", (node, work))

    def _finished(self, now: float, work: _Work, touched: set[str]) -> None:
        routes = self.routes[work.job]
        if work.kind == "compute":
            segment = routes.segments[work.id]
            for tensor in segment.outputs:
                self._deliver(now, work.request, work.job, segment.id, tensor, segment.node, touched)
            return
        transfer = routes.transfers[work.id]
        if work.kind == "encode":
            self._send(now, work.request, work.job, transfer, 0)
        else:
            self._deliver(now, work.request, work.job, transfer.id, transfer.tensor, transfer.path[-1], touched)

    def _send(self, now: float, request: int, job: int, transfer: Transfer, hop: int) -> None:
        source, target = transfer.path[hop : hop + 2]
        wire = self.wires[source, target]
        resources = [self.resources[name] for name in wire.resources]
        nbytes = self.jobs[job].durations.wire_bytes.get(transfer.id, float(transfer.nbytes))
        start = max([now, *(self.free_s[name] for name in wire.resources)])
        stop = start + send_s(resources, start, nbytes)
        for name in wire.resources:
            self.free_s[name] = stop
        arrival = stop + wire.latency_s
        self.spans.append(
            Span(
                kind="transfer",
                id=transfer.id,
                request=request,
                node=source,
                target=target,
                start_s=start,
                stop_s=arrival,
                nbytes=round(nbytes),
            )
        )
        if arrival < float("inf"):
            self._at(arrival, request, job, "arrived", (transfer, hop + 1))

    def _arrived(self, now: float, request: int, job: int, transfer: Transfer, hop: int, touched: set[str]) -> None:
        if hop < len(transfer.path) - 1:
            self._send(now, request, job, transfer, hop)
            return
        node = transfer.path[-1]
        seconds = self.jobs[job].durations.decode.get(transfer.id, 0.0)
        if seconds:
            self._queue(node, _Work(request, transfer.priority, transfer.id, job, "decode", seconds), touched)
        else:
            self._deliver(now, request, job, transfer.id, transfer.tensor, node, touched)

    def _answer(self, now: float, request: int, job: int) -> None:
        self.open[job, request] -= 1
        if self.open[job, request] == 0:
            program = self.jobs[job].program
            arrived = self.jobs[job].arrivals_s[request]
            source = program.inputs[0].node
            self.spans.append(
                Span(kind="request", id=program.name, request=request, node=source, start_s=arrived, stop_s=now)
            )


class _Routes:
    """Who waits for what, looked up by (source, tensor, node)."""

    def __init__(self, program: Program) -> None:
        self.segments = {segment.id: segment for segment in program.segments}
        self.transfers = {transfer.id: transfer for transfer in program.transfers}
        readers = defaultdict(list)
        for segment in program.segments:
            for port in segment.inputs:
                for source in port.sources:
                    readers[source, port.tensor, segment.node].append(segment)
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
