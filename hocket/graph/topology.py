"""Where a graph may be divided: units, live sets, single-tensor boundaries, blocks, the chain view."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hocket.graph.graph import Graph
from hocket.nouns import Value

VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
"""Operators that move no data."""
FOLDED = frozenset(
    {
        "Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu", "Celu",
        "Gelu", "Mish", "Softplus", "Softsign", "ThresholdedRelu", "BatchNormalization", "Add", "Sub", "Mul", "Div",
        "Neg", "Abs", "Round", "Floor", "Ceil", "Erf", "Exp", "Sqrt", "Cast", "LRN",
    }
)  # fmt: skip
"""Element-wise operators that engines compute together with their producer when nothing else reads it."""


class Unit(Value, frozen=True):
    """Operators that are placed together: one that computes, with the views and activations folded into it."""

    operators: tuple[int, ...]
    """Positions in the graph, rising; the first is the one that computes."""


class Block(Value, frozen=True):
    """Operators between two single-tensor boundaries of the chain view."""

    operators: tuple[int, ...]
    """Positions in the graph, rising."""
    inputs: tuple[str, ...]
    """The tensor of the boundary before it, () if it only passes by; for the first block the inputs that it reads."""
    outputs: tuple[str, ...]
    """The tensor of the boundary after it; for the last block the graph's outputs that it makes."""
    side_inputs: tuple[str, ...]
    """Inputs of the graph that it reads besides; they come from where they enter."""


def is_folded(graph: Graph, position: int) -> bool:
    """Whether an operator belongs to the unit of its producer.

    It does if it is a view or element-wise, reads one activation that nothing else reads and that is no output of the
    graph, and makes nothing larger: then cutting after it is never worse than cutting before it.
    """
    operator = graph.operators[position]
    if operator.kind not in VIEWS and operator.kind not in FOLDED:
        return False
    if len(operator.inputs) != 1 or len(operator.outputs) != 1:
        return False
    read = operator.inputs[0]
    if read not in graph.producer or len(graph.readers[read]) != 1 or read in graph.outputs:
        return False
    return graph.tensor[operator.name].nbytes <= graph.tensor[read].nbytes


def units(graph: Graph) -> tuple[Unit, ...]:
    """The atoms of placement, in topological order of their first operator.

    Zero-cost views and folded activations are never on their own, so no cut point is a false one.
    """
    home: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    for position, operator in enumerate(graph.operators):
        first = home[graph.producer[operator.inputs[0]]] if is_folded(graph, position) else position
        home[position] = first
        members.setdefault(first, []).append(position)
    return tuple(Unit(operators=tuple(positions)) for positions in members.values())


def live(graph: Graph, done: Iterable[int]) -> tuple[str, ...]:
    """The exact cut set of a closed set of operators: the activations that it makes (or the inputs of the graph) which
    the others read, in topological order; outputs of the graph are not counted."""
    finished = set(done)
    return tuple(
        tensor.name
        for tensor in graph.tensors
        if (tensor.name not in graph.producer or graph.producer[tensor.name] in finished)
        and any(reader not in finished for reader in graph.readers[tensor.name])
    )


def boundaries(graph: Graph) -> tuple[int, ...]:
    """Positions p such that exactly one activation passes from operators[:p] to operators[p:], rising.

    Every path from an operator before p to one after it goes through that tensor (an articulation point). Inputs of the
    graph that are read on both sides (masks, rotary tables) do not count: they may enter anywhere. Neither do outputs
    of the graph that nothing reads after p: they go to where they are wanted.
    """
    last = {name: max(readers, default=-1) for name, readers in graph.readers.items()}
    ends: dict[int, int] = {}
    alive, found = 0, []
    for position, operator in enumerate(graph.operators):
        alive -= ends.pop(position, 0)
        for name in operator.outputs:
            if last[name] > position:
                alive += 1
                ends[last[name]] = ends.get(last[name], 0) + 1
        if alive == 1 and position + 1 < len(graph.operators):
            found.append(position + 1)
    return tuple(found)


def blocks(graph: Graph) -> tuple[Block, ...]:
    """The chain view: the graph cut at every single-tensor boundary that does not cut a unit."""
    # Between an operator and one that is folded into it there may be others, so not only the border before it counts.
    torn = {
        border
        for unit in units(graph)
        for position in unit.operators[1:]
        for border in range(unit.operators[0] + 1, position + 1)
    }
    cuts = [position for position in boundaries(graph) if position not in torn]
    edges = [0, *cuts, len(graph.operators)]
    return tuple(_block(graph, range(start, stop)) for start, stop in pairwise(edges))


def _block(graph: Graph, operators: Sequence[int]) -> Block:
    start, stop = operators[0], operators[-1] + 1
    read = [name for position in operators for name in graph.operators[position].inputs]
    outside = dict.fromkeys(name for name in read if graph.producer.get(name, -1) < start)
    entering = tuple(name for name in outside if start == 0 or name in graph.producer)
    side = tuple(name for name in outside if start > 0 and name not in graph.producer)
    made = (name for position in operators for name in graph.operators[position].outputs)
    leaving = tuple(
        name for name in made if name in graph.outputs or any(reader >= stop for reader in graph.readers[name])
    )
    return Block(operators=tuple(operators), inputs=entering, outputs=leaving, side_inputs=side)
