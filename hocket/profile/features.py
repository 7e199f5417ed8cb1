"""What a regression may know of a unit of placement: sizes, counts and shapes, all from the graph."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from hocket.graph import Graph
from hocket.graph.topology import Unit, units

FEATURES = ("contracted_flops", "other_flops", "read_bytes", "written_bytes", "weight_bytes", "in_channels",
            "out_channels", "window", "calls")  # fmt: skip
"""`window` is the number of products per output and input channel (9 for a dense 3 x 3 kernel); `calls` is 1."""
LINEAR = (0, 1, 2, 3, 4, 8)
"""Those features that time may be a sum of: twice as much takes twice as long."""
ROOFLINE = (0, 1, 2, 3, 8)


class Sample(NamedTuple):
    """One unit of one model."""

    operator: str
    """The operator that computes; those folded into it count with it."""
    category: str
    """What it is fitted with: the operator kind, convolutions apart by their shape."""
    features: tuple[float, ...]


def samples(graph: Graph) -> Iterator[Sample]:
    """Every unit of a graph with its features, in topological order."""
    for unit in units(graph):
        yield _sample(graph, unit)


def _sample(graph: Graph, unit: Unit) -> Sample:
    operators = [graph.operators[position] for position in unit.operators]
    first, last = operators[0], operators[-1]
    reads = [graph.tensor[name] for name in first.inputs]
    makes = [graph.tensor[name] for name in last.outputs]
    contracted = 2 * first.macs
    other = sum(operator.flops for operator in operators) - contracted
    channels_in = _channels(reads[0].shape) if reads else 1
    window = first.macs / max(graph.tensor[first.name].size, 1)
    features = (
        contracted,
        max(other, 0.0),
        float(sum(tensor.nbytes for tensor in reads)),
        float(sum(tensor.nbytes for tensor in makes)),
        float(sum(operator.weight_bytes for operator in operators)),
        float(channels_in),
        float(_channels(graph.tensor[first.name].shape)),
        window / channels_in,
        1.0,
    )
    return Sample(
        first.name, _category(first.kind, window, channels_in, prod(graph.tensor[first.name].shape)), features
    )


def _channels(shape: tuple[int, ...]) -> int:
    """Axis 1 of an image or sequence of channels, the last axis of anything flatter."""
    if not shape:
        return 1
    return max(shape[1] if len(shape) > 3 else shape[-1], 1)


def _category(kind: str, window: float, channels: int, size: int) -> str:
    """Engines have a kernel of their own for each of these, with speeds that differ by a factor of ten."""
    if kind != "Conv" or not size:
        return kind
    if window < channels:
        return "Conv/grouped"
    return "Conv/1x1" if window == channels else "Conv/dense"
