"""Local folders of Hugging Face: the same scores as transformers, and clear refusals."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from language_models import reference_logits
from safetensors.numpy import save_file

from hocket.errors import FormatError, HocketError
from hocket.language.config import PRESETS
from hocket.language.hugging_face import llama3_divisors, load_folder
from hocket.language.language_model import LanguageModel
from hocket.language.safetensors_folder import Folder
from hocket.language.session import DecoderSession

TOKENS = [3, 17, 90, 4, 4, 61, 25, 8]
LLAMA = {
    "model_type": "llama",
    "vocab_size": 96,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}
PARTS = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "mlp_norm": "post_attention_layernorm",
}


def renamed(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of a llama decoder as Hugging Face keeps them."""
    kept = {}
    for name, value in weights.items():
        if name == "token_embedding.weight":
            kept["model.embed_tokens.weight"] = value
        elif name == "norm.weight":
            kept["model.norm.weight"] = value
        else:
            _, layer, part, suffix = name.split(".")
            kept[f"model.layers.{layer}.{PARTS[part]}.{suffix}"] = np.ascontiguousarray(value.T)
    return kept


def written(folder: Path, **changes: Any) -> Path:
    """A folder with a tiny random decoder."""
    weights = LanguageModel(PRESETS["tiny_llama"]).with_random_weights().weights
    save_file(renamed(dict(weights)), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**LLAMA, **changes}))
    return folder


def test_a_folder_gives_the_same_weights_and_scores(tmp_path: Path) -> None:
    model = load_folder(written(tmp_path))
    given = LanguageModel(PRESETS["tiny_llama"]).with_random_weights().weights
    assert all(np.array_equal(model.weights[name], value) for name, value in given.items())
    expected = reference_logits(model.config, model.weights, TOKENS)
    found = DecoderSession(model, capacity=8).read(TOKENS)
    assert np.abs(found - expected[-1]).max() <= 1e-5 * np.abs(expected).max()
    assert model.tokenizer is None


def test_weights_in_several_files_are_read_together(tmp_path: Path) -> None:
    weights = renamed(dict(LanguageModel(PRESETS["tiny_llama"]).with_random_weights().weights))
    names = sorted(weights)
    for number, part in enumerate((names[:5], names[5:])):
        save_file({name: weights[name] for name in part}, tmp_path / f"model-{number}.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert load_folder(tmp_path).weights


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    # bfloat16 is the upper half of a float32: 0x3FC0 is 1.5 and 0xC010 is -2.25.
    data = struct.pack("<Q", len(header)) + header + struct.pack("<HH", 0x3FC0, 0xC010)
    (tmp_path / "model.safetensors").write_bytes(data)
    assert Folder(tmp_path).read("w").tolist() == [1.5, -2.25]


def test_llama_3_slows_down_slow_pairs_alone() -> None:
    scaling = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    divisors = llama3_divisors(500000.0, 128, scaling)
    assert divisors[0] == 1.0
    assert divisors[-1] == pytest.approx(8.0)
    assert divisors == sorted(divisors)


@pytest.mark.parametrize(
    ("changes", "telling"),
    [
        ({"model_type": "mamba"}, "decoders of llama, mistral, qwen2, gpt2 are read"),
        ({"hidden_act": "relu"}, "hidden_act is 'silu'"),
        ({"num_hidden_layers": 3}, "lacks the tensor 'model.layers.2."),
        ({"num_hidden_layers": 10**9}, "describes no decoder"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers is a number"),
        ({"vocab_size": 97}, "the configuration makes 'token_embedding.weight'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2}}, "default, linear or llama3"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "without a usable 'factor'"),
        ({"rms_norm_eps": "small"}, "describes no decoder"),
    ],
)
def test_what_is_not_read_is_refused_in_one_sentence(tmp_path: Path, changes: dict[str, Any], telling: str) -> None:
    with pytest.raises(FormatError) as caught:
        load_folder(written(tmp_path, **changes))
    assert telling in str(caught.value)
    assert "\n" not in str(caught.value)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"config\.json cannot be read"):
        load_folder(tmp_path)
    whole = (written(tmp_path) / "model.safetensors").read_bytes()
    for length in (0, 7, 100, len(whole) // 2):
        (tmp_path / "model.safetensors").write_bytes(whole[:length])
        with pytest.raises(FormatError, match="is not a whole safetensors file"):
            load_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(HocketError, match="lacks the tensor"):
        load_folder(tmp_path)


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["llama", "llama3", "linear", "qwen2", "mistral", "gpt2"])
def test_scores_and_texts_are_those_of_transformers(tmp_path: Path, kind: str) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    shared = {key: value for key, value in LLAMA.items() if key != "model_type"}
    scaled = {
        "llama3": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
        "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    }
    if kind == "gpt2":
        config = transformers.GPT2Config(vocab_size=96, n_embd=64, n_layer=2, n_head=4, n_positions=64)
    elif kind in ("qwen2", "mistral"):
        config = {"qwen2": transformers.Qwen2Config, "mistral": transformers.MistralConfig}[kind](**shared)
    else:
        config = transformers.LlamaConfig(**shared, **({"rope_parameters": scaled[kind]} if kind in scaled else {}))
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():  # biases and scales begin as 0 and 1, which would test nothing
            parameter.add_(0.05 * torch.randn_like(parameter))
        expected = theirs(torch.tensor([TOKENS])).logits[0].numpy()
    theirs.save_pretrained(tmp_path)
    found = DecoderSession(load_folder(tmp_path), capacity=16, logits="all").read(TOKENS)
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()
