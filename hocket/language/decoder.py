"""Decoders as ONNX graphs: one operator for each attention, keys and values as inputs and outputs.

    tokens         int64 [batch, sequence]          the new tokens
    last_position  int32 [batch]                    position of the last new token, counted from 0
    total_length   int32 [1]                        tokens so far, the new ones included: last_position + 1
    past_key.i     float32 [batch, kv heads, capacity, head size], past_value.i alike
    logits         float32 [batch, 1 or sequence, vocabulary]
    or candidates  float32 [batch, 2, so many]      scores of the likeliest tokens, then the tokens
    present_key.i, present_value.i                  as past_key.i

The caches are buffers of a fixed capacity, filled from the front: the attention writes the new keys behind the old
ones, in place where past and present are the same memory. All sequences of a batch have the same length. Residual and
normalisation stay two operators, so that one tensor alone crosses between them and a cut is cheap; engines fuse them.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import onnx

from hocket.language.config import Config, Rope
from hocket.language.matrices import linear, lookup, scores
from hocket.language.writer import Dim, Writer

Logits = Literal["last", "all"]
CANDIDATES = "candidates"
"""Name of the output that stands for the logits where only the likeliest tokens have scores."""


class _Build(NamedTuple):
    """What the parts of a graph share."""

    write: Writer
    config: Config
    attend: "Callable[[_Build, int, tuple[str, str, str]], str]"
    positions: str
    """Of the new tokens; "" where the attention finds them itself."""
    tables: tuple[str, ...]
    """Cosines and sines of the rotation; () where positions are learned."""


def decoder(config: Config, *, plain: bool = False, logits: Logits = "last", candidates: int = 0) -> onnx.ModelProto:
    """The graph of a decoder without its weights, its sizes `batch`, `sequence` and `capacity` symbolic.

    Args:
        config: its numbers.
        plain: with operators of the ONNX standard only (operator set 23). The caches then are as long as what they
            hold, `past` before and `total` after, and positions follow from that: no input tells them.
        logits: of the last token alone, or of all new ones.
        candidates: after the last token, only the scores of so many likeliest tokens are an output; 0 = of all.
    """
    write = Writer()
    write.input("tokens", "int64", ("batch", "sequence"))
    if not plain:
        write.input("last_position", "int32", ("batch",))
        write.input("total_length", "int32", (1,))
    for layer in range(config.layers):
        for name in cache_names(layer):
            write.input(f"past_{name}", "float32", _cache(config, "past" if plain else "capacity"))
    attend, place = (_plain_attention, _plain_positions) if plain else (_group_attention, _positions)
    wanted = plain or config.family == "gpt2"
    build = _Build(write, config, attend, place(write) if wanted else "", _tables(write, config))
    _write_layers(build, logits)
    if candidates:
        _write_candidates(write, candidates)
    else:
        write.output("logits", "float32", ("batch", "sequence" if logits == "all" else 1, config.vocabulary))
    for layer in range(config.layers):
        for name in cache_names(layer):
            write.output(f"present_{name}", "float32", _cache(config, "total" if plain else "capacity"))
    return write.model(config.name)


def cache_names(layer: int) -> tuple[str, str]:
    """What follows past_ and present_ in the names of a layer's caches."""
    return f"key.{layer}", f"value.{layer}"


