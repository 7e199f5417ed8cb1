"""Reading ONNX: sizes bound, constants folded, costs counted, and clear refusals."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from graphs import write_model, zoo_model
from onnx import TensorProto, helper

from hocket.errors import FormatError, GraphError, HocketError
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.onnx import load_model
from hocket.plan.build import whole

RELU = [helper.make_node("Relu", ["x"], ["y"])]


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(HocketError) as caught:
        load_model(path, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [
        ("mobilenet_v2", 300.8e6, 3.50e6),
        ("resnet50", 4.09e9, 25.56e6),
        ("vgg16", 15.47e9, 138.36e6),
        ("resnet18", 1.814e9, 11.69e6),
        ("alexnet", 714.2e6, 61.10e6),
        ("bert_base", 11.17e9, 109.48e6),
    ],
)
def test_multiply_accumulates_as_published(name: str, macs: float, parameters: float) -> None:
    graph = zoo_model(name).graph
    assert graph.macs == pytest.approx(macs, rel=0.01)
    assert 2 * graph.macs <= graph.flops <= 2.1 * graph.macs
    assert graph.weight_bytes == pytest.approx(4 * parameters, rel=0.01)


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21, 23])
def test_operator_sets(tmp_path: Path, opset: int) -> None:
    weight = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Softmax", ["f"], ["y"], axis=1),
    ]
    path = write_model(
        tmp_path / "m.onnx", nodes, inputs={"x": (2, 3, 8, 8)}, outputs=["y"], weights={"w": weight}, opset=opset
    )
    model = load_model(path)
    assert [row.name for row in model.graph.operators] == ["c", "r", "p", "f", "y"]
    assert model.graph.tensor["y"].shape == (2, 128)
    assert model.graph.macs == 2 * 8 * 8 * 8 * 27
    inputs = random_inputs(model.graph)
    (expected,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, inputs)
    assert np.abs(Runner(model, whole(model)).run(inputs)["y"] - expected).max() <= 1e-6


def symbolic(path: Path) -> Path:
    nodes = [helper.make_node("Add", ["x", "z"], ["s"]), helper.make_node("Relu", ["s"], ["y"])]
    return write_model(path, nodes, inputs={"x": ("N", 3, "L"), "z": ("N", 1, "L")}, outputs=["y"])


def test_symbolic_sizes_are_bound_by_a_shape_of_one_input(tmp_path: Path) -> None:
    graph = load_model(symbolic(tmp_path / "m.onnx"), shapes={"x": (2, 3, 5)}).graph
    assert [tensor.shape for tensor in graph.inputs] == [(2, 3, 5), (2, 1, 5)]
    assert graph.tensor["y"].shape == (2, 3, 5)
    assert graph.bindings == {"L": 5, "N": 2}


def test_symbolic_sizes_are_bound_by_name(tmp_path: Path) -> None:
    graph = load_model(symbolic(tmp_path / "m.onnx"), sizes={"N": 4, "L": 7}).graph
    assert graph.tensor["y"].shape == (4, 3, 7)


def test_the_hash_tells_bindings_apart(tmp_path: Path) -> None:
    path = symbolic(tmp_path / "m.onnx")
    hashes = {load_model(path, sizes={"N": n, "L": 7}).graph.source.sha256 for n in (1, 2)}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "the size 'N' of input 'x' is not bound; give --shape x=N,3,N with numbers"),
        ({"sizes": {"N": 2}}, "the size 'L' of input 'x' is not bound; give --shape x=N,3,N with numbers"),
        ({"shapes": {"x": (2, 4, 5)}}, "input 'x' has the shape N,3,L, got 2,4,5; bind what is symbolic"),
        ({"shapes": {"x": (2, 3)}}, "input 'x' has the shape N,3,L, got 2,3; bind what is symbolic"),
        ({"shapes": {"x": (0, 3, 5)}}, "input 'x' has the shape N,3,L, got 0,3,5; bind what is symbolic"),
        ({"shapes": {"q": (2, 3, 5)}}, "the model has no input 'q'; its inputs are x, z"),
        (
            {"shapes": {"x": (2, 3, 5), "z": (3, 1, 5)}},
            "the size 'N' is 2 and 3 at once; bind it to one number",
        ),
    ],
)
def test_sizes_that_are_not_or_wrongly_bound(tmp_path: Path, options: dict[str, object], sentence: str) -> None:
    assert refusal(symbolic(tmp_path / "m.onnx"), **options) == sentence


def test_an_input_without_any_shape(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.onnx", RELU, inputs={"x": None}, outputs=["y"])
    assert refusal(path) == "input 'x' has no shape; bind it with --shape x=1,3,224,224 for example"
    assert load_model(path, shapes={"x": (1, 2)}).graph.tensor["y"].shape == (1, 2)


def test_what_is_no_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    assert refusal(path) == f"{path} is not a file; give the path of an ONNX model"
    for data in (b"", b"hello world", b"\x00" * 100, b"\x89PNG\r\n", b"{}"):
        path.write_bytes(data)
        found = refusal(path)
        assert found.startswith(f"{path} is not an ONNX model (")
        assert found.endswith("); export the model to ONNX again")
    with pytest.raises(FormatError):
        load_model(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    good = write_model(tmp_path / "good.onnx", RELU, inputs={"x": (1, 2)}, outputs=["y"]).read_bytes()
    path = tmp_path / "m.onnx"
    for stop in range(len(good)):
        path.write_bytes(good[:stop])
        try:
            load_model(path)
        except HocketError:
            continue


@pytest.mark.parametrize(("domain", "name"), [("", "Frobnicate"), ("my.ops", "my.ops.Frobnicate")])
def test_an_unknown_operator(tmp_path: Path, domain: str, name: str) -> None:
    nodes = [helper.make_node("Frobnicate", ["x"], ["y"], domain=domain)]
    path = write_model(tmp_path / "m.onnx", nodes, inputs={"x": (1, 2)}, outputs=["y"])
    assert refusal(path) == (
        f"every operator is one of ONNX, and {path} has {name!r} at 'y'; replace it before the export"
    )


def test_a_shape_that_depends_on_data(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "m.onnx", [helper.make_node("NonZero", ["x"], ["y"])], inputs={"x": (4, 4)}, outputs=["y"]
    )
    assert refusal(path) == (
        "every tensor needs a fixed shape, and 'y' of operator 'NonZero' has none; bind its symbolic sizes with"
        " --shape, or place a model without data-dependent shapes; shape inference says: [ShapeInferenceError]"
        " Inference error(s): (op_type:NonZero): [TypeInferenceError] Inferred elem type differs from existing elem"
        " type: (7) vs (1)"
    )


@pytest.mark.parametrize("opset", [8, 25])
def test_another_operator_set(tmp_path: Path, opset: int) -> None:
    path = write_model(tmp_path / "m.onnx", RELU, inputs={"x": (1, 2)}, outputs=["y"], opset=opset)
    assert refusal(path) == (
        f"the operator set is 9 to 24, and {path} has {opset}; export it again with another opset_version"
    )


def test_an_output_that_depends_on_no_input(tmp_path: Path) -> None:
    nodes = [*RELU, helper.make_node("Neg", ["w"], ["z"])]
    path = write_model(
        tmp_path / "m.onnx", nodes, inputs={"x": (1, 2)}, outputs=["y", "z"], weights={"w": np.ones(2, np.float32)}
    )
    assert refusal(path) == "the output 'z' does not depend on any input; remove it before the export"


def branch(name: str, kind: str) -> onnx.GraphProto:
    out = helper.make_tensor_value_info(name, TensorProto.FLOAT, (2, 3))
    return helper.make_graph([helper.make_node(kind, ["h"], [name])], name, [], [out])


def test_if_is_placed_whole(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("ReduceSum", ["h"], ["s"], keepdims=0),
        helper.make_node("Cast", ["s"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["i"], then_branch=branch("t", "Neg"), else_branch=branch("e", "Abs")),
        helper.make_node("Exp", ["i"], ["y"]),
    ]
    model = load_model(write_model(tmp_path / "m.onnx", nodes, inputs={"x": (2, 3)}, outputs=["y"]))
    assert [row.kind for row in model.graph.operators] == ["Relu", "ReduceSum", "Cast", "If", "Exp"]
    assert model.graph.operator["i"].inputs == ("c", "h"), "what its branches capture is read too"
    inputs = random_inputs(model.graph)
    expected = np.exp(-np.maximum(inputs["x"], 0))
    assert np.allclose(Runner(model, whole(model)).run(inputs)["y"], expected)


def test_loop_is_placed_whole(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["a", "x"], ["b"])],
        "body",
        [value("n", TensorProto.INT64, ()), value("go", TensorProto.BOOL, ()), value("a", TensorProto.FLOAT, (2,))],
        [value("on", TensorProto.BOOL, ()), value("b", TensorProto.FLOAT, (2,))],
    )
    nodes = [
        helper.make_node("Abs", ["x"], ["h"]),
        helper.make_node("Loop", ["trips", "", "h"], ["y"], body=body),
    ]
    path = write_model(
        tmp_path / "m.onnx", nodes, inputs={"x": (2,)}, outputs={"y": (2,)}, weights={"trips": np.array(3, np.int64)}
    )
    model = load_model(path)
    assert [row.kind for row in model.graph.operators] == ["Abs", "Loop"]
    assert set(model.graph.operator["y"].inputs) == {"h", "x"}
    x = np.array([1.0, -2.0], np.float32)
    assert np.allclose(Runner(model, whole(model)).run({"x": x})["y"], np.abs(x) + 3 * x)


def test_shape_arithmetic_is_folded(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Concat", ["n", "minus"], ["t"], axis=0),
        helper.make_node("Reshape", ["x", "t"], ["r"]),
        helper.make_node("Relu", ["r"], ["y"]),
    ]
    weights = {"zero": np.array([0]), "minus": np.array([-1])}
    path = write_model(tmp_path / "m.onnx", nodes, inputs={"x": ("N", 3, 4)}, outputs=["y"], weights=weights)
    graph = load_model(path, sizes={"N": 2}).graph
    assert [row.kind for row in graph.operators] == ["Reshape", "Relu"]
    assert graph.tensor["y"].shape == (2, 12)


def test_functions_are_inlined(tmp_path: Path) -> None:
    imports = [helper.make_opsetid("", 17)]
    function = helper.make_function(
        "my.ops", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], imports
    )
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Twice", ["x"], ["h"], domain="my.ops"), helper.make_node("Relu", ["h"], ["y"])],
        "m",
        [info("x", TensorProto.FLOAT, (2,))],
        [info("y", TensorProto.FLOAT, (2,))],
    )
    opsets = [*imports, helper.make_opsetid("my.ops", 1)]
    model = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=8)
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert [row.kind for row in load_model(tmp_path / "m.onnx").graph.operators] == ["Add", "Relu"]


def test_operators_are_named_by_their_outputs_and_nodes_by_their_operators() -> None:
    model = zoo_model("toy_dag")
    for row in model.graph.operators:
        assert row.name == row.outputs[0]
        assert model.nodes[row.name].name == row.name


def test_a_size_of_minus_1_is_one_that_is_not_fixed(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], inputs={"x": (-1, 3)}, outputs=["y"]
    )
    with pytest.raises(GraphError, match="of input 'x' is not bound; give --shape x=N,3 with numbers"):
        load_model(path)
    assert load_model(path, shapes={"x": (2, 3)}).graph.tensor["y"].shape == (2, 3)
    with pytest.raises(GraphError, match="a size is at least 1, and 'N' is -2"):
        load_model(path, sizes={"N": -2})


def test_shapes_that_contradict_each_other_are_refused_with_the_reason_and_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weight = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [4, 2], [0.0] * 8)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [weight],
    )
    path = tmp_path / "m.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), path)
    with pytest.raises(
        GraphError, match=r"'y' of operator 'MatMul' has none; .*; shape inference says: .*Incompatible"
    ):
        load_model(path)
    assert not caplog.records
