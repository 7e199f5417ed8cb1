"""Single layers of any graph: the axis that one is divided on, and what an interval of it reads."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hocket.graph import Graph
from hocket.graph.topology import units
from hocket.plan import Run, Split
from hocket.solvers.tiles.maps import ROWS, Maps
from hocket.solvers.tiles.windows import Window, windows_of


class Layer(NamedTuple):
    """A unit of operators: one that computes, and what is folded into it."""

    operators: tuple[str, ...]
    result: str
    reads: tuple[str, ...]
    """Tensors from outside."""
    axis: int
    """The axis of the result that is divided; -1 = the layer stays whole."""
    window: Window | None
    """How far an interval of that axis reaches."""

    def length(self, graph: Graph) -> int:
        """Of the axis that is divided."""
        return graph.tensor[self.result].shape[self.axis]


def layers(graph: Graph, *, channels: bool = False) -> list[Layer]:
    """The layers of a graph in topological order.

    Args:
        graph: loaded from ONNX.
        channels: divide maps by channels, not by rows; rows of features are divided by features either way.
    """
    return [_layer(graph, unit.operators, channels) for unit in units(graph)]


def _layer(graph: Graph, positions: Sequence[int], channels: bool) -> Layer:
    operators = tuple(graph.operators[position].name for position in positions)
    inside = {name for position in positions for name in graph.operators[position].outputs}
    reads = tuple(
        dict.fromkeys(name for position in positions for name in graph.operators[position].inputs if name not in inside)
    )
    result = operators[-1]
    rank = len(graph.tensor[result].shape)
    axis = {4: 1 if channels else ROWS, 2: 1}.get(rank, -1)
    window = windows_of(graph).of(operators, (axis,)) if axis > 0 else None
    several = len(graph.operators[positions[-1]].outputs) > 1
    if window is None or several or set(window.entries) != set(reads):
        return Layer(operators, result, reads, -1, None)
    return Layer(operators, result, reads, axis, window)


def layer_runs(maps: Maps, found: Sequence[tuple[Layer, str | Split]]) -> Iterator[Run]:
    """A run for each stretch of neighbouring operators of one layer, in topological order.

    A layer in several stretches is divided alike in each: what is folded into it has the same shape.
    """
    places = {name: (number, on) for number, (layer, on) in enumerate(found) for name in layer.operators}
    start = 0
    names = [operator.name for operator in maps.graph.operators]
    for stop in range(1, len(names) + 1):
        if stop < len(names) and places[names[stop]][0] == places[names[start]][0]:
            continue
        first, last = names[start], names[stop - 1]
        yield Run(operators=first if first == last else f"{first}..{last}", on=places[first][1])
        start = stop
