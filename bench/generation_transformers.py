"""The other side of bench/generation.py: transformers continuing prompts, one thread, eager, float32.

    python bench/generation_transformers.py FILE.gguf

Takes {"prompt": tokens, "most": count} and tells the tokens that follow and when each came.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import transformers


class Clock:
    """Notes when each token comes; a streamer of transformers."""

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def put(self, _: Any) -> None:
        self.times_s.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is left to note."""


def main(path: Path) -> None:
    """Answer prompts until there are no more."""
    torch.set_num_threads(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    print(json.dumps({"version": transformers.__version__}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        clock, count = Clock(), asked["most"]
        options = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False, "pad_token_id": 0}
        with torch.inference_mode():
            made = model.generate(torch.tensor([asked["prompt"]]), streamer=clock, eos_token_id=None, **options)
        tokens = made[0, len(asked["prompt"]) :].tolist()
        # The prompt itself is put first.
        print(json.dumps({"tokens": tokens, "times_s": clock.times_s[1:]}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
