"""What has come for which request, and which segments may now fire. Pure: no clock, socket or thread.

A port takes all of its sources, the first of them, or what has come by a deadline. A void (a closed gate's way of
saying that nothing will come) ends a port like data do; a segment with a void port does not run, its outputs are
voids too. So every mailbox of every request empties by one rule, and what comes after that is dropped and counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hocket.errors import PlanError
from hocket.program import Port, Program, Region, Segment, TensorInfo

Inputs = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Fire:
    """A segment that has what it waited for; without inputs its outputs are voids."""

    request: int
    segment: Segment
    inputs: Inputs | None


@dataclass(slots=True)
class _Box:
    """One port of one request."""

    waiting: set[str]
    parts: list[tuple[Region, np.ndarray]] = field(default_factory=list)
    first_s: float | None = None
    done: bool = False
    value: np.ndarray | None = None


@dataclass(slots=True)
class _State:
    """One segment of one request."""

    boxes: list[_Box]
    open: int
    fired: bool = False


class Mailboxes:
    """The ports of one node's segments, for all requests under way.

    Args:
        program: what is run.
        node: whose segments these are.
    """

    def __init__(self, program: Program, node: str) -> None:
        self.counts: Counter[str] = Counter(late=0, repeated=0)
        self._tensors = {tensor.name: tensor for tensor in program.tensors}
        self._segments = tuple(program.at(node))
        self._regions = source_regions(program)
        self._readers: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for index, segment in enumerate(self._segments):
            for number, port in enumerate(segment.inputs):
                self._check(segment, port)
                for source in port.sources:
                    self._readers.setdefault((source, port.tensor), []).append((index, number))
        self._states: dict[int, list[_State]] = {}
        self._ended: set[int] = set()
        self._low = 0
        self._timed = any(port.take == "deadline" for segment in self._segments for port in segment.inputs)

    def put(self, request: int, source: str, tensor: str, value: np.ndarray | None, now_s: float) -> list[Fire]:
        """Something arrived; None is a void.

        Returns:
            The segments that it sets off.
        """
        readers = self._readers.get((source, tensor))
        if not readers:
            return []
        if request < self._low or request in self._ended:
            self.counts["late"] += 1
            return []
        states = self._states.get(request)
        if states is None:
            states = self._states[request] = [self._fresh(segment) for segment in self._segments]
        fires = []
        for index, number in readers:
            self._arrive(states[index], number, self._segments[index].inputs[number], source, value, now_s)
            fires += self._fire(request, index)
        self._tidy(request)
        return fires

    def expire(self, now_s: float) -> list[Fire]:
        """Close the ports whose deadline has passed."""
        fires = []
        for request in list(self._states) if self._timed else ():
            for index, segment in enumerate(self._segments):
                state = self._states[request][index]
                for port, box in zip(segment.inputs, state.boxes, strict=True):
                    if _due_s(port, box) <= now_s and not state.fired:
                        self._close(state, box, self._assemble(port, box))
                fires += self._fire(request, index)
            self._tidy(request)
        return fires

    def next_deadline_s(self) -> float:
        """When `expire` has something to do; infinity = nothing is waiting for a deadline."""
        if not self._timed:
            return float("inf")
        return min(
            (
                _due_s(port, box)
                for states in self._states.values()
                for segment, state in zip(self._segments, states, strict=True)
                if not state.fired
                for port, box in zip(segment.inputs, state.boxes, strict=True)
            ),
            default=float("inf"),
        )

    def drop_below(self, low: int) -> None:
        """Forget everything of the requests below a number: they have ended."""
        self._low = max(self._low, low)
        for request in [request for request in self._states if request < self._low]:
            del self._states[request]
        self._ended = {request for request in self._ended if request >= self._low}

    def pending(self) -> int:
        """Number of requests that still hold or wait for something."""
        return len(self._states)

    def _fresh(self, segment: Segment) -> _State:
        return _State([_Box(set(port.sources)) for port in segment.inputs], len(segment.inputs))

    def _arrive(
        self, state: _State, number: int, port: Port, source: str, value: np.ndarray | None, now_s: float
    ) -> None:
        box = state.boxes[number]
        if source not in box.waiting:
            self.counts["repeated"] += 1
            return
        box.waiting.discard(source)
        if box.done or state.fired:
            self.counts["late"] += 1
            return
        box.first_s = now_s if box.first_s is None else box.first_s
        if value is not None:
            box.parts.append((self._region(source, port.tensor), value))
        if port.take == "all" and value is None:
            self._void(state)
        elif port.take == "first":
            if value is not None:
                self._close(state, box, self._assemble(port, box))
            elif not box.waiting:
                self._void(state)
        elif not box.waiting:
            self._close(state, box, self._assemble(port, box))

    def _close(self, state: _State, box: _Box, value: np.ndarray) -> None:
        if not box.done:
            box.done, box.value = True, value
            box.parts.clear()
            state.open -= 1

    def _void(self, state: _State) -> None:
        state.open = -1

    def _fire(self, request: int, index: int) -> list[Fire]:
        state, segment = self._states[request][index], self._segments[index]
        if state.fired or state.open > 0:
            return []
        inputs: Inputs | None = None
        if state.open == 0:
            inputs = {
                port.label: box.value
                for port, box in zip(segment.inputs, state.boxes, strict=True)
                if box.value is not None
            }
        state.fired = True
        for box in state.boxes:
            box.value = None
            box.parts.clear()
        return [Fire(request, segment, inputs)]

    def _tidy(self, request: int) -> None:
        """A request whose segments have all fired holds nothing any more."""
        if all(state.fired for state in self._states[request]):
            del self._states[request]
            self._ended.add(request)

    def _region(self, source: str, tensor: str) -> Region:
        region = self._regions.get((source, tensor))
        return region if region is not None else _whole(self._tensors[tensor])

    def _assemble(self, port: Port, box: _Box) -> np.ndarray:
        """The port's region out of the parts; a single part that fits is passed on as it is."""
        info = self._tensors[port.tensor]
        region = port.region if port.region is not None else _whole(info)
        if info.free and box.parts:
            lengths = box.parts[0][1].shape
            region = _clipped(region, info, lengths)
            box.parts[:] = [(_clipped(held, info, lengths), array) for held, array in box.parts]
        if len(box.parts) == 1 and _covers(box.parts[0][0], region):
            held, array = box.parts[0]
            return array if held == region else np.ascontiguousarray(array[_inside(region, held)])
        out = np.zeros([stop - start for start, stop in region], np.dtype(info.dtype))
        for held, array in box.parts:
            common = _common(held, region)
            if common is not None:
                out[_inside(common, region)] = array[_inside(common, held)]
        return out

    def _check(self, segment: Segment, port: Port) -> None:
        if not port.sources:
            raise PlanError(f"port {port.tensor!r} of {segment.id!r} has no source; every port needs one")
        if port.tensor not in self._tensors:
            raise PlanError(f"port {port.tensor!r} of {segment.id!r} has no type and shape; list it in the tensors")
        if port.take == "deadline" and port.deadline_s is None:
            raise PlanError(f"port {port.tensor!r} of {segment.id!r} has no deadline_s; give one, or take all")
        region = port.region if port.region is not None else _whole(self._tensors[port.tensor])
        parts = [_common(self._region(source, port.tensor), region) for source in port.sources]
        volumes = [_volume(part) for part in parts if part is not None]
        enough = sum(volumes) if port.take == "all" else min(volumes, default=0)
        if port.take != "deadline" and enough < _volume(region):
            raise PlanError(
                f"the sources of port {port.tensor!r} of {segment.id!r} bring {enough} of {_volume(region)} elements;"
                " add the missing regions"
            )


