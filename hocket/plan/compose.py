"""The ONNX model of a segment that computes parts: each part is rewritten, and what they pass on is tied together."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx

from hocket.errors import PlanError
from hocket.graph.model import Model
from hocket.graph.regions import Block, Box, Lengths, combine, region_name, rewrite, whole
from hocket.graph.regions.block import value_info
from hocket.graph.regions.box import contains, extent
from hocket.program import Combine, Part, Region, Segment, TensorInfo, Work

Weights = dict[str, tuple[str, Box | None]]
"""Initializer -> (weight of the model, box of it; None = all)."""
Plain = Callable[[tuple[str, ...]], onnx.GraphProto]
"""Gives whole operators with their weights absent, inputs and outputs not declared."""


class Composed:
    """A segment's model under construction.

    Args:
        model: where operators come from.
        block: all its operators, for the slicing rules.
        lengths: the same for requests of another length, where they differ.
        plain: writes whole operators.
        tensors: type and shape of every value of the program.
    """

    def __init__(
        self, model: Model, block: Block, lengths: Lengths | None, plain: Plain, tensors: Mapping[str, TensorInfo]
    ) -> None:
        self._model, self._block, self._lengths, self._plain, self._tensors = model, block, lengths, plain, tensors
        self.weights: Weights = {}
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._held: dict[str, list[tuple[Box, str]]] = {}
        self._domains: dict[str, int] = {"": block.opsets.get("", 20)}

    def write(self, segment: Segment) -> onnx.ModelProto:
        """The model of a segment: its inputs are named by its ports, its outputs by their tensors."""
        inputs = []
        for port in segment.inputs:
            info = self._tensors[port.tensor]
            box = self._planned(info, port.region)
            self._held.setdefault(port.tensor, []).append((box, port.label))
            inputs.append(value_info(port.label, info.dtype, extent(box)))
        for number, part in enumerate(segment.parts):
            self._part(f"{number}/", part)
        outputs = []
        regions = segment.output_regions or (None,) * len(segment.outputs)
        for value, region in zip(segment.outputs, regions, strict=True):
            info = self._tensors[value]
            box = self._planned(info, region)
            held = self._have(value, box)
            if held != value:
                self._nodes.append(onnx.helper.make_node("Identity", [held], [value], name=f"{value}~"))
            outputs.append(value_info(value, info.dtype, extent(box)))
        graph = onnx.helper.make_graph(self._nodes, "segment", inputs, outputs, list(self._initializers.values()))
        imports = [onnx.helper.make_opsetid(domain, version) for domain, version in self._domains.items()]
        return onnx.helper.make_model(
            graph, opset_imports=imports, ir_version=self._block.ir_version, producer_name="hocket"
        )

    def _part(self, prefix: str, part: Part) -> None:
        if isinstance(part, Combine):
            self._combine(prefix, part)
        elif part.regions:
            self._divided(prefix, part)
        else:
            self._whole(part)

    def _whole(self, part: Work) -> None:
        """Operators as they are, under their own names: bodies of theirs may read these too."""
        graph = self._plain(part.operators)
        operators = [self._model.graph.operator[name] for name in part.operators]
        made = {name: None for operator in operators for name in operator.outputs}
        for name in dict.fromkeys(name for operator in operators for name in operator.inputs if name not in made):
            box = self._full(name)
            held = self._have(name, box)
            if held != name:
                self._nodes.append(onnx.helper.make_node("Identity", [held], [name], name=f"{name}~"))
                self._held[name] = [(box, name), *self._held[name]]
        self._nodes.extend(graph.node)
        for init in graph.initializer:
            self._initializers[init.name] = init
            if init.external_data:
                self.weights[init.name] = (init.name, None)
        for node in graph.node:
            self._domains.setdefault(node.domain, self._model.opsets.get(node.domain, 1))
        for name in made:
            self._held.setdefault(name, []).append((self._full(name), name))

    def _divided(self, prefix: str, part: Work) -> None:
        wanted = {name: self._full(name) if box is None else box for name, box in part.regions.items()}
        different = self._lengths.differing(part.operators, wanted, part.contract) if self._lengths else None
        if different is not None:
            raise PlanError(
                f"a part of {different!r} depends on how long a request is, and requests differ in length; leave the"
                " operator out of the split"
            )
        piece = rewrite(self._block.part(part.operators), {name: [box] for name, box in wanted.items()}, part.contract)
        names = {
            region_name(name, box, self._block.shapes[name]): self._have(name, box)
            for name, boxes in piece.demand.inputs.items()
            for box in boxes
        }
        self._insert(prefix, piece.model.graph, names, dict(piece.weights))
        self._domains |= {each.domain: each.version for each in piece.model.opset_import}
        suffix = part.contract.suffix if part.contract else ""
        for name, box in wanted.items():
            label = region_name(name, box, self._block.shapes[name]) + suffix
            held = self._carried(name, suffix, box)
            self._held.setdefault(name + suffix, []).append((held, prefix + label))

    def _combine(self, prefix: str, part: Combine) -> None:
        box = self._full(part.tensor) if part.region is None else part.region
        if not part.contracts:
            self._held[part.tensor] = [(box, self._have(part.tensor, box))]
            return
        model = combine(self._block, box, part.contracts)
        name = region_name(part.tensor, box, self._block.shapes[part.tensor])
        names = {
            name + contract.suffix: self._have(
                part.tensor + contract.suffix, self._carried(part.tensor, contract.suffix, box)
            )
            for contract in part.contracts
        }
        self._insert(prefix, model.graph, names, {})
        self._held.setdefault(part.tensor, []).append((box, prefix + name))

    def _planned(self, info: TensorInfo, region: Region | None) -> Box:
        """A region with the lengths that the block has, where requests differ in length."""
        box = whole(info.shape) if region is None else region
        if not info.free:
            return box
        whole_name, _, _ = info.name.rpartition("{")  # a partial result has its contraction behind its name
        shape = self._block.shapes.get(info.name) or self._block.shapes[whole_name]
        return tuple((0, shape[axis]) if axis in info.free else interval for axis, interval in enumerate(box))

    def _full(self, name: str) -> Box:
        return whole(self._block.shapes[name])

    def _carried(self, tensor: str, suffix: str, box: Box) -> Box:
        """The box of a partial value: with what is packed behind its last axis, where something is."""
        info = self._tensors.get(tensor + suffix)
        if info is None or info.shape[-1:] == self._block.shapes[tensor][-1:]:
            return box
        return (*box[:-1], (box[-1][0], info.shape[-1]))

    def _have(self, value: str, box: Box) -> str:
        """The name of exactly this box of a value."""
        for held, name in self._held.get(value, ()):
            if held == box:
                return name
        for held, name in self._held.get(value, ()):
            if contains(held, box):
                return self._sliced(value, name, held, box)
        raise PlanError(f"a segment needs {value!r} in {box}, and neither its ports nor its parts have it; lower again")

    def _sliced(self, value: str, name: str, held: Box, box: Box) -> str:
        axes = [axis for axis in range(len(box)) if held[axis] != box[axis]]
        base = f"{name}~{len(self._nodes)}"
        numbers = (
            [box[axis][0] - held[axis][0] for axis in axes],
            [box[axis][1] - held[axis][0] for axis in axes],
            axes,
        )
        names = []
        for place, each in enumerate(numbers):
            constant = f"{base}.{place}"
            self._initializers[constant] = onnx.numpy_helper.from_array(np.array(each, np.int64), constant)
            names.append(constant)
        self._nodes.append(onnx.helper.make_node("Slice", [name, *names], [base], name=base))
        self._held[value].append((box, base))
        return base

    def _insert(self, prefix: str, graph: onnx.GraphProto, names: Mapping[str, str], weights: Weights) -> None:
        """Add the nodes of a part; what is inside it gets a prefix, equal weights are kept once."""
        known = dict(names)
        for init in graph.initializer:
            if init.name in weights:
                known[init.name] = init.name
                self.weights[init.name] = weights[init.name]
            else:
                known[init.name] = prefix + init.name
            copy = onnx.TensorProto()
            copy.CopyFrom(init)
            copy.name = known[init.name]
            self._initializers[copy.name] = copy
        taken = {node.name for node in self._nodes}
        for node in graph.node:
            self._nodes.append(_renamed(node, known, prefix, node.name in taken))
            if node.domain:
                self._domains.setdefault(node.domain, self._block.opsets.get(node.domain, 1))


def _renamed(node: onnx.NodeProto, known: Mapping[str, str], prefix: str, again: bool) -> onnx.NodeProto:
    """A copy with other names; nodes that rules write have no bodies. Its own name is the operator's unless that has
    been written before."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    if again:
        copy.name = f"{node.name}#{prefix}"
    for names in (copy.input, copy.output):
        for place, name in enumerate(names):
            if name:
                names[place] = known.get(name, prefix + name)
    return copy
