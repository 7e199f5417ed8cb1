"""Cut points of a split: explicit ones, or made of weights; and where they fall on another tensor's axis."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from hocket.errors import PlanError
from hocket.plan.plan import Split

Interval = tuple[int, int]


def intervals(split: Split, length: int, *, where: str) -> tuple[Interval, ...]:
    """The parts of an axis, one for each part of a split; half-open, some may be empty.

    Args:
        split: cut points, or weights that become some by largest remainder.
        length: of the axis.
        where: the run, for the message.

    Raises:
        PlanError: cut points that do not fit the axis (C1).

    >>> intervals(Split(axis=2, parts=("a", "b", "c"), weights=(1, 1, 2)), 56, where="conv")
    ((0, 14), (14, 28), (28, 56))
    """
    if split.cuts is not None:
        points = (0, *split.cuts, length)
    elif split.weights is not None:
        points = (0, *accumulate(shared(split.weights, length, split.granularity)))
    else:
        raise PlanError(f"C1: a split has either cuts or weights, and that of {where!r} has neither; give one of them")
    if len(points) != len(split.parts) + 1 or any(a > b for a, b in pairwise(points)):
        raise PlanError(
            f"C1: the cuts of {where!r} divide an axis of length {length} into {len(split.parts)} parts, and"
            f" {', '.join(map(str, points[1:-1]))} do not; correct them"
        )
    return tuple(pairwise(points))


def shared(weights: Sequence[float], length: int, granularity: int = 1) -> tuple[int, ...]:
    """A length divided in proportion to weights, in whole granules, by largest remainder; the last takes what is left
    over beyond whole granules.

    >>> shared((1, 2, 4), 12), shared((1, 2, 4), 12, 4), shared((0, 1), 7, 4)
    ((2, 3, 7), (0, 4, 8), (0, 7))
    """
    granules, rest = divmod(length, granularity)
    total = sum(weights)
    if total <= 0:
        raise PlanError("C1: the weights of a split are not all 0, and these are; raise one")
    exact = [granules * weight / total for weight in weights]
    counts = [int(number) for number in exact]
    # What remains goes to the largest fractions; of equal ones to the heavier part, then to the later one.
    order = sorted(range(len(weights)), key=lambda i: (counts[i] - exact[i], -weights[i], -i))
    for i in order[: granules - sum(counts)]:
        counts[i] += 1
    sizes = [count * granularity for count in counts]
    last = max(i for i, weight in enumerate(weights) if weight > 0)
    sizes[last] += rest
    return tuple(sizes)


def scaled(interval: Interval, length: int, other: int) -> Interval:
    """Where an interval of an axis falls on the same axis of another tensor, rounded down.

    >>> scaled((7, 14), 28, 56), scaled((0, 14), 28, 1), scaled((14, 28), 28, 1)
    ((14, 28), (0, 0), (0, 1))
    """
    if length == other:
        return interval
    return interval[0] * other // length, interval[1] * other // length
