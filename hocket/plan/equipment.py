"""What one entry has of a cluster: nodes at the clocks and shares that it sets, links at its shares."""

from hocket.cluster import Cluster
from hocket.plan.clocks import slower_by
from hocket.plan.plan import Entry
from hocket.plan.shares import held, station
from hocket.program import Resource, Site, Wire


def equipment(cluster: Cluster, entry: Entry) -> tuple[tuple[Site, ...], tuple[Wire, ...], tuple[Resource, ...]]:
    """Sites, wires and resources as the program of an entry sees them.

    Of what it has a share of, the entry sees a resource of its own, `medium:wifi/camera`, at the share of the rate.

    Raises:
        PlanError: a clock or a share that a node does not have (C1).
    """
    sites, wires, resources = cluster.to_program()
    if not entry.shares and not entry.settings:
        return sites, wires, resources
    slower = slower_by(cluster, entry)
    sites = tuple(
        site.replace(slowdown=site.slowdown * slower[site.name]) if site.name in slower else site for site in sites
    )
    shares = {name: part.speed for name, part in held(cluster, entry).items() if name not in cluster.node}
    if not shares:
        return sites, wires, resources
    own = {name: station(name, entry.task) for name in shares}
    wires = tuple(wire if own.keys().isdisjoint(wire.resources) else _rewired(wire, own) for wire in wires)
    resources = tuple(
        _part(resource, own[resource.name], shares[resource.name]) if resource.name in own else resource
        for resource in resources
    )
    return sites, wires, resources


def _rewired(wire: Wire, own: dict[str, str]) -> Wire:
    return wire.replace(resources=tuple(own.get(name, name) for name in wire.resources))


def _part(resource: Resource, name: str, share: float) -> Resource:
    """A share of a resource, under a name of its own."""
    rate = resource.bytes_per_s
    return resource.replace(
        name=name,
        bytes_per_s=None if rate is None else rate * share,
        trace=tuple((at_s, bytes_per_s * share) for at_s, bytes_per_s in resource.trace),
    )
