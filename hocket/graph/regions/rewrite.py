"""Forwards through a block: an ONNX model that computes exactly the wanted boxes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx

from hocket.errors import GraphError
from hocket.graph.regions.block import Block, value_info
from hocket.graph.regions.box import Box, contains, extent, region_name, with_axis
from hocket.graph.regions.contract import Visit, contraction_of
from hocket.graph.regions.demand import Demand, demand, run_counted
from hocket.graph.regions.rule import OperatorView, UnsupportedError
from hocket.graph.regions.steps import computed_whole, cut
from hocket.graph.regions.table import RULES
from hocket.nouns import Value
from hocket.program import ABSENT, Contract


class Piece(Value, frozen=True):
    """A rewritten block: a model without weight data, and which box of which weight each initializer is."""

    model: onnx.ModelProto
    """Inputs and outputs are named by `region_name`; initializers in `weights` are `ABSENT`."""
    weights: dict[str, tuple[str, Box]]
    demand: Demand

    def slices(self, weight: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
        """The data of every absent initializer, as views of whole weights."""
        return {
            name: weight(source)[tuple(slice(lo, hi) for lo, hi in box)] for name, (source, box) in self.weights.items()
        }

    def filled(self, weight: Callable[[str], np.ndarray]) -> onnx.ModelProto:
        """The model with its weights inside."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        data = self.slices(weight)
        for initializer in model.graph.initializer:
            if initializer.name in data:
                initializer.CopyFrom(onnx.numpy_helper.from_array(data[initializer.name], initializer.name))
        return model


def rewrite(block: Block, wanted: Mapping[str, Iterable[Box]], contract: Contract | None = None) -> Piece:
    """Write a model that computes exactly some boxes of a block's results.

    Args:
        block: the operators.
        wanted: tensor -> boxes of it.
        contract: see `demand`; the partial result is named with `Contract.suffix`.

    Raises:
        GraphError: nothing is wanted (a zero share has no model), or what `demand` refuses.
    """
    needs = demand(block, wanted, contract)
    if not any(needs.wanted.values()):
        raise GraphError("a model computes something, and every wanted box is empty; leave out parts with no share")
    writer = _Writer(block, needs)
    for op in block.operators:
        for output, name in enumerate(op.outputs):
            part = contract if contract is not None and contract.tensor == name else None
            for box in needs.inside.get(name, ()):
                writer.write(op, output, box, part)
    return writer.finish(contract)


class _Writer:
    """What has been written so far."""

    def __init__(self, block: Block, needs: Demand) -> None:
        self.block, self.needs = block, needs
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.weights: dict[str, tuple[str, Box]] = {}
        self.held: dict[str, list[tuple[Box, str]]] = {}
        self.names = set(block.shapes)
        self.domains = {""}
        self.emitted: dict[str, int] = {}
        """Nodes written for each operator."""
        self.several: dict[object, list[str]] = {}
        """What nodes with several results are, and these: one node gives all that is wanted of it."""
        self.made: set[str] = set()
        for name, boxes in needs.inputs.items():
            self.held[name] = [(box, region_name(name, box, block.shapes[name])) for box in boxes]
            self.names.update(piece for _, piece in self.held[name])
        for name, boxes in needs.weights.items():
            if name not in block.constants:
                self.held[name] = [(box, self._weight(name, box)) for box in boxes]

    def write(self, op: OperatorView, output: int, box: Box, part: Contract | None) -> None:
        """Run one rule."""
        _, refusal = run_counted(op, output, box, part)
        at = _Emitter(self, op, output, part)
        name = computed_whole(at, box) if refusal else RULES[op.kind].run(at, box)
        self.held.setdefault(op.outputs[output], []).append((box, name))

    def fresh(self, base: str) -> str:
        """A name that nothing has."""
        name, number = base, 1
        while name in self.names:
            name, number = f"{base}#{number}", number + 1
        self.names.add(name)
        return name

    def covering(self, tensor: str, box: Box) -> tuple[Box, str]:
        """The held box that a box lies in."""
        for held, name in self.held.get(tensor, ()):
            if contains(held, box):
                return held, name
        raise GraphError(f"the two passes of a rule differ: {box} of {tensor!r} was not recorded; correct the rule")

    def _weight(self, name: str, box: Box) -> str:
        piece = region_name(name, box, self.block.shapes[name])
        self.names.add(piece)
        tensor = value_info(piece, self.block.dtypes[name], ()).type.tensor_type
        proto = onnx.TensorProto(name=piece, data_type=tensor.elem_type, dims=extent(box))
        proto.data_location = onnx.TensorProto.EXTERNAL
        proto.external_data.add(key="location", value=ABSENT)
        self.initializers[piece] = proto
        self.weights[piece] = (name, box)
        return piece

    def constant(self, base: str, array: np.ndarray) -> str:
        """A new initializer with these values."""
        name = self.fresh(base)
        self.initializers[name] = onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        return name

    def finish(self, contract: Contract | None) -> Piece:
        """Name the results and put the model together."""
        block, needs = self.block, self.needs
        outputs = []
        renamed: dict[str, str] = {}
        for tensor, boxes in needs.wanted.items():
            for box in boxes:
                name, shape = region_name(tensor, box, block.shapes[tensor]), extent(box)
                if contract is not None and contract.tensor == tensor:
                    name, shape = name + contract.suffix, packed_shape(block, contract, box)
                self._result(tensor, box, name, shape, renamed)
                outputs.append(value_info(name, block.dtypes[tensor], shape))
        _rename(self.nodes, renamed)
        inputs = [
            value_info(region_name(tensor, box, block.shapes[tensor]), block.dtypes[tensor], extent(box))
            for tensor, boxes in needs.inputs.items()
            for box in boxes
        ]
        graph = onnx.helper.make_graph(self.nodes, "piece", inputs, outputs, list(self.initializers.values()))
        imports = [onnx.helper.make_opsetid(name, version) for name, version in self._opsets().items()]
        model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=block.ir_version)
        return Piece(model=model, weights=self.weights, demand=needs)

    def _opsets(self) -> dict[str, int]:
        return {name: self.block.opsets.get(name, 1) for name in sorted(self.domains)}

    def _result(self, tensor: str, box: Box, name: str, shape: tuple[int, ...], renamed: dict[str, str]) -> None:
        """Let the result carry its name: rename what was emitted for it, or copy what has a name already."""
        held, value = self.covering(tensor, box)
        at = _Emitter(self, _NAMELESS, 0, None)
        if held != box:
            if shape != extent(box):  # what is packed behind the last axis stays with it
                if held[-1] != box[-1]:
                    raise UnsupportedError(
                        f"partial results of {tensor!r} carry more in their last axis, and the boxes {held} and {box}"
                        " overlap there; ask for them one by one"
                    )
                held, box = (with_axis(piece, len(piece) - 1, (0, shape[-1])) for piece in (held, box))
            value = cut(at, value, held, box)
        if value not in self.made or value in renamed:
            value = at.emit("Identity", value)
        renamed[value] = name


