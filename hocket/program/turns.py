"""Whose turn it is on a node: the one order of work, for the judge that simulates and the node that computes.

Programs that wait take turns: the one whose turn was longest ago goes first, and before it those that never had one,
by name. Of one program the least of what is ready goes first. So nobody waits for more than one turn of each other
program, however many requests these send and whatever their numbers are.
"""

from collections.abc import Callable
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

    def take_with(self, program: str, wanted: Callable[[Item], bool], most: int) -> list[Item]:
        """Remove and return what goes in the turn that a program has just had: what is ready of it and wanted.

        Args:
            program: whose.
            wanted: whether an item may go with the one that was taken.
            most: items, the first in order.

        >>> turns = Turns[tuple[int, str]]()
        >>> for number in (1, 2, 3, 4, 5):
        ...     turns.put("a", (number, "odd" if number % 2 else "even"))
        >>> turns.take(), turns.take_with("a", lambda item: item[1] == "odd", 1), turns.take()
        ((1, 'odd'), [(3, 'odd')], (2, 'even'))
        """
        found: list[Item] = []
        left: list[Item] = []
        for item in sorted(self._ready.get(program, ())):
            (found if len(found) < most and wanted(item) else left).append(item)
        if found:
            self._ready[program] = left  # in order, so a heap
            if not left:
                self._wait_no_more(program)
        return found

    def forget(self, program: str) -> None:
        """A program has ended: its last turn does not matter any more, and nothing of it is ready."""
        self._served.pop(program, None)
        if self._ready.pop(program, None):
            self._wait_no_more(program)

    def _wait_no_more(self, program: str) -> None:
        self._waiting = [entry for entry in self._waiting if entry[1] != program]
        heapify(self._waiting)
