"""GGUF files, the format of llama.cpp: configuration, weights and tokenizer in one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from hocket.errors import FormatError, MissingError
from hocket.language.config import Config, Precision, Rope
from hocket.language.language_model import LanguageModel
from hocket.language.naming import Source, weights_of
from hocket.language.tokenizer import Tokenizer
from hocket.language.tokenizer_rules import byte_level_rules

_MOST_PARTS = 1 << 23
"""Numbers and texts in the header; the largest vocabularies make an eighth of it."""
_ARCHITECTURES = {"llama": "llama", "qwen2": "llama", "gpt2": "gpt2"}
"""Architecture in the file -> family of decoders."""


def load_gguf(path: str | Path, *, precision: Precision = "float32", tokenizer: bool = True) -> LanguageModel:
    """Read a model from a GGUF file; its weights are widened to float32 and stored anew as asked.

    Args:
        path: the file.
        precision: how matrices are stored from now on.
        tokenizer: whether its tokenizer is read too.

    Raises:
        FormatError: not a GGUF file, cut off, or of a kind that is not read; sizes that contradict each other.
        MissingError: the package gguf is not installed.
    """
    path = Path(path)
    file = _File(path, _open(path))
    config = _config(file)
    source = _Tensors(file, config)
    return LanguageModel(
        config=config.replace(precision=precision),
        weights=weights_of(config.replace(precision=precision), source),
        tokenizer=_tokenizer(file, config) if tokenizer else None,
    )


class _File(NamedTuple):
    path: Path
    reader: Any

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """A field of the header.

        Raises:
            FormatError: it is missing and has no default, or of another type.
        """
        field = self.reader.fields.get(key)
        try:
            return msgspec.convert(default if field is None else field.contents(), kind)
        except (ValueError, LookupError, TypeError) as error:  # of msgspec, or of the library at broken bytes
            raise FormatError(
                f"{self.path} has no usable field {key!r} ({error}); give a file that llama.cpp's converter wrote"
            ) from None


def _open(path: Path) -> Any:
    try:
        import gguf
    except ImportError:
        raise MissingError("GGUF files need the package gguf, which is missing; install hocket[language]") from None

    class Reader(gguf.GGUFReader):  # type: ignore[misc]
        """The library's reader, which believes every length that a file tells, kept inside the file."""

        parts = 0
        memory: np.ndarray | None = None

        def _get(self, offset: int, dtype: Any, count: Any = 1, override_order: Any = None) -> Any:
            if self.memory is None:
                self.memory = np.asarray(self.data)  # cutting a plain array is several times faster than a mapped one
            stop = int(offset) + int(count) * np.dtype(dtype).itemsize
            self.parts += 1
            if offset < 0 or stop < offset or stop > self.memory.size:
                raise ValueError("it ends early")
            if self.parts > _MOST_PARTS:
                raise ValueError("its header is too long")
            found = self.memory[int(offset) : stop].view(dtype)
            return found.view(found.dtype.newbyteorder(override_order or self.byte_order))

    try:
        return Reader(path)
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror}); give the path of a GGUF file") from None
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError, AttributeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FormatError(f"{path} is not a whole GGUF file ({reason}); fetch it again") from None


