"""Where the partial results of contracted splits are put together.

Either where the sum is needed, each node adding up what it needs of it, or first in parts by those that made them, who
then pass their parts on (a reduce-scatter and an all-gather): whichever keeps the busiest node shorter.
"""

from collections.abc import Container, Mapping, MutableMapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from hocket.cluster import Cluster
from hocket.graph import Graph, nbytes
from hocket.graph.regions import intersect, merge, slicer_of, volume, whole
from hocket.graph.regions.box import with_axis
from hocket.plan.cuts import shared
from hocket.plan.pieces import Piece, Some
from hocket.program import Combine, Contract, Region, Work

_At = tuple[str, Region]
"""A node, and what it has or wants of a tensor."""


class Partial(NamedTuple):
    """What a partial value belongs to."""

    tensor: str
    shape: tuple[int, ...]
    """Of the whole tensor, with what partial results carry behind its last axis."""


def sums(
    graph: Graph,
    pieces: Sequence[Piece],
    needs: Mapping[tuple[str, str], Sequence[Some]],
    cluster: Cluster,
    partial: MutableMapping[str, Partial],
) -> list[Piece]:
    """The pieces that put partial results together, for every tensor that has some.

    Args:
        graph: the model.
        pieces: of its runs.
        needs: (tensor, node) -> regions of it that are needed there.
        cluster: to compare the two ways.
        partial: is told of every partial value.
    """
    makers: dict[str, list[Piece]] = {}
    for piece in pieces:
        if isinstance(piece.part, Work) and piece.part.contract is not None:
            makers.setdefault(piece.part.contract.tensor, []).append(piece)
    wanted: dict[str, dict[str, Sequence[Some]]] = {}
    for (tensor, node), regions in needs.items():
        if tensor in makers and regions:
            wanted.setdefault(tensor, {})[node] = regions
    found = []
    for tensor, own in makers.items():
        found += _of_tensor(graph, tensor, own, wanted.get(tensor, {}), cluster, partial)
    return found


def _of_tensor(
    graph: Graph,
    tensor: str,
    makers: Sequence[Piece],
    wanted: Mapping[str, Sequence[Some]],
    cluster: Cluster,
    partial: MutableMapping[str, Partial],
) -> list[Piece]:
    contracts = {piece.part.contract: None for piece in makers if isinstance(piece.part, Work) and piece.part.contract}
    ordered = tuple(sorted(contracts, key=lambda contract: contract.interval))
    packed = slicer_of(graph).contraction(tensor)[0].packed
    shape = graph.tensor[tensor].shape
    full = (*shape[:-1], shape[-1] + packed) if packed else shape
    partial.update({tensor + contract.suffix: Partial(tensor, full) for contract in ordered})

    def box(region: Some, frame: tuple[int, ...]) -> Region:
        return whole(frame) if region is None else region

    def asked(regions: Sequence[Some]) -> tuple[Region, ...]:
        boxes = [box(region, shape) for region in regions]
        if packed:  # what is packed behind the last axis belongs to all of it
            boxes = [with_axis(each, len(each) - 1, (0, shape[-1])) for each in boxes]
        return merge(boxes)

    direct = [(node, each) for node, regions in wanted.items() for each in asked(regions)]
    makes = [(piece.node, box(region, full)) for piece in makers for region in piece.makes.values()]
    free = {axis for axis, _ in graph.free.get(tensor, ())}
    parted = _parted(shape, free, tuple(dict.fromkeys(node for node, _ in makes)))
    itemsize = nbytes(graph.tensor[tensor].dtype, (1,))
    if len(parted) > 1:
        in_two_steps = _seconds(cluster, makes, parted, itemsize) + _seconds(cluster, parted, direct, itemsize)
        if in_two_steps < _seconds(cluster, makes, direct, itemsize):
            direct = parted
    order = max(piece.order for piece in makers)
    return [_sum(tensor, shape, each, node, ordered, order, packed) for node, each in direct]


def _sum(
    tensor: str,
    shape: tuple[int, ...],
    box: Region,
    node: str,
    contracts: tuple[Contract, ...],
    order: int,
    packed: int,
) -> Piece:
    region = None if box == whole(shape) else box
    carried = region
    if region is not None and packed:
        carried = with_axis(region, len(region) - 1, (0, shape[-1] + packed))
    return Piece(
        node=node,
        part=Combine(tensor=tensor, region=region, contracts=contracts),
        makes={tensor: region},
        needs={tensor + contract.suffix: (carried,) for contract in contracts},
        order=order,
    )


def _parted(shape: tuple[int, ...], free: Container[int], nodes: tuple[str, ...]) -> list[_At]:
    """Equal parts of a tensor's longest axis (the last is left whole: something may be packed behind it).

    An axis whose length differs from request to request is not divided.
    """
    axes = [axis for axis in range(len(shape) - 1) if axis not in free]
    if not axes:
        return []
    axis = max(axes, key=lambda axis: shape[axis])
    points = (0, *accumulate(shared([1.0] * len(nodes), shape[axis])))
    boxes = [with_axis(whole(shape), axis, interval) for interval in pairwise(points)]
    return [(node, box) for node, box in zip(nodes, boxes, strict=True) if volume(box)]


def _seconds(cluster: Cluster, held: Sequence[_At], wanted: Sequence[_At], itemsize: int) -> float:
    """About how long it takes until all have what they want: the busiest sender or receiver."""
    sends: dict[str, float] = {}
    receives: dict[str, float] = {}
    for source, box in held:
        for target, region in wanted:
            size = volume(intersect(box, region)) if source != target else 0
            if not size or not cluster.reachable(source, target):
                continue
            seconds = cluster.transfer_s(source, target, size * itemsize)
            sends[source] = sends.get(source, 0.0) + seconds
            receives[target] = receives.get(target, 0.0) + seconds
    return max([*sends.values(), *receives.values()], default=0.0)
