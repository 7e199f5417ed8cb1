"""Send a million changed frames through the decoder and a node, and look for crashes, slow cases and memory that grows.

python -m tests.runtime.fuzz [--frames 1000000] [--seed 0] [--target decoder --target node ...]

It prints one line of JSON per target and ends with code 1 if there was a fault, or memory grew.
"""

import argparse
import contextlib
import io
import json
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.targets import TARGETS, Target

from hocket.runtime.power import process_usage

_SLOW_S = 0.1
_MOST_GROWTH_BYTES = 32 << 20  # from the middle of a run to its end, when caches and arenas have filled


def main() -> int:
    """Run the targets one after another."""
    parser = argparse.ArgumentParser(prog="python -m tests.runtime.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000, help="for each target")
    parser.add_argument("--seed", type=int, default=0, help="of the generator")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only these")
    options = parser.parse_args()
    bad = False
    for name in options.target or TARGETS:
        report = fuzz(TARGETS[name](), options.frames, options.seed)
        print(json.dumps({"target": name, **report}), flush=True)
        bad = bad or bool(report["faults"]) or report["grown_bytes"] > _MOST_GROWTH_BYTES
    return int(bad)


def fuzz(target: Target, frames: int, seed: int) -> dict[str, object]:
    """One target: how many frames it took, what escaped, how long the slowest took, how much memory grew."""
    random, faults, slow = Random(seed), Counter[str](), Counter[str]()
    start_s, done, rounds, slowest_s, middle_bytes = time.monotonic(), 0, 0, 0.0, 0
    while done < frames:
        if not middle_bytes and done >= frames // 2:
            middle_bytes = process_usage().resident_bytes
        before_s = time.process_time()
        errors = io.StringIO()
        try:
            with contextlib.redirect_stderr(errors):
                done += target.once(random)
        except Exception as error:  # noqa: BLE001 (border: whatever escapes is what is looked for)
            done += 1
            # The node prints what it did not expect and lives on: then that is the trace.
            text = errors.getvalue() or "".join(traceback.format_exception(error))
            faults[_place(text)] += 1
        took_s = time.process_time() - before_s
        slowest_s = max(slowest_s, took_s)
        slow["over 0.1 s"] += took_s > _SLOW_S
        rounds += 1
    target.close()
    return {
        "frames": done,
        "messages": rounds,
        "seconds": round(time.monotonic() - start_s, 1),
        "faults": dict(faults.most_common(40)),
        "slow": slow["over 0.1 s"],
        "slowest_s": round(slowest_s, 3),
        "grown_bytes": process_usage().resident_bytes - middle_bytes,
    }


def _place(text: str) -> str:
    """The last two places of a trace within hocket, and the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    places = [line.partition("hocket/")[2] for line in lines if line.startswith("File") and "hocket/" in line]
    return " < ".join([lines[-1][:160], *(place.replace('", line ', ":") for place in places[:-3:-1])])


if __name__ == "__main__":
    sys.exit(main())
