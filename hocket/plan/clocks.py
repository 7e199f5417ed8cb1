"""Clocks that a plan sets: a slower processor takes longer and, its power growing with the cube, saves energy.

A share of a processor makes it slower too, and saves nothing.
"""

from hocket.cluster import Cluster
from hocket.errors import PlanError
from hocket.plan.plan import Entry
from hocket.plan.shares import held


def clocks_hz(cluster: Cluster, entry: Entry) -> dict[str, float]:
    """Node -> the clock that an entry sets; nodes whose clock it leaves alone are not there.

    Raises:
        PlanError: a clock that the node does not have (C1).
    """
    found = {}
    for setting in entry.settings:
        if setting.frequency_hz is None:
            continue
        node = cluster.require(setting.node)
        if node.frequency_hz is None:
            raise PlanError(f"C1: {node.name!r} has no frequencies to choose from; give it some or drop the setting")
        least, greatest = node.frequency_hz
        if not least <= setting.frequency_hz <= greatest:
            raise PlanError(
                f"C1: the clock of {node.name!r} is {least:g} to {greatest:g} Hz, got {setting.frequency_hz:g} Hz;"
                " choose one between"
            )
        found[node.name] = setting.frequency_hz
    return found


def slower_by(cluster: Cluster, entry: Entry) -> dict[str, float]:
    """Node -> how many times longer it computes with the clock and the share that the entry sets than at its best.

    Raises:
        PlanError: a clock or a share that the node does not have (C1).
    """
    ratios = {}
    for name, clock_hz in clocks_hz(cluster, entry).items():
        limits = cluster.node[name].frequency_hz
        ratios[name] = limits[1] / clock_hz if limits else 1.0
    for name, part in held(cluster, entry).items():
        if name in cluster.node:
            ratios[name] = ratios.get(name, 1.0) / part.speed
    return ratios
