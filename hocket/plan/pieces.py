"""From the runs of an entry to pieces: what one node computes of one operator, or of a run that is split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.graph.regions import Block, Contraction, slicer_of, volume, whole
from hocket.graph.topology import units
from hocket.plan.check_places import is_too_deep, too_deep, two_on_one
from hocket.plan.cuts import Interval, intervals, scaled
from hocket.plan.placement import Place, runs_of
from hocket.plan.plan import Copies, Entry, Run, Split
from hocket.program import Contract, Part, Region, Work

Some = Region | None
"""A region of a tensor; None = all of it."""


class Piece(NamedTuple):
    """Something that one node computes in one go."""

    node: str
    part: Part
    makes: dict[str, Some]
    """Value -> region. A value is a tensor, or a partial result of one."""
    needs: dict[str, tuple[Some, ...]]
    """Tensor -> regions, apart from each other."""
    order: int
    """Position of its first operator in the graph."""
    priority: int = 0
    race: int = 0
    """The run that it is a racing copy of, counted from 1; 0 = it is none."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One part of a split, nested splits resolved."""

    on: str | Copies
    along: dict[int, Interval]
    """Axis of the main result -> the interval."""
    contracted: Interval | None = None


def pieces_of(graph: Graph, entry: Entry) -> list[Piece]:
    """The pieces of every run, in the order of the runs.

    Raises:
        PlanError: the entry does not fit the graph (C1).
        GraphError: an operator that cannot be divided as the entry says.
    """
    found: list[Piece] = []
    plain = graph.kept(_plain_of)
    for number, (run, positions) in enumerate(runs_of(graph, entry), 1):
        if isinstance(run.on, Split):
            found += _split(graph, entry, run, run.on, positions)
        else:
            for node in _nodes(run.operators, run.on):
                race = number if isinstance(run.on, Copies) and run.on.mode == "race" else 0
                found += [
                    Piece(node, *plain[position], position, entry.order.get(plain[position].part.operators[0], 0), race)
                    for position in positions
                ]
    return found


_WHOLE: tuple[Some, ...] = (None,)


class _Plain(NamedTuple):
    """What an operator is wherever it runs whole."""

    part: Work
    makes: dict[str, Some]
    needs: dict[str, tuple[Some, ...]]


def _plain_of(graph: Graph) -> list[_Plain]:
    return [
        _Plain(Work(operators=(each.name,)), dict.fromkeys(each.outputs), dict.fromkeys(each.inputs, _WHOLE))
        for each in graph.operators
    ]


def _nodes(where: str, on: str | Copies) -> tuple[str, ...]:
    """The nodes of a place that is not split."""
    if isinstance(on, str):
        return (on,)
    if on.mode == "deal":
        raise PlanError(
            f"copies that are dealt out are entries of their own, and {where!r} has some inside one; write an entry for"
            " each node"
        )
    if len(set(on.nodes)) < len(on.nodes):
        raise PlanError(two_on_one(where))
    return on.nodes


def _split(graph: Graph, entry: Entry, run: Run, split: Split, positions: Sequence[int]) -> Iterator[Piece]:
    """A block for each part; where borders are exchanged, for each unit of operators and part."""
    if is_too_deep(split):
        raise PlanError(too_deep(run.operators))
    main = graph.operators[positions[-1]].name
    contraction = _contraction(graph, run.operators, split, main)
    size = contraction.size if contraction else 0
    leaves = list(_leaves(run.operators, split, {}, None, graph.tensor[main].shape, size))
    if contraction is not None:
        _check_sums(graph, run.operators, leaves, main)
    if split.border == "recompute":
        groups = [tuple(positions)]
    elif contraction is None:
        by_unit, unit = dict[int, list[int]](), graph.kept(_unit_numbers)
        for position in positions:
            by_unit.setdefault(unit[position], []).append(position)
        groups = [tuple(by_unit[number]) for number in sorted(by_unit)]
    else:
        raise PlanError(f"borders are those of regions, and {run.operators!r} contracts an axis; recompute them")
    for group in groups:
        yield from _block(graph, entry, run.operators, group, leaves, main, contraction)


def _unit_numbers(graph: Graph) -> dict[int, int]:
    """Position of an operator -> number of its unit."""
    return {position: number for number, unit in enumerate(units(graph)) for position in unit.operators}


def _block(
    graph: Graph,
    entry: Entry,
    where: str,
    positions: tuple[int, ...],
    leaves: Sequence[_Leaf],
    main: str,
    contraction: Contraction | None,
) -> Iterator[Piece]:
    """The pieces of operators that are split together."""
    slicer = slicer_of(graph)
    names = tuple(graph.operators[position].name for position in positions)
    results = _results(graph, positions)
    if contraction is not None and results != [main]:
        raise PlanError(
            f"a run with a contracted split has one result, and {where!r} makes {', '.join(results)}; split it before"
        )
    priority = min(entry.order.get(name, 0) for name in names)
    made_whole: set[str] = set()
    for leaf in leaves:
        boxes = _boxes(graph, results, leaf, main, made_whole)
        if not boxes:
            continue
        contract = None
        if contraction is not None and leaf.contracted is not None:
            contract = Contract(
                tensor=main, axis=contraction.axis, interval=leaf.contracted, owner=leaf.contracted[0] == 0
            )
        demand = slicer.demand(names, boxes, contract)
        regions = {name: None if box == whole(graph.tensor[name].shape) else box for name, box in boxes.items()}
        suffix = contract.suffix if contract else ""
        part = Work(operators=names, regions=regions, contract=contract)
        needs = {
            name: tuple(None if box == whole(graph.tensor[name].shape) else box for box in wanted)
            for name, wanted in (demand.inputs or _trigger(slicer.part(names))).items()
        }
        for node in _nodes(where, _mirrored(where, leaf.on)):
            makes = {name + suffix: region for name, region in regions.items()}
            yield Piece(node=node, part=part, makes=makes, needs=needs, order=positions[0], priority=priority)


