"""What one entry has of a cluster: nodes at the clocks and shares that it sets, links at its shares."""

from hocket.cluster import Cluster
from hocket.plan.clocks import slower_by
from hocket.plan.plan import Entry
from hocket.program import Resource, Site, Wire


def equipment(cluster: Cluster, entry: Entry) -> tuple[tuple[Site, ...], tuple[Wire, ...], tuple[Resource, ...]]:
    """Sites, wires and resources as the program of an entry sees them.

    Raises:
        PlanError: a clock that a node does not have (C1).
    """
    sites, wires, resources = cluster.to_program()
    slower = slower_by(cluster, entry)
    sites = tuple(site.replace(slowdown=site.slowdown * slower.get(site.name, 1.0)) for site in sites)
    return sites, wires, resources
