"""The layers of a Transformer in a graph: where attention and MLP begin and end, and what stands between them.

A *half* of a layer is its attention or its MLP. It has a *head*, from its first matrix product to its last, and a
*tail*, everything up to the next head: the sum with the bias, the residual, the normalisation. The last product of a
head can be contracted, so a head can be divided by attention heads or by hidden units; a tail works on each position
by itself, wherever the model puts its normalisation.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from hocket.graph.graph import Graph
from hocket.graph.regions import granule, slicer_of
from hocket.graph.topology import VIEWS, Block, blocks

Names = tuple[str, ...]
"""Operators in topological order, next to each other."""
_PRODUCTS = frozenset({"MatMul", "Gemm", "com.microsoft.MatMulNBits"})
_MOVES = VIEWS | {"Transpose"}
_ATTENDS = frozenset({"Attention", "Softmax", "com.microsoft.GroupQueryAttention"})


class Half(NamedTuple):
    """The attention or the MLP of one layer, and what follows it."""

    kind: Literal["attention", "mlp"]
    head: Names
    tail: Names
    entry: str
    """The tensor that the head reads."""
    size: int
    """Length of the contracted axis of the last product: heads times their width, or hidden units."""
    granule: int
    """The step of cut points that repeats no work: the width of a head, or 1."""

    @property
    def units(self) -> int:
        """How many heads or hidden units there are to divide."""
        return self.size // self.granule

    @property
    def product(self) -> str:
        """The last product."""
        return self.head[-1]

    @property
    def names(self) -> Names:
        """All its operators."""
        return self.head + self.tail


class Layers(NamedTuple):
    """All operators of a graph."""

    prologue: Names
    """Before the first head: embedding, first normalisation."""
    halves: tuple[Half, ...]
    epilogue: Names
    """After the last tail, from what feeds the next product on: pooling, classifier, vocabulary."""

    def groups(self) -> tuple[tuple[Half, ...], ...]:
        """The halves by layer: each begins with an attention.

        Halves before the first attention are a layer by themselves.
        """
        starts = [number for number, half in enumerate(self.halves) if half.kind == "attention" or not number]
        stops = [*starts[1:], len(self.halves)]
        return tuple(self.halves[start:stop] for start, stop in zip(starts, stops, strict=True))


def layers_of(graph: Graph) -> Layers | None:
    """The layers of a graph, found once and kept with it; None if it has no attention between single tensors."""
    return graph.kept(_find)


def _find(graph: Graph) -> Layers | None:
    if not graph.body:
        return None
    heads = [span for block in blocks(graph) if (span := _head(graph, block)) is not None]
    names = tuple(operator.name for operator in graph.operators)
    if not any(_attends(graph, names[start:stop]) for start, stop in heads):
        return None
    ends = [start for start, _ in heads[1:]]
    ends.append(_epilogue(graph, heads[-1][1]))
    widths: dict[object, tuple[int, int]] = {}
    halves = [
        _half(graph, names[start:stop], names[stop:end], widths) for (start, stop), end in zip(heads, ends, strict=True)
    ]
    return Layers(names[: heads[0][0]], tuple(halves), names[ends[-1] :])


def _head(graph: Graph, block: Block) -> tuple[int, int] | None:
    """Positions from the first product of a block (with the views that feed it) to behind its last one."""
    products = [position for position in block.operators if _is_product(graph, position)]
    if len(products) < 2:
        return None
    start, stop = products[0], products[-1] + 1
    while start > block.operators[0] and graph.operators[start - 1].kind in _MOVES:
        start -= 1
    inside = range(start, stop)
    # Caches leave a head too, but nothing here reads them.
    made = [name for position in inside[:-1] for name in graph.operators[position].outputs if graph.readers[name]]
    if any(reader not in inside for name in made for reader in graph.readers[name]):
        return None
    if any(name in graph.outputs for name in made) or len(set(_entries(graph, inside))) != 1:
        return None
    return start, stop


def _is_product(graph: Graph, position: int) -> bool:
    operator = graph.operators[position]
    return (
        operator.kind in _PRODUCTS
        and bool(operator.weights)
        and len(operator.inputs) == 1
        and len(slicer_of(graph).contraction(operator.name)) == 1
    )


def _entries(graph: Graph, inside: range) -> Iterator[str]:
    """Tensors from outside that some operators read, inputs of the graph (masks) left out."""
    for position in inside:
        for name in graph.operators[position].inputs:
            if name in graph.producer and graph.producer[name] not in inside:
                yield name


def _attends(graph: Graph, head: Names) -> bool:
    return any(graph.operator[name].kind in _ATTENDS for name in head)


def _epilogue(graph: Graph, start: int) -> int:
    """Where the last tail ends: before the next product and the views and selections that feed it."""
    for position in range(start, len(graph.operators)):
        if _is_product(graph, position):
            while position > start and graph.operators[position - 1].kind in _MOVES | {"Gather", "Slice"}:
                position -= 1  # noqa: PLW2901
            return position
    return len(graph.operators)


def _half(graph: Graph, head: Names, tail: Names, widths: dict[object, tuple[int, int]]) -> Half:
    slicer = slicer_of(graph)
    key = tuple((graph.operator[name].kind, graph.tensor[name].shape) for name in head)
    if key not in widths:  # equal layers have equal heads
        contraction = slicer.contraction(head[-1])[0]
        widths[key] = contraction.size, granule(slicer.part(head), head[-1], contraction.axis)
    inside = range(graph.index[head[0]], graph.index[head[-1]] + 1)
    kind: Literal["attention", "mlp"] = "attention" if _attends(graph, head) else "mlp"
    return Half(kind, head, tail, next(_entries(graph, inside)), *widths[key])
