"""How long sending takes: the one arithmetic of links, for the judge that predicts and the emulator that delays."""

import bisect
import math
from collections.abc import Sequence

from hocket.program.program import Resource

_HORIZON_S = 1e7  # a transfer that would take longer never arrives
_MOST_STEPS = 100_000


def finish_s(resources: Sequence[Resource], start_s: float, nbytes: float) -> float:
    """When a transfer that starts at `start_s` has sent its last byte, at the least rate of its resources.

    Traces are added up step by step; at rate 0 the transfer waits. Without a limit it takes no time. One that never
    starts, or that would need more than 10^7 s, or 10^5 steps, never ends: infinity.

    >>> finish_s([Resource(name="a", bytes_per_s=100.0), Resource(name="b", bytes_per_s=50.0)], 1.0, 100)
    3.0
    """
    if start_s == math.inf:
        return math.inf
    now_s, remaining = start_s, float(nbytes)
    if remaining and any(resource.trace and not any(rate for _, rate in resource.trace) for resource in resources):
        return math.inf
    for _ in range(_MOST_STEPS):
        if remaining <= 0:
            return now_s
        rates = [_rate(resource, now_s) for resource in resources]
        rate, until_s = (
            min((rate for rate, _ in rates), default=math.inf),
            min((until for _, until in rates), default=math.inf),
        )
        if rate == math.inf:
            return now_s
        if rate > 0 and now_s + remaining / rate <= until_s:
            return now_s + remaining / rate
        if until_s > start_s + _HORIZON_S:
            break
        remaining -= rate * (until_s - now_s)
        now_s = until_s
    return math.inf


def _rate(resource: Resource, at_s: float) -> tuple[float, float]:
    """Rate of a resource at a moment, and until when it stays so."""
    if not resource.trace:
        return resource.bytes_per_s or math.inf, math.inf
    period_s = resource.trace_s
    round_s = math.floor(at_s / period_s) * period_s if period_s else 0.0
    within_s = at_s - round_s
    index = max(bisect.bisect_right(resource.trace, within_s, key=lambda step: step[0]) - 1, 0)
    next_s = resource.trace[index + 1][0] if index + 1 < len(resource.trace) else (period_s or math.inf)
    until_s = round_s + (min(next_s, period_s) if period_s else next_s)
    return resource.trace[index][1], max(until_s, math.nextafter(at_s, math.inf))
