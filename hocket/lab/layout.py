"""Where everything of a lab is: names, addresses, and the class of `tc` that limits each resource of a cluster.

All of it follows from the cluster alone, so any process can find what another one made. Namespaces and cgroups carry
the lab's name between `+`, which no name holds: those of two labs never look alike.
"""

from functools import cached_property
from typing import NamedTuple

from hocket.cluster import Cluster, RateTrace
from hocket.cluster.checks import check_name, did_you_mean
from hocket.errors import ClusterError
from hocket.program import Resource, Wire

PORT = 7000
"""Of every node's process; each has an address of its own."""
MOST_NODES = 200
MOST_MEDIA = 2
"""That one link may share: a packet passes the hook where it enters the switch, and the one where it leaves it."""
UNLIMITED_BYTES_PER_S = 10e9 / 8
"""For what the cluster does not limit: more than a packet of 1500 bytes at a time gets through a veth pair."""
_SESSION = 254
_FIRST_CLASS = 16


class Class(NamedTuple):
    """A class of the `htb` queue of a device."""

    namespace: str
    device: str
    parent: str
    name: str
    leaf: bool = True
    """Whether packets wait in it; the others only limit those below."""


class Layout:
    """The names and places of a lab.

    Args:
        cluster: what it is to be like.
        name: of the lab; by default the cluster's.

    Raises:
        ClusterError: a cluster that a lab cannot represent.
    """

    def __init__(self, cluster: Cluster, name: str = "") -> None:
        self.cluster, self.name = cluster, name or cluster.name
        check_name("a lab", self.name)
        if len(cluster.nodes) > MOST_NODES:
            raise ClusterError(f"a lab has at most {MOST_NODES} nodes, got {len(cluster.nodes)}; take a smaller part")
        for link in cluster.links:
            if len(link.media) > MOST_MEDIA:
                raise ClusterError(
                    f"a lab lets a link share at most {MOST_MEDIA} media, and {link.between[0]} -"
                    f" {link.between[1]} has {len(link.media)}; leave out the fastest"
                )

    # ------------------------------------------------------------ names

    @property
    def prefix(self) -> str:
        """What the names of all namespaces of the lab begin with."""
        return f"hocket+{self.name}+"

    @property
    def switch(self) -> str:
        """The namespace of the bridge that joins all nodes."""
        return f"{self.prefix}+switch"

    @property
    def session(self) -> str:
        """The namespace of the session: the source's, but for a network device of its own."""
        return f"{self.prefix}+session"

    def namespace(self, node: str) -> str:
        """Of a node."""
        self.number(node)
        return f"{self.prefix}{node}"

    def number(self, node: str) -> int:
        """1 for the first node of the file, and so on.

        Raises:
            ClusterError: there is no such node.
        """
        if node not in self.cluster.index:
            raise ClusterError(f"lab {self.name!r} has no node {node!r}; {did_you_mean(node, self.cluster.node)}")
        return self.cluster.index[node] + 1

    def port(self, node: str) -> str:
        """The switch's device towards a node."""
        return f"p{self.number(node)}"

    def host(self, node: str) -> str:
        """The address of a node; empty = of the session."""
        return f"10.77.0.{self.number(node) if node else _SESSION}"

    @cached_property
    def addresses(self) -> dict[str, str]:
        """Node -> where its process listens."""
        return {node.name: f"tcp://{self.host(node.name)}:{PORT}" for node in self.cluster.nodes}

    # ------------------------------------------------------------ what is limited where

    @cached_property
    def wires(self) -> dict[tuple[str, str], Wire]:
        """The wire from one node to another."""
        return {(wire.source, wire.target): wire for wire in self.cluster.to_program()[1]}

    def wire(self, source: str, target: str) -> Wire:
        """The wire between two nodes.

        Raises:
            ClusterError: they have no link, or there are no such nodes.
        """
        for node in (source, target):
            self.number(node)
        if (source, target) not in self.wires:
            raise ClusterError(f"nodes {source!r} and {target!r} have no link; name two that have one")
        return self.wires[source, target]

    def media(self, source: str, target: str) -> list[str]:
        """The devices of the media that a wire shares."""
        return [self.medium(name) for name in self.cluster.link[source, target].media]

    def medium(self, name: str) -> str:
        """The switch's device that all packets of a medium pass."""
        return f"m{[medium.name for medium in self.cluster.media].index(name) + 1}"

    def up(self, node: str) -> Class:
        """What leaves a node."""
        return Class(self.namespace(node), "eth0", "1:", "1:1", leaf=False)

    def down(self, node: str) -> Class:
        """What enters a node."""
        return Class(self.switch, self.port(node), "1:", "1:1", leaf=False)

    def direction(self, source: str, target: str) -> Class:
        """What leaves a node for another."""
        return Class(self.namespace(source), "eth0", "1:1", self.class_name(target))

    def class_name(self, node: str) -> str:
        """The class of what goes to a node, or comes from it."""
        return f"1:{_FIRST_CLASS + self.number(node):x}"

    @cached_property
    def classes(self) -> dict[str, Class]:
        """The class that limits each resource, by the resource's name."""
        found = {wire.resources[0]: self.direction(*pair) for pair, wire in self.wires.items()}
        for node in self.cluster.nodes:
            found[f"up:{node.name}"], found[f"down:{node.name}"] = self.up(node.name), self.down(node.name)
        for medium in self.cluster.media:
            found[f"medium:{medium.name}"] = Class(self.switch, self.medium(medium.name), "1:", "1:f")
        return {name: found[name] for name in self.cluster.resource}


def rate_at(resource: Resource | None, at_s: float = 0.0) -> float:
    """Bytes per second of a resource at a moment of its trace; no resource, or one without a rate, is unlimited.

    >>> rate_at(Resource(name="link:a>b", trace=((0.0, 5.0), (2.0, 7.0)), trace_s=4.0), 7.0)
    7.0
    """
    if resource is None:
        return UNLIMITED_BYTES_PER_S
    if resource.trace:
        return min(trace_of(resource).rate_at(at_s), UNLIMITED_BYTES_PER_S)
    return min(resource.bytes_per_s or UNLIMITED_BYTES_PER_S, UNLIMITED_BYTES_PER_S)


def trace_of(resource: Resource) -> RateTrace:
    """The rate of a resource over time, where it has a trace."""
    return RateTrace(steps=resource.trace, length_s=resource.trace_s)
