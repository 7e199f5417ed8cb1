"""From the cluster's nouns to what the runtime and the evaluator work on: sites, wires, resources."""

import math
from collections.abc import Iterable, Mapping, Sequence

from hocket.cluster.link import Direction, Link, Medium
from hocket.cluster.node import MOST_SLOWDOWN, Node
from hocket.cluster.routing import Hop
from hocket.cluster.traces import RateTrace, constant, slowest, within
from hocket.program import Resource, Site, Wire


def sites_of(nodes: Iterable[Node], host_flops_per_s: float | None) -> tuple[Site, ...]:
    """A site per node."""
    return tuple(
        Site(
            name=node.name,
            address=node.address,
            slowdown=slowdown_of(node, host_flops_per_s),
            threads=node.threads,
            providers=node.providers,
        )
        for node in nodes
    )


def slowdown_of(node: Node, host_flops_per_s: float | None) -> float:
    """The slowdown as a number; "auto" is 1 where the speed of the host is not known or too low to slow down."""
    if node.slowdown != "auto":
        return node.slowdown
    if host_flops_per_s is None:
        return 1.0
    return min(max(host_flops_per_s / node.flops_per_s, 1.0), MOST_SLOWDOWN)


def wires_of(links: Iterable[Link], nodes: Mapping[str, Node]) -> tuple[Wire, ...]:
    """Two wires per link, one for each direction."""
    return tuple(
        Wire(source=a, target=b, latency_s=link.latency_s, resources=_held(link, nodes[a], nodes[b]))
        for link in links
        for a, b in (link.between, link.between[::-1])
    )


def _held(link: Link, sender: Node, receiver: Node) -> tuple[str, ...]:
    up = () if sender.port_up_bytes_per_s is None else (_port_up(sender.name),)
    down = () if receiver.port_down_bytes_per_s is None else (_port_down(receiver.name),)
    return (_direction(sender.name, receiver.name), *up, *down, *(_medium(name) for name in link.media))


def resources_of(nodes: Iterable[Node], links: Iterable[Link], media: Iterable[Medium]) -> tuple[Resource, ...]:
    """A resource per direction of a link, per limited port of a node, and per medium."""
    resources = []
    for link in links:
        first, second = link.between
        resources.append(_of_direction(_direction(first, second), link.up, link))
        resources.append(_of_direction(_direction(second, first), link.down, link))
    for node in nodes:
        if node.port_up_bytes_per_s is not None:
            resources.append(Resource(name=_port_up(node.name), bytes_per_s=node.port_up_bytes_per_s))
        if node.port_down_bytes_per_s is not None:
            resources.append(Resource(name=_port_down(node.name), bytes_per_s=node.port_down_bytes_per_s))
    resources += [_resource(_medium(medium.name), medium.bytes_per_s, medium.trace) for medium in media]
    return tuple(resources)


# Names of nodes and media hold neither ':' nor '>', so names of resources are unique.
def _direction(source: str, target: str) -> str:
    return f"link:{source}>{target}"


def _port_up(node: str) -> str:
    return f"up:{node}"


def _port_down(node: str) -> str:
    return f"down:{node}"


def _medium(name: str) -> str:
    return f"medium:{name}"


def _of_direction(name: str, direction: Direction, link: Link) -> Resource:
    if not link.available:
        return _resource(name, direction.bytes_per_s, direction.trace)
    inside = direction.trace or constant(direction.bytes_per_s or 0.0)
    return _resource(name, None, within(inside, link.available))


def _resource(name: str, bytes_per_s: float | None, trace: RateTrace | None) -> Resource:
    if trace is None:
        return Resource(name=name, bytes_per_s=bytes_per_s)
    return Resource(name=name, trace=trace.steps, trace_s=trace.length_s)


def hops_of(wires: Iterable[Wire], resources: Iterable[Resource]) -> tuple[Hop, ...]:
    """Wires with the rates that they hold."""
    by_name = {resource.name: resource for resource in resources}
    return tuple(_hop(wire, [by_name[name] for name in wire.resources]) for wire in wires)


def _hop(wire: Wire, held: Sequence[Resource]) -> Hop:
    traces = [RateTrace(steps=resource.trace, length_s=resource.trace_s) for resource in held if resource.trace]
    rates = [resource.bytes_per_s for resource in held if not resource.trace and resource.bytes_per_s is not None]
    least = min(rates, default=math.inf)
    if not traces:
        return Hop(wire.source, wire.target, wire.latency_s, 1 / least)
    if least < math.inf:
        traces.append(constant(least))
    return Hop(wire.source, wire.target, wire.latency_s, 0.0, slowest(traces))
