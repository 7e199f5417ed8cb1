"""Emulated speed: a slower node, or a share of one, by handing results over in proportion to the work's CPU time."""

import time

from hocket.errors import PlanError

LEAST_WAIT_S = 5e-4
"""Shorter waits are mostly the timer's own error; they are added up first."""
_MOST_CREDIT_S = 2e-3


class Pacer:
    """Makes work that took `c` CPU seconds take `c * slowdown` seconds; each program has its own.

    The CPU time is that of the calling thread, not wall time, and what passes between the work's beginning and its end
    counts as part of the whole, so that several emulated nodes on few cores do not slow each other down twice. ONNX
    Runtime computes in the calling thread only when it has one thread; with more, wall time is all there is.
    """

    def __init__(self, slowdown: float = 1.0, *, threads: int = 1) -> None:
        if not slowdown >= 1:
            raise PlanError(f"a pacer needs slowdown >= 1, got {slowdown:g}; correct it")
        self.slowdown = slowdown
        self._clock = time.thread_time if threads == 1 else time.monotonic
        self._owed_s = 0.0

    @property
    def paced(self) -> bool:
        """Whether work takes longer than it does by itself."""
        return self.slowdown > 1.0

    def now_s(self) -> float:
        """The clock that work is charged by."""
        return self._clock()

    def due_s(self, start_s: float, used_s: float) -> float:
        """When work is to end that began at a moment and took some seconds of `now_s`."""
        return start_s + used_s * self.slowdown + self._owed_s

    def ended(self, due_s: float, now_s: float) -> None:
        """Tell when it really ended; what is missing or too much is carried on to the next work."""
        self._owed_s = max(due_s - now_s, -_MOST_CREDIT_S)

    def pause(self, start_s: float, since_s: float) -> None:
        """Sleep until the work is to end that began at `start_s`, which was `since_s` on `now_s`."""
        if not self.paced:
            return
        due_s = self.due_s(start_s, self._clock() - since_s)
        if (left_s := due_s - time.monotonic()) >= LEAST_WAIT_S:
            time.sleep(left_s)
        self.ended(due_s, time.monotonic())
