"""A crew's side of one program and of one node: what is under way, and how a clock differs."""

import secrets
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

from hocket.program import Program
from hocket.runtime.answers import Pending
from hocket.runtime.happenings import Key, Rows
from hocket.runtime.wire import Step

_KEPT_PINGS = 64


@dataclass(slots=True)
class Bringing:
    """A request that waits until what its sequence has kept is there."""

    step: Step
    pieces: dict[str, Iterator[Rows]]
    """Node -> what it has not been sent."""
    under_way: Counter[str]
    """Node -> pieces that it has not answered."""


class Deployed:
    """A program, where it is ready, and what is under way in it."""

    def __init__(self, key: Key, program: Program) -> None:
        self.key, self.program = key, program
        self.name = f"{program.name[:100]}/{secrets.token_hex(8)}"
        self.nodes = program.nodes() or tuple(site.name for site in program.sites)
        self.missing = set(self.nodes)
        self.pending: dict[int, Pending] = {}
        self.bringing: dict[int, Bringing] = {}
        self.next = 0
        self.feeds = {
            node: tuple(binding.tensor for binding in program.inputs if binding.node == node)
            for node in sorted({binding.node for binding in program.inputs})
        }
        self.wanted: dict[str, int] = {}
        for binding in program.outputs:
            self.wanted[binding.tensor] = self.wanted.get(binding.tensor, 0) + 1

    @property
    def low(self) -> int:
        """The least request under way."""
        return min(self.pending, default=self.next)


class Clock:
    """How a node's clock differs from ours, from the fastest of the last pings."""

    def __init__(self, *, same: bool = False) -> None:
        self._same = same
        self._seen: deque[tuple[float, float]] = deque(maxlen=_KEPT_PINGS)

    def heard(self, sent_s: float, node_s: float, back_s: float) -> None:
        """A ping has come back."""
        if not self._same:
            self._seen.append((back_s - sent_s, (sent_s + back_s) / 2 - node_s))

    def ours(self, node_s: float) -> float:
        """A moment of the node's clock on ours."""
        return node_s + min(self._seen)[1] if self._seen else node_s

    @property
    def error_s(self) -> float:
        """How far that may be off."""
        return min(self._seen)[0] / 2 if self._seen else 0.0
