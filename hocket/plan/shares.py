"""Shares that a plan reserves: what a task may use of a node, a medium or another resource, whoever else runs.

A share is reserved and capped: work that takes w seconds on the whole of a node takes w / s on the share s of it. It
belongs to the task: its requests queue for it among themselves only, at a station of its own.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hocket.cluster import Cluster, Node
from hocket.errors import PlanError
from hocket.plan.plan import Entry, Plan

LEAST = 1e-6
"""The least share; below it a transfer would never end."""
_SLACK = 1e-9


class Held(NamedTuple):
    """What an entry holds of one node or resource."""

    speed: float
    """Fraction of the whole's speed."""
    portion: float
    """Fraction of the whole that is taken from others; c of C cores are c / C and may be faster than that."""


def held(cluster: Cluster, entry: Entry) -> dict[str, Held]:
    """Node or resource -> what the entry holds of it; what it does not limit is not there.

    Raises:
        PlanError: a share of something that is not there, or out of its range (C1).
    """
    found: dict[str, Held] = {}
    for name, share in entry.shares.items():
        sentence = fault(cluster, entry.task, name, share)
        if sentence:
            raise PlanError(sentence)
        whole = whole_of(cluster, name)
        if whole in found:
            raise PlanError(f"C1: a task has one share of a resource, and {entry.task!r} has two of {name!r}; drop one")
        found[whole] = _held(cluster.node.get(whole), share)
    return found


def whole_of(cluster: Cluster, name: str) -> str:
    """The node or the resource that a share is of: media may be named without `medium:`."""
    return name if name in cluster.node or name not in cluster.medium else f"medium:{name}"


def _held(node: Node | None, share: float) -> Held:
    if node is None or not _counts_cores(node, share):
        return Held(share, share)
    return Held(node.gain(share) / node.gain(node.cores), share / node.cores)


def _counts_cores(node: Node, share: float) -> bool:
    """Whether a share is a number of cores: 1 is all of a node, or one core where the gains of cores are known."""
    return share == int(share) and (share > 1 or bool(node.core_gains))


def fault(cluster: Cluster, task: str, name: str, share: float) -> str | None:
    """What is wrong with one share, in a sentence; None = nothing."""
    whole = whole_of(cluster, name)
    node = cluster.node.get(whole)
    if node is None and whole not in cluster.resource:
        return f"C1: a share is of a node or a resource, and {name!r} is neither; correct its name"
    most = node.cores if node is not None else 1
    if LEAST <= share <= 1 or (share == int(share) and 1 < share <= most):
        return None
    limit = f"above 0, at most 1 or {most} whole cores" if node else "above 0 and at most 1"
    remedy = "lower it" if share > 1 else "raise it"
    return f"C1: a share is {limit}, and {task!r} takes {share:g} of {name!r}; {remedy}"


def reserved(cluster: Cluster, plan: Plan) -> dict[str, dict[str, float]]:
    """Node or resource -> task -> the fraction that the task takes from the others.

    Raises:
        PlanError: two entries of one task with different shares of one thing (C1).
    """
    found: dict[str, dict[str, float]] = {}
    for entry in plan.entries:
        if not entry.shares:
            continue
        for whole, part in held(cluster, entry).items():
            of_task = found.setdefault(whole, {})
            before = of_task.setdefault(entry.task, part.portion)
            if before != part.portion:
                raise PlanError(
                    f"C1: a task has one share of a resource, and {entry.task!r} has {before:g} and"
                    f" {part.portion:g} of {whole!r}; give its entries the same"
                )
    return found


def overbooked(shares: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, float]]:
    """(node or resource, sum of its shares) of those that are given away more than once."""
    for whole, by_task in sorted(shares.items()):
        total = sum(by_task.values())
        if total > 1 + _SLACK:
            yield whole, total


def station(whole: str, task: str) -> str:
    """The name of what a task has for itself."""
    return f"{whole}/{task}"


def whole_of_station(name: str) -> str:
    """The node or resource that a station is, or is a share of; their names have no `/`.

    >>> whole_of_station("edge/camera"), whole_of_station("edge")
    ('edge', 'edge')
    """
    return name.partition("/")[0]
