"""What nodes report of transfers and computations, as spans of a trace and as samples for the decisions."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

from hocket.control.live.events import Computed, Sample
from hocket.program import Span

_MOST_SPANS = 20_000
_MOST_NUMBERS = 10_000

Attempt = tuple[int, int, int]
"""Run, line, number."""


class Sightings:
    """Remembers which try was whose, and keeps the spans of the last while."""

    def __init__(self) -> None:
        self._whose: dict[Attempt, int] = {}
        self._order: deque[Attempt] = deque()
        self._spans: deque[Span] = deque(maxlen=_MOST_SPANS)

    def sent(self, attempt: Attempt, request: int) -> None:
        """A request was sent."""
        self._whose[attempt] = request
        self._order.append(attempt)
        if len(self._order) > _MOST_NUMBERS:
            self._whose.pop(self._order.popleft(), None)

    def answered(self, name: str, node: str, request: int, start_s: float, stop_s: float) -> None:
        """A request was answered."""
        self._spans.append(Span(kind="request", id=name, request=request, node=node, start_s=start_s, stop_s=stop_s))

    def spans(self) -> list[Span]:
        """Of the last while, on `time.monotonic`."""
        return list(self._spans)

    def seen(
        self, run: int, line: int, rows: Sequence[tuple[Any, ...]], expected_s: Mapping[str, float]
    ) -> tuple[tuple[Sample, ...], tuple[Computed, ...]]:
        """Take in what a node saw of a line.

        Args:
            run: whose line.
            line: which.
            rows: kind, id, number, node, target, start_s, stop_s, nbytes; on our clock.
            expected_s: segment -> seconds that the profile promises.
        """
        samples: list[Sample] = []
        sums: dict[str, list[float]] = {}
        # Steps of several sequences that were computed as one say nothing about how fast a node is with one.
        together = Counter((what, node, start_s) for kind, what, _, node, _, start_s, *_ in rows if kind == "compute")
        for kind, what, number, node, target, start_s, stop_s, nbytes in rows:
            request = self._whose.get((run, line, number))
            if request is not None:
                self._spans.append(
                    Span(kind=kind, id=what, request=request, node=node, target=target, start_s=start_s,
                         stop_s=max(stop_s, start_s), nbytes=nbytes)
                )  # fmt: skip
            if kind == "transfer":
                samples.append(Sample((node, target), nbytes, start_s, stop_s))
            elif kind == "compute" and expected_s.get(what) and together[what, node, start_s] == 1:
                known = sums.setdefault(node, [0.0, 0.0])
                known[0] += stop_s - start_s
                known[1] += expected_s[what]
        return tuple(samples), tuple(Computed(node, *both) for node, both in sums.items())
