"""What the segments of a program take of a node: seconds, and bytes of weights; parts of operators included."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from hocket.graph import Graph, nbytes
from hocket.graph.regions import slicer_of
from hocket.graph.regions.box import extent
from hocket.plan.holding import boxes_of, weights_of
from hocket.profile import NodeProfile
from hocket.program import Combine, Segment, Work


def segment_s(graph: Graph, segment: Segment, known: NodeProfile) -> float:
    """Seconds of one call of a segment, what the call itself costs included.

    A part of an operator takes the part of its time that the node's curve says for the part of its work.
    """
    if not segment.parts:
        return sum(known.seconds[name] for name in segment.operators) + known.call_s
    total = known.call_s
    for part in segment.parts:
        if isinstance(part, Combine):
            total += _combine_s(graph, part, known)
        elif not part.regions:
            total += sum(known.seconds[name] for name in part.operators)
        else:
            total += work_s(graph, part, known)
    return total


def work_s(graph: Graph, part: Work, known: NodeProfile) -> float:
    """Seconds of operators of which only regions are computed, without the call."""
    slicer = slicer_of(graph)
    shares = slicer.shares(slicer.demand(part.operators, boxes_of(graph, part), part.contract))
    return sum(
        known.seconds[name] * share_of_time(known.curve, share)
        for name, share in shares.items()
        if name in known.seconds
    )


def share_of_time(curve: Sequence[tuple[float, float]], share: float) -> float:
    """The share of an operator's time that a share of its work takes: straight lines between the curve's points.

    Work that is done several times takes as many times as long.

    >>> share_of_time([(0.0, 0.1), (0.5, 0.6), (1.0, 1.0)], 0.25), share_of_time([(0.0, 0.0), (1.0, 1.0)], 1.5)
    (0.35, 1.5)
    """
    repeats, rest = divmod(share, 1.0)
    if not rest:
        return repeats * curve[-1][1]
    place = max(bisect_left(curve, rest, key=lambda point: point[0]), 1)
    (x0, y0), (x1, y1) = curve[place - 1], curve[min(place, len(curve) - 1)]
    return repeats * curve[-1][1] + (y0 + (y1 - y0) * (rest - x0) / (x1 - x0) if x1 > x0 else y1)


def _combine_s(graph: Graph, part: Combine, known: NodeProfile) -> float:
    """Each partial result is read once, and the sum is written once."""
    tensor = graph.tensor[part.tensor]
    size = tensor.nbytes if part.region is None else nbytes(tensor.dtype, extent(part.region))
    return size * (len(part.contracts) + 1) * known.memory_s_per_byte


def weight_bytes(graph: Graph, segments: Iterable[Segment]) -> int:
    """Bytes of the weights, and parts of weights, that some segments need on one node; equal ones are held once.

    Two different regions of one weight are two arrays, whatever they have in common.
    """
    held = {
        (name, region): size
        for segment in segments
        for part in segment.parts or (Work(operators=segment.operators),)
        for name, region, size in weights_of(graph, part)
    }
    return sum(held.values())
