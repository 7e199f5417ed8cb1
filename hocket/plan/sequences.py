"""What the segments of a program keep and know of the sequences that pass through them, and lengths that differ."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.graph.regions import Free, extent, region_name
from hocket.plan.holding import weights_of
from hocket.program import Counter, Port, Region, Segment, State, Transfer, Work

Crossed = TypeVar("Crossed", Port, Transfer)


def states_of(graph: Graph, segments: Sequence[Segment]) -> tuple[State, ...]:
    """What each segment keeps between the requests of a sequence: buffers, or the part of them that it fills.

    Raises:
        PlanError: two parts of one segment would fill the same buffer.
    """
    buffers = {buffer.past: buffer for buffer in graph.buffers}
    found: dict[tuple[str, str], State] = {}
    for segment, name, region in _reads(graph, segments) if buffers else ():
        buffer = buffers.get(name)
        if buffer is None:
            continue
        past, present = (
            each if region is None else region_name(each, region, buffer.shape)
            for each in (buffer.past, buffer.present)
        )
        if (segment.id, past) in found:
            raise PlanError(
                f"a buffer is filled by one operator, and two parts of {segment.id!r} fill {past!r}; put them on"
                " different nodes"
            )
        shape = buffer.shape if region is None else extent(region)
        found[segment.id, past] = State(
            segment=segment.id, past=past, present=present, dtype=buffer.dtype, shape=tuple(shape)
        )
    return tuple(found.values())


def counters_of(graph: Graph, segments: Sequence[Segment]) -> tuple[Counter, ...]:
    """What each segment wants to know of a request's sequence."""
    counters = {counter.name: counter for counter in graph.counters}
    found = dict.fromkeys((segment.id, name) for segment, name, _ in _reads(graph, segments) if name in counters)
    return tuple(
        Counter(segment=segment, name=name, counts=each.counts, dtype=each.dtype, shape=each.shape)
        for (segment, name), each in ((key, counters[key[1]]) for key in found)
    )


def _reads(graph: Graph, segments: Sequence[Segment]) -> Iterator[tuple[Segment, str, Region | None]]:
    """The weights that segments read, and the regions of them (None = all)."""
    for segment in segments if graph.buffers or graph.counters else ():
        for part in segment.parts or (Work(operators=segment.operators),):
            yield from ((segment, name, region) for name, region, _ in weights_of(graph, part))


def stacking(graph: Graph, segment: Segment) -> Segment:
    """A segment that says whether requests of several sequences may be computed as one.

    Not where it has parts of operators: slicing rules may have written the length of axis 0 into them.
    """
    names = (*(port.tensor for port in segment.inputs), *segment.outputs)
    return segment.replace(stacks=not segment.parts and set(graph.stacks).issuperset(names))


def check_undivided(graph: Graph, segments: Sequence[Segment]) -> None:
    """Refuse splits along an axis whose length differs from request to request: nobody knows yet where it ends.

    Raises:
        PlanError: there is one.
    """
    for segment in segments if graph.free else ():
        for part in segment.parts:
            for name, region in part.regions.items() if isinstance(part, Work) else ():
                shape = graph.tensor[name].shape
                for axis, _ in graph.free.get(name, ()) if region is not None else ():
                    if region is not None and region[axis] != (0, shape[axis]):
                        raise PlanError(
                            f"axis {axis} of {name!r} has another length in every request, so it is not divided, and"
                            f" segment {segment.id!r} has {region[axis]} of it; split another axis"
                        )


def spread(free: Free, tensor: str, region: Region | None) -> Region | None:
    """A region that covers all of the axes whose length differs, however long they get.

    >>> spread({"x": [(1, 256)]}, "x", ((0, 1), (0, 1), (0, 96)))
    ((0, 1), (0, 256), (0, 96))
    """
    most = dict(free.get(tensor, ()))
    if region is None or not most:
        return region
    return tuple((0, most[axis]) if axis in most else interval for axis, interval in enumerate(region))


def spread_all(free: Free, crossed: Sequence[Crossed]) -> tuple[Crossed, ...]:
    """Ports or transfers with such regions."""
    if not free:
        return tuple(crossed)
    return tuple(each.replace(region=spread(free, each.tensor, each.region)) for each in crossed)


def spread_outputs(free: Free, segment: Segment) -> Segment:
    """A segment whose ports and results have such regions."""
    if not free:
        return segment
    regions = tuple(
        spread(free, tensor, region) for tensor, region in zip(segment.outputs, segment.output_regions, strict=False)
    )
    return segment.replace(inputs=spread_all(free, segment.inputs), output_regions=regions)
