"""What has been seen of the links and nodes: the world as it is now, out of samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from hocket.control.live.links import LinkEstimate
from hocket.control.live.load import LoadFactor

from hocket.control.live.facts import Hop, World

if TYPE_CHECKING:
    from hocket.control.live.events import Computed, Sample


@dataclass(frozen=True, slots=True)
class Sight:
    """An estimate for every way and node that has been seen."""

    stated: Mapping[Hop, float] = field(default_factory=dict)
    """Bytes per second as the cluster says."""
    links: Mapping[Hop, LinkEstimate] = field(default_factory=dict)
    loads: Mapping[str, LoadFactor] = field(default_factory=dict)

    @classmethod
    def of(cls, world: World) -> Self:
        """Nothing seen yet."""
        return cls(stated=world.rates)

    def seen(self, samples: "tuple[Sample, ...]", computed: "tuple[Computed, ...]") -> Self:
        """With what was seen since."""
        links, loads = dict(self.links), dict(self.loads)
        for sample in sorted(samples, key=lambda each: each.stop_s):
            if sample.hop in self.stated:
                known = links.get(sample.hop, LinkEstimate())
                links[sample.hop] = known.seen(sample.nbytes, sample.start_s, sample.stop_s)
        for each in computed:
            loads[each.node] = loads.get(each.node, LoadFactor()).seen(each.measured_s, each.predicted_s)
        return replace(self, links=links, loads=loads)

    def world(self, missing: frozenset[str], cut: frozenset[Hop]) -> World:
        """The world: rates and loads of what has been seen enough of; the rest is as it was described."""
        rates = {hop: rate for hop, link in self.links.items() if (rate := link.bytes_per_s) is not None}
        loads = {node: load.factor for node, load in self.loads.items()}
        return World(rates, loads, missing, cut)

    def ratio(self) -> float:
        """Seen rate / stated rate, the geometric mean over the ways that were seen; 1 if none was."""
        ratios = [rate / self.stated[hop] for hop, link in self.links.items() if (rate := link.bytes_per_s) is not None]
        if not ratios:
            return 1.0
        product = 1.0
        for ratio in ratios:
            product *= ratio ** (1 / len(ratios))
        return product

    def quiet(self, now_s: float, after_s: float) -> list[Hop]:
        """Ways over which nothing has gone for so long."""
        return [hop for hop in self.stated if hop not in self.links or now_s - self.links[hop].last_s > after_s]
