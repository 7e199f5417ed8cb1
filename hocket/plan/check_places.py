"""The part of C1 about one run's place: nodes that exist, cut points that divide, copies that differ."""

from collections.abc import Iterator

from hocket.cluster import Cluster
from hocket.errors import ClusterError
from hocket.plan.placement import Place
from hocket.plan.plan import Copies, Run, Split

_DEEPEST = 32
"""Splits inside splits beyond this are a mistake, and would be slow to walk."""


def too_deep(where: str) -> str:
    """The sentence about splits inside splits."""
    return f"C1: splits stand in each other at most {_DEEPEST} deep, and those of {where!r} go on; flatten them"


def two_on_one(where: str) -> str:
    """The sentence about copies that are none."""
    return f"C1: copies are on different nodes, and {where!r} has two on one; name each node once"


def is_too_deep(place: Place) -> bool:
    """Whether splits stand in each other deeper than can be walked."""
    level: list[Place] = [place]
    for _ in range(_DEEPEST + 1):
        level = [part for split in level if isinstance(split, Split) for part in split.parts]
    return bool(level)


def nodes_of(place: Place) -> set[str]:
    """Every node that a place names."""
    found: set[str] = set()
    queue: list[Place] = [place]
    while queue:
        here = queue.pop()
        if isinstance(here, str):
            found.add(here)
        elif isinstance(here, Copies):
            found.update(here.nodes)
        else:
            queue.extend(here.parts)
    return found


def check_place(run: Run, shape: tuple[int, ...] | None, cluster: Cluster) -> Iterator[str]:
    """The faults of where one run is placed.

    Args:
        run: operators and their place.
        shape: of what the run makes in the end; None if that is not known.
        cluster: its nodes.
    """
    for name in sorted(nodes_of(run.on)):
        try:
            cluster.require(name)
        except ClusterError as error:
            yield f"C1: {error}"
    yield from _check(run.operators, run.on, shape, 0)


def _check(where: str, place: Place, shape: tuple[int, ...] | None, depth: int) -> Iterator[str]:
    if isinstance(place, Copies):
        if len(set(place.nodes)) < len(place.nodes):
            yield two_on_one(where)
    elif isinstance(place, Split):
        if depth == _DEEPEST:
            yield too_deep(where)
            return
        yield from _check_split(where, place, shape)
        for part in place.parts:
            yield from _check(where, part, shape, depth + 1)


def _check_split(where: str, split: Split, shape: tuple[int, ...] | None) -> Iterator[str]:
    parts = len(split.parts)
    if not parts:
        yield f"C1: a split has parts, and that of {where!r} has none; name their nodes"
    if (split.cuts is None) == (split.weights is None):
        yield f"C1: a split has either cuts or weights, and that of {where!r} has both or neither; give one of them"
    if split.weights is not None and len(split.weights) != parts:
        yield f"C1: each part has a weight, and {where!r} has {len(split.weights)} for {parts} parts; match them"
    if split.weights is not None and len(split.weights) == parts > 0 and not any(split.weights):
        yield f"C1: the weights of a split are not all 0, and those of {where!r} are; raise one"
    length = None
    if shape is not None and split.axis != "contract":
        if 0 <= split.axis < len(shape):
            length = shape[split.axis]
        else:
            yield (
                f"C1: a split is on an axis of its result, and {where!r} has {len(shape)} axes and a split on"
                f" {split.axis}; correct it"
            )
    if split.cuts is not None:
        yield from _check_cuts(where, split, split.cuts, length)


def _check_cuts(where: str, split: Split, cuts: tuple[int, ...], length: int | None) -> Iterator[str]:
    text = ", ".join(map(str, cuts[:8])) + (", ..." if len(cuts) > 8 else "")
    if len(cuts) != len(split.parts) - 1:
        yield (
            f"C1: a split has one cut fewer than parts, and {where!r} has {len(cuts)} for {len(split.parts)} parts;"
            " match them"
        )
    if list(cuts) != sorted(cuts):
        yield f"C1: the cuts of a split rise, and those of {where!r} are {text}; sort them"
    outside = [cut for cut in cuts if cut < 0 or (length is not None and cut > length)]
    if outside:
        most = f" to {length}" if length is not None else " up"
        yield f"C1: the cuts of {where!r} lie from 0{most}, and {outside[0]} does not; correct it"
    if any(cut % split.granularity for cut in cuts if cut != length):
        yield f"C1: the cuts of {where!r} are multiples of {split.granularity}, and {text} are not all; move them"
