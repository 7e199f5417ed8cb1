"""Spans sorted into lanes: requests, what each node computes, what each link carries."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hocket.program import Span, Trace


class Lane(NamedTuple):
    """One row of a timeline."""

    name: str
    node: str
    """The node that gives it its colour; "" for the requests."""
    is_link: bool


class Bar(NamedTuple):
    """A span in its lane; `level` counts bars that overlap from 0."""

    span: Span
    level: int


def lane_of(span: Span) -> Lane:
    """Where a span belongs."""
    if span.kind == "request":
        return Lane("requests", "", False)
    if span.kind == "transfer":
        return Lane(f"{span.node} → {span.target}", span.node, True)
    return Lane(span.node, span.node, False)


def lanes_of(spans: Iterable[Span], nodes: Sequence[str]) -> list[Lane]:
    """Requests first, then each node with its outgoing links below it, in the order of the nodes."""
    rank = {node: position for position, node in enumerate(nodes)}
    found = {lane_of(span) for span in spans}

    def order(lane: Lane) -> tuple[int, str, bool, int, str]:
        target = lane.name.rpartition(" → ")[2] if lane.is_link else ""
        own = rank.get(lane.node, len(rank)) if lane.node else -1
        return own, lane.node, lane.is_link, rank.get(target, len(rank)), target

    return sorted(found, key=order)


def bars_of(spans: Iterable[Span]) -> dict[Lane, list[Bar]]:
    """The bars of each lane; those that overlap are on different levels."""
    bars: dict[Lane, list[Bar]] = {}
    free: dict[Lane, list[float]] = {}
    for span in sorted(spans, key=lambda span: (span.start_s, span.stop_s)):
        lane = lane_of(span)
        ends = free.setdefault(lane, [])
        # Clocks of two nodes differ a little: what overlaps by less than a nanosecond does not.
        level = next((number for number, end in enumerate(ends) if end <= span.start_s + 1e-9), len(ends))
        ends[level:] = [span.stop_s, *ends[level + 1 :]]
        bars.setdefault(lane, []).append(Bar(span, level))
    return bars


def levels_of(bars: Mapping[Lane, Sequence[Bar]], lane: Lane) -> int:
    """How many levels a lane needs."""
    return 1 + max((bar.level for bar in bars.get(lane, ())), default=0)


def from_zero(spans: Iterable[Span]) -> list[Span]:
    """The same spans, the first of them starting at 0."""
    spans = list(spans)
    start = min((span.start_s for span in spans), default=0.0)
    return [span.replace(start_s=span.start_s - start, stop_s=span.stop_s - start) for span in spans]


def typical_request(trace: Trace) -> list[Span]:
    """The spans of the request whose latency is the median, for comparison with a predicted one."""
    requests = sorted((span for span in trace.spans if span.kind == "request"), key=lambda s: s.stop_s - s.start_s)
    if not requests:
        return list(trace.spans)
    chosen = requests[(len(requests) - 1) // 2].request
    return [span for span in trace.spans if span.request == chosen]
