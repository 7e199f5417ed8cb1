"""Decoders as three exporters write them: the same texts as transformers, and refusals where something differs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from hocket.errors import FormatError
from hocket.language.generate import generate
from hocket.language.live import is_language_model, read_language_model
from hocket.language.onnx_decoder import load_exported_decoder
from hocket.language.onnx_decoder_check import compare, probe, scores_of_export
from hocket.language.onnx_decoder_constants import rounded_of, rounded_table_of
from hocket.language.session import DecoderSession
from hocket.program import ABSENT

EXPORTS = Path(__file__).parent / "exports"
FOLDERS = sorted(path.name for path in EXPORTS.iterdir() if path.is_dir())
CLUSTER = """format = "hocket.cluster/1"
[[node]]
name = "a"
speed = "1 GFLOP/s"
"""


@pytest.fixture
def copied(tmp_path: Path) -> Callable[..., Path]:
    """A folder's copy, with other settings."""

    def copy(name: str, **changes: Any) -> Path:
        folder = tmp_path / name
        shutil.copytree(EXPORTS / name, folder)
        settings = folder / "config.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), **changes}))
        return folder

    return copy


def changed(folder: Path, change: Callable[[onnx.GraphProto], None]) -> Path:
    """The folder with another graph."""
    path = next(folder.rglob("model.onnx"))
    proto = onnx.load(str(path), load_external_data=False)
    change(proto.graph)
    path.write_bytes(proto.SerializeToString())
    return folder


def test_every_exporter_is_here() -> None:
    assert {name.split("_")[0] for name in FOLDERS} == {"optimum", "dynamo", "genai"}
    assert {name.split("_")[1] for name in FOLDERS} == {"llama", "qwen2", "gpt2"}


@pytest.mark.parametrize("name", FOLDERS)
def test_greedy_texts_are_those_of_the_model_that_was_exported(name: str) -> None:
    expected = json.loads((EXPORTS / name / "expected.json").read_text())
    assert is_language_model(str(EXPORTS / name))
    model = read_language_model(str(EXPORTS / name))
    assert model.config.tied == (not name.endswith("llama"))
    found = list(generate(DecoderSession(model), expected["prompt"], most=len(expected["tokens"])))
    assert found == expected["tokens"]


def test_one_model_by_two_exporters_has_the_same_weights() -> None:
    for one, other in (("dynamo_llama", "genai_llama"), ("dynamo_gpt2", "optimum_gpt2")):
        first, second = (load_exported_decoder(EXPORTS / name).weights for name in (one, other))
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[key], second[key]) for key in first)


def test_the_tokenizer_of_the_folder_is_used() -> None:
    model = read_language_model(str(EXPORTS / "optimum_qwen2"))
    assert model.tokenizer is not None
    assert model.tokenizer.encode("w5 w80 w33") == [5, 80, 33]
    assert list(model.tokenizer.ends) == [2]
    assert read_language_model(str(EXPORTS / "dynamo_llama")).tokenizer is None


def test_weights_are_stored_as_asked() -> None:
    model = read_language_model(str(EXPORTS / "genai_llama"), "int8")
    assert model.weights["block.1.down.packed"].dtype == np.uint8
    assert model.config.precision == "int8"


def test_safetensors_are_read_if_they_are_there(copied: Callable[..., Path]) -> None:
    folder = copied("dynamo_llama")
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(FormatError, match="not a whole safetensors file"):
        read_language_model(str(folder))


@pytest.mark.cluster
def test_a_text_is_written_over_a_node_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from hocket.cli import main

    (tmp_path / "one.toml").write_text(CLUSTER)
    expected = json.loads((EXPORTS / "dynamo_llama" / "expected.json").read_text())["tokens"]
    words = ["generate", EXPORTS / "dynamo_llama", tmp_path / "one.toml", "--prompt", "5 80 33", "--max-tokens", 12]
    monkeypatch.setattr("sys.argv", ["hocket", *map(str, words)])
    try:
        main()
    except SystemExit as stop:
        assert not stop.code
    assert [int(word) for word in capsys.readouterr().out.split()] == expected


