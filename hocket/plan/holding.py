"""What a node holds for a part of a program: weights, or regions of them, each known by its content."""

from collections.abc import Iterator

from hocket.graph import Graph, nbytes
from hocket.graph.regions import Box, extent, slicer_of, whole
from hocket.program import Part, Region, Work


def boxes_of(graph: Graph, part: Work) -> dict[str, Box]:
    """The regions that a part makes, spelled out."""
    return {name: whole(graph.tensor[name].shape) if box is None else box for name, box in part.regions.items()}


def weights_of(graph: Graph, part: Part) -> Iterator[tuple[str, Region | None, int]]:
    """The weights that a part needs, or regions of them (None = all), with their bytes: what its node holds by hash."""
    if not isinstance(part, Work):
        return
    if not part.regions:
        for operator in part.operators:
            yield from ((name, None, graph.weights[name]) for name in graph.operator[operator].weights)
        return
    slicer = slicer_of(graph)
    for name, boxes in slicer.demand(part.operators, boxes_of(graph, part), part.contract).weights.items():
        for box in boxes:
            region = None if box == whole(slicer.block.shapes[name]) else box
            yield name, region, nbytes(slicer.block.dtypes[name], extent(box))
