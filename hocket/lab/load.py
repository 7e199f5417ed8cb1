"""`load.py`: something else that a device is busy with, or that takes its memory, for some time."""

import argparse
import time
from collections.abc import Sequence

_SLICE_S = 0.01
_PAGE_BYTES = 4096


def main(arguments: Sequence[str] | None = None) -> None:
    """Be the load."""
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--share", type=float, default=0.0, help="of one processor to keep busy, 0 to 1")
    parser.add_argument("--memory", type=int, default=0, help="bytes to hold")
    options = parser.parse_args(arguments)
    held = bytearray(options.memory)
    held[::_PAGE_BYTES] = bytes([1]) * len(range(0, options.memory, _PAGE_BYTES))  # a page is there once it is written
    end_s = time.monotonic() + options.seconds
    while (now_s := time.monotonic()) < end_s:
        while time.monotonic() < now_s + _SLICE_S * options.share:
            pass
        time.sleep(_SLICE_S * (1 - options.share) if options.share < 1 else 0.0)


if __name__ == "__main__":
    main()
