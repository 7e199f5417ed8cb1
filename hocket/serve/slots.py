"""How many requests may be under way at once."""

import threading
from concurrent.futures import Future
from typing import Any, Self

from hocket.serve.failures import RequestError

_RETRY_S = 1


class Slots:
    """A limited number of requests under way; more are sent away at once.

    Args:
        most: at least 1.
    """

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self._lock = threading.Lock()

    def take(self) -> "Slot":
        """A slot, to be left with `with`.

        Raises:
            RequestError: 429, all are taken.
        """
        with self._lock:
            if self.taken >= self.most:
                raise RequestError(
                    f"{self.most} requests are under way, and this server takes no more; try again in a second",
                    429,
                    headers={"Retry-After": str(_RETRY_S)},
                )
            self.taken += 1
        return Slot(self)

    def release(self) -> None:
        """A slot is free again."""
        with self._lock:
            self.taken -= 1


class Slot:
    """The right to have one request under way. It ends when the request has ended *and* all work that was done for it:
    work that nobody waits for any more still keeps a thread or a node busy."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._left = 1
        self._asked = True
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()

    def leave(self) -> None:
        """The request has ended; more than once is once."""
        with self._lock:
            asked, self._asked = self._asked, False
        if asked:
            self._part(None)

    def hold(self, work: "Future[Any]") -> None:
        """Keep the slot until some work has ended, too."""
        with self._lock:
            self._left += 1
        work.add_done_callback(self._part)

    def _part(self, _: "Future[Any] | None") -> None:
        with self._lock:
            self._left -= 1
            last = not self._left
        if last:
            self._slots.release()