_NAMELESS = OperatorView(
    name="result", kind="", inputs=(), outputs=("result",), attributes={}, shapes=(), dtypes=(), output_shapes=(),
    output_dtypes=(), constants={}, opset=0,
)  # fmt: skip


def _rename(nodes: list[onnx.NodeProto], renamed: Mapping[str, str]) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name in renamed:
                    names[position] = renamed[name]


def packed_shape(block: Block, contract: Contract, box: Box) -> tuple[int, ...]:
    """The shape of a partial result."""
    packed = contraction_of(block, contract).packed
    shape = extent(box)
    return (*shape[:-1], shape[-1] + packed) if packed else shape


class _Emitter(Visit):
    """The context of the second pass: asking gives tensors, emitting writes operators."""

    def __init__(self, writer: _Writer, op: OperatorView, output: int, contract: Contract | None) -> None:
        super().__init__(op, output, contract)
        self.writer = writer

    def get(self, index: int, box: Box) -> str:
        if not self.op.has(index):
            return ""
        name = self.op.inputs[index]
        if name in self.writer.block.constants:
            return self._known(name, box)
        held, value = self.writer.covering(name, box)
        if held == box:
            return value
        again = [piece for known, piece in self.writer.held[name] if known == box]
        if again:
            return again[0]
        value = cut(self, value, held, box)
        self.writer.held[name].append((box, value))
        return value

    def _known(self, name: str, box: Box) -> str:
        piece = region_name(name, box, self.writer.block.shapes[name])
        if piece not in self.writer.initializers:
            array = self.writer.block.constants[name][tuple(slice(lo, hi) for lo, hi in box)]
            self.writer.initializers[piece] = onnx.numpy_helper.from_array(np.array(array), piece)
            self.writer.names.add(piece)
        return piece

    def constant(self, array: np.ndarray) -> str:
        return self.writer.constant(f"{self.op.name}.constant", array)

    def emit(
        self,
        kind: str,
        *inputs: str,
        attributes: Mapping[str, Any] | None = None,
        macs: int = 0,  # noqa: ARG002  (the first pass counts)
        flops: int = 0,  # noqa: ARG002
        outputs: int = 1,
        pick: int = 0,
    ) -> str:
        writer = self.writer
        key = (self.op.name, kind, inputs, repr(attributes), outputs)
        if outputs > 1 and key in writer.several:
            made = writer.several[key][pick]
            writer.made.add(made)
            return made
        domain, _, short = kind.rpartition(".")
        writer.domains.add(domain)
        made = writer.fresh(f"{self.op.name}.{kind}")
        writer.made.add(made)
        names = [made if position == pick else writer.fresh(f"{made}.{position}") for position in range(outputs)]
        if outputs > 1:
            writer.several[key] = names
        given = {name: value for name, value in (attributes or {}).items() if value != []}
        node = onnx.helper.make_node(short, [*inputs], names, domain=domain, name=self._node_name(), **given)
        writer.nodes.append(node)
        return made

    def _node_name(self) -> str:
        """The operator's name, with a number from the second node on."""
        number = self.writer.emitted.get(self.op.name, 0)
        self.writer.emitted[self.op.name] = number + 1
        return f"{self.op.name}#{number}" if number else self.op.name
