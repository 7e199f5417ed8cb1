"""The rules of byte-level BPE tokenizers from a vocabulary and its merges, as GGUF files hold them.

A tokenizer cuts a text into words by a pattern, writes their bytes as characters, and merges pairs (Sennrich et al.
2016, arXiv:1508.07909; byte level: Radford et al. 2019). GGUF names the pattern and leaves the rest to the reader.
"""

import json
from collections.abc import Sequence

from hocket.errors import FormatError

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_MODERN = (
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)  # fmt: skip
_PLAIN = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_BYTES = {**_PLAIN, "use_regex": False}


def _split(pattern: str) -> list[dict[str, object]]:
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return [cut, _BYTES]


_DIGITS = {"type": "Digits", "individual_digits": True}
_WORDS: dict[str, list[dict[str, object]]] = {
    "default": [_PLAIN],
    "gpt-2": [_PLAIN],
    "smollm": [_DIGITS, _PLAIN],
    "llama-bpe": _split(_MODERN % "{1,3}"),
    "qwen2": _split(_MODERN % ""),
}
"""Name of the pattern in GGUF -> how words are found."""
_CONTROL, _USER = 3, 4  # types of tokens in GGUF


def byte_level_rules(tokens: Sequence[str], merges: Sequence[str], kinds: Sequence[int], pattern: str) -> str:
    """The text of a tokenizer.json.

    Args:
        tokens: by number.
        merges: pairs with a space between, the first merge first.
        kinds: GGUF's type of each token; control tokens are special. May be empty.
        pattern: GGUF's name of how words are found.

    Raises:
        FormatError: an unknown pattern, a token twice, or merges of what is no token.
    """
    if pattern not in _WORDS:
        raise FormatError(
            f"words are found as one of {', '.join(_WORDS)} does, and this file says {pattern[:40]!r}; give the model"
            " as a folder with a tokenizer.json"
        )
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if len(vocabulary) < len(tokens):
        raise FormatError(f"tokens are unique, and {len(tokens) - len(vocabulary)} appear again; give another file")
    pairs = [merge.split(" ") for merge in merges]
    for pair in pairs:
        if len(pair) != 2 or any(part not in vocabulary for part in (*pair, "".join(pair))):
            raise FormatError(f"a merge makes a token of two, and {' '.join(pair)[:80]!r} does not; give another file")
    added = [
        {
            "id": number,
            "content": tokens[number],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind == _CONTROL,
        }
        for number, kind in enumerate(kinds[: len(tokens)])
        if kind in (_CONTROL, _USER) and tokens[number]
    ]
    rules = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": _WORDS[pattern]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": pairs, "ignore_merges": pattern == "llama-bpe"},
    }
    return json.dumps(rules, ensure_ascii=False)
