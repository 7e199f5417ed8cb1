"""One node continuing a text against transformers (PyTorch, eager, float32), tokens per second.

Both continue the same prompt greedily with one thread; the texts of float32 must be equal. `HOCKET_TORCH_PYTHON` names
a Python that has torch, transformers and gguf; absent = this one.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers import Peer, has, pairs_of, row, skipped
from bench.table import Row
from bench.texts import Text, ours, theirs
from hocket.language import DecoderSession
from hocket.language.gguf_file import load_gguf
from hocket.language.language_model import LanguageModel
from hocket.zoo.assets import fetch

PROMPT, TOKENS, PAIRS, CAPACITY = "Once upon a time", 48, 7, 512
PRECISIONS = ("float32", "int8", "int4")
TARGET = 1.5


def rows() -> list[Row]:
    """A row for each precision of our matrices."""
    python, path = os.environ.get("HOCKET_TORCH_PYTHON", sys.executable), fetch("smollm2_135m_instruct")
    if not has(python, "transformers") or not has(python, "gguf"):
        reason = f"{python} has no transformers or no gguf; name a Python that has in HOCKET_TORCH_PYTHON"
        return [skipped(_figure("float32"), TARGET, reason)]
    with Peer(python, "generation_transformers.py", [str(path)]) as peer:
        version = str(peer.answer()["version"])
        return [_compared(precision, path, peer, version) for precision in PRECISIONS]


def _figure(precision: str) -> str:
    return f"SmolLM2 135M, one node, {precision}: tokens/s / transformers float32"


def _compared(precision: str, path: Path, peer: Peer, version: str) -> Row:
    model: LanguageModel = load_gguf(path, precision=precision)
    prompt = model.tokenizer.encode(PROMPT) if model.tokenizer else []
    session = DecoderSession(model, capacity=CAPACITY)
    if precision == "float32" and _ours(session, prompt).tokens != theirs(peer, prompt, TOKENS).tokens:
        raise RuntimeError("the texts differ, so the speeds are not those of the same work")
    rates = pairs_of(
        lambda: _ours(session, prompt).tokens_per_s, lambda: theirs(peer, prompt, TOKENS).tokens_per_s, PAIRS
    )
    note = f"1 thread, {TOKENS} tokens chosen greedily, the first not counted; transformers {version}, eager"
    return row(_figure(precision), rates, TARGET, "tokens/s", note)


def _ours(session: DecoderSession, prompt: Sequence[int]) -> Text:
    session.rewind()
    return ours(session, prompt, TOKENS)
