"""Run the benchmarks named on the command line, or all of them, and write their sections of bench/results.md."""

import importlib
import sys
import time

from bench.table import show, write

ALL = (
    "solvers", "methods", "runtime", "cutting", "prediction", "splitting", "deciding", "shaped", "memory",
    "architectures", "failing", "surviving", "guarding", "following", "generation", "language", "pipelining",
    "remote_layers",
)  # fmt: skip
"""All but `soaking`, which takes half an hour."""


def main(names: list[str]) -> None:
    for name in names or ALL:
        start = time.perf_counter()
        rows = importlib.import_module(f"bench.{name}").rows()
        print(f"\n{name}\n{show(rows)}\nwrote {write(name, rows, time.perf_counter() - start)}", flush=True)


main(sys.argv[1:])
