"""Tokens per second of one node against transformers (PyTorch, eager, float32), in alternating pairs.

    python bench/generation.py FILE.gguf [THREADS] [PAIRS]

Both continue the same prompt greedily with the same number of threads; the texts must be equal. Needs torch,
transformers and hocket[language].
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from hocket.language import DecoderSession, generate
from hocket.language.gguf_file import load_gguf

PROMPT = "Once upon a time"
TOKENS = 48
PRECISIONS = ("float32", "int8", "int4")


class Clock:
    """Notes when each token comes; a streamer of transformers."""

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def put(self, _: Any) -> None:
        self.times_s.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is left to note."""


def ours(session: DecoderSession, prompt: list[int]) -> tuple[list[int], float]:
    """Tokens, and tokens per second after the first."""
    session.rewind()
    clock, tokens = Clock(), []
    for token in generate(session, prompt, most=TOKENS):
        clock.put(token)
        tokens.append(token)
    return tokens, (TOKENS - 1) / (clock.times_s[-1] - clock.times_s[0])


def theirs(model: Any, prompt: list[int]) -> tuple[list[int], float]:
    """The same of transformers."""
    clock = Clock()
    options = {"max_new_tokens": TOKENS, "min_new_tokens": TOKENS, "do_sample": False, "pad_token_id": 0}
    with torch.inference_mode():
        made = model.generate(torch.tensor([prompt]), streamer=clock, eos_token_id=None, **options)
    # The prompt itself is put first.
    return made[0, len(prompt) :].tolist(), (TOKENS - 1) / (clock.times_s[-1] - clock.times_s[1])


def main(path: Path, threads: int, pairs: int) -> None:
    """Print medians and the ratio of each pair."""
    torch.set_num_threads(threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    whole = load_gguf(path)
    prompt = whole.tokenizer.encode(PROMPT) if whole.tokenizer else []
    models = {precision: load_gguf(path, precision=precision, tokenizer=False) for precision in PRECISIONS}
    sessions = {name: DecoderSession(each, threads=threads, capacity=512) for name, each in models.items()}
    if ours(sessions["float32"], prompt)[0] != theirs(model, prompt)[0]:
        raise SystemExit("the texts differ, so the speeds are not those of the same work")
    ratios: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(pairs):
        base = theirs(model, prompt)[1]
        for name, session in sessions.items():
            ratios[name].append(ours(session, prompt)[1] / base)
    for name, found in ratios.items():
        print(f"{name}: {statistics.median(found):.2f} x transformers ({min(found):.2f} to {max(found):.2f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(text) for text in [*sys.argv[2:4], *["1", "5"][len(sys.argv[2:4]) :]]))
