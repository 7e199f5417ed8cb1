"""What a picture of a graph shows as one box: units, chains of them, or whole blocks, as few as the eye can hold."""

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from hocket.graph import Graph
from hocket.graph.topology import blocks, units
from hocket.plan.placement import Place
from hocket.plan.plan import Split

MOST_BOXES = 90


class Box(NamedTuple):
    """Some operators in one place, or a tensor that enters or leaves the graph."""

    title: str
    operators: tuple[int, ...]
    """Positions in the graph; () for a tensor that enters or leaves."""
    flops: float
    place: Place | None
    """None = not known."""


class Edge(NamedTuple):
    """Tensors that go from one box to another."""

    source: int
    target: int
    tensors: tuple[str, ...]
    nbytes: int
    crosses: bool
    """Whether they change place."""


def groups_of(graph: Graph, places: Sequence[Place | None], most: int = MOST_BOXES) -> list[tuple[int, ...]]:
    """Operators in groups of one place each, as few as `most` where that is possible.

    Tried in turn: units; chains of units inside a block; whole blocks; runs of whole blocks. Each keeps the graph of
    groups free of cycles.
    """
    home = [0] * len(graph.operators)
    for number, block in enumerate(blocks(graph)):
        for position in block.operators:
            home[position] = number
    groups = [piece for unit in units(graph) for piece in _by_place(unit.operators, places)]
    if len(groups) > most // 2:  # what a chain computes is read off one box as well as off five
        groups = _chains(graph, groups, places, home)
    if len(groups) > most:
        groups = _whole_blocks(groups, places, home)
    if len(groups) > most:
        groups = _runs(groups, places, home, -(-len(groups) // most))
    return groups


def boxes_of(
    graph: Graph,
    places: Sequence[Place | None],
    *,
    inputs: dict[str, str] | None = None,
    outputs: dict[str, str] | None = None,
    most: int = MOST_BOXES,
) -> tuple[list[Box], list[Edge]]:
    """The boxes of a graph in topological order, inputs first and outputs last, and what goes between them.

    Args:
        graph: the model.
        places: place of each operator, or None.
        inputs: input tensor -> node that has it.
        outputs: output tensor -> node that needs it.
        most: boxes that the eye can hold.
    """
    groups = groups_of(graph, places, most)
    boxes = [_terminal(graph, tensor.name, (inputs or {}).get(tensor.name)) for tensor in graph.inputs]
    first = len(boxes)
    owner = {position: first + number for number, group in enumerate(groups) for position in group}
    boxes += [
        Box(_title(graph, group), group, sum(graph.operators[p].flops for p in group), places[group[0]])
        for group in groups
    ]
    sinks = {name: len(boxes) + number for number, name in enumerate(graph.outputs)}
    boxes += [_terminal(graph, name, (outputs or {}).get(name)) for name in graph.outputs]
    made = {tensor.name: number for number, tensor in enumerate(graph.inputs)}
    made |= {name: owner[position] for name, position in graph.producer.items()}
    passed: dict[tuple[int, int], list[str]] = {}
    for tensor in graph.tensors:
        targets = [owner[reader] for reader in graph.readers[tensor.name]]
        targets += [sinks[tensor.name]] if tensor.name in sinks else []
        for target in dict.fromkeys(targets):
            if target != made[tensor.name]:
                passed.setdefault((made[tensor.name], target), []).append(tensor.name)
    return boxes, [_edge(graph, boxes, *ends, names) for ends, names in passed.items()]


def shares_of(place: Place | None) -> list[tuple[str, float]]:
    """The nodes of a place and what part of it each is, for colouring.

    >>> shares_of(Split(axis=2, parts=("a", "b"), weights=(1.0, 3.0)))
    [('a', 0.25), ('b', 0.75)]
    """
    if place is None:
        return []
    if isinstance(place, str):
        return [(place, 1.0)]
    if not isinstance(place, Split):
        return [(node, 1 / len(place.nodes)) for node in place.nodes]
    weights = list(place.weights or [1.0] * len(place.parts))
    total = sum(weights) or 1.0
    return [
        (node, weight / total * share)
        for part, weight in zip(place.parts, weights, strict=False)
        for node, share in shares_of(part)
    ]


def _edge(graph: Graph, boxes: Sequence[Box], source: int, target: int, names: list[str]) -> Edge:
    ends = boxes[source].place, boxes[target].place
    crosses = None not in ends and ends[0] != ends[1]
    return Edge(source, target, tuple(names), sum(graph.tensor[name].nbytes for name in names), crosses)


def _terminal(graph: Graph, name: str, node: str | None) -> Box:
    shape = "×".join(str(length) for length in graph.tensor[name].shape)
    return Box(f"{name} {shape}".strip(), (), 0.0, node)


def _title(graph: Graph, group: Sequence[int]) -> str:
    """The module that all operators belong to, else the kind of the one that computes most."""
    shared = _shared([graph.operators[position].scope.split(".") for position in group])
    heaviest = max(group, key=lambda position: graph.operators[position].flops)
    kind = graph.operators[heaviest].kind.rpartition(".")[2]
    scope_name = ".".join(shared)
    if len(group) == 1 or not scope_name:
        return f"{kind} {scope_name}".strip()
    return scope_name


def _shared(scopes: Sequence[list[str]]) -> list[str]:
    """The parts that all paths begin with, and what the next parts begin with, if that says something."""
    parts = list(takewhile(lambda column: len(set(column)) == 1, zip(*scopes, strict=False)))
    rest = [scope[len(parts)] for scope in scopes if len(scope) > len(parts)]
    stem = _stem(rest) if len(rest) == len(scopes) else ""
    stem = stem.rstrip("_") if stem.endswith("_") else stem.rstrip("0123456789")
    return [column[0] for column in parts] + ([stem] if len(stem) > 2 else [])


def _stem(names: Sequence[str]) -> str:
    """What all names begin with.

    >>> _stem(["branch5x5_1", "branch5x5_2"])
    'branch5x5_'
    """
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def _by_place(group: Sequence[int], places: Sequence[Place | None]) -> Iterable[tuple[int, ...]]:
    start = 0
    for stop in range(1, len(group) + 1):
        if stop == len(group) or places[group[stop]] != places[group[start]]:
            yield tuple(group[start:stop])
            start = stop


def _chains(
    graph: Graph, groups: Sequence[tuple[int, ...]], places: Sequence[Place | None], home: Sequence[int]
) -> list[tuple[int, ...]]:
    owner = {position: number for number, group in enumerate(groups) for position in group}
    after: list[set[int]] = [set() for _ in groups]
    before: list[set[int]] = [set() for _ in groups]
    for name, position in graph.producer.items():
        for reader in graph.readers[name]:
            if owner[reader] != owner[position]:
                after[owner[position]].add(owner[reader])
                before[owner[reader]].add(owner[position])
    merged: dict[int, list[int]] = {}
    head: dict[int, int] = {}
    for number, group in enumerate(groups):
        only = next(iter(before[number])) if len(before[number]) == 1 else None
        joins = only is not None and after[only] == {number} and _alike(groups[only], group, places, home)
        head[number] = head[only] if joins and only is not None else number
        merged.setdefault(head[number], []).extend(group)
    return [tuple(positions) for positions in merged.values()]


def _alike(one: Sequence[int], other: Sequence[int], places: Sequence[Place | None], home: Sequence[int]) -> bool:
    return home[one[0]] == home[other[0]] and places[one[0]] == places[other[0]]


def _whole_blocks(
    groups: Sequence[tuple[int, ...]], places: Sequence[Place | None], home: Sequence[int]
) -> list[tuple[int, ...]]:
    inside: dict[int, list[tuple[int, ...]]] = {}
    for group in groups:
        inside.setdefault(home[group[0]], []).append(group)
    found: list[tuple[int, ...]] = []
    for members in inside.values():
        same = all(places[group[0]] == places[members[0][0]] for group in members)
        found += [tuple(sorted(position for group in members for position in group))] if same else members
    return found


def _runs(
    groups: Sequence[tuple[int, ...]], places: Sequence[Place | None], home: Sequence[int], length: int
) -> list[tuple[int, ...]]:
    """Up to `length` neighbouring groups together, if each is a whole block; part of a block stays as it is."""
    count: dict[int, int] = {}
    for group in groups:
        count[home[group[0]]] = count.get(home[group[0]], 0) + 1
    found: list[tuple[int, ...]] = []
    joined = 0
    for group in groups:
        whole = count[home[group[0]]] == 1
        if whole and 0 < joined < length and places[found[-1][0]] == places[group[0]]:
            found[-1] += group
            joined += 1
        else:
            found.append(group)
            joined = 1 if whole else 0
    return found
