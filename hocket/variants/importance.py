"""Channels in the order of their importance: the same function, for plans that replicate the first channels of a layer.

The most important channels of a layer come first; the others are dealt out to groups in turns, there and back, so that
every group has about the same share of importance. Only weights are permuted: those that make a channel and those that
read it, so the graph, and every plan for it, stays valid.

Source: Guo, Jiang, Pimentel, Stefanov: RobustDiCE: Robust and Distributed CNN Inference at the Edge, ASP-DAC 2024.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from hocket.graph.model import Model, reads
from hocket.graph.topology import FOLDED

_POOLS = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Identity", "Dropout"})
_ELEMENTWISE = FOLDED - {"BatchNormalization", "LRN"}


def by_importance(model: Model, bands: Callable[[int], Sequence[int]]) -> Model:
    """The same model with the channels of its hidden layers in the order of their importance.

    A channel's importance is the sum of its weights' magnitudes in the layers that make it. Layers stay as they are
    where their channels are answers, or reach an operator for which channels are not interchangeable.

    Args:
        model: of convolutions and dense layers.
        bands: number of channels of a layer -> how many come first, then the sizes of the groups that the others are
            dealt to, which follow one after the other; all of them add up to the number.
    """
    spaces = _Spaces(model)
    orders: dict[int, npt.NDArray[np.intp]] = {}
    for number in spaces.free():
        orders[number] = np.array(_ordered(spaces.importance(number), bands))
    changed: dict[str, np.ndarray] = {}
    for number, uses in spaces.uses.items():
        for use in uses if number in orders else ():
            at = (orders[number][:, None] * use.step + np.arange(use.step)).reshape(-1)
            value = changed[use.weight] if use.weight in changed else model.weight(use.weight)
            changed[use.weight] = np.take(value, at, axis=use.axis)
    return model.with_weights(changed)


def _ordered(importance: npt.NDArray[np.float64], bands: Callable[[int], Sequence[int]]) -> list[int]:
    return dealt(importance, bands(len(importance)))


def dealt(importance: Sequence[float] | npt.NDArray[np.float64], sizes: Sequence[int]) -> list[int]:
    """Channels: the most important first, then one group after the other, dealt out in turns, there and back.

    Args:
        importance: of each channel.
        sizes: of the first band, then of the groups.

    >>> dealt([2, 9, 8, 7, 6, 5, 1], (1, 3, 3))
    [1, 2, 5, 0, 3, 4, 6]
    """
    best = [int(at) for at in np.argsort(-np.asarray(importance, dtype=np.float64), kind="stable")]
    common, *others = sizes
    # A group takes its turns evenly, so one twice as large takes twice as many; equal groups go there and back.
    turns = sorted(
        ((turn + 0.5) / size, -at if turn % 2 else at, at) for at, size in enumerate(others) for turn in range(size)
    )
    groups: list[list[int]] = [[] for _ in others]
    for channel, (_, _, at) in zip(best[common:], turns, strict=True):
        groups[at].append(channel)
    return [*best[:common], *(channel for group in groups for channel in group)]


class _Use(NamedTuple):
    """A weight of which an axis runs over the channels of a space."""

    weight: str
    axis: int
    step: int
    """Elements of the axis per channel."""
    makes: bool
    """Its magnitudes count as importance."""


class _Spaces:
    """Tensors whose channels have to stand in the same order, and the weights that follow this order."""

    def __init__(self, model: Model) -> None:
        self._model, self._graph = model, model.graph
        self._parent: list[int] = []
        self._fixed: set[int] = set()
        self._of: dict[str, tuple[int, int]] = {}
        """Tensor -> space, and its elements of axis 1 per channel."""
        self._uses: list[tuple[int, _Use]] = []
        self._readers: defaultdict[str, int] = defaultdict(int)
        for node in [*model.nodes.values(), *model.constants.values()]:
            for name in reads(node):
                self._readers[name] += 1
        for tensor in self._graph.inputs:
            self._fix(tensor.name)
        for operator in self._graph.operators:
            self._visit(model.nodes[operator.name])
        for name in self._graph.outputs:
            self._fix(name)

    # ------------------------------------------------------------ answers

    @property
    def uses(self) -> dict[int, list[_Use]]:
        """Space -> the weights that follow it."""
        found = defaultdict(list)
        for space, use in self._uses:
            found[self._root(space)].append(use)
        return dict(found)

    def free(self) -> list[int]:
        """Spaces whose channels may stand in any order."""
        fixed = {self._root(space) for space in self._fixed}
        return [space for space, uses in self.uses.items() if space not in fixed and any(use.makes for use in uses)]

    def importance(self, space: int) -> npt.NDArray[np.float64]:
        """(C,) sum of the magnitudes of the weights that make each channel."""
        total: npt.NDArray[np.float64] = np.zeros(1)
        for use in self.uses[space]:
            if use.makes:
                weight = np.abs(self._model.weight(use.weight).astype(np.float64))
                total = total + weight.sum(axis=tuple(axis for axis in range(weight.ndim) if axis != use.axis))
        return total

    # ------------------------------------------------------------ operators

    def _visit(self, node: onnx.NodeProto) -> None:
        done = len(node.output) == 1 and (
            self._contracts(node)
            if node.op_type in ("Conv", "Gemm", "MatMul")
            else self._flattens(node) or self._keeps(node)
        )
        if not done:
            for name in [*reads(node), *node.output]:
                self._fix(name)

    def _contracts(self, node: onnx.NodeProto) -> bool:
        """A convolution or a dense layer: new channels, or those that it reads if it is depthwise."""
        entering, weight, *bias = node.input
        if not self._own(weight) or not self._activation(entering) or not all(map(self._own, bias)):
            return False
        shape = self._model.initializers[weight].dims
        flipped = node.op_type == "MatMul" or (node.op_type == "Gemm" and not _attribute(node, "transB", 0))
        groups = _attribute(node, "group", 1)
        if (node.op_type != "Conv" and len(shape) != 2) or _attribute(node, "transA", 0):
            return False
        if groups > 1:
            if groups != shape[0] or shape[1] != 1:
                return False
            self._of[node.output[0]] = self._of[entering]
        else:
            self._of[node.output[0]] = (self._new(), 1)
            self._use(entering, weight, 0 if flipped else 1, makes=False)
        self._use(node.output[0], weight, 1 if flipped else 0, makes=True)
        return all(self._beside(node.output[0], name) for name in bias)

    def _flattens(self, node: onnx.NodeProto) -> bool:
        """A map becomes a row, channel after channel."""
        if node.op_type not in ("Flatten", "Reshape") or node.input[0] not in self._of:
            return False
        before, after = self._shape(node.input[0]), self._shape(node.output[0])
        if len(before) < 2 or after != (before[0], prod(before[1:])):
            return False
        space, step = self._of[node.input[0]]
        self._of[node.output[0]] = (space, step * prod(before[2:]))
        return True

    def _keeps(self, node: onnx.NodeProto) -> bool:
        """An operator that treats all channels alike."""
        activations = [name for name in node.input if self._activation(name)]
        shape = self._shape(node.output[0])
        if not activations or any(self._of[name][1] != self._of[activations[0]][1] for name in activations):
            return False
        alike = node.op_type in _POOLS or (node.op_type == "ReduceMean" and self._axes(node) == (2, 3))
        if not alike and node.op_type not in _ELEMENTWISE | {"BatchNormalization"}:
            return False
        if any(self._shape(name)[1:2] != shape[1:2] for name in activations):
            return False
        if node.op_type in _ELEMENTWISE and any(self._shape(name) != shape for name in activations):
            return False
        self._of[node.output[0]] = self._of[activations[0]]
        for name in activations[1:]:
            self._parent[self._root(self._of[name][0])] = self._root(self._of[activations[0]][0])
        weights = [] if alike else [name for name in node.input if name and name not in activations]
        if node.op_type == "BatchNormalization":
            return all(map(self._own, weights)) and all(self._beside(node.output[0], name) for name in weights)
        return all(self._broadcast(node.output[0], name) for name in weights)

    def _axes(self, node: onnx.NodeProto) -> tuple[int, ...]:
        given = _attribute(node, "axes", None)
        if given is None and len(node.input) > 1 and node.input[1] in self._model.initializers:
            given = self._model.weight(node.input[1]).tolist()
        rank = len(self._shape(node.input[0]))
        return tuple(sorted(int(axis) % rank for axis in given or ()))

    # ------------------------------------------------------------ weights

    def _own(self, name: str) -> bool:
        """Whether a weight is an initializer that one operator reads."""
        return name in self._model.initializers and self._readers[name] == 1

    def _beside(self, tensor: str, weight: str) -> bool:
        """A weight with one number per channel, in its last axis; or one for all."""
        dims = tuple(self._model.initializers[weight].dims)
        if prod(dims) == 1:
            return True
        if prod(dims) != dims[-1] or dims[-1] != self._shape(tensor)[1]:
            return False
        self._use(tensor, weight, len(dims) - 1, makes=False)
        return True

    def _broadcast(self, tensor: str, weight: str) -> bool:
        """A weight that an element-wise operator reads, aligned with the last axes of its result."""
        if weight not in self._model.initializers:
            return False
        dims, rank = tuple(self._model.initializers[weight].dims), len(self._shape(tensor))
        axis = len(dims) - rank + 1
        if prod(dims) == 1 or axis < 0 or dims[axis] == 1:
            return True
        if not self._own(weight) or dims[axis] != self._shape(tensor)[1]:
            return False
        self._use(tensor, weight, axis, makes=False)
        return True

    def _use(self, tensor: str, weight: str, axis: int, *, makes: bool) -> None:
        space, step = self._of[tensor]
        self._uses.append((space, _Use(weight, axis, step, makes)))

    # ------------------------------------------------------------ spaces

    def _shape(self, tensor: str) -> tuple[int, ...]:
        return self._graph.tensor[tensor].shape

    def _activation(self, name: str) -> bool:
        return name in self._of

    def _new(self) -> int:
        self._parent.append(len(self._parent))
        return len(self._parent) - 1

    def _fix(self, name: str) -> None:
        """Its channels stay where they are."""
        if name in self._graph.tensor:
            if name not in self._of:
                self._of[name] = (self._new(), 1)
            self._fixed.add(self._of[name][0])

    def _root(self, space: int) -> int:
        while self._parent[space] != space:
            space = self._parent[space]
        return space


def _attribute(node: onnx.NodeProto, name: str, otherwise: Any) -> Any:
    found = [attribute for attribute in node.attribute if attribute.name == name]
    return onnx.helper.get_attribute_value(found[0]) if found else otherwise
