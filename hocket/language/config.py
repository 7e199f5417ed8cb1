"""What a decoder is like: the numbers from which its graph follows."""

from typing import Annotated, Literal

import msgspec

from hocket.errors import FormatError
from hocket.nouns import Noun, Value

Family = Literal["llama", "gpt2"]
Precision = Literal["float32", "float16", "int8", "int4"]
Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Rope(Value, frozen=True):
    """Rotary position embedding (Su et al. 2021, arXiv:2104.09864).

    Pair i of a head turns by position * base^(-2 i / head size) / (factor * divisors[i]).
    """

    base: Positive = 10000.0
    factor: Positive = 1.0
    """Linear interpolation of positions (Chen et al. 2023, arXiv:2306.15595)."""
    divisors: tuple[Positive, ...] = ()
    """One for each pair; () = all 1. LLaMA 3.1 slows down the slow pairs by it."""


class Config(Noun, frozen=True, tag="hocket.language/1"):
    """The numbers of a decoder.

    Raises:
        FormatError: sizes that contradict each other.
    """

    name: str
    family: Family
    """llama: RMSNorm, rotary positions, gated MLP. gpt2: LayerNorm, learned positions, GELU, biases everywhere."""
    vocabulary: Count
    width: Count
    """Length of the vector that stands for a token."""
    layers: Count
    heads: Count
    kv_heads: Count
    """Heads of keys and values; each is shared by heads / kv_heads query heads."""
    head_size: Count
    hidden: Count
    """Units of an MLP."""
    context: Count
    """Most tokens of prompt and continuation together."""
    tied: bool = True
    """The last product uses the embedding's table."""
    epsilon: Positive = 1e-5
    rope: Rope = Rope()
    """Of the llama family."""
    projection_bias: bool = False
    """Queries, keys and values have a bias (Qwen2); always so in the gpt2 family."""
    precision: Precision = "float32"
    """How the matrices are stored. Computing is in float32, but for the products of int8 and int4 matrices."""
    block_size: Literal[16, 32, 64, 128, 256] = 32
    """Numbers that share a scale in int8 and int4 matrices."""

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise FormatError(
                f"the key-value heads divide the heads, and {self.name!r} has {self.kv_heads} and {self.heads};"
                " correct its configuration"
            )
        if self.family == "llama" and (self.head_size % 16 or len(self.rope.divisors) not in (0, self.head_size // 2)):
            raise FormatError(
                f"a head that turns has a multiple of 16 numbers (as ONNX Runtime wants it), and a divisor for each"
                f" pair or none, and {self.name!r} has {self.head_size} and {len(self.rope.divisors)}; give another"
            )
        if self.family == "gpt2" and self.kv_heads != self.heads:
            raise FormatError(
                f"every head of GPT-2 has its own keys, and {self.name!r} has {self.kv_heads} for {self.heads};"
                " correct its configuration"
            )

    @property
    def query_width(self) -> int:
        """Length of all queries of a token."""
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        """Length of all keys of a token."""
        return self.kv_heads * self.head_size

    def cache_bytes(self, tokens: int, *, batch: int = 1) -> int:
        """Bytes of all keys and values of so many tokens.

        >>> PRESETS["llama2_7b"].cache_bytes(1)
        1048576
        """
        return 2 * 4 * self.layers * self.kv_width * tokens * batch


def _llama(name: str, width: int, layers: int, heads: int, hidden: int, **more: object) -> Config:
    given = {"kv_heads": heads, "vocabulary": 32000, "context": 4096, "tied": False, **more}
    return msgspec.convert(
        {
            "format": "hocket.language/1",
            "name": name,
            "family": "llama",
            "width": width,
            "layers": layers,
            "heads": heads,
            "head_size": width // heads,
            "hidden": hidden,
            **given,
        },
        Config,
    )


def _gpt2(name: str, width: int, layers: int, heads: int, vocabulary: int = 50257, context: int = 1024) -> Config:
    return Config(
        name=name,
        family="gpt2",
        vocabulary=vocabulary,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        hidden=4 * width,
        context=context,
    )


PRESETS: dict[str, Config] = {
    config.name: config
    for config in (
        _llama("tiny_llama", 64, 2, 4, 96, kv_heads=2, vocabulary=96, context=64, tied=True),
        _gpt2("tiny_gpt2", 32, 2, 4, vocabulary=96, context=64),
        _llama(
            "smollm2_135m", 576, 30, 9, 1536, kv_heads=3, vocabulary=49152, context=8192, tied=True,
            rope={"base": 100000.0},
        ),
        _gpt2("gpt2", 768, 12, 12),
        _gpt2("gpt2_medium", 1024, 24, 16),
        _llama("llama2_7b", 4096, 32, 32, 11008),
        _llama("llama2_13b", 5120, 40, 40, 13824),
        _llama("llama2_70b", 8192, 80, 64, 28672, kv_heads=8),
    )
}  # fmt: skip
"""Name -> published numbers: LLaMA 2 (arXiv:2307.09288), SmolLM2 (arXiv:2502.02737), GPT-2 (Radford et al. 2019)."""
