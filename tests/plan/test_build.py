"""Segments as ONNX models: run one by one they give what the whole model gives."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from graphs import mesh, node, random_places, write_model, zoo_model
from onnx import helper

from hocket.errors import GraphError
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.plan.build import INLINE_BYTES, build, whole
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.plan.placement import entry_for
from hocket.program import INPUT, Artifact, Program, WeightSource, tensor_hash

CLUSTER = mesh(node("a"), node("b"), node("c"))


def program_of(model: Model, places: list[str]) -> Program:
    graph = model.graph
    ends = {tensor.name: "a" for tensor in graph.inputs}, dict.fromkeys(graph.outputs, "a")
    return lower(graph, entry_for("t", graph, places), CLUSTER, *ends)


def session_of(artifact: Artifact, weights: WeightSource) -> tuple[onnxruntime.InferenceSession, list[object]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(weights(sha256)) for sha256 in artifact.weights.values()]
    options.add_external_initializers(list(artifact.weights), values)
    return onnxruntime.InferenceSession(artifact.model, options, ["CPUExecutionProvider"]), values


def run_segments(model: Model, program: Program, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run the segments one by one; each sees only what its ports say."""
    built = build(model, program)
    artifacts = {artifact.segment: artifact for artifact in built.artifacts}
    came_from = {transfer.id: transfer.source for transfer in program.transfers}
    made = {(INPUT, name): value for name, value in inputs.items()}
    left = list(program.segments)
    while left:
        ready = [
            s for s in left
            if all((came_from.get(port.sources[0], port.sources[0]), port.tensor) in made for port in s.inputs)
        ]  # fmt: skip
        assert ready, "a segment waits for another that waits for it"
        for segment in ready:
            feeds = {p.tensor: made[came_from.get(p.sources[0], p.sources[0]), p.tensor] for p in segment.inputs}
            session, _values = session_of(artifacts[segment.id], built.weight)
            results = session.run(list(segment.outputs), feeds)
            made |= {(segment.id, name): value for name, value in zip(segment.outputs, results, strict=True)}
            left.remove(segment)
    return [made[came_from.get(b.source, b.source), b.tensor] for b in program.outputs]


def assert_equal(model: Model, places: list[str], inputs: dict[str, np.ndarray], expected: list[np.ndarray]) -> None:
    for found, wanted in zip(run_segments(model, program_of(model, places), inputs), expected, strict=True):
        assert found.shape == wanted.shape
        spread = np.abs(wanted).max()
        assert 0 < spread < np.inf
        assert np.abs(found - wanted).max() <= 1e-5 * spread


@cache
def reference(name: str) -> tuple[Model, dict[str, np.ndarray], list[np.ndarray]]:
    model = calibrated(zoo_model(name))
    inputs = random_inputs(model.graph, seed=1)
    return model, inputs, list(Runner(model, whole(model)).run(inputs).values())


@pytest.mark.parametrize(("name", "seed"), [*(("toy_dag", s) for s in range(6)), ("mobilenet_v2", 0), ("googlenet", 1)])
def test_segments_give_what_the_whole_model_gives(name: str, seed: int) -> None:
    model, inputs, expected = reference(name)
    run = 2.0 if name == "toy_dag" else 15.0
    places = random_places(seed, len(model.graph.operators), ["a", "b", "c"], run=run)
    assert len(set(places)) > 1
    assert_equal(model, places, inputs, expected)


def test_weights_are_named_by_content_and_each_is_there_once() -> None:
    model = zoo_model("toy_dag")
    built = build(model, program_of(model, random_places(3, len(model.graph.operators), ["a", "b"])))
    for artifact in built.artifacts:
        proto = onnx.load_from_string(artifact.model)
        absent = {init.name for init in proto.graph.initializer if init.external_data}
        assert artifact.weights.keys() == absent
        for name, sha256 in artifact.weights.items():
            assert tensor_hash(built.weight(sha256)) == sha256
            assert model.graph.weights[name] > INLINE_BYTES
        assert all(n.name == n.output[0] for n in proto.graph.node)


def test_building_twice_gives_the_same_bytes() -> None:
    model = zoo_model("toy_dag")
    program = program_of(model, random_places(5, len(model.graph.operators), ["a", "b"]))
    assert build(model, program).artifacts == build(model, program).artifacts


def two_layers(constant_nodes: bool) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    generator = np.random.default_rng(0)
    weights = {f"w{i}": generator.standard_normal((32, 32)).astype(np.float32) for i in range(2)}
    nodes = [helper.make_node("MatMul", ["x", "w0"], ["h"]), helper.make_node("MatMul", ["h", "w1"], ["y"])]
    if not constant_nodes:
        return nodes, weights
    made = [
        helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value, name))
        for name, value in weights.items()
    ]
    return [*made, *nodes], {}


@pytest.mark.parametrize("kind", ["inside", "external", "constant nodes"])
def test_weights_inside_beside_and_as_constant_nodes(tmp_path: Path, kind: str) -> None:
    nodes, weights = two_layers(kind == "constant nodes")
    path = write_model(
        tmp_path / "m.onnx", nodes, inputs={"x": (4, 32)}, outputs=["y"], weights=weights, external=kind == "external"
    )
    assert (tmp_path / "m.bin").exists() == (kind == "external")
    model = load_model(path)
    assert len(model.graph.operators) == 2
    assert model.graph.weight_bytes == 2 * 32 * 32 * 4
    assert model.graph.source is not None
    assert model.graph.source.has_weights
    inputs = random_inputs(model.graph)
    expected = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, inputs)
    assert_equal(model, ["a", "b"], inputs, expected)


@pytest.mark.slow
def test_a_model_over_two_gigabytes(tmp_path: Path) -> None:
    rows, width = 560_000, 1024
    table = onnx.TensorProto(name="table", dims=(rows, width), data_type=onnx.TensorProto.FLOAT)
    table.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "big.bin"), ("offset", "0"), ("length", str(rows * width * 4))):
        table.external_data.add(key=key, value=value)
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(rows * width * 4)  # sparse: it takes no room on the disk
        file.seek((rows - 1) * width * 4)
        file.write(np.arange(1, width + 1, dtype=np.float32).tobytes())
    nodes = [helper.make_node("Gather", ["table", "x"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "big",
        [helper.make_tensor_value_info("x", onnx.TensorProto.INT64, (2,))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (2, width))],
        [table],
    )
    (tmp_path / "big.onnx").write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    model = load_model(tmp_path / "big.onnx")
    assert model.graph.weight_bytes > 2**31
    inputs = {"x": np.array([0, rows - 1])}
    (found,) = run_segments(model, program_of(model, ["a", "b"]), inputs)
    assert not found[0].any()
    assert (found[1] == np.arange(1, width + 1)).all()


def test_given_weights_that_do_not_fit_are_refused() -> None:
    model = zoo_model("toy_chain")
    with pytest.raises(GraphError) as refused:
        model.with_weights({"nothing": np.zeros(1, np.float32)})
    assert str(refused.value) == (
        "a weight has the name of an initializer, and 'nothing' is none of 'toy_chain'; give one that its graph lists"
    )
    name = min(name for name, proto in model.initializers.items() if len(proto.dims) == 4)
    shape = tuple(model.initializers[name].dims)
    with pytest.raises(GraphError) as refused:
        model.with_weights({name: np.zeros((1, 2), np.int8)})
    assert str(refused.value) == f"weight {name!r} is float32 {shape}, got int8 (1, 2); convert it"