def rope_tables(rope: Rope, head_size: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines, float32 [length, head size / 2] each."""
    pairs = np.arange(head_size // 2)
    turns = rope.base ** (-2 * pairs / head_size) / (rope.factor * np.array(rope.divisors or 1.0))
    angles = np.arange(length)[:, None] * turns
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _cache(config: Config, length: Dim) -> tuple[Dim, ...]:
    return "batch", config.kv_heads, length, config.head_size


def _write_layers(build: _Build, logits: Logits) -> None:
    write, config = build.write, build.config
    x = lookup(write, config, "token_embedding", config.vocabulary, "tokens")
    if config.family == "gpt2":
        table = write.weight("position_embedding.weight", (config.context, config.width))
        x = write.add("embedding", "Add", x, write.add("position_embedding", "Gather", table, build.positions))
    for layer in range(config.layers):
        x = _attention(build, layer, x)
        x = _mlp(build, layer, x)
    x = _norm(build, "norm", x)
    if logits == "last":
        x = write.add("last", "Gather", x, write.constant("minus_one", np.array([-1])), axis=1)
    scores(write, config, x, last=logits == "last")


def _write_candidates(write: Writer, count: int) -> None:
    """The likeliest tokens in one tensor, so that they are one message: numbers of tokens are exact as float32."""
    best = write.add(f"{CANDIDATES}.scores", "TopK", "logits", write.integers(count), more=(f"{CANDIDATES}.found",))
    tokens = write.add(f"{CANDIDATES}.tokens", "Cast", f"{CANDIDATES}.found", to=onnx.TensorProto.FLOAT)
    write.output(write.add(CANDIDATES, "Concat", best, tokens, axis=1), "float32", ("batch", 2, count))


def _attention(build: _Build, layer: int, x: str) -> str:
    write, config = build.write, build.config
    block = f"block.{layer}"
    read = _norm(build, f"{block}.attention_norm", x)
    bias = config.projection_bias or config.family == "gpt2"
    widths = {"query": config.query_width, "key": config.kv_width, "value": config.kv_width}
    query, key, value = (
        linear(write, config, f"{block}.{part}", read, config.width, width, bias=bias) for part, width in widths.items()
    )
    made = build.attend(build, layer, (query, key, value))
    made = linear(
        write, config, f"{block}.output", made, config.query_width, config.width, bias=config.family == "gpt2"
    )
    return write.add(f"{block}.attention_sum", "Add", x, made)


def _mlp(build: _Build, layer: int, x: str) -> str:
    write, config = build.write, build.config
    block, width, hidden = f"block.{layer}", config.width, config.hidden
    read = _norm(build, f"{block}.mlp_norm", x)
    bias = config.family == "gpt2"
    up = linear(write, config, f"{block}.up", read, width, hidden, bias=bias)
    if config.family == "llama":
        gate = linear(write, config, f"{block}.gate", read, width, hidden)
        opened = write.add(f"{block}.open", "Mul", gate, write.add(f"{block}.sigmoid", "Sigmoid", gate))
        made = write.add(f"{block}.hidden", "Mul", opened, up)
    else:
        made = write.add(f"{block}.hidden", "Gelu", up, approximate="tanh")
    made = linear(write, config, f"{block}.down", made, hidden, width, bias=bias)
    return write.add(f"{block}.mlp_sum", "Add", x, made)


def _norm(build: _Build, name: str, x: str) -> str:
    write, config = build.write, build.config
    scale = write.weight(f"{name}.weight", (config.width,))
    if config.family == "llama":
        return write.add(name, "RMSNormalization", x, scale, axis=-1, epsilon=config.epsilon)
    bias = write.weight(f"{name}.bias", (config.width,))
    return write.add(name, "LayerNormalization", x, scale, bias, axis=-1, epsilon=config.epsilon)


def _group_attention(build: _Build, layer: int, projected: tuple[str, str, str]) -> str:
    """GroupQueryAttention of ONNX Runtime: rotation, cache and causal attention in one."""
    write, config = build.write, build.config
    key, value = cache_names(layer)
    return write.add(
        f"block.{layer}.attention",
        "com.microsoft.GroupQueryAttention",
        *projected,
        f"past_{key}",
        f"past_{value}",
        "last_position",
        "total_length",
        *build.tables,
        more=(f"present_{key}", f"present_{value}"),
        num_heads=config.heads,
        kv_num_heads=config.kv_heads,
        do_rotary=int(bool(build.tables)),
    )


def _plain_attention(build: _Build, layer: int, projected: tuple[str, str, str]) -> str:
    write, config = build.write, build.config
    query, key, value = projected
    if build.tables:
        places = *build.tables, build.positions
        query = write.add(f"block.{layer}.turned_query", "RotaryEmbedding", query, *places, num_heads=config.heads)
        key = write.add(f"block.{layer}.turned_key", "RotaryEmbedding", key, *places, num_heads=config.kv_heads)
    past, present = ([f"{side}_{name}" for name in cache_names(layer)] for side in ("past", "present"))
    return write.add(
        f"block.{layer}.attention",
        "Attention",
        *(query, key, value, "", *past),
        more=present,
        q_num_heads=config.heads,
        kv_num_heads=config.kv_heads,
        is_causal=1,
    )


def _tables(write: Writer, config: Config) -> tuple[str, ...]:
    if config.family != "llama":
        return ()
    cosines, sines = rope_tables(config.rope, config.head_size, config.context)
    return write.constant("rope.cosines", cosines), write.constant("rope.sines", sines)


def _length(write: Writer, name: str, of: str, axis: int) -> str:
    """A size as a number of its own."""
    shape = write.add(f"{name}.shape", "Shape", of, start=axis, end=axis + 1)
    return write.add(name, "Squeeze", shape, write.integers(0))


def _positions(write: Writer) -> str:
    """Positions of the new tokens, from that of the last: [batch, sequence]."""
    # Counted from the tokens themselves, not from their shape: a model whose sizes are bound serves other lengths too.
    same = write.add("same", "Equal", "tokens", "tokens")
    ones = write.add("ones", "Cast", same, to=onnx.TensorProto.INT32)
    count = write.add("count", "ReduceSum", ones, write.integers(1))
    until = write.add("until", "CumSum", ones, write.constant("one", np.array(1)))
    offsets = write.add("offsets", "Sub", until, count)
    # [batch] with a row for each token: turned twice, so that it broadcasts along the tokens.
    turned = write.add("offsets.turned", "Transpose", offsets, perm=[1, 0])
    places = write.add("positions.turned", "Add", turned, "last_position")
    return write.add("positions", "Transpose", places, perm=[1, 0])


def _plain_positions(write: Writer) -> str:
    """Positions of the new tokens, from the length of the first cache: [batch, sequence]."""
    past = _length(write, "past", f"past_{cache_names(0)[0]}", 2)
    total = write.add("total", "Add", past, _length(write, "sequence", "tokens", 1))
    row = write.add("positions.row", "Range", past, total, write.constant("one", np.array(1)))
    return write.add("positions", "Expand", row, write.add("tokens.shape", "Shape", "tokens"))