def source_regions(program: Program) -> dict[tuple[str, str], Region | None]:
    """The part of a tensor that each source (a transfer or a segment) brings; what is not listed is whole."""
    regions = {(transfer.id, transfer.tensor): transfer.region for transfer in program.transfers}
    for segment in program.segments:
        for tensor, region in zip(segment.outputs, segment.output_regions, strict=False):
            regions[segment.id, tensor] = region
    return regions


def _due_s(port: Port, box: _Box) -> float:
    if port.take != "deadline" or port.deadline_s is None or box.first_s is None or box.done:
        return float("inf")
    return box.first_s + port.deadline_s


def _whole(info: TensorInfo) -> Region:
    return tuple((0, length) for length in info.shape)


def _clipped(region: Region, info: TensorInfo, lengths: Sequence[int]) -> Region:
    """A region of a tensor whose free axes are as long as what has come; they are never divided."""
    return tuple((0, lengths[axis]) if axis in info.free else bounds for axis, bounds in enumerate(region))


def _covers(outer: Region, inner: Region) -> bool:
    return all(a <= c and d <= b for (a, b), (c, d) in zip(outer, inner, strict=True))


def _common(one: Region, other: Region) -> Region | None:
    common = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return common if all(start < stop for start, stop in common) else None


def _volume(region: Region) -> int:
    volume = 1
    for start, stop in region:
        volume *= max(stop - start, 0)
    return volume


def _inside(region: Region, frame: Region) -> tuple[slice, ...]:
    """Where a region lies within the array of another."""
    return tuple(slice(start - base, stop - base) for (start, stop), (base, _) in zip(region, frame, strict=True))
