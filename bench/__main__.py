"""Run the benchmarks named on the command line, or all of them, and write bench/results.md when it was all."""

import importlib
import sys
import time

from bench.table import Row, show, write

ALL = ("solvers", "runtime", "cutting", "prediction", "shaped", "memory", "architectures")


def main(names: list[str]) -> None:
    start = time.perf_counter()
    sections: dict[str, list[Row]] = {}
    for name in names or ALL:
        sections[name] = importlib.import_module(f"bench.{name}").rows()
        print(f"\n{name}\n{show(sections[name])}", flush=True)
    if not names:
        print(f"\nwrote {write(sections, time.perf_counter() - start)}")


main(sys.argv[1:])