def _trigger(block: Block) -> dict[str, tuple[Region, ...]]:
    """One element of what a block reads: a part that is all padding needs nothing, yet has to wait for its request."""
    return {name: (((0, 1),) * len(block.shapes[name]),) for name in block.inputs[:1]}


def _mirrored(where: str, on: str | Copies) -> str | Copies:
    if isinstance(on, Copies) and on.mode == "race":
        raise PlanError(f"copies of a part are mirrored, and those in {where!r} race; race whole runs")
    return on


def _results(graph: Graph, positions: Sequence[int]) -> list[str]:
    """What operators make for others, or for the answer."""
    inside = set(positions)
    return [
        name
        for position in positions
        for name in graph.operators[position].outputs
        if name in graph.outputs or any(reader not in inside for reader in graph.readers[name])
    ]


def _boxes(graph: Graph, results: Sequence[str], leaf: _Leaf, main: str, made_whole: set[str]) -> dict[str, Region]:
    """The box of every result that a part makes.

    A result with as many axes as the main one is cut on the same axes, at the same points or in proportion; another
    is made whole by the first part that has a share.
    """
    lengths = graph.tensor[main].shape
    empty = any(lo >= hi for lo, hi in (*leaf.along.values(), *([leaf.contracted] if leaf.contracted else [])))
    boxes = {}
    for name in results:
        shape = graph.tensor[name].shape
        if len(shape) == len(lengths):
            box = list(whole(shape))
            for axis, interval in leaf.along.items():
                box[axis] = scaled(interval, lengths[axis], shape[axis])
            if volume(tuple(box)) and not (empty and leaf.contracted):
                boxes[name] = tuple(box)
        elif not empty and name not in made_whole:
            made_whole.add(name)
            boxes[name] = whole(shape)
    return boxes


def _contraction(graph: Graph, where: str, split: Split, main: str) -> Contraction | None:
    """The contracted axis that a split, or one inside it, means; None if none does."""
    if not _contracts(split):
        return None
    known = slicer_of(graph).contraction(main)
    if len(known) != 1:
        has = f"{', '.join(each.axis for each in known)}" if known else "none"
        raise PlanError(
            f"C1: the last operator of a contracted split has one axis to contract, and {main!r} of {where!r} has"
            f" {has}; split an axis of its result"
        )
    return known[0]


def _check_sums(graph: Graph, where: str, leaves: Sequence[_Leaf], main: str) -> None:
    """Refuse partial results that others have for another part of the result only, so that no sum is complete."""
    covered: dict[Interval | None, int] = {}
    for leaf in leaves:
        for box in _boxes(graph, (main,), leaf, main, set()).values():
            covered[leaf.contracted] = covered.get(leaf.contracted, 0) + volume(box)
    if any(size != volume(whole(graph.tensor[main].shape)) for size in covered.values()):
        raise PlanError(
            f"C1: a contracted axis is cut at the same points for all of a result, and {where!r} cuts that of {main!r}"
            " at different ones in different parts; put the splits of the result into the contracted one"
        )


def _contracts(place: Place) -> bool:
    return isinstance(place, Split) and (place.axis == "contract" or any(_contracts(part) for part in place.parts))


def _leaves(
    where: str,
    place: Place,
    along: dict[int, Interval],
    contracted: Interval | None,
    shape: tuple[int, ...],
    size: int,
) -> Iterator[_Leaf]:
    if not isinstance(place, Split):
        yield _Leaf(on=place, along=along, contracted=contracted)
        return
    axis = place.axis
    if axis != "contract" and not 0 <= axis < len(shape):
        raise PlanError(
            f"C1: a split is on an axis of its result, and {where!r} has {len(shape)} axes and a split on {axis};"
            " correct it"
        )
    if axis == "contract":
        if contracted is not None:
            raise PlanError(f"C1: a contracted axis is split once, and {where!r} splits it twice; flatten it")
        for part, interval in zip(place.parts, intervals(place, size, where=where), strict=True):
            yield from _leaves(where, part, along, interval, shape, size)
        return
    outer = along.get(axis, (0, shape[axis]))
    for part, (lo, hi) in zip(place.parts, intervals(place, shape[axis], where=where), strict=True):
        inner = (max(lo, outer[0]), max(min(hi, outer[1]), lo, outer[0]))
        yield from _leaves(where, part, {**along, axis: inner}, contracted, shape, size)
