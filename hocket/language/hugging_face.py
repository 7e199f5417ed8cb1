"""Folders as Hugging Face keeps models in: config.json, safetensors, tokenizer.json. PyTorch is not needed."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hocket.errors import FormatError
from hocket.language.config import Config, Precision
from hocket.language.language_model import LanguageModel
from hocket.language.naming import Source, weights_of
from hocket.language.safetensors_folder import Folder
from hocket.language.tokenizer import Tokenizer
from hocket.nouns import decode_json, read_bytes

_FAMILIES = {"llama": "llama", "mistral": "llama", "qwen2": "llama", "gpt2": "gpt2"}
"""model_type -> family of decoders."""
_LLAMA = {
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
_GPT2 = {
    "query": "attn.c_attn",
    "key": "attn.c_attn",
    "value": "attn.c_attn",
    "output": "attn.c_proj",
    "up": "mlp.c_fc",
    "down": "mlp.c_proj",
    "attention_norm": "ln_1",
    "mlp_norm": "ln_2",
}


def load_folder(folder: str | Path, *, precision: Precision = "float32") -> LanguageModel:
    """Read a decoder from a local folder.

    Args:
        folder: with config.json and *.safetensors; tokenizer.json if there is one.
        precision: how matrices are stored from now on.

    Raises:
        FormatError: a file is missing, broken, or of a kind of model that is not read.
        MissingError: the package safetensors is not installed.
    """
    folder = Path(folder)
    fields = decode_json(read_bytes(folder / "config.json"), name=str(folder / "config.json"))
    config = config_of(folder, fields).replace(precision=precision)
    weights = weights_of(config, _Tensors(folder, config))
    return LanguageModel(config=config, weights=weights, tokenizer=tokenizer_of(folder, fields))


def config_of(folder: Path, fields: Mapping[str, Any]) -> Config:
    """The numbers of the decoder whose config.json has these fields.

    Raises:
        FormatError: it is of a kind that is not read, or a field is missing or of no use.
    """
    kind = fields.get("model_type")
    if not isinstance(kind, str) or kind not in _FAMILIES:
        raise FormatError(f"decoders of {', '.join(_FAMILIES)} are read, and {folder} holds {kind!r}; give another")
    taken = _gpt2_fields(fields) if kind == "gpt2" else _llama_fields(folder, fields, kind)
    given = {"format": "hocket.language/1", "name": folder.resolve().name, "family": _FAMILIES[kind], **taken}
    try:
        return msgspec.convert(given, Config)
    except msgspec.ValidationError as error:
        raise FormatError(f"{folder} describes no decoder ({error}); correct its config.json") from None


def _whole(fields: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = fields.get(key)
    value = default if value is None else value
    if not isinstance(value, int) or value < 1:
        raise FormatError(f"{key} is a number of at least 1, and config.json has {value!r}; correct it")
    return value


def _gpt2_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    _only(fields, "activation_function", "gelu_new")
    width, heads = _whole(fields, "n_embd"), _whole(fields, "n_head")
    return {
        "vocabulary": _whole(fields, "vocab_size"),
        "width": width,
        "layers": _whole(fields, "n_layer"),
        "heads": heads,
        "kv_heads": heads,
        "head_size": width // heads,
        "hidden": _whole(fields, "n_inner", 4 * width),
        "context": _whole(fields, "n_positions"),
        "epsilon": fields.get("layer_norm_epsilon", 1e-5),
        "tied": fields.get("tie_word_embeddings", True),
    }


def _llama_fields(folder: Path, fields: Mapping[str, Any], kind: str) -> dict[str, Any]:
    for key, wanted in (("hidden_act", "silu"), ("attention_bias", False), ("mlp_bias", False)):
        _only(fields, key, wanted)
    context = _whole(fields, "max_position_embeddings")
    window = fields.get("sliding_window")
    if kind == "mistral" and isinstance(window, int):
        context = min(context, window)  # within the window, attention is whole
    width, heads = _whole(fields, "hidden_size"), _whole(fields, "num_attention_heads")
    size = _whole(fields, "head_dim", width // heads)
    return {
        "vocabulary": _whole(fields, "vocab_size"),
        "width": width,
        "layers": _whole(fields, "num_hidden_layers"),
        "heads": heads,
        "kv_heads": _whole(fields, "num_key_value_heads", heads),
        "head_size": size,
        "hidden": _whole(fields, "intermediate_size"),
        "context": context,
        "epsilon": fields.get("rms_norm_eps", 1e-6),
        "tied": fields.get("tie_word_embeddings", False),
        "projection_bias": kind == "qwen2",
        "rope": _rope(folder, fields, size),
    }


def _only(fields: Mapping[str, Any], key: str, wanted: Any) -> None:
    if fields.get(key, wanted) != wanted:
        raise FormatError(f"{key} is {wanted!r} in the models that are read, and here {fields[key]!r}; give another")


def _rope(folder: Path, fields: Mapping[str, Any], head_size: int) -> dict[str, Any]:
    scaling = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    if not isinstance(scaling, dict):
        raise FormatError(f"{folder} scales positions by {scaling!r}; correct its config.json")
    base = scaling.get("rope_theta", fields.get("rope_theta", 10000.0))
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    try:
        if kind == "linear":
            return {"base": base, "factor": scaling["factor"]}
        if kind == "llama3":
            return {"base": base, "divisors": llama3_divisors(float(base), head_size, scaling)}
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise FormatError(f"{folder} scales positions without a usable {error}; correct its config.json") from None
    if kind != "default":
        raise FormatError(
            f"positions are scaled as default, linear or llama3, and {folder} says {kind!r}; give another"
        )
    return {"base": base}


def llama3_divisors(base: float, head_size: int, scaling: Mapping[str, Any]) -> list[float]:
    """How much LLaMA 3.1 slows down each pair: the fast ones not, the slow ones by `factor`, between them a mixture.

    Args:
        base: of the rotation.
        head_size: twice the number of pairs.
        scaling: factor, low_freq_factor, high_freq_factor, original_max_position_embeddings.
    """
    factor, context = float(scaling["factor"]), float(scaling["original_max_position_embeddings"])
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    divisors = []
    for pair in range(head_size // 2):
        turns = context / (2 * math.pi * base ** (2 * pair / head_size))  # in the original context
        share = min(max((turns - low) / (high - low), 0.0), 1.0)
        divisors.append(1 / ((1 - share) / factor + share))
    return divisors


class _Tensors(Source):
    """Weights by the names of the builder, float32."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = Folder(folder)
        self._config = config
        self._front = "transformer." if "transformer.wte.weight" in self._folder else ""

    def matrix(self, name: str) -> np.ndarray:
        """[outputs, inputs]."""
        tables = {
            "llama": {"token_embedding": "model.embed_tokens", "head": "lm_head"},
            "gpt2": {"token_embedding": f"{self._front}wte", "head": "lm_head"},
        }[self._config.family]
        if name in tables:
            return self._folder.read(f"{tables[name]}.weight")
        value = self._of_layer(name, "weight")
        return value.T if self._config.family == "gpt2" else value  # GPT-2 has the inputs as rows

    def vector(self, name: str) -> np.ndarray:
        """A scale, a bias, or the table of positions."""
        owner, _, suffix = name.rpartition(".")
        if owner == "position_embedding":
            return self._folder.read(f"{self._front}wpe.weight")
        if owner == "norm":
            return self._folder.read(
                f"model.norm.{suffix}" if self._config.family == "llama" else f"{self._front}ln_f.{suffix}"
            )
        return self._of_layer(owner, suffix)

    def _of_layer(self, owner: str, suffix: str) -> np.ndarray:
        _, layer, part = owner.split(".")
        if self._config.family == "llama":
            return self._folder.read(f"model.layers.{layer}.{_LLAMA[part]}.{suffix}")
        value = self._folder.read(f"{self._front}h.{layer}.{_GPT2[part]}.{suffix}")
        if part in ("query", "key", "value"):
            place, width = ("query", "key", "value").index(part), self._config.width
            return value[..., place * width : (place + 1) * width]
        return value


