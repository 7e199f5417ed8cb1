"""GGUF files: what a converter writes is read back; what is broken is refused in one sentence."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from language_models import reference_logits

from hocket.errors import FormatError, HocketError
from hocket.language.config import PRESETS, Config, Rope
from hocket.language.gguf_file import load_gguf
from hocket.language.language_model import LanguageModel
from hocket.language.session import DecoderSession

TOKENS = [3, 17, 90, 4, 4, 61, 25, 8]
PARTS = {
    "query": "attn_q", "key": "attn_k", "value": "attn_v", "output": "attn_output", "gate": "ffn_gate", "up": "ffn_up",
    "down": "ffn_down", "attention_norm": "attn_norm", "mlp_norm": "ffn_norm",
}  # fmt: skip
TEMPLATE = "{% for message in messages %}<s>{{ message.role }}: {{ message.content }}</s>{% endfor %}<s>"


def interleaved(value: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys as llama.cpp's converter orders them: the two numbers of a pair next to each other."""
    return value.reshape(heads, 2, -1, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)


def named(config: Config, weights: dict[str, np.ndarray], *, turn: bool) -> dict[str, np.ndarray]:
    """The weights by GGUF's names, outputs as rows."""
    made = {}
    for name, value in weights.items():
        owner, _, suffix = name.rpartition(".")
        whole = {
            "token_embedding": "token_embd",
            "position_embedding": "position_embd",
            "norm": "output_norm",
            "head": "output",
        }
        if owner in whole:
            made[f"{whole[owner]}.{suffix}"] = value
            continue
        _, layer, part = owner.split(".")
        value = value.T if value.ndim == 2 else value  # noqa: PLW2901
        heads = {"query": config.heads, "key": config.kv_heads}.get(part)
        if turn and heads:
            value = interleaved(value, heads)  # noqa: PLW2901
        made[f"blk.{layer}.{PARTS[part]}.{suffix}"] = np.ascontiguousarray(value)
    if config.family == "gpt2":
        for layer in range(config.layers):
            for suffix in ("weight", "bias"):
                parts = [made.pop(f"blk.{layer}.attn_{letter}.{suffix}") for letter in "qkv"]
                made[f"blk.{layer}.attn_qkv.{suffix}"] = np.concatenate(parts)
    return made


