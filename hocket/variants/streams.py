"""Writing a model of which some layers have several streams side by side."""

from itertools import pairwise

import numpy as np
import onnx

from hocket.errors import GraphError
from hocket.graph.layers import Half, Names
from hocket.graph.model import Model, reads
from hocket.graph.regions import Contract, block_of, contractions, region_name, rewrite, whole


class Streams:
    """What has been written so far.

    Args:
        model: where operators and weights come from.
        groups: streams of a divided layer.
    """

    def __init__(self, model: Model, groups: int) -> None:
        self._model, self._groups = model, groups
        self._block = block_of(model)
        self._streams: list[list[onnx.NodeProto]] = [[] for _ in range(groups)]
        """Nodes of the layers that are divided at the moment."""
        self._own: set[str] = set()
        """Tensors that each stream has its own of."""
        self._last: Names = ()
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def copy(self, names: Names) -> None:
        """Operators as they are."""
        self._nodes += [self._model.nodes[name] for name in names]

    # ------------------------------------------------------------ divided layers

    def divided(self, half: Half) -> None:
        """A head of which each stream computes its part, and a tail that each computes on what it has."""
        points = [half.units * number // self._groups * half.granule for number in range(self._groups)]
        for stream, interval in enumerate(pairwise([*points, half.size])):
            self._head(half, stream, interval)
        self._own.update(half.head)
        self._tail(half.tail)
        self._last = half.tail

    def _head(self, half: Half, stream: int, interval: tuple[int, int]) -> None:
        graph, end = self._model.graph, f"@{stream}"
        block = self._block.part(half.head)
        axis = contractions(self._block.operators[self._block.producer[half.product]])[0].axis
        contract = Contract(tensor=half.product, axis=axis, interval=interval, owner=False)
        piece = rewrite(block, {half.product: [whole(graph.tensor[half.product].shape)]}, contract)
        proto = piece.filled(self._model.weight).graph
        given = {value.name for value in proto.input}
        sources = {
            region_name(name, box, graph.tensor[name].shape): name
            for name, boxes in piece.demand.inputs.items()
            for box in boxes
            if box == whole(graph.tensor[name].shape)
        }
        if sources.keys() != given:
            raise GraphError(
                f"a head reads its inputs whole, and {half.product!r} of {graph.name!r} reads parts; it stays whole"
            )
        renamed = {name: self._named(sources[name], stream) for name in given}
        for initializer in proto.initializer:
            renamed[initializer.name] = initializer.name + end
            initializer.name += end
            self._initializers[initializer.name] = initializer
        for node in proto.node:
            renamed |= {name: name + end for name in node.output}
            self._streams[stream].append(_renamed(node, renamed, end))
        self._scaled(half.product, half.product + contract.suffix + end, stream)

    def _scaled(self, product: str, partial: str, stream: int) -> None:
        """A partial product stands for the whole one: times the number of streams, and the bias on top."""
        node, dtype = self._model.nodes[product], np.dtype(self._model.graph.tensor[product].dtype)
        self._initializers["groups"] = onnx.numpy_helper.from_array(np.array(self._groups, dtype), "groups")
        bias = node.input[2] if node.op_type == "Gemm" and len(node.input) > 2 else ""
        scaled = f"{product}@{stream}" + (".scaled" if bias else "")
        self._streams[stream].append(onnx.helper.make_node("Mul", [partial, "groups"], [scaled], name=scaled))
        if not bias:
            return
        if any(attribute.name == "beta" and attribute.f != 1 for attribute in node.attribute):
            raise GraphError(f"a bias is added as it is, and {product!r} multiplies it by beta; export the model again")
        name = f"{product}@{stream}"
        self._streams[stream].append(onnx.helper.make_node("Add", [scaled, bias], [name], name=name))

    def _named(self, tensor: str, stream: int) -> str:
        return f"{tensor}@{stream}" if tensor in self._own else tensor

    def _tail(self, names: Names) -> None:
        for name in names:
            node = self._model.nodes[name]
            self._own.update(output for output in node.output if output)
            renamed = {tensor: f"{tensor}@{{}}" for tensor in [*node.input, *node.output] if tensor in self._own}
            for stream, nodes in enumerate(self._streams):
                filled = {tensor: text.format(stream) for tensor, text in renamed.items()}
                nodes.append(_renamed(node, filled, f"@{stream}"))

    # ------------------------------------------------------------ sums

    def merge(self) -> None:
        """End the streams, if there are some: one after the other, and the mean of what they have come to."""
        if not self._own:
            return
        place = self._joint()
        joint, behind = self._last[place], self._last[place + 1 :]
        for stream, nodes in enumerate(self._streams):
            late = {f"{output}@{stream}" for name in behind for output in self._model.nodes[name].output}
            self._nodes += [node for node in nodes if node.output[0] not in late]
        parts = [f"{joint}@{stream}" for stream in range(self._groups)]
        self._nodes.append(onnx.helper.make_node("Mean", parts, [joint], name=joint))
        self._own, self._streams = set(), [[] for _ in range(self._groups)]
        self.copy(behind)

    def _joint(self) -> int:
        """The first place in the last tail after which nothing else of the streams is read."""
        graph = self._model.graph
        for place, name in enumerate(self._last):
            before = self._own - {name, *self._last[place + 1 :]}
            if before & set(graph.outputs):
                break
            if all(reader <= graph.index[name] for tensor in before for reader in graph.readers.get(tensor, ())):
                return place
        raise GraphError(
            f"the streams of decoupled layers come together in one tensor, and those before {self._last[-1]!r} do not;"
            " keep this layer"
        )

    def model(self) -> onnx.ModelProto:
        """All that was written, with the weights that it reads."""
        model, graph = self._model, self._model.graph
        made = {output for node in self._nodes for output in node.output}
        before: dict[int, onnx.NodeProto] = {}

        def visit(node: onnx.NodeProto) -> None:
            for name in reads(node):
                if name in made or name in self._initializers:
                    continue
                if name in model.constants:
                    visit(model.constants[name])
                    before.setdefault(id(model.constants[name]), model.constants[name])
                elif name in model.initializers:
                    value = np.ascontiguousarray(model.weight(name)).reshape(model.initializers[name].dims)
                    self._initializers[name] = onnx.numpy_helper.from_array(value, name)

        for node in self._nodes:
            visit(node)
        proto = onnx.helper.make_graph(
            [*before.values(), *self._nodes],
            graph.name,
            [_info(model, tensor.name) for tensor in graph.inputs],
            [_info(model, name) for name in graph.outputs],
            list(self._initializers.values()),
        )
        opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in model.opsets.items()]
        return onnx.helper.make_model(proto, opset_imports=opsets, ir_version=model.ir_version, producer_name="hocket")


def _renamed(node: onnx.NodeProto, names: dict[str, str], end: str) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name += end
    for held in (copy.input, copy.output):
        for position, name in enumerate(held):
            if name in names:
                held[position] = names[name]
    return copy


def _info(model: Model, name: str) -> onnx.ValueInfoProto:
    tensor = model.graph.tensor[name]
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return onnx.helper.make_tensor_value_info(name, kind, tensor.shape)
