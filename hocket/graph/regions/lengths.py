"""Models of parts that serve requests of any length: whether what a rule writes depends on the length planned with."""

from collections.abc import Mapping, Sequence

import onnx

from hocket.graph.regions.block import Block
from hocket.graph.regions.box import Box
from hocket.graph.regions.demand import Demand
from hocket.graph.regions.rewrite import Piece, rewrite
from hocket.nouns import Value
from hocket.program import Contract

Free = Mapping[str, Sequence[tuple[int, int]]]
"""Tensor -> (axis, most) of the axes whose length differs from request to request."""


class Lengths(Value, frozen=True):
    """A block, and the same block for requests of another length.

    Attributes:
        planned: the block with the lengths that were planned with.
        other: with others.
        axes: tensor -> axis -> the other length.
    """

    planned: Block
    other: Block
    axes: Mapping[str, Mapping[int, int]]

    def differing(self, names: Sequence[str], wanted: Mapping[str, Box], contract: Contract | None) -> str | None:
        """The first operator of a part that would be written differently for another length; None = none would.

        Args:
            names: operators of the part.
            wanted: result -> its box, whole on the axes whose length differs.
            contract: of the part.
        """
        one = rewrite(self.planned.part(names), {name: [box] for name, box in wanted.items()}, contract)
        boxes = {name: [self._stretched(name, box)] for name, box in wanted.items()}
        two = rewrite(self.other.part(names), boxes, contract)
        asked = self._asked_otherwise(one.demand, two.demand)
        if asked is not None:
            return next(view.name for view in self.planned.part(names).operators if asked in view.inputs)
        pairs = zip(_written(one), _written(two), strict=False)
        different = next((name for (name, mine), (_, yours) in pairs if mine != yours), None)
        if different is None and len(one.model.graph.node) != len(two.model.graph.node):
            return names[-1]
        return different

    def _asked_otherwise(self, one: Demand, two: Demand) -> str | None:
        """The last tensor of which the same part is not needed for another length."""
        asked, again = ({**demand.inside, **demand.inputs} for demand in (one, two))  # from the end to the inputs
        for name, boxes in asked.items():
            if tuple(self._stretched(name, box) for box in boxes) != again.get(name):
                return name
        return None

    def _stretched(self, tensor: str, box: Box) -> Box:
        lengths = self.axes.get(tensor, {})
        return tuple((0, lengths[axis]) if axis in lengths else interval for axis, interval in enumerate(box))


def lengths_of(block: Block, free: Free) -> Lengths:
    """A block, and the same one with the most that its free axes may be (1 where it has that already)."""
    axes = {
        name: {axis: most if block.shapes[name][axis] != most else 1 for axis, most in known}
        for name, known in free.items()
    }
    shapes = {
        name: tuple(axes.get(name, {}).get(axis, length) for axis, length in enumerate(shape))
        for name, shape in block.shapes.items()
    }
    views = [
        view.replace(
            shapes=tuple(shapes[name] if name else () for name in view.inputs),
            output_shapes=tuple(shapes[name] if name else () for name in view.outputs),
        )
        for view in block.operators
    ]
    return Lengths(planned=block, other=block.replace(operators=tuple(views), shapes=shapes), axes=axes)


def _written(piece: Piece) -> list[tuple[str, object]]:
    """Each node's name with all that it is and reads, whatever the activations around it are called."""
    known: dict[str, object] = {
        init.name: piece.weights.get(init.name) or _numbers(init) for init in piece.model.graph.initializer
    }
    for number, value in enumerate(piece.model.graph.input):
        known[value.name] = number
    found: list[tuple[str, object]] = []
    for node in piece.model.graph.node:
        attributes = sorted(attribute.SerializeToString() for attribute in node.attribute)
        reads = [known.get(name, name) for name in node.input]
        found.append((node.name, (node.domain, node.op_type, attributes, reads)))
        known.update({name: (node.name, place) for place, name in enumerate(node.output)})
    return found


def _numbers(init: onnx.TensorProto) -> object:
    """A constant by what it holds: what it is called says where it is used."""
    return tuple(init.dims), init.data_type, init.raw_data