def refusal(folder: Path) -> str:
    """The one sentence with which a folder is refused."""
    with pytest.raises(FormatError) as caught:
        read_language_model(str(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "telling"),
    [
        ({"num_hidden_layers": 3}, "3 layers, and weights of 2 were found"),
        ({"num_hidden_layers": 1}, "1 layers, and weights of 2 were found"),
        ({"vocab_size": 89}, "the configuration makes 'token_embedding.weight'"),
        ({"intermediate_size": 25}, "the configuration makes 'block.0.up.weight'"),
        ({"num_key_value_heads": 4}, "are 192 wide together"),
        ({"rope_parameters": {"rope_theta": 5e4, "rope_type": "default"}}, "the same scores"),
        ({"rope_parameters": {"rope_theta": 1e4, "rope_type": "linear", "factor": 1.1}}, "the same scores"),
        ({"rms_norm_eps": 1e-2}, "the same scores"),
        ({"head_dim": 32, "num_attention_heads": 2, "num_key_value_heads": 1}, "cannot be run"),
        ({"model_type": "mamba"}, "decoders of llama"),
    ],
)
def test_a_configuration_that_is_not_the_graphs_is_refused(
    copied: Callable[..., Path], changes: dict[str, Any], telling: str
) -> None:
    assert telling in refusal(copied("genai_llama", **changes))


def test_a_graph_that_computes_something_else_is_refused(copied: Callable[..., Path]) -> None:
    def rescale(graph: onnx.GraphProto) -> None:
        node = next(node for node in graph.node if node.op_type == "GroupQueryAttention")
        next(attribute for attribute in node.attribute if attribute.name == "scale").f *= 1.1

    assert "the same scores" in refusal(changed(copied("genai_llama"), rescale))


@pytest.mark.parametrize("weight", ["token_embedding.weight", "block.1.query.weight", "block.0.mlp_norm.weight"])
def test_an_altered_weight_is_noticed(weight: str) -> None:
    path = EXPORTS / "dynamo_llama" / "model.onnx"
    model = load_exported_decoder(path.parent)
    tokens = probe(model.config)
    expected = scores_of_export(ir.load(path), model.config, tokens)
    compare(path, model, tokens, expected)
    value = model.weights[weight].copy()
    value[tokens[3] if weight.startswith("token") else 3] *= 1.2
    altered = type(model)(model.config, {**model.weights, weight: value})
    with pytest.raises(FormatError, match="the same scores"):
        compare(path, altered, tokens, expected)
    with pytest.raises(FormatError, match="the same scores"):
        compare(path, model, tokens, np.full_like(expected, np.nan))


def test_scores_of_half_precision_may_differ_more() -> None:
    path = EXPORTS / "dynamo_llama" / "model.onnx"
    model = load_exported_decoder(path.parent)
    tokens = probe(model.config)
    blurred = scores_of_export(ir.load(path), model.config, tokens) * np.float32(1.01)
    compare(path, model, tokens, blurred.astype(np.float16))
    with pytest.raises(FormatError, match="the same scores"):
        compare(path, model, tokens, blurred)