def tokenizer_of(folder: Path, fields: Mapping[str, Any]) -> Tokenizer | None:
    """That of a folder; None = it has none.

    Raises:
        FormatError: its files are broken.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    try:
        rules = read_bytes(path).decode()
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not UTF-8; fetch it again") from None
    settings = _settings(folder / "tokenizer_config.json")
    template = folder / "chat_template.jinja"
    text = read_bytes(template).decode(errors="replace") if template.is_file() else settings.get("chat_template")
    plain = Tokenizer(rules)
    end = settings.get("eos_token")
    named = plain.number(end.get("content", "") if isinstance(end, dict) else str(end or ""))
    ends = {named} if named is not None else set()
    for source in (_settings(folder / "generation_config.json"), fields):
        listed = source.get("eos_token_id")
        ends |= {number for number in (listed if isinstance(listed, list) else [listed]) if isinstance(number, int)}
    begin = settings.get("bos_token")
    first = plain.number(begin.get("content", "") if isinstance(begin, dict) else str(begin or ""))
    return Tokenizer(
        rules,
        begin=first if settings.get("add_bos_token") is True else None,
        ends=sorted(ends),
        chat_template=text if isinstance(text, str) else "",
    )


def _settings(path: Path) -> Mapping[str, Any]:
    return decode_json(read_bytes(path), name=str(path)) if path.is_file() else {}
