"""What has been seen of a live session since somebody looked last, and the sums over all of it."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from hocket.control.live.facts import Hop
from hocket.program import Span

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper ends of the latencies that are counted together; a last bucket holds all that took longer."""


class Tail:
    """What is new at the end of a list that grows there and forgets at its beginning.

    >>> spans = [object(), object()]
    >>> tail = Tail(lambda: spans)
    >>> len(tail.new()), len(tail.new())
    (2, 0)
    >>> spans = [spans[1], object()]
    >>> tail.new() == spans[1:]
    True
    """

    def __init__(self, spans: Callable[[], Sequence[Span]]) -> None:
        self._spans = spans
        self._last: Span | None = None

    def new(self) -> list[Span]:
        """What has come since the last call, the oldest first; all that is remembered, if that has been forgotten."""
        fresh: list[Span] = []
        for span in reversed(self._spans()):
            if span is self._last:  # the same object: equal spans may come twice
                break
            fresh.append(span)
        if fresh:
            self._last = fresh[0]
        return fresh[::-1]


class Totals:
    """Sums over the spans of a session; none ever falls."""

    def __init__(self, spans: Callable[[], Sequence[Span]]) -> None:
        self._tail = Tail(spans)
        self._latencies = [0] * (len(BUCKETS_S) + 1)
        self.latency_s = 0.0
        """Of all answered requests together."""
        self.compute_s: defaultdict[str, float] = defaultdict(float)
        """By node."""
        self._run: tuple[str, str, float] = "", "", 0.0
        self.nbytes: Counter[Hop] = Counter()
        """That were sent, by way."""

    def update(self) -> None:
        """Add what is new."""
        for span in self._tail.new():
            taken_s = span.stop_s - span.start_s
            if span.kind == "request":
                self._latencies[bisect_left(BUCKETS_S, taken_s)] += 1
                self.latency_s += taken_s
            elif span.kind == "compute" and (run := (span.node, span.id, span.start_s)) != self._run:
                self._run = run  # several requests that were computed as one have their spans one after the other
                self.compute_s[span.node] += taken_s
            elif span.kind == "transfer":
                self.nbytes[span.node, span.target] += span.nbytes

    def answered_within(self) -> list[tuple[str, int]]:
        """(upper end of a bucket, requests that took at most so long), for each."""
        ends = [*map(str, BUCKETS_S), "+Inf"]
        return [(end, sum(self._latencies[: index + 1])) for index, end in enumerate(ends)]
