"""Comparisons with other runtimes: their processes, which take lines and answer with JSON, and alternating pairs."""

import json
import os
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.table import Row

_PATIENCE_S = 10


class Peer:
    """A script in a Python of its own; a context manager that ends it.

    Args:
        python: the interpreter that has the other runtime.
        script: file name of a script beside this one.
        arguments: of the script.
        cpu: processor that it keeps to; None = any.
        environment: variables set beside those of this process.
    """

    def __init__(
        self,
        python: str,
        script: str,
        arguments: Sequence[str],
        cpu: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._what = script
        self._child = subprocess.Popen(
            [python, str(Path(__file__).parent / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        if cpu is not None and hasattr(os, "sched_setaffinity"):
            # Threads that it makes later keep to the same processor; the interpreter has none of its own yet.
            os.sched_setaffinity(self._child.pid, {cpu})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def tell(self, line: str = "") -> None:
        """Give it a line."""
        if self._child.stdin is not None:
            self._child.stdin.write(f"{line}\n")
            self._child.stdin.flush()

    def answer(self) -> Any:
        """Its next line of JSON; what else a library prints is passed over.

        Raises:
            RuntimeError: it ended.
        """
        for line in self._child.stdout or ():
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{self._what} ended with {self._child.wait(_PATIENCE_S)}; see what it wrote above")

    def close(self) -> None:
        """End it: no more lines, then by force."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            self._child.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


def has(python: str, module: str) -> bool:
    """Whether an interpreter can import a module."""
    try:
        return subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def pairs_of(ours: Callable[[], float], theirs: Callable[[], float], count: int) -> list[tuple[float, float]]:
    """(ours, theirs) of so many pairs, one after the other; who is first changes from pair to pair."""
    found = []
    for pair in range(count):
        if pair % 2:
            later = theirs()
            found.append((ours(), later))
        else:
            found.append((ours(), theirs()))
    return found


def row(figure: str, rates: Sequence[tuple[float, float]], target: float, unit: str, note: str) -> Row:
    """The median ratio of pairs of rates, ours / theirs."""
    quotients = [ours / theirs for ours, theirs in rates]
    value = statistics.median(quotients)
    low, _, high = statistics.quantiles(quotients, n=4)
    medians = [statistics.median(side) for side in zip(*rates, strict=True)]
    how = (
        f"{medians[0]:.3g} against {medians[1]:.3g} {unit}; {len(rates)} alternating pairs,"
        f" quartiles {low:.2f} - {high:.2f}; {note}"
    )
    return Row(figure, value, "x", f">= {target}", value >= target, how)


def skipped(figure: str, target: float, reason: str) -> Row:
    """The row of a comparison whose other side is not here."""
    return Row(figure, float("nan"), "x", f">= {target}", None, f"skipped: {reason}")
