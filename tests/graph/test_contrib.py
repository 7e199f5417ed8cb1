"""Shapes and costs of ONNX Runtime's own operators are those that ONNX Runtime makes and that a product has."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from hocket.graph.onnx import bind_model

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
X = ("x", FLOAT, (1, 3, 32))
CASES = {
    "RotaryEmbedding": (
        [X, ("p", INT64, (1, 3)), ("c", FLOAT, (8, 8)), ("s", FLOAT, (8, 8))], 1, {"num_heads": 2},
    ),
    "SkipSimplifiedLayerNormalization": ([X, ("skip", FLOAT, (1, 3, 32)), ("scale", FLOAT, (32,))], 4, {}),
    "SkipLayerNormalization": ([X, ("skip", FLOAT, (1, 3, 32)), ("scale", FLOAT, (32,))], 4, {}),
    "QuickGelu": ([X], 1, {"alpha": 1.0}),
    "FastGelu": ([X], 1, {}),
    "Gelu": ([X], 1, {}),
    "BiasGelu": ([X, ("b", FLOAT, (32,))], 1, {}),
    "GroupQueryAttention": (
        [
            ("x", FLOAT, (1, 3, 64)), None, None, ("pk", FLOAT, (1, 1, 9, 16)), ("pv", FLOAT, (1, 1, 9, 16)),
            ("last", INT32, (1,)), ("total", INT32, (1,)),
        ],
        3,
        {"num_heads": 2, "kv_num_heads": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_shapes_are_those_that_onnx_runtime_makes(kind: str) -> None:
    inputs, count, attributes = CASES[kind]
    outputs = ["y0"] if count == 1 else ["y0", "", "", "y3"] if count == 4 else ["y0", "y1", "y2"]
    names = ["" if each is None else each[0] for each in inputs]
    nodes = [
        helper.make_node(kind, names, outputs, domain="com.microsoft", **attributes),
        helper.make_node("Relu", ["y0"], ["end"]),
    ]
    made = [name for name in outputs if name]
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info(*each) for each in inputs if each is not None],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in ("end", *made)],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    found = bind_model(model, {}).graph
    numbers = {FLOAT: np.float32, INT32: np.int32, INT64: np.int64}
    feeds = {name: np.ones(shape, numbers[dtype]) for name, dtype, shape in (each for each in inputs if each)}
    feeds |= {"last": np.array([2], np.int32), "total": np.array([3], np.int32)} if "last" in feeds else {}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, value in zip(("end", *made), session.run(None, feeds), strict=True):
        assert found.tensor[name].shape == value.shape, name
        assert found.tensor[name].dtype == value.dtype.name


def test_a_past_counts_in_the_attention_of_the_standard_too() -> None:
    shapes = {"q": (1, 2, 32), "k": (1, 2, 16), "v": (1, 2, 16), "pk": (1, 1, 7, 16), "pv": (1, 1, 7, 16)}
    node = helper.make_node(
        "Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "nk", "nv"], q_num_heads=2, kv_num_heads=1, is_causal=1
    )
    graph = helper.make_graph(
        [node],
        "case",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in ("y", "nk", "nv")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
    assert bind_model(model, {}).graph.macs == 2 * 2 * (7 + 2) * (16 + 16)


def test_foreign_operators_are_still_refused_by_name() -> None:
    graph = helper.make_graph(
        [helper.make_node("Strange", ["x"], ["y"], domain="org.example")],
        "case",
        [helper.make_tensor_value_info("x", FLOAT, [1])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
    )
    with pytest.raises(ValueError, match=r"case has 'org\.example\.Strange'"):
        bind_model(onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), {})