def written(
    path: Path,
    config: Config,
    *,
    kind: str = "llama",
    fields: dict[str, Any] | None = None,
    change: Callable[[dict[str, np.ndarray]], None] = lambda tensors: None,
) -> tuple[Path, dict[str, np.ndarray]]:
    """A file with random weights and a tokenizer of single characters with three merges."""
    weights = dict(LanguageModel(config).with_random_weights().weights)
    writer = gguf.GGUFWriter(path, kind)
    writer.add_name("tiny")
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.hidden)
    writer.add_head_count(config.heads)
    if config.family == "llama":
        writer.add_head_count_kv(config.kv_heads)
        writer.add_layer_norm_rms_eps(config.epsilon)
        writer.add_rope_freq_base(config.rope.base)
    else:
        writer.add_layer_norm_eps(config.epsilon)
    tokens = ["<s>", "</s>", *"abcdefgh:Ġ", "ab", "abc", "Ġa"]
    tokens += [f"<{number}>" for number in range(config.vocabulary - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(["a b", "ab c", "Ġ a"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)
    for key, value in (fields or {}).items():
        if key in writer.kv_data[0]:
            del writer.kv_data[0][key]
        {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32}[type(value)](key, value)
    tensors = named(config, weights, turn=kind == "llama")
    change(tensors)
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, weights


CONFIGS = {
    "llama": PRESETS["tiny_llama"].replace(rope=Rope(base=5000.0)),
    "qwen2": PRESETS["tiny_llama"].replace(projection_bias=True, tied=False),
    "gpt2": PRESETS["tiny_gpt2"],
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_weights_and_numbers_are_those_that_were_written(tmp_path: Path, kind: str) -> None:
    config = CONFIGS[kind]
    path, weights = written(tmp_path / "tiny.gguf", config, kind=kind)
    model = load_gguf(path)
    assert model.config.replace(epsilon=config.epsilon) == config.replace(name="tiny")
    assert model.config.epsilon == pytest.approx(config.epsilon, rel=1e-6)
    assert model.weights.keys() == weights.keys()
    assert all(np.array_equal(model.weights[name], value) for name, value in weights.items())
    expected = reference_logits(config, weights, TOKENS)
    found = DecoderSession(model, capacity=8).read(TOKENS)
    assert np.abs(found - expected[-1]).max() <= 1e-5 * np.abs(expected).max()


def test_scaled_positions_are_read(tmp_path: Path) -> None:
    divisors = np.arange(1, 9, dtype=np.float32)

    def add(tensors: dict[str, np.ndarray]) -> None:
        tensors["rope_freqs.weight"] = divisors

    fields = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    path, _ = written(tmp_path / "tiny.gguf", CONFIGS["llama"], fields=fields, change=add)
    assert load_gguf(path).config.rope == Rope(base=5000.0, factor=4.0, divisors=tuple(map(float, divisors)))


@dataclass
class Turn:
    role: str
    content: str


def test_the_tokenizer_is_that_of_the_file(tmp_path: Path) -> None:
    tokenizer = load_gguf(written(tmp_path / "tiny.gguf", CONFIGS["llama"])[0]).tokenizer
    names = {name: tokenizer.number(name) for name in ("<s>", "</s>", "abc", "Ġa", "a", "d")}
    assert tokenizer.encode("abcd a") == [names["<s>"], names["abc"], names["d"], names["Ġa"]]
    assert tokenizer.decode(tokenizer.encode("abcd a")) == "abcd a"
    assert tokenizer.ends == {names["</s>"]}
    assert tokenizer.encode("<s>", special=True) == [names["<s>"]] * 2
    chat = tokenizer.encode_chat([Turn("bad", "abc")])
    assert (chat[0], chat[-1], chat.count(names["<s>"])) == (names["<s>"], names["<s>"], 2)
    with pytest.raises(FormatError, match="contains no special token, and it has '</s>'"):
        tokenizer.encode_chat([Turn("bad", "a</s>")])


def test_integers_stay_close_to_the_floats_that_they_stand_for(tmp_path: Path) -> None:
    path, weights = written(tmp_path / "tiny.gguf", CONFIGS["llama"])
    expected = reference_logits(CONFIGS["llama"], weights, TOKENS)[-1]

    def error(precision: str) -> float:
        found = DecoderSession(load_gguf(path, precision=precision), capacity=8).read(TOKENS)
        return float(np.abs(found - expected).max() / np.abs(expected).max())

    assert error("float16") <= 2e-3
    assert error("int8") <= 0.05
    assert error("int4") <= 0.5


@pytest.mark.parametrize(
    ("fields", "telling"),
    [
        ({"general.architecture": "mamba"}, "GGUF files of llama, qwen2, gpt2 are read"),
        ({"llama.block_count": 3}, "lacks the tensor 'blk.2."),
        ({"llama.block_count": 4_000_000_000}, "describes no decoder"),
        ({"llama.block_count": 10_000_000}, "every layer has weights"),
        ({"llama.block_count": "two"}, "no usable field 'llama.block_count'"),
        ({"llama.attention.head_count": 0}, "describes no decoder"),
        ({"llama.attention.head_count_kv": 3}, "the key-value heads divide the heads"),
        ({"llama.rope.scaling.type": "yarn"}, "their positions as they are or scaled linearly"),
        ({"llama.rope.freq_base": -1.0}, "turns its heads by no number"),
        ({"llama.feed_forward_length": 97}, "the configuration makes"),
        ({"tokenizer.ggml.model": "llama"}, "byte-level tokenizers ('gpt2') are read"),
        ({"tokenizer.ggml.pre": "surprise"}, "this file says 'surprise'"),
        ({"tokenizer.ggml.eos_token_id": 96}, "names 96 as its token 'eos'"),
    ],
)
def test_what_is_not_read_is_refused_in_one_sentence(tmp_path: Path, fields: dict[str, Any], telling: str) -> None:
    path, _ = written(tmp_path / "tiny.gguf", CONFIGS["llama"], fields=fields)
    with pytest.raises(FormatError) as caught:
        load_gguf(path)
    assert telling in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape", "telling"),
    [
        ("blk.0.attn_q.weight", (32, 64), "32 rows for 4 heads"),
        ("blk.1.ffn_up.weight", (96, 32), "the configuration makes"),
        ("output_norm.weight", (63,), "the configuration makes 'norm.weight'"),
        ("token_embd.weight", (97, 64), "97 rows for 96"),
    ],
)
def test_tensors_of_other_sizes_are_refused(tmp_path: Path, name: str, shape: tuple[int, ...], telling: str) -> None:
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors[name] = np.zeros(shape, np.float32)

    path, _ = written(tmp_path / "tiny.gguf", CONFIGS["llama"], change=change)
    with pytest.raises(FormatError) as caught:
        load_gguf(path)
    assert telling in str(caught.value)


def test_a_file_that_is_cut_off_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    path, _ = written(tmp_path / "tiny.gguf", CONFIGS["llama"])
    whole = path.read_bytes()
    for length in [0, 3, 4, 8, 23, 24, *range(25, len(whole), 9973), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            load_gguf(path)


def test_bytes_that_lie_are_refused_or_harmless(tmp_path: Path) -> None:
    """Any byte of the header may be wrong; a length may be huge. Nothing but hocket's own errors comes out."""
    path, _ = written(tmp_path / "tiny.gguf", CONFIGS["llama"])
    whole = bytearray(path.read_bytes())
    generator = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(whole)
        place = int(generator.integers(0, 4000))
        broken[place : place + 8] = struct.pack("<Q", int(generator.integers(0, 1 << int(generator.integers(1, 63)))))
        path.write_bytes(broken)
        try:
            load_gguf(path)
        except HocketError as error:
            assert "\n" not in str(error), error


def test_a_length_beyond_the_file_is_no_endless_loop(tmp_path: Path) -> None:
    name = b"general.architecture"
    header = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", len(name)) + name
    endless = header + struct.pack("<IIQ", 9, 0, 1 << 62)  # an array of bytes
    path = tmp_path / "tiny.gguf"
    path.write_bytes(endless)
    with pytest.raises(FormatError, match="is not a whole GGUF file"):
        load_gguf(path)
    path.write_text("hello")
    with pytest.raises(FormatError, match="is not a whole GGUF file"):
        load_gguf(path)
    with pytest.raises(FormatError, match="cannot be read"):
        load_gguf(tmp_path / "absent.gguf")
