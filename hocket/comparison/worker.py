"""A process that does rows: one JSON row per line in, a line when its time begins, one JSON record per line out.

python -m hocket.comparison.worker
"""

import os
import sys

import msgspec

from hocket.comparison.rows import Row
from hocket.comparison.work import Desk

READY = b"ready\n"


def main() -> None:
    """Do rows until there are no more."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a solver prints does not get among the answers
    desk = Desk()
    answers.write(READY)
    for line in sys.stdin.buffer:
        row = msgspec.json.decode(line, type=Row)
        record = desk.do(row, lambda: _tell(answers.fileno()))
        answers.write(msgspec.json.encode(record) + b"\n")


def _tell(file: int) -> None:
    os.write(file, READY)


if __name__ == "__main__":
    main()
