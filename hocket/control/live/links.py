"""What a link carries now, told from the transfers that went over it anyway."""

import math
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple, Self

SMALL_BYTES = 4096
"""A message up to this size says how long the way takes, a larger one how fast it is: at 1 Mbit/s it takes 33 ms, at
100 Mbit/s 0.3 ms, which is less than what usually comes on top."""
_BLOCK_S = 0.05
_MOST_BLOCKS = 32
_MOST_DELAYS = 32
_DELAYS_S = 60.0


class _Block(NamedTuple):
    """Transfers behind one another, during which the link was never idle."""

    nbytes: int
    busy_s: float
    stop_s: float
    error_s: float


class _Delay(NamedTuple):
    """How long a small message took, apart from its bytes."""

    at_s: float
    delay_s: float
    error_s: float


@dataclass(frozen=True, slots=True)
class LinkEstimate:
    """Payload rate and latency of one direction of a link, from (nbytes, start_s, stop_s) of transfers and probes.

    Transfers go behind one another: the link works for one from when it was given to it, plus the latency, or from
    when the one before had arrived, until it has arrived. What begins while the link works is counted together with
    it until 50 ms are full, so that the jitter of arrivals and the order of transfers that share the link fall out.
    The rate is the median of such blocks, weighted by their bytes, and by half for every `halving_s` that they are
    older than the last one: single outliers do not count, and a step is seen once more has gone over the link since
    than what is remembered from before. The latency is the least that a small message took lately.

    Of a way on which nothing gets through no transfer is ever seen; that is told by probes that do not come back.

    >>> link = LinkEstimate().seen(0, 0.0, 0.01).seen(1_000_000, 1.0, 1.51).seen(1_000_000, 1.1, 2.01)
    >>> link.latency_s, round(link.bytes_per_s)  # both took 0.5 s, the second after it had waited for the first
    (0.01, 2000000)
    """

    least_bytes: int = 65536
    """To be seen before anything is said of the rate; a few segments of a TCP connection say nothing."""
    halving_s: float = 1.0
    """So fast do older transfers lose weight: rates of Wi-Fi and 4G links last for seconds."""
    stated_latency_s: float = 0.0
    """Holds until a small message has been seen."""
    bytes_per_s: float | None = None
    """Payload rate; None = too little was seen."""
    last_s: float = -math.inf
    """When something arrived last."""
    _blocks: tuple[_Block, ...] = ()
    _delays: tuple[_Delay, ...] = ()

    @classmethod
    def of(cls, latency_s: float) -> Self:
        """Nothing seen yet of a link with this latency according to its description."""
        return cls(stated_latency_s=latency_s)

    @property
    def latency_s(self) -> float:
        """One way, per message: the least that was seen lately."""
        return min((max(each.delay_s, 0.0) for each in self._delays), default=self.stated_latency_s)

    @property
    def latency_error_s(self) -> float:
        """How far the latency may be off because the clocks of the two ends are; inf before any small message."""
        best = min(self._delays, key=lambda each: each.delay_s, default=None)
        return math.inf if best is None else best.error_s

    @property
    def range_bytes_per_s(self) -> tuple[float, float] | None:
        """A tenth of the bytes went slower than the first and a tenth faster than the second; None as for the rate.

        It is the worst case of what clocks leave open: inf if they do not say how fast.
        """
        if self.bytes_per_s is None:
            return None
        return self._quantile(0.1, 1.0), self._quantile(0.9, -1.0)

    def idle_s(self, now_s: float) -> float:
        """How long nothing has arrived, which is also how old the estimate is; inf before the first transfer."""
        return max(now_s - self.last_s, 0.0)

    def seen(self, nbytes: int, start_s: float, stop_s: float, *, clock_error_s: float = 0.0) -> Self:
        """A transfer has arrived. They come in the order of arrival; a late one counts where it overlaps the last.

        What no transfer can be (negative, not finite) changes nothing.

        Args:
            nbytes: payload.
            start_s: when it was given to the link, by any one clock that rises.
            stop_s: when it had arrived.
            clock_error_s: how far the two moments may be off because they come from different clocks. It widens the
                range, and what cannot be told from it is not used.
        """
        if nbytes < 0 or not math.isfinite(stop_s - start_s):
            return self
        blocks = self._with(nbytes, start_s, stop_s, clock_error_s)
        last_s = max(stop_s, self.last_s)
        delays = self._delays
        if nbytes <= SMALL_BYTES and start_s >= self.last_s:  # it waited for nothing
            delay_s = stop_s - start_s - (nbytes / self.bytes_per_s if self.bytes_per_s else 0.0)
            kept = [each for each in delays if last_s - each.at_s <= _DELAYS_S]
            delays = (*kept, _Delay(stop_s, delay_s, clock_error_s))[-_MOST_DELAYS:]
        known = replace(self, last_s=last_s, _blocks=blocks, _delays=delays)
        if blocks is self._blocks or sum(block.nbytes for block in blocks) < self.least_bytes:
            return known
        return replace(known, bytes_per_s=known._quantile(0.5))

    def _with(self, nbytes: int, start_s: float, stop_s: float, error_s: float) -> tuple[_Block, ...]:
        """The blocks with one more transfer."""
        last = self._blocks[-1] if self._blocks else None
        # What usually comes on top of the bytes: the least would leave the usual jitter to the rate.
        usual_s = median(each.delay_s for each in self._delays) if self._delays else self.stated_latency_s
        ready_s = start_s + usual_s
        if last is not None and ready_s < last.stop_s:
            return self._queued(last, nbytes, stop_s)
        busy_s = stop_s - ready_s
        if nbytes <= SMALL_BYTES or busy_s <= error_s:
            return self._blocks
        return (*self._blocks, _Block(nbytes, busy_s, stop_s, error_s))[-_MOST_BLOCKS:]

    def _queued(self, last: _Block, nbytes: int, stop_s: float) -> tuple[_Block, ...]:
        """The blocks with a transfer that began while the link worked."""
        if stop_s <= last.stop_s - last.busy_s:  # it had arrived before the last block began
            return self._blocks
        more_s = max(stop_s - last.stop_s, 0.0)
        if last.busy_s < _BLOCK_S or more_s == 0.0:
            longer = _Block(last.nbytes + nbytes, last.busy_s + more_s, last.stop_s + more_s, last.error_s)
            return (*self._blocks[:-1], longer)
        if nbytes <= SMALL_BYTES:
            return self._blocks
        # Two arrivals are told by the same clock.
        return (*self._blocks, _Block(nbytes, more_s, stop_s, 0.0))[-_MOST_BLOCKS:]

    def _quantile(self, part: float, errors: float = 0.0) -> float:
        """The least rate that, with all slower ones, has that part of the weight; with clock errors on top of times."""
        newest_s = self._blocks[-1].stop_s
        pairs = []
        for block in self._blocks:
            busy_s = block.busy_s + errors * block.error_s
            weight = block.nbytes * 0.5 ** ((newest_s - block.stop_s) / self.halving_s)
            pairs.append((block.nbytes / busy_s if busy_s > 0.0 else math.inf, weight))
        pairs.sort()
        left = part * math.fsum(weight for _, weight in pairs)
        for rate, weight in pairs:
            left -= weight
            if left <= 0.0:
                return rate
        return pairs[-1][0]
