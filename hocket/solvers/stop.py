"""When an iterative solver stops: after a time, after a number of iterations, or when nothing gets better."""

import time
from dataclasses import dataclass, field
from typing import Protocol


class Stop(Protocol):
    """Asked once per iteration with the best value so far; True = stop now."""

    def __call__(self, best: float) -> bool: ...


@dataclass(slots=True)
class MaxRuntime:
    """Stop after a number of seconds, counted from the first question."""

    seconds: float
    _until: float | None = field(default=None, init=False)

    def __call__(self, best: float) -> bool:  # noqa: ARG002
        now = time.monotonic()
        if self._until is None:
            self._until = now + self.seconds
        return now >= self._until


@dataclass(slots=True)
class MaxIterations:
    """Stop after a number of iterations; no result then depends on the speed of the computer.

    >>> stop = MaxIterations(2)
    >>> [stop(1.0), stop(1.0), stop(1.0)]
    [False, False, True]
    """

    iterations: int
    _done: int = field(default=0, init=False)

    def __call__(self, best: float) -> bool:  # noqa: ARG002
        self._done += 1
        return self._done > self.iterations


@dataclass(slots=True)
class NoImprovement:
    """Stop after a number of iterations in a row without a better value.

    >>> stop = NoImprovement(1)
    >>> [stop(3.0), stop(2.0), stop(2.0)]
    [False, False, True]
    """

    iterations: int
    _best: float = field(default=float("inf"), init=False)
    _since: int = field(default=0, init=False)

    def __call__(self, best: float) -> bool:
        self._since = 0 if best < self._best else self._since + 1
        self._best = min(self._best, best)
        return self._since >= self.iterations
