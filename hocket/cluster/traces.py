"""Rates that change over time, and how long a number of bytes takes under one."""

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import count, pairwise

from hocket.cluster.checks import MOST
from hocket.errors import ClusterError
from hocket.nouns import Value

Steps = tuple[tuple[float, float], ...]
"""(at_s, bytes_per_s) in rising time from 0; a rate holds until the next step."""
_MOST_STEPS = 1_000_000
_MOST_MERGED = 20_000


class RateTrace(Value, frozen=True, dict=True):
    """A rate in steps, repeated after `length_s` if that is given.

    Raises:
        ClusterError: the steps are not a rate over time.
    """

    steps: Steps
    length_s: float | None = None
    """When it starts again; None = the last rate lasts for ever."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= _MOST_STEPS:
            raise ClusterError(f"a trace has 1 to {_MOST_STEPS} steps, got {len(self.steps)}; shorten or fill it")
        for at_s, rate in self.steps:
            if not (0 <= at_s <= MOST and (rate == 0 or 1 / MOST <= rate <= MOST)):
                raise ClusterError(
                    f"a trace has times and rates from 0 to {MOST:g}, got {rate!r} at {at_s!r} s; correct that step"
                )
        if self.steps[0][0] != 0:
            raise ClusterError(f"a trace starts at 0 s, got {self.steps[0][0]!r} s; shift its times")
        for (before, _), (after, _) in pairwise(self.steps):
            if before >= after:
                raise ClusterError(f"a trace has rising times, got {after!r} s after {before!r} s; sort its steps")
        if self.length_s is not None and not self.steps[-1][0] < self.length_s <= MOST:
            raise ClusterError(
                f"a trace ends after its last step at {self.steps[-1][0]!r} s, got the length {self.length_s!r} s;"
                " lengthen it"
            )

    @cached_property
    def times_s(self) -> tuple[float, ...]:
        """When each step begins."""
        return tuple(at_s for at_s, _ in self.steps)

    @cached_property
    def sent_bytes(self) -> tuple[float, ...]:
        """Bytes that have passed when each step begins."""
        sent = [0.0]
        for (at_s, rate), (after_s, _) in pairwise(self.steps):
            sent.append(sent[-1] + rate * (after_s - at_s))
        return tuple(sent)

    @cached_property
    def mean_bytes_per_s(self) -> float:
        """Mean rate over one length; of an endless trace the last rate."""
        if self.length_s is None:
            return self.steps[-1][1]
        return self._cycle_bytes / self.length_s

    @cached_property
    def _cycle_bytes(self) -> float:
        last_s, rate = self.steps[-1]
        return math.inf if self.length_s is None else self.sent_bytes[-1] + rate * (self.length_s - last_s)

    def rate_at(self, at_s: float) -> float:
        """The rate at a time."""
        return self.steps[bisect_right(self.times_s, self._phase_s(at_s)) - 1][1]

    def next_change_s(self, at_s: float) -> float:
        """The time of the next step after a time; inf if there is none."""
        phase_s = self._phase_s(at_s)
        position = bisect_right(self.times_s, phase_s)
        if position < len(self.steps):
            return max(at_s + self.times_s[position] - phase_s, math.nextafter(at_s, math.inf))
        return (
            math.inf if self.length_s is None else max(at_s + self.length_s - phase_s, math.nextafter(at_s, math.inf))
        )

    def _phase_s(self, at_s: float) -> float:
        return at_s if self.length_s is None else at_s % self.length_s


def seconds_to_send(trace: RateTrace, start_s: float, nbytes: float) -> float:
    """How long `nbytes` take from `start_s` on; inf if they never get through.

    >>> trace = RateTrace(steps=((0.0, 100.0), (1.0, 0.0), (3.0, 50.0)))
    >>> seconds_to_send(trace, 0.0, 100.0), seconds_to_send(trace, 0.0, 150.0), seconds_to_send(trace, 2.0, 0.0)
    (1.0, 4.0, 0.0)
    """
    if nbytes <= 0:
        return 0.0
    phase_s = trace._phase_s(start_s)
    position = bisect_right(trace.times_s, phase_s) - 1
    at_s, rate = trace.steps[position]
    target = trace.sent_bytes[position] + rate * (phase_s - at_s) + nbytes
    cycles_s = 0.0
    if trace._cycle_bytes == 0:
        return math.inf
    if trace.length_s is not None and target > trace._cycle_bytes:
        cycles = math.ceil(target / trace._cycle_bytes) - 1
        target -= cycles * trace._cycle_bytes
        cycles_s = cycles * trace.length_s
    position = max(bisect_left(trace.sent_bytes, target) - 1, 0)
    at_s, rate = trace.steps[position]
    if rate == 0:  # the last step of an endless trace, or a target of 0 after rounding
        return math.inf if trace.length_s is None else max(cycles_s + at_s - phase_s, 0.0)
    return max(cycles_s + at_s + (target - trace.sent_bytes[position]) / rate - phase_s, 0.0)


def slowest(traces: Sequence[RateTrace]) -> RateTrace:
    """The trace that at every moment has the least rate of several: what a transfer gets that holds them all.

    It is exact where all of them end, or where they repeat with a common period. Otherwise it is exact for
    20,000 steps and goes on with the mean rate of those.

    >>> slowest([constant(3.0), RateTrace(steps=((0.0, 1.0), (2.0, 5.0)))]).steps
    ((0.0, 1.0), (2.0, 3.0))
    """
    changing = [trace for trace in traces if len(trace.steps) > 1]
    constants = [constant(trace.steps[0][1]) for trace in traces if len(trace.steps) == 1]
    if constants:
        changing.append(min(constants, key=lambda trace: trace.steps[0][1]))
    return changing[0] if len(changing) == 1 else _merged(changing)


def _merged(traces: Sequence[RateTrace]) -> RateTrace:
    length_s, steps, rates = _common_length_s(traces), dict[float, float](), [math.inf] * len(traces)
    for at_s, position, rate in heapq.merge(*(_events(trace, position) for position, trace in enumerate(traces))):
        if length_s is not None and at_s >= length_s:
            return RateTrace(steps=tuple(steps.items()), length_s=length_s)
        if len(steps) >= _MOST_MERGED and at_s not in steps:
            unrolled = RateTrace(steps=tuple(steps.items()), length_s=at_s)
            return RateTrace(steps=(*unrolled.steps, (at_s, unrolled.mean_bytes_per_s)))
        rates[position] = rate
        if math.inf not in rates:
            steps[at_s] = min(rates)
    return RateTrace(steps=tuple(steps.items()))


def _events(trace: RateTrace, position: int) -> Iterator[tuple[float, int, float]]:
    for cycle in count() if trace.length_s is not None else range(1):
        for at_s, rate in trace.steps:
            yield cycle * (trace.length_s or 0.0) + at_s, position, rate


def _common_length_s(traces: Sequence[RateTrace]) -> float | None:
    """The least time after which all traces start again together, if that is soon; a constant one always does."""
    changing = [trace for trace in traces if len(trace.steps) > 1]
    ends = [Fraction(trace.length_s) for trace in changing if trace.length_s is not None]
    if not ends or len(ends) < len(changing):
        return None
    denominator = math.lcm(*(end.denominator for end in ends))
    common = Fraction(math.lcm(*(int(end * denominator) for end in ends)), denominator)
    steps = sum(len(trace.steps) * (common / end) for trace, end in zip(changing, ends, strict=True))
    return float(common) if steps <= _MOST_MERGED else None


def constant(bytes_per_s: float) -> RateTrace:
    """A rate that does not change, as a trace."""
    return RateTrace(steps=((0.0, bytes_per_s),))


def within(trace: RateTrace, windows: Sequence[tuple[float, float]]) -> RateTrace:
    """A trace that lets nothing pass outside windows of time; it does not repeat.

    >>> within(constant(5.0), [(1.0, 2.0)]).steps
    ((0.0, 0.0), (1.0, 5.0), (2.0, 0.0))
    """
    steps: dict[float, float] = {0.0: 0.0}
    for from_s, to_s in windows:
        now_s = from_s
        while now_s < to_s:
            if len(steps) > _MOST_STEPS:
                raise ClusterError(f"a trace inside its windows has more than {_MOST_STEPS} steps; shorten the windows")
            steps[now_s] = trace.rate_at(now_s)
            now_s = trace.next_change_s(now_s)
        steps[to_s] = 0.0
    return RateTrace(steps=tuple(steps.items()))
