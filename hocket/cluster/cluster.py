"""The cluster: nodes, the links between them, and the media that links share."""

from functools import cached_property

import msgspec

from hocket.cluster.checks import check_name, did_you_mean, first_repeated
from hocket.cluster.link import Link, Medium
from hocket.cluster.node import Node
from hocket.cluster.routing import Hop, Router
from hocket.cluster.wires import hops_of, resources_of, sites_of, wires_of
from hocket.errors import ClusterError
from hocket.nouns import Noun
from hocket.program import Resource, Site, Wire
from hocket.units import shown


class Cluster(Noun, frozen=True, tag="hocket.cluster/1", dict=True):
    """Nodes and what joins them; immutable, checked when it is made.

    Raises:
        ClusterError: a name that is unknown or given twice, or a pair of nodes with two links.
    """

    name: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...] = ()
    media: tuple[Medium, ...] = ()
    source: str = ""
    """The node where inputs come from and answers return to; by default the first one."""

    def __post_init__(self) -> None:
        check_name("a cluster", self.name)
        if not self.nodes:
            raise ClusterError(f"cluster {self.name!r} has no node; give at least one")
        if self.source == "":
            msgspec.structs.force_setattr(self, "source", self.nodes[0].name)
        self._check_names()
        self._check_links()

    def _check_names(self) -> None:
        repeated = first_repeated(node.name for node in self.nodes)
        if repeated is not None:
            raise ClusterError(f"two nodes have the name {shown(repeated)}; rename one of them")
        repeated = first_repeated(medium.name for medium in self.media)
        if repeated is not None:
            raise ClusterError(f"two media have the name {shown(repeated)}; rename one of them")
        self._check_addresses()
        if self.source not in self.node:
            raise ClusterError(f"the source {shown(self.source)} is no node; {did_you_mean(self.source, self.node)}")

    def _check_addresses(self) -> None:
        # Port 0 is any free port, so many nodes may ask for it.
        taken: dict[str, str] = {}
        for node in self.nodes:
            if not node.address.endswith(":0"):
                other = taken.setdefault(node.address, node.name)
                if other != node.name:
                    raise ClusterError(
                        f"nodes {shown(other)} and {shown(node.name)} have the same address {shown(node.address)};"
                        " change one of them"
                    )

    def _check_links(self) -> None:
        media, seen = {medium.name for medium in self.media}, set[frozenset[str]]()
        for link in self.links:
            first, second = link.between
            what = f"the link {shown(first)} - {shown(second)}"
            for name in link.between:
                if name not in self.node:
                    raise ClusterError(f"{what} names the unknown node {shown(name)}; {did_you_mean(name, self.node)}")
            for name in link.media:
                if name not in media:
                    remedy = did_you_mean(name, media) if media else "add a medium of that name"
                    raise ClusterError(f"{what} names the unknown medium {shown(name)}; {remedy}")
            if frozenset(link.between) in seen:
                raise ClusterError(f"{what} is there twice; keep one of them")
            seen.add(frozenset(link.between))

    @cached_property
    def node(self) -> dict[str, Node]:
        """Node by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each node by name."""
        return {node.name: position for position, node in enumerate(self.nodes)}

    @cached_property
    def medium(self) -> dict[str, Medium]:
        """Medium by name."""
        return {medium.name: medium for medium in self.media}

    @cached_property
    def link(self) -> dict[tuple[str, str], Link]:
        """Link by the names of its nodes, in either order."""
        forth = {link.between: link for link in self.links}
        return forth | {(link.between[1], link.between[0]): link for link in self.links}

    def require(self, name: str) -> Node:
        """A node by its name.

        Raises:
            ClusterError: there is none of that name.
        """
        self._check_known(name)
        return self.node[name]

    def path(self, a: str, b: str, nbytes: float = 0) -> tuple[str, ...]:
        """The nodes of the cheapest route for one message of a size, store and forward, from a to b.

        Among routes that take equally long the one with the fewest hops is chosen.

        Raises:
            ClusterError: a name is not known, or no route leads from a to b.
        """
        if a == b:
            self._check_known(a, b)
            return (a,)
        found = self._router.route(a, b, nbytes)
        if found is None:
            raise self._unreachable(a, b)
        return found[1].nodes

    def transfer_s(self, a: str, b: str, nbytes: float) -> float:
        """Seconds of one message over `path(a, b, nbytes)` with nothing else under way; 0 if a is b.

        A hop takes its latency and bytes / the least rate of all that it holds; a rate that changes over
        time is taken from time 0 on at every hop.

        Raises:
            ClusterError: a name is not known, or no route leads from a to b.
        """
        if a == b:
            self._check_known(a, b)
            return 0.0
        found = self._router.route(a, b, nbytes)
        if found is None:
            raise self._unreachable(a, b)
        return found[0]

    def reachable(self, a: str, b: str) -> bool:
        """Whether something can be sent from a to b, perhaps over other nodes.

        Raises:
            ClusterError: a name is not known.
        """
        self._check_known(a, b)
        return a == b or self._router.reaches(a, b)

    def to_program(
        self, *, host_flops_per_s: float | None = None
    ) -> tuple[tuple[Site, ...], tuple[Wire, ...], tuple[Resource, ...]]:
        """The cluster as the runtime and the evaluator see it.

        Args:
            host_flops_per_s: measured speed of one core of the host, for nodes with `slowdown = "auto"`;
                without it such a node is not slowed down.
        """
        sites = self._sites if host_flops_per_s is None else sites_of(self.nodes, host_flops_per_s)
        return sites, self._wires, self._resources

    @cached_property
    def _resources(self) -> tuple[Resource, ...]:
        return resources_of(self.nodes, self.links, self.media)

    @cached_property
    def resource(self) -> dict[str, Resource]:
        """What carries one transfer at a time, by name: `link:a>b`, `up:a`, `down:a`, `medium:wifi`."""
        return {resource.name: resource for resource in self._resources}

    @cached_property
    def places(self) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
        """Where the wire between two nodes, and a resource by its name, stand in what `to_program` returns."""
        return (
            {(wire.source, wire.target): number for number, wire in enumerate(self._wires)},
            {resource.name: number for number, resource in enumerate(self._resources)},
        )

    @cached_property
    def _sites(self) -> tuple[Site, ...]:
        return sites_of(self.nodes, None)

    @cached_property
    def _wires(self) -> tuple[Wire, ...]:
        return wires_of(self.links, self.node)

    @cached_property
    def _router(self) -> Router:
        hops: tuple[Hop, ...] = hops_of(self._wires, self._resources)
        return Router(hops)

    def _check_known(self, *names: str) -> None:
        for name in names:
            if name not in self.node:
                raise ClusterError(f"cluster {self.name!r} has no node {shown(name)}; {did_you_mean(name, self.node)}")

    def _unreachable(self, a: str, b: str) -> ClusterError:
        self._check_known(a, b)
        return ClusterError(f"node {b!r} is unreachable from {a!r}; add a link between them or over a third node")
