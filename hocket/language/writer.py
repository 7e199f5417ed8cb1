"""Writes an ONNX graph node by node; its weights are named and sized, their data stay elsewhere."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from hocket.program import ABSENT

MICROSOFT = "com.microsoft"
OPSET = 23
"""The first with RMSNormalization, RotaryEmbedding and Attention."""
Dim = int | str
_TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
}


class Writer:
    """Collects inputs, weights, nodes and outputs in the order in which they are written."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def input(self, name: str, dtype: str, shape: Sequence[Dim]) -> str:
        """Declare an input; text in its shape is a symbolic size."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], list(shape)))
        return name

    def output(self, name: str, dtype: str, shape: Sequence[Dim]) -> None:
        """Declare an output that some node makes."""
        self._outputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], list(shape)))

    def weight(self, name: str, shape: Sequence[int], dtype: str = "float32") -> str:
        """Declare a weight whose data are given later."""
        if name not in self._weights:
            proto = TensorProto(name=name, dims=shape, data_type=_TYPES[dtype])
            proto.data_location = TensorProto.EXTERNAL
            proto.external_data.add(key="location", value=ABSENT)
            self._weights[name] = proto
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        """A weight whose data are part of the graph."""
        self._weights.setdefault(name, onnx.numpy_helper.from_array(value, name))
        return name

    def integers(self, *values: int) -> str:
        """A small vector of integers; equal ones are written once."""
        return self.constant(f"integers.{'.'.join(map(str, values))}", np.array(values, np.int64))

    def add(self, name: str, kind: str, *inputs: str, more: Sequence[str] = (), **attributes: object) -> str:
        """Write a node.

        Args:
            name: of its first output, and of the operator.
            kind: operator, with its domain and a dot in front if it is not the standard one.
            inputs: names; "" = absent.
            more: names of further outputs; "" = not wanted.
            attributes: those of ONNX.
        """
        domain, _, operator = kind.rpartition(".")
        self._nodes.append(helper.make_node(operator, inputs, [name, *more], name=name, domain=domain, **attributes))
        return name

    def model(self, name: str) -> onnx.ModelProto:
        """All that was written."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, list(self._weights.values()))
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, producer_name="hocket", opset_imports=imports, ir_version=11)
