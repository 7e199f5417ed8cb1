"""The deliveries to some nodes: to each one after another."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from hocket.runtime import wire
from hocket.runtime.delivery import Delivery


class Deliveries:
    """What waits to be brought to each node.

    Args:
        nodes: their names.
        send: queues a message for a node.
        ended: told of a delivery that is over, and why it failed; empty = it did not.
    """

    def __init__(
        self,
        nodes: Iterable[str],
        send: Callable[[str, wire.Message, Sequence[wire.Frame]], None],
        ended: Callable[[Delivery, str], None],
    ) -> None:
        self._send, self._ended = send, ended
        self._waiting: dict[str, deque[Delivery]] = {node: deque() for node in nodes}

    def add(self, delivery: Delivery) -> None:
        """Begin it when those before it have ended."""
        waiting = self._waiting[delivery.node]
        waiting.append(delivery)
        if len(waiting) == 1:
            self._go_on(delivery, None)

    def advance(self, node: str, message: wire.Lack | wire.Stored | wire.Prepared) -> None:
        """A node has answered."""
        if self._waiting[node]:
            self._go_on(self._waiting[node][0], message)

    def give_up(self, node: str, sentence: str) -> None:
        """Nothing can be brought to a node any more."""
        waiting, self._waiting[node] = self._waiting[node], deque()
        for delivery in waiting:
            self._ended(delivery, sentence)

    def withdraw(self, node: str, program: str) -> None:
        """A program is not wanted any more."""
        for delivery in [each for each in self._waiting[node] if each.program == program]:
            self._end(delivery, "it is not wanted any more")

    def _go_on(self, delivery: Delivery, message: wire.Lack | wire.Stored | wire.Prepared | None) -> None:
        """Take the next step of a delivery, and of the next one where it has ended."""
        for content, buffers in delivery.advance(message):
            self._send(delivery.node, content, buffers)
        if delivery.ended:
            self._end(delivery, delivery.sentence)

    def _end(self, delivery: Delivery, sentence: str) -> None:
        waiting = self._waiting[delivery.node]
        waiting.remove(delivery)
        self._ended(delivery, sentence)
        if waiting and not waiting[0].begun:
            self._go_on(waiting[0], None)
