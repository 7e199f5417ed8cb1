"""From cut points to parts, and which cut points cost nothing."""

import itertools
from collections.abc import Iterable, Sequence

from hocket.errors import GraphError
from hocket.graph.regions.block import Block
from hocket.graph.regions.box import Box, Interval, is_empty, whole, with_axis
from hocket.graph.regions.contract import contraction_of
from hocket.graph.regions.demand import Demand, demand
from hocket.program import Contract


def intervals(cuts: Sequence[int], size: int) -> list[Interval]:
    """The parts between cut points; equal neighbours make an empty part.

    Raises:
        GraphError: cut points that fall or lie outside the axis.

    >>> intervals([2, 2, 5], 8)
    [(0, 2), (2, 2), (2, 5), (5, 8)]
    """
    points = [0, *cuts, size]
    if any(a > b for a, b in itertools.pairwise(points)):
        raise GraphError(f"cut points rise from 0 to {size}, got {list(cuts)}; sort them and keep them on the axis")
    return list(itertools.pairwise(points))


def part_boxes(block: Block, tensor: str, axis: int, cuts: Sequence[int]) -> list[Box]:
    """The boxes of a tensor that cut points on one of its axes make; parts with no share are empty."""
    shape = _shape(block, tensor)
    if not 0 <= axis < len(shape):
        raise GraphError(f"axes of {tensor!r} are 0 to {len(shape) - 1}, got {axis}; name one of them")
    return [with_axis(whole(shape), axis, part) for part in intervals(cuts, shape[axis])]


def contract_parts(block: Block, tensor: str, axis: str, cuts: Sequence[int]) -> list[Contract | None]:
    """The parts of a contracted split: None for a part with no share, the bias with the first that has one."""
    contraction = contraction_of(block, Contract(tensor=tensor, axis=axis, interval=(0, 0), owner=True))
    parts: list[Contract | None] = []
    for lo, hi in intervals(cuts, contraction.size):
        owner = not any(parts)
        parts.append(Contract(tensor=tensor, axis=axis, interval=(lo, hi), owner=owner) if lo < hi else None)
    return parts


def granule(block: Block, tensor: str, axis: int | str) -> int:
    """The smallest step of cut points on an axis that makes the least redundant work: the width of a head, a group.

    Found by dry runs: each divisor of the axis is tried at three of its multiples near the middle.

    Args:
        block: the operators.
        tensor: a result of it.
        axis: one of its axes, or the name of a contracted axis of the operator that makes it.
    """
    least = 1
    if isinstance(axis, int):
        size = _shape(block, tensor)[axis]
    else:
        contraction = contraction_of(block, Contract(tensor=tensor, axis=axis, interval=(0, 0), owner=True))
        size, least = contraction.size, contraction.granule
    best, found = float("inf"), size
    for step in (step for step in range(least, size) if size % step == 0 and step % least == 0):
        cost = max(_cost(parts(block, tensor, axis, [cut])) for cut in _middle(step, size))
        if cost < best:
            best, found = cost, step
    return found


def _middle(step: int, size: int) -> list[int]:
    """Neighbouring multiples of a step near the middle of an axis: no larger step divides them all by accident."""
    middle = size // step // 2
    return [step * number for number in (middle - 1, middle, middle + 1) if 0 < step * number < size]


def _cost(found: Sequence[Demand]) -> int:
    return sum(part.flops + part.weight_bytes for part in found)


def parts(block: Block, tensor: str, axis: int | str, cuts: Sequence[int]) -> list[Demand]:
    """The demand of every part that has a share."""
    if isinstance(axis, int):
        boxes: Iterable[Box] = part_boxes(block, tensor, axis, cuts)
        return [demand(block, {tensor: [box]}) for box in boxes if not is_empty(box)]
    everything = {tensor: [whole(_shape(block, tensor))]}
    return [demand(block, everything, part) for part in contract_parts(block, tensor, axis, cuts) if part]


def _shape(block: Block, tensor: str) -> tuple[int, ...]:
    if tensor not in block.producer:
        raise GraphError(f"a split is of a result of the block, and {tensor!r} is none; name one of its tensors")
    return block.shapes[tensor]
