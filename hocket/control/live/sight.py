"""What has been seen of the links and nodes: the world as it is now, out of samples."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Self

from hocket.control.live.facts import Hop, World
from hocket.control.live.links import SMALL_BYTES, LinkEstimate
from hocket.control.live.load import LoadFactor

if TYPE_CHECKING:
    from hocket.control.live.events import Computed, Sample

_FULL_BYTES = 65536
"""A look at fewer bytes counts by as much less: a few segments of a TCP connection say little."""
_STEPS = 8
"""Of rates and loads in every doubling: 9 %, about as fine as predictions are. Equal worlds are equal questions."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a byte costs on one way: the mean of seconds / byte over the looks of the last seconds.

    Requests that see rates r of equal probability take on average bytes * mean(1 / r): a link that changes costs more
    than its mean rate says, and more than its median. Each look counts by exp(-age / tau_s).

    >>> pace = Pace().seen(1.0, 100_000, 0.1).seen(1.5, 100_000, 0.9)
    >>> round(pace.bytes_per_s)  # a little under 200 kB/s, and neither 1000 kB/s, nor 556 kB/s on average
    190488
    """

    tau_s: float = 4.0
    """Rates of Wi-Fi and 4G links last for some seconds; shorter follows noise, longer misses changes."""
    at_s: float = 0.0
    nbytes: int = 0
    """Seen so far."""
    weight: float = 0.0
    cost: float = 0.0
    """Weighted sum of seconds / byte."""

    @property
    def bytes_per_s(self) -> float | None:
        """None = too little was seen."""
        return self.weight / self.cost if self.nbytes >= _FULL_BYTES and self.cost > 0.0 else None

    def seen(self, at_s: float, nbytes: int, busy_s: float) -> Self:
        """A look: so many bytes kept the way busy for so long."""
        keep = math.exp(min(self.at_s - at_s, 0.0) / self.tau_s)
        part = min(nbytes / _FULL_BYTES, 1.0)
        return replace(
            self,
            at_s=max(at_s, self.at_s),
            nbytes=self.nbytes + nbytes,
            weight=self.weight * keep + part,
            cost=self.cost * keep + part * busy_s / nbytes,
        )


class Late(NamedTuple):
    """A transfer that has not arrived: a look at what it has cost so far, which counts only until it has."""

    now_s: float
    nbytes: int
    busy_s: float

    def told(self, pace: Pace) -> Pace:
        """The pace as it is at least by now."""
        slower = pace.seen(self.now_s, self.nbytes, self.busy_s)
        return slower if slower.cost * pace.weight >= pace.cost * slower.weight else pace


@dataclass(frozen=True, slots=True)
class Sight:
    """An estimate for every way and node that has been seen."""

    stated: Mapping[Hop, float] = field(default_factory=dict)
    """Bytes per second as the cluster says."""
    delays: Mapping[Hop, float] = field(default_factory=dict)
    """Latency in seconds as the cluster says."""
    links: Mapping[Hop, LinkEstimate] = field(default_factory=dict)
    paces: Mapping[Hop, Pace] = field(default_factory=dict)
    loads: Mapping[str, LoadFactor] = field(default_factory=dict)
    fresh: Mapping[Hop, float] = field(default_factory=dict)
    """Bytes per second of the last look alone."""
    late: Mapping[Hop, "Late"] = field(default_factory=dict)
    """What should have come over a way by now."""

    @classmethod
    def of(cls, world: World) -> Self:
        """Nothing seen yet."""
        return cls(stated=world.rates, delays=world.delays)

    def seen(self, samples: "tuple[Sample, ...]", computed: "tuple[Computed, ...]") -> Self:
        """With what was seen since."""
        links, paces, loads = dict(self.links), dict(self.paces), dict(self.loads)
        looks: dict[Hop, tuple[int, float]] = {}
        for sample in sorted(samples, key=lambda each: each.stop_s):
            hop = sample.hop
            if hop in self.stated:
                known = links.get(hop) or LinkEstimate.of(self.delays.get(hop, 0.0))
                # Transfers go behind one another: the way works for one from when the one before has arrived.
                # The only small message so far may have met a link that stood still: no longer than stated.
                latency_s = min(known.latency_s, self.delays.get(hop, known.latency_s))
                busy_s = sample.stop_s - max(sample.start_s + latency_s, known.last_s)
                nbytes, sum_s = looks.get(hop, (0, 0.0))
                looks[hop] = nbytes + sample.nbytes, sum_s + max(busy_s, 0.0)
                links[hop] = known.seen(sample.nbytes, sample.start_s, sample.stop_s)
        looks = {hop: look for hop, look in looks.items() if look[0] > SMALL_BYTES and look[1] > 0.0}
        for hop, (nbytes, busy_s) in looks.items():
            paces[hop] = paces.get(hop, Pace()).seen(links[hop].last_s, nbytes, busy_s)
        for each in computed:
            loads[each.node] = loads.get(each.node, LoadFactor()).seen(each.measured_s, each.predicted_s)
        fresh = {hop: nbytes / busy_s for hop, (nbytes, busy_s) in looks.items()}
        return replace(self, links=links, paces=paces, loads=loads, fresh=fresh)

    def world(self, missing: frozenset[str], cut: frozenset[Hop]) -> World:
        """The world: rates and loads of what has been seen enough of; the rest is as it was described."""
        paces = {**self.paces, **{hop: late.told(self.paces.get(hop, Pace())) for hop, late in self.late.items()}}
        rates = {hop: _stepped(rate) for hop, pace in paces.items() if (rate := pace.bytes_per_s) is not None}
        loads = {node: _stepped(load.factor) for node, load in self.loads.items()}
        return World(rates, loads, missing, cut)

    def quiet(self, now_s: float, after_s: float) -> list[Hop]:
        """Ways of whose rate nothing has been seen for so long."""
        return [hop for hop in self.stated if hop not in self.paces or now_s - self.paces[hop].at_s > after_s]


def _stepped(value: float) -> float:
    return float(2.0 ** (round(math.log2(value) * _STEPS) / _STEPS))
