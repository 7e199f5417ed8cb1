"""Taking an operator that needs the whole of an axis apart, so that the axis can be split after all.

A normalisation becomes its statistics, a small tensor that contracts the axis, and a part that is element-wise. Cut the
block at the statistics: their partial results are put together (means and variances by their shares, softmaxes by the
log of their sums) and sent to everyone, and the rest follows any split.
"""

from collections.abc import Callable

import numpy as np

from hocket.graph.regions.block import Block
from hocket.graph.regions.box import Shape
from hocket.graph.regions.rule import OperatorView, UnsupportedError
from hocket.graph.regions.statistics import MOMENTS, NORMALISE


class _Parts:
    """Operators that take the place of one."""

    def __init__(self, block: Block, op: OperatorView) -> None:
        self.op = op
        self.dtype = op.output_dtypes[0]
        self.shapes, self.dtypes = dict(block.shapes), dict(block.dtypes)
        self.constants = dict(block.constants)
        self.weights = set(block.weights)
        self.views: list[OperatorView] = []

    def constant(self, suffix: str, array: np.ndarray) -> str:
        """Add a constant."""
        name = f"{self.op.name}.{suffix}"
        self.shapes[name], self.dtypes[name], self.constants[name] = array.shape, array.dtype.name, array
        self.weights.add(name)
        return name

    def add(self, kind: str, inputs: list[str], shape: Shape, suffix: str, **attributes: object) -> str:
        """Add an operator; the last one, without a suffix, makes what the whole one made."""
        name = f"{self.op.name}.{suffix}" if suffix else self.op.name
        self.shapes[name], self.dtypes[name] = shape, self.dtype
        self.views.append(
            OperatorView(
                name=name,
                kind=kind,
                inputs=tuple(inputs),
                outputs=(name,),
                attributes=attributes,
                shapes=tuple(self.shapes[each] for each in inputs),
                dtypes=tuple(self.dtypes[each] for each in inputs),
                output_shapes=(shape,),
                output_dtypes=(self.dtype,),
                constants={place: self.constants[each] for place, each in enumerate(inputs) if each in self.constants},
                opset=self.op.opset,
            )
        )
        return name

    def reshape(self, value: str, shape: Shape, suffix: str) -> str:
        """Add a Reshape."""
        return self.add("Reshape", [value, self.constant(f"{suffix}.shape", np.array(shape, np.int64))], shape, suffix)

    def normalised(self, x: str, axes: tuple[int, ...], suffix: str) -> str:
        """Add statistics and what follows from them."""
        shape = self.shapes[x]
        small = (*(1 if axis in axes else length for axis, length in enumerate(shape)), 2)
        statistics = self.add(MOMENTS, [x], small, "moments", axes=axes)
        epsilon = self.op.attributes.get("epsilon", 1e-5)
        return self.add(NORMALISE, [x, statistics], shape, suffix, axes=axes, epsilon=epsilon)

    def scaled(self, value: str, scale: str, bias: str) -> None:
        """Add scale and bias, which end the sequence."""
        shape = self.shapes[value]
        value = self.add("Mul", [value, scale], shape, "scaled" if bias else "")
        if bias:
            self.add("Add", [value, bias], shape, "")


def decompose(block: Block, name: str) -> Block:
    """Take one operator of a block apart.

    Args:
        block: the operators.
        name: LayerNormalization, InstanceNormalization, GroupNormalization, RMSNormalization or Softmax. Its
            statistics are `name.moments`, `name.mean` or `name.logs` afterwards.

    Raises:
        UnsupportedError: another kind of operator, or one of these in an old form.
    """
    op = next((view for view in block.operators if view.name == name), None)
    if op is None or op.kind not in _WAYS or op.opset < 13 or len(op.outputs) > 1:
        kind = op.kind if op else "nothing"
        raise UnsupportedError(f"{', '.join(_WAYS)} can be taken apart, and {name!r} is {kind}; leave it as it is")
    parts = _Parts(block, op)
    _WAYS[op.kind](parts, op)
    position = block.operators.index(op)
    return block.replace(
        operators=(*block.operators[:position], *parts.views, *block.operators[position + 1 :]),
        shapes=parts.shapes,
        dtypes=parts.dtypes,
        constants=parts.constants,
        weights=frozenset(parts.weights),
    )


def _layer(parts: _Parts, op: OperatorView) -> None:
    shape = op.shapes[0]
    axes = tuple(range(op.axis(-1, len(shape)), len(shape)))
    value = parts.normalised(op.inputs[0], axes, "normal")
    parts.scaled(value, op.inputs[1], op.inputs[2] if op.has(2) else "")


def _rms(parts: _Parts, op: OperatorView) -> None:
    x, shape = op.inputs[0], op.shapes[0]
    axes = tuple(range(op.axis(-1, len(shape)), len(shape)))
    small = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    squares = parts.add("Mul", [x, x], shape, "squares")
    mean = parts.add("ReduceMean", [squares, parts.constant("axes", np.array(axes, np.int64))], small, "mean")
    epsilon = parts.constant("epsilon", np.array(op.attributes.get("epsilon", 1e-5), parts.dtype))
    root = parts.add("Sqrt", [parts.add("Add", [mean, epsilon], small, "shifted")], small, "root")
    parts.scaled(parts.add("Div", [x, root], shape, "normal"), op.inputs[1], "")


def _by_channel(parts: _Parts, op: OperatorView, value: str) -> None:
    """Scale and bias of each channel."""
    column = (op.shapes[0][1], *(1 for _ in op.shapes[0][2:]))
    scale, bias = (parts.reshape(op.inputs[place], column, f"column{place}") for place in (1, 2))
    parts.scaled(value, scale, bias)


def _instance(parts: _Parts, op: OperatorView) -> None:
    axes = tuple(range(2, len(op.shapes[0])))
    _by_channel(parts, op, parts.normalised(op.inputs[0], axes, "normal"))


def _group(parts: _Parts, op: OperatorView) -> None:
    shape, groups = op.shapes[0], int(op.attributes["num_groups"])
    if op.shapes[1] != (shape[1],):
        raise UnsupportedError(f"scales by group have no decomposition, and {op.name!r} has some; export it again")
    apart = (shape[0], groups, shape[1] // groups, *shape[2:])
    x = parts.reshape(op.inputs[0], apart, "groups")
    value = parts.normalised(x, tuple(range(2, len(apart))), "normal")
    _by_channel(parts, op, parts.reshape(value, shape, "together"))


def _softmax(parts: _Parts, op: OperatorView) -> None:
    x, shape = op.inputs[0], op.shapes[0]
    axis = op.axis(-1, len(shape))
    small = tuple(1 if place == axis else length for place, length in enumerate(shape))
    logs = parts.add("ReduceLogSumExp", [x, parts.constant("axes", np.array([axis], np.int64))], small, "logs")
    parts.add("Exp", [parts.add("Sub", [x, logs], shape, "less")], shape, "")


_WAYS: dict[str, Callable[[_Parts, OperatorView], None]] = {
    "LayerNormalization": _layer,
    "RMSNormalization": _rms,
    "InstanceNormalization": _instance,
    "GroupNormalization": _group,
    "Softmax": _softmax,
}
