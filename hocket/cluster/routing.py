"""The cheapest way between two nodes for a number of bytes.

A hop takes `latency + bytes / rate`, so over sizes the cheapest of all routes is the lower envelope of straight
lines. It is found once per pair of nodes by a few shortest-path searches; a query is then one bisection.
Where a rate changes over time a hop is no line, and each size is searched for itself and remembered.
"""

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from hocket.cluster.traces import RateTrace, seconds_to_send

_MOST_REMEMBERED = 100_000
_MOST_SEARCHES = 200  # a bound for one pair; real clusters need fewer than ten


class Hop(NamedTuple):
    """The direct way from one node to another."""

    source: str
    target: str
    latency_s: float
    seconds_per_byte: float
    """Of the slowest constant resource; 0 where there is none."""
    trace: RateTrace | None = None
    """The rate of the slowest resource over time, where one of them changes."""

    def seconds(self, nbytes: float) -> float:
        """Time of one message that starts at time 0."""
        if self.trace is None:
            return self.latency_s + nbytes * self.seconds_per_byte
        return self.latency_s + seconds_to_send(self.trace, 0.0, nbytes)


class Route(NamedTuple):
    """A way over one or more hops."""

    nodes: tuple[str, ...]
    latency_s: float
    seconds_per_byte: float


class _Envelope(NamedTuple):
    """The best routes of one pair by size: route i is the cheapest up to `until_bytes[i]`."""

    until_bytes: list[float]
    routes: list[Route]


class Router:
    """Cheapest routes over given hops; it remembers what it has found."""

    def __init__(self, hops: Iterable[Hop]) -> None:
        self._out: dict[str, list[Hop]] = {}
        for hop in hops:
            self._out.setdefault(hop.source, []).append(hop)
        self._changing = any(hop.trace is not None for out in self._out.values() for hop in out)
        self._envelopes: dict[tuple[str, str], _Envelope | None] = {}
        self._found: dict[tuple[str, str, float], tuple[float, Route] | None] = {}

    def route(self, source: str, target: str, nbytes: float) -> tuple[float, Route] | None:
        """Seconds and way of the cheapest route, the one with fewest hops among equals; None if there is none."""
        if self._changing:
            return self._searched(source, target, nbytes)
        envelope = self._envelope(source, target)
        if envelope is None:
            return None
        route = envelope.routes[bisect_right(envelope.until_bytes, nbytes)]
        return route.latency_s + nbytes * route.seconds_per_byte, route

    def reaches(self, source: str, target: str) -> bool:
        """Whether any route leads from source to target."""
        return self._search(source, target, 0.0) is not None if self._changing else bool(self._envelope(source, target))

    def _searched(self, source: str, target: str, nbytes: float) -> tuple[float, Route] | None:
        key = (source, target, nbytes)
        if key not in self._found:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[key] = self._search(source, target, nbytes)
        return self._found[key]

    def _envelope(self, source: str, target: str) -> _Envelope | None:
        key = (source, target)
        if key not in self._envelopes:
            self._envelopes[key] = self._find_envelope(source, target)
        return self._envelopes[key]

    def _find_envelope(self, source: str, target: str) -> _Envelope | None:
        small = self._search(source, target, 0.0)
        large = self._search(source, target, math.inf)
        if small is None or large is None:
            return None
        routes = [small[1], large[1]]
        # Between two neighbours of the envelope a better route can only show where they cross.
        open_pairs, searches = [(small[1], large[1])], 0
        while open_pairs and searches < _MOST_SEARCHES:
            left, right = open_pairs.pop()
            crossing = _crossing(left, right)
            if crossing is None:
                continue
            searches += 1
            found = self._search(source, target, crossing)
            best = left.latency_s + crossing * left.seconds_per_byte
            if found is not None and found[0] < best * (1 - 1e-12):
                routes.append(found[1])
                open_pairs += [(left, found[1]), (found[1], right)]
        return _envelope(routes)

    def _search(self, source: str, target: str, nbytes: float) -> tuple[float, Route] | None:
        """Dijkstra's search; for `inf` bytes the seconds per byte come first and the latency breaks ties."""
        start: tuple[float, float, int, tuple[str, ...]] = (0.0, 0.0, 1, (source,))
        queue, done = [start], set[str]()
        while queue:
            cost, tie, count, nodes = heapq.heappop(queue)
            here = nodes[-1]
            if here == target:
                return cost, _route(nodes, self._out)
            if here in done:
                continue
            done.add(here)
            for hop in self._out.get(here, ()):
                if hop.target not in done:
                    more, more_tie = _weight(hop, nbytes)
                    entry = (cost + more, tie + more_tie, count + 1, (*nodes, hop.target))
                    heapq.heappush(queue, entry)
        return None


def _weight(hop: Hop, nbytes: float) -> tuple[float, float]:
    if math.isinf(nbytes):
        return hop.seconds_per_byte, hop.latency_s
    return hop.seconds(nbytes), 0.0


def _route(nodes: tuple[str, ...], out: dict[str, list[Hop]]) -> Route:
    hops = [next(hop for hop in out[source] if hop.target == target) for source, target in pairwise(nodes)]
    return Route(nodes, sum(hop.latency_s for hop in hops), sum(hop.seconds_per_byte for hop in hops))


def _crossing(left: Route, right: Route) -> float | None:
    """The size at which two routes take equally long; None if the left one is never worse."""
    if left.seconds_per_byte <= right.seconds_per_byte or left.latency_s >= right.latency_s:
        return None
    return (right.latency_s - left.latency_s) / (left.seconds_per_byte - right.seconds_per_byte)


def _envelope(routes: Sequence[Route]) -> _Envelope:
    """Keep the routes that are the cheapest for some size, in the order of sizes."""
    ordered = sorted(set(routes), key=lambda r: (r.latency_s, r.seconds_per_byte, len(r.nodes), r.nodes))
    kept: list[Route] = []
    until: list[float] = []
    for route in ordered:
        crossing = _crossing(kept[-1], route) if kept else 0.0
        if crossing is None:
            continue
        while until and crossing <= until[-1]:
            kept.pop()
            until.pop()
            again = _crossing(kept[-1], route)
            crossing = 0.0 if again is None else again
        if kept:
            until.append(crossing)
        kept.append(route)
    return _Envelope(until, kept)