def test_a_weight_that_is_not_found_is_named(copied: Callable[..., Path]) -> None:
    def forget(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            if node.name == "/model/layers.1/mlp/up_proj/MatMul":
                node.name = ""

    telling = "none that is the 'up' of layer 1; export"
    assert telling in refusal(changed(copied("optimum_qwen2"), forget))


def test_scores_of_another_shape_are_refused() -> None:
    path = EXPORTS / "dynamo_llama" / "model.onnx"
    config = load_exported_decoder(path.parent).config.replace(vocabulary=60)
    with pytest.raises(FormatError, match=r"\[1, 24, 60\] by config.json, and the graph gives \[1, 24, 88\]"):
        scores_of_export(ir.load(path), config, probe(config))


def test_broken_files_are_refused(copied: Callable[..., Path]) -> None:
    folder = copied("genai_llama")
    data, graph, settings = (folder / name for name in ("model.onnx.data", "model.onnx", "config.json"))
    whole = data.read_bytes()
    for length in (0, 100, len(whole) - 1):
        data.write_bytes(whole[:length])
        assert "export the model again" in refusal(folder)
    data.unlink()
    assert "export the model again" in refusal(folder)
    data.write_bytes(whole)
    whole = graph.read_bytes()
    for length in (0, 7, len(whole) // 2):
        graph.write_bytes(whole[:length])
        assert "export the model again" in refusal(folder)
    settings.unlink()
    assert "copy it there" in refusal(folder)


@pytest.mark.parametrize("place", ["../secret.data", "/etc/hostname", "link.data", "onnx/../../secret.data", ABSENT])
def test_data_outside_of_the_folder_are_not_read(
    copied: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = copied("genai_llama")
    shutil.copy(folder / "model.onnx.data", tmp_path / "secret.data")
    (folder / "link.data").symlink_to(tmp_path / "secret.data")

    def move(graph: onnx.GraphProto) -> None:
        for tensor in graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = place

    assert "export the model again" in refusal(changed(folder, move))
    monkeypatch.chdir(folder)
    assert "export the model again" in refusal(Path())


def test_foreign_operators_are_not_run(copied: Callable[..., Path]) -> None:
    def replace(graph: onnx.GraphProto) -> None:
        next(node for node in graph.node if node.op_type == "GroupQueryAttention").domain = "evil"

    assert "cannot be run" in refusal(changed(copied("genai_llama"), replace))


def test_a_graph_with_other_inputs_is_refused(copied: Callable[..., Path]) -> None:
    def add(graph: onnx.GraphProto) -> None:
        graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3]))

    assert "this one 'pixels'" in refusal(changed(copied("dynamo_llama"), add))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zeros", [False, True])
def test_rounded_matrices_are_what_their_operators_make_of_them(bits: int, zeros: bool) -> None:
    random = np.random.default_rng(bits)
    outputs, inputs, block = 6, 40, 32  # the second block of a row is not full
    given = {
        "packed": random.integers(0, 256, (outputs, 2, block * bits // 8), np.uint8),
        "scales": random.random((outputs, 2), np.float32),
    }
    if zeros:
        given["zeros"] = random.integers(0, 256, (outputs, 2 * bits // 8), np.uint8)
    options = {"bits": bits, "block_size": block}
    node = helper.make_node("MatMulNBits", ["x", *given], ["y"], domain="com.microsoft", K=inputs, N=outputs, **options)
    expected = ran(node, given, np.eye(inputs, dtype=np.float32))  # [inputs, outputs]
    found = rounded_of(first(node, given))
    assert found is not None
    assert np.allclose(found.read(), expected.T, atol=1e-6)

    given["packed"] = given["packed"].reshape(outputs, -1)
    names = ["packed", "x", *list(given)[1:]]
    node = helper.make_node("GatherBlockQuantized", names, ["y"], domain="com.microsoft", quantize_axis=1, **options)
    expected = ran(node, given, np.arange(outputs))
    table = rounded_table_of(first(node, given))
    assert table is not None
    assert np.allclose(table.read(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "telling"),
    [({"bits": 2}, "with 2 bits"), ({"block_size": 0}, "in blocks of 0"), ({"N": 1 << 60}, "cannot be read")],
)
def test_rounding_that_is_not_read_is_refused(more: dict[str, int], telling: str) -> None:
    given = {"packed": np.zeros((6, 2, 16), np.uint8), "scales": np.ones((6, 2), np.float32)}
    options = {"K": 40, "N": 6, "bits": 4, "block_size": 32, **more}
    node = helper.make_node("MatMulNBits", ["x", *given], ["y"], domain="com.microsoft", **options)
    with pytest.raises(FormatError, match=telling):
        rounded_of(first(node, given)).read()  # type: ignore[union-attr]


def proto_of(node: onnx.NodeProto, given: dict[str, np.ndarray], kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """A model of one operator."""
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", kind, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in given.items()],
    )
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def first(node: onnx.NodeProto, given: dict[str, np.ndarray]) -> ir.Node:
    return next(iter(ir.serde.deserialize_model(proto_of(node, given)).graph))


def ran(node: onnx.NodeProto, given: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    session = onnxruntime.InferenceSession(proto_of(node, given, kind).SerializeToString())
    return np.asarray(session.run(None, {"x": x})[0])


def test_a_file_is_not_a_folder() -> None:
    with pytest.raises(FormatError, match=r"given by the folder with its config.json, and .*model.onnx is a file"):
        read_language_model(str(EXPORTS / "dynamo_llama" / "model.onnx"))