def _config(file: _File) -> Config:
    kind = file.get("general.architecture", str, "")
    if kind not in _ARCHITECTURES:
        raise FormatError(
            f"GGUF files of {', '.join(_ARCHITECTURES)} are read, and {file.path} holds {kind[:40]!r}; give another"
        )
    family = _ARCHITECTURES[kind]
    names = {tensor.name for tensor in file.reader.tensors}
    width = file.get(f"{kind}.embedding_length", int)
    heads = file.get(f"{kind}.attention.head_count", int)
    norm = "layer_norm_rms_epsilon" if family == "llama" else "layer_norm_epsilon"
    size = file.get(f"{kind}.attention.key_length", int, width // heads if heads > 0 else 0)
    fields = {
        "format": "hocket.language/1",
        "name": file.get("general.name", str, file.path.stem)[:200],
        "family": family,
        "vocabulary": _vocabulary(file),
        "width": width,
        "layers": file.get(f"{kind}.block_count", int),
        "heads": heads,
        "kv_heads": file.get(f"{kind}.attention.head_count_kv", int, heads),
        "head_size": size,
        "hidden": file.get(f"{kind}.feed_forward_length", int),
        "context": file.get(f"{kind}.context_length", int),
        "tied": "output.weight" not in names,
        "epsilon": file.get(f"{kind}.attention.{norm}", float),
        "projection_bias": family == "llama" and "blk.0.attn_q.bias" in names,
    }
    if family == "llama":
        fields["rope"] = msgspec.to_builtins(_rope(file, kind, size))
    try:
        config = msgspec.convert(fields, Config)
    except msgspec.ValidationError as error:
        raise FormatError(f"{file.path} describes no decoder ({error}); give another file") from None
    if config.layers > len(names):
        raise FormatError(
            f"every layer has weights, and {file.path} has {len(names)} for {config.layers} layers; fetch it again"
        )
    return config


def _vocabulary(file: _File) -> int:
    for tensor in file.reader.tensors:
        if tensor.name == "token_embd.weight" and len(tensor.shape) == 2:
            return int(tensor.shape[1])
    raise FormatError(f"a decoder has a table of tokens, and {file.path} has no 'token_embd.weight'; fetch it again")


def _rope(file: _File, kind: str, size: int) -> Rope:
    turned = file.get(f"{kind}.rope.dimension_count", int, size)
    scaling = file.get(f"{kind}.rope.scaling.type", str, "none")
    if turned != size or scaling not in ("none", "linear", "llama3"):
        raise FormatError(
            f"whole heads turn, their positions as they are or scaled linearly, and {file.path} turns {turned} of"
            f" {size} with scaling {scaling[:20]!r}; give another file"
        )
    divisors: list[float] = []
    for tensor in file.reader.tensors:
        if tensor.name == "rope_freqs.weight":
            divisors = [float(number) for number in np.asarray(tensor.data, np.float32).reshape(-1)]
    factor = file.get(f"{kind}.rope.scaling.factor", float, 1.0) if scaling == "linear" else 1.0
    try:
        fields = {"base": file.get(f"{kind}.rope.freq_base", float, 10000.0), "factor": factor, "divisors": divisors}
        return msgspec.convert(fields, Rope)
    except msgspec.ValidationError as error:
        raise FormatError(f"{file.path} turns its heads by no number ({error}); give another file") from None


class _Tensors(Source):
    """Weights by the names of the builder, float32."""

    def __init__(self, file: _File, config: Config) -> None:
        self._file = file
        self._config = config
        self._tensors = {tensor.name: tensor for tensor in file.reader.tensors}
        self._turned = file.get("general.architecture", str) == "llama"

    def matrix(self, name: str) -> np.ndarray:
        """[outputs, inputs]."""
        table = {"token_embedding": "token_embd", "head": "output"}
        if name in table:
            return self._read(f"{table[name]}.weight")
        _, layer, part = name.split(".")
        if self._config.family == "gpt2" and part in ("query", "key", "value"):
            return self._fused(layer, part, "weight")
        value = self._read(f"blk.{layer}.{_PARTS[part]}.weight")
        return self._unturned(part, value) if self._turned else value

    def vector(self, name: str) -> np.ndarray:
        """A scale, a bias, or the table of positions."""
        owner, _, suffix = name.rpartition(".")
        if owner in ("norm", "position_embedding"):
            return self._read(f"{'output_norm' if owner == 'norm' else 'position_embd'}.{suffix}")
        _, layer, part = owner.split(".")
        if self._config.family == "gpt2" and part in ("query", "key", "value"):
            return self._fused(layer, part, suffix)
        value = self._read(f"blk.{layer}.{_PARTS[part]}.{suffix}")
        return self._unturned(part, value) if self._turned and suffix == "bias" else value

    def _read(self, name: str) -> np.ndarray:
        import gguf

        tensor = self._tensors.get(name)
        if tensor is None:
            raise FormatError(f"{self._file.path} lacks the tensor {name!r}; fetch it again")
        try:
            value = gguf.dequantize(tensor.data, tensor.tensor_type)
        except (NotImplementedError, ValueError, LookupError) as error:
            raise FormatError(
                f"tensor {name!r} of {self._file.path} cannot be widened ({error}); give another"
            ) from None
        # The file counts axes from the innermost one.
        return np.asarray(value, np.float32).reshape([int(length) for length in reversed(tensor.shape)])

    def _fused(self, layer: str, part: str, suffix: str) -> np.ndarray:
        """A third of GPT-2's common projection."""
        whole = self._read(f"blk.{layer}.attn_qkv.{suffix}")
        place = ("query", "key", "value").index(part)
        width = self._config.width
        return whole[place * width : (place + 1) * width]

    def _unturned(self, part: str, value: np.ndarray) -> np.ndarray:
        """Rows of queries and keys in the order of the first half and the second half of a head.

        llama.cpp's converter puts the two numbers of a pair next to each other.
        """
        count = {"query": self._config.heads, "key": self._config.kv_heads}.get(part)
        if count is None:
            return value
        half = self._config.head_size // 2
        if value.shape[0] != count * half * 2:
            raise FormatError(f"{self._file.path} has {value.shape[0]} rows for {count} heads; fetch it again")
        return value.reshape(count, half, 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)


_PARTS: Mapping[str, str] = {
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "attention_norm": "attn_norm",
    "mlp_norm": "ffn_norm",
}


def _tokenizer(file: _File, config: Config) -> Tokenizer:
    get: Callable[..., Any] = file.get
    model = get("tokenizer.ggml.model", str, "")
    if model != "gpt2":
        raise FormatError(
            f"byte-level tokenizers ('gpt2') are read from GGUF, and {file.path} has {model[:40]!r}; load it without"
            " its tokenizer, or as a folder with a tokenizer.json"
        )
    tokens = get("tokenizer.ggml.tokens", list[str])
    if len(tokens) != config.vocabulary:
        raise FormatError(
            f"the table of tokens has a row for each, and {file.path} has {config.vocabulary} rows for {len(tokens)};"
            " fetch it again"
        )
    rules = byte_level_rules(
        tokens,
        get("tokenizer.ggml.merges", list[str]),
        get("tokenizer.ggml.token_type", list[int], []),
        get("tokenizer.ggml.pre", str, "default"),
    )
    named = {key: get(f"tokenizer.ggml.{key}_token_id", int | None) for key in ("bos", "eos", "eot")}
    for key, number in named.items():
        if number is not None and not 0 <= number < len(tokens):
            raise FormatError(f"{file.path} names {number} as its token {key!r} and has {len(tokens)}; fetch it again")
    return Tokenizer(
        rules,
        begin=named["bos"] if get("tokenizer.ggml.add_bos_token", bool, False) else None,
        ends=[number for key, number in named.items() if key != "bos" and number is not None],
        chat_template=get("tokenizer.chat_template", str, ""),
    )
