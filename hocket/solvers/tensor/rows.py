"""Runs of an attention that are divided by positions without repeating keys and values."""

from hocket.graph import Graph
from hocket.graph.regions import slicer_of, whole
from hocket.graph.regions.box import with_axis
from hocket.solvers.tensor.layers import Half, Names
from hocket.solvers.tensor.team import rows_axis


def row_runs(graph: Graph, half: Half) -> list[tuple[Names, int]]:
    """The runs of a half in order, each with the axis of its last result that holds the positions.

    What stands before the first product of two activations (queries, keys, values) is divided into as few runs as
    possible such that all results of one have their positions on the same axis; the rest is one run, which needs the
    keys and values of all positions. Where positions cannot be followed, all is one run.
    """
    rest = half.names
    axis = rows_axis(graph, rest[-1])
    if axis is None:
        return []
    core = next((place for place, name in enumerate(half.head) if len(graph.operator[name].inputs) > 1), 0)
    axes = _axes(graph, half, half.head[:core])
    found: list[tuple[Names, int]] = []
    start = 0
    while start < core:
        stop = next((stop for stop in range(core, start, -1) if _one_axis(graph, half.head[start:stop], axes)), 0)
        if not stop:
            return [(rest, axis)]
        found.append((half.head[start:stop], axes[half.head[stop - 1]]))
        start = stop
    return [*found, (rest[core:], axis)]


def _one_axis(graph: Graph, names: Names, axes: dict[str, int]) -> bool:
    """Whether all results of some operators have their positions on the same axis of tensors with as many axes."""
    inside = {graph.index[name] for name in names}
    results = [
        output
        for name in names
        for output in graph.operator[name].outputs
        if any(reader not in inside for reader in graph.readers[output])
    ]
    return len({(axes.get(name), len(graph.tensor[name].shape)) for name in results}) == 1 and results[0] in axes


def _axes(graph: Graph, half: Half, names: Names) -> dict[str, int]:
    """The axis of positions of each tensor, followed from the input by dry runs: half of it needs half of the input."""
    axis = rows_axis(graph, half.entry)
    if axis is None:
        return {}
    length, axes = graph.tensor[half.entry].shape[axis], {half.entry: axis}
    slicer = slicer_of(graph)
    for name in names:
        operator = graph.operator[name]
        read = operator.inputs[0]
        if read not in axes:
            continue
        for output in operator.outputs:
            shape = graph.tensor[output].shape
            for place in (place for place, size in enumerate(shape) if size == length):
                part = with_axis(whole(shape), place, (0, length // 2))
                needed = slicer.demand((name,), {output: part}).inputs.get(read, ())
                if all(box[axes[read]] == (0, length // 2) for box in needed) and needed:
                    axes[output] = place
                    break
    return axes
