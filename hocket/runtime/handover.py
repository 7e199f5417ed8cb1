"""Messages that an emulated wire has not delivered yet."""

import heapq
import itertools
from collections.abc import Iterator, Sequence

from hocket.errors import FormatError
from hocket.runtime import wire

_MOST = 1 << 16

Carried = wire.Data | wire.Probing
Received = tuple[str, Carried, Sequence[wire.Frame]]
"""Sender, message, buffers."""


class Handover:
    """Keeps messages until the moment when their wire delivers them."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, str, Carried, Sequence[wire.Frame]]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def due_s(self) -> float:
        """When the next one is delivered; infinity = there is none."""
        return self._queue[0][0] if self._queue else float("inf")

    def put(self, sender: str, message: Carried, buffers: Sequence[wire.Frame]) -> None:
        """Keep a message.

        Raises:
            FormatError: there are too many.
        """
        if len(self._queue) >= _MOST:
            raise FormatError(f"{_MOST} messages wait for their emulated wire, the most that may; send fewer")
        heapq.heappush(self._queue, (message.due_s, next(self._numbers), sender, message, buffers))

    def delivered(self, now_s: float) -> Iterator[Received]:
        """Take those whose moment has come."""
        while self._queue and self._queue[0][0] <= now_s:
            yield heapq.heappop(self._queue)[2:]
