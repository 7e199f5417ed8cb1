"""Changing the network of a lab while it is used: rates, latencies, losses, partitions."""

from collections.abc import Collection, Iterator
from itertools import product

from hocket.errors import ClusterError
from hocket.lab import commands
from hocket.lab.host import run, run_all, try_run
from hocket.lab.layout import rate_at
from hocket.lab.processes import script, start
from hocket.lab.state import Made

_SESSION = ""


class Links(Made):
    """The network of a lab; a change of it holds until the next one, or until the lab is taken down."""

    def set_rate(self, source: str, target: str, bytes_per_s: float | None) -> None:
        """Give one direction of a link another rate; 0 = nothing passes, None = what the cluster's file says.

        Where the link has a trace that is replayed, this holds until its next step.
        """
        name = self.layout.wire(source, target).resources[0]
        self._set_rate(name, bytes_per_s)

    def set_medium_rate(self, medium: str, bytes_per_s: float | None) -> None:
        """Give a shared medium another rate."""
        if medium not in self.layout.cluster.medium:
            raise ClusterError(f"lab {self.name!r} has no medium {medium!r}; name one of its file")
        self._set_rate(f"medium:{medium}", bytes_per_s)

    def _set_rate(self, name: str, bytes_per_s: float | None) -> None:
        if bytes_per_s is not None and not bytes_per_s >= 0:
            raise ClusterError(f"a rate is 0 B/s or more, got {bytes_per_s!r}; give one")
        wanted = rate_at(self.layout.cluster.resource[name]) if bytes_per_s is None else bytes_per_s
        run_all(commands.change_rate(self.layout.classes[name], wanted))

    def set_latency(self, source: str, target: str, latency_s: float | None) -> None:
        """Give one direction of a link another latency; None = what the cluster's file says."""
        wire = self.layout.wire(source, target)
        wanted = wire.latency_s if latency_s is None else latency_s
        if not 0 <= wanted <= 60:
            raise ClusterError(f"a latency in a lab is 0 to 60 s, got {wanted!r}; give one in this range")
        netem = self.state().netem
        if not netem:
            first = self.set_delay(source, target, wanted)
            self._start_delay_line()
            if not first:
                return
        run_all(commands.set_latency(self.layout, source, target, wanted, netem=netem))

    def _start_delay_line(self) -> None:
        known = self.state().processes.get("delay_line")
        if known is None or not known.alive:
            argv = script("delay_line", str(self.folder / "delays.json"))
            process = start(commands.inside(self.layout.switch, argv), self.folder / "delay_line.log")
            self.record({"delay_line": process})

    def set_loss(self, source: str, target: str, fraction: float) -> None:
        """Lose some of the packets of one direction of a link, each by chance; 0 = none any more."""
        self.layout.wire(source, target)
        if not 0 <= fraction <= 1:
            raise ClusterError(f"a loss is a fraction of the packets, 0 to 1, got {fraction!r}; give one")
        argv = commands.set_loss(self.layout, source, target, fraction)
        run(argv) if fraction else try_run(argv)

    def partition(self, some: Collection[str], others: Collection[str]) -> None:
        """Let nothing pass between two groups of nodes; the session is where the source is."""
        self.oneway(some, others)
        self.oneway(others, some)

    def oneway(self, some: Collection[str], others: Collection[str]) -> None:
        """Let nothing pass from a group of nodes to another; what comes the other way still arrives."""
        run_all(commands.cut(self.layout, *pair) for pair in self._pairs(some, others))

    def heal(self, some: Collection[str] | None = None, others: Collection[str] | None = None) -> None:
        """Let everything pass again, between two groups, or between all nodes."""
        everyone = tuple(self.layout.cluster.node)
        left, right = everyone if some is None else some, everyone if others is None else others
        for source, target in {*self._pairs(left, right), *self._pairs(right, left)}:
            try_run(commands.mend(self.layout, source, target))

    def _pairs(self, some: Collection[str], others: Collection[str]) -> Iterator[tuple[str, str]]:
        """From each of some to each of the others; the session goes with the source, whose node it still reaches."""
        for node in (*some, *others):
            self.layout.number(node)
        source = self.layout.cluster.source
        for one, other in product(some, others):
            if one != other:
                yield one, other
                if one == source:
                    yield _SESSION, other
                if other == source:
                    yield one, _SESSION
