"""Reliability where work is replicated: a request survives if every part of it survives on at least one node.

Nodes and links count once, however many parts use them, so that replicas on one node, or behind one link, fail together
(survey 2.3(5) counts a node once per partition that it hosts and has no form for replicas).
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from hocket.errors import PlanError

Way = frozenset[str]
"""Everything that one replica needs: names of nodes, and of links."""
_MOST_UNCERTAIN = 22


def replicated_reliability(parts: Sequence[Sequence[Iterable[str]]], failure: Mapping[str, float]) -> float:
    """Probability that every part of a request has a replica of which nothing fails.

    Failures of different names are independent. If no name occurs in two parts or in two replicas this is
    prod_k [1 - prod_i (1 - r_ik)], r_ik the product over what replica i of part k needs; without replicas it is the
    product over all distinct names. What several replicas need is decided both ways, most often needed first.

    Args:
        parts: for each part its replicas, for each replica the names of nodes and links that it needs.
        failure: name -> probability that it fails during a request; absent = never.

    Raises:
        PlanError: more than 22 names have to be decided both ways.

    >>> round(replicated_reliability([[["a"], ["b"]], [["c"]]], {"a": 0.1, "b": 0.2, "c": 0.5}), 9)
    0.49
    >>> round(replicated_reliability([[["a"]], [["a"]]], {"a": 0.1}), 9)
    0.9
    """
    certain = {name for name, probability in failure.items() if probability}
    made = [frozenset(frozenset(way) & certain for way in ways) for ways in parts]
    return _survives(frozenset(_without_supersets(ways) for ways in made), failure, 0)


def _without_supersets(ways: Iterable[Way]) -> frozenset[Way]:
    """A replica that needs all that another needs, and more, never helps."""
    ways = frozenset(ways)
    return frozenset(way for way in ways if not any(other < way for other in ways))


def _survives(parts: frozenset[frozenset[Way]], failure: Mapping[str, float], decided: int) -> float:
    if any(not ways for ways in parts):
        return 0.0
    parts = frozenset(ways for ways in parts if frozenset() not in ways)
    count: dict[str, int] = {}
    for ways in parts:
        for way in ways:
            for name in way:
                count[name] = count.get(name, 0) + 1
    name = max(sorted(count), key=lambda name: count[name], default="")
    if not name or count[name] == 1:
        return _independent(parts, failure)
    if decided >= _MOST_UNCERTAIN:
        raise PlanError(
            f"a reliability is found by deciding at most {_MOST_UNCERTAIN} shared nodes and links, and these replicas"
            " share more; use fewer replicas"
        )
    up = frozenset(_without_supersets(way - {name} for way in ways) for ways in parts)
    down = frozenset(frozenset(way for way in ways if name not in way) for ways in parts)
    chance = failure[name]
    return (1 - chance) * _survives(up, failure, decided + 1) + chance * _survives(down, failure, decided + 1)


def _independent(parts: Iterable[frozenset[Way]], failure: Mapping[str, float]) -> float:
    survives = 1.0
    for ways in parts:
        fails = 1.0
        for way in ways:
            works = 1.0
            for name in way:
                works *= 1 - failure[name]
            fails *= 1 - works
        survives *= 1 - fails
    return survives


def way_of(path: Sequence[str], *nodes: str) -> tuple[str, ...]:
    """The nodes and links of a way, as names: `a`, `b`, `a-b` with the lesser end first.

    >>> way_of(("b", "a", "c"))
    ('a', 'b', 'c', 'a-b', 'a-c')
    """
    links = {f"{min(a, b)}-{max(a, b)}" for a, b in pairwise(path)}
    return (*sorted({*path, *nodes}), *sorted(links))
