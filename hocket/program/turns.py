"""Whose turn it is on a node: the one order of work, for the judge that simulates and the node that computes.

Programs that wait take turns: the one whose turn was longest ago goes first, and before it those that never had one,
by name. Of one program the least of what is ready goes first. So nobody waits for more than one turn of each other
program, however many requests these send and whatever their numbers are.
"""

from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", bound=tuple[Any, ...])


class Turns(Generic[Item]):
    """What is ready, in the order in which it is taken.

    >>> turns = Turns[tuple[int, str]]()
    >>> for program, number in [("a", 3), ("a", 1), ("a", 2), ("b", 9), ("b", 8)]:
    ...     turns.put(program, (number, program))
    >>> [turns.take() for _ in range(5)]
    [(1, 'a'), (8, 'b'), (2, 'a'), (9, 'b'), (3, 'a')]
    """

    def __init__(self) -> None:
        self._ready: dict[str, list[Item]] = {}
        # A program that has something ready stands here once, with the number of its last turn.
        self._waiting: list[tuple[int, str]] = []
        self._served: dict[str, int] = {}
        self._turn = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, program: str, item: Item) -> None:
        """Something of a program is ready."""
        ready = self._ready.setdefault(program, [])
        if not ready:
            heappush(self._waiting, (self._served.get(program, 0), program))
        heappush(ready, item)

    def peek(self) -> Item:
        """What `take` would return."""
        return self._ready[self._waiting[0][1]][0]

    def take(self) -> Item:
        """Remove and return the next; there has to be one."""
        _, program = heappop(self._waiting)
        ready = self._ready[program]
        item = heappop(ready)
        self._turn += 1
        self._served[program] = self._turn
        if ready:
            heappush(self._waiting, (self._turn, program))
        return item

    def forget(self, program: str) -> None:
        """A program has ended: its last turn does not matter any more, and nothing of it is ready."""
        self._served.pop(program, None)
        if self._ready.pop(program, None):
            self._waiting = [entry for entry in self._waiting if entry[1] != program]
            heapify(self._waiting)
