"""Emulated speed: a slower node, or a share of one, by sleeping in proportion to the CPU time of the work itself."""

import time

from hocket.errors import PlanError

_LEAST_SLEEP_S = 5e-4  # shorter sleeps are mostly the timer's own error; they are added up first
_MOST_CREDIT_S = 2e-3


class Pacer:
    """Makes work that took `c` CPU seconds take `c * slowdown / share` seconds.

    The CPU time is that of the calling thread, not wall time, so that several emulated nodes on few cores do not
    slow each other down twice. ONNX Runtime computes in the calling thread only when it has one thread; with more,
    wall time is all there is.
    """

    def __init__(self, slowdown: float = 1.0, *, share: float = 1.0, threads: int = 1) -> None:
        if not (slowdown >= 1 and 0 < share <= 1):
            raise PlanError(
                f"a pacer needs slowdown >= 1 and 0 < share <= 1, got {slowdown:g} and {share:g}; correct them"
            )
        self.factor = slowdown / share
        self._clock = time.thread_time if threads == 1 else time.monotonic
        self._debt_s = 0.0

    def now_s(self) -> float:
        """The clock that work is charged by."""
        return self._clock()

    def pause(self, since_s: float) -> None:
        """Sleep for the work done since a moment on `now_s`; what a sleep misses or exceeds is carried on."""
        if self.factor == 1.0:
            return
        self._debt_s += (self._clock() - since_s) * (self.factor - 1.0)
        if self._debt_s < _LEAST_SLEEP_S:
            return
        start_s = time.monotonic()
        time.sleep(self._debt_s)
        self._debt_s = max(self._debt_s - (time.monotonic() - start_s), -_MOST_CREDIT_S)
