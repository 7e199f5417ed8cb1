"""From the runs that people write to one place per operator, and back."""

from collections.abc import Sequence

from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.plan.plan import Copies, Entry, Plan, Run, Split

Place = str | Split | Copies


def placement(graph: Graph, entry: Entry) -> list[Place]:
    """Where each operator of the graph runs, in topological order.

    Raises:
        PlanError: a run that names nothing, an operator placed twice, or one not placed (C1).
    """
    places: dict[int, Place] = {}
    for run, covered in runs_of(graph, entry):
        places |= dict.fromkeys(covered, run.on)
    return [places[position] for position in range(len(places))]


def runs_of(graph: Graph, entry: Entry) -> list[tuple[Run, Sequence[int]]]:
    """The runs of an entry with the operators that each of them names, rising.

    Raises:
        PlanError: as `placement`.
    """
    found = []
    taken = [False] * len(graph.operators)
    for run in entry.where:
        covered = positions(graph, run.operators)
        for position in covered:
            if taken[position]:
                name = graph.operators[position].name
                raise PlanError(f"C1: an operator runs once, and {name!r} is in two runs; take it out of one")
            taken[position] = True
        found.append((run, covered))
    if not all(taken):
        missing = [operator.name for operator, done in zip(graph.operators, taken, strict=True) if not done]
        raise PlanError(
            f"C1: every operator runs somewhere, and {len(missing)} of {len(taken)} do not"
            f" ({missing[0]!r} is the first); add them to a run"
        )
    return found


def positions(graph: Graph, text: str) -> Sequence[int]:
    """The operators that a run names, rising: one, `first..last`, or all of a module.

    Raises:
        PlanError: it names nothing (C1).
    """
    if text in graph.index:
        return (graph.index[text],)
    first, dots, last = text.partition("..")
    if dots and first in graph.index and last in graph.index:
        start, stop = graph.index[first], graph.index[last] + 1
        if start >= stop:
            raise PlanError(f"C1: a run goes from an earlier operator to a later one, got {text!r}; swap its ends")
        return range(start, stop)
    inside = [
        position
        for position, operator in enumerate(graph.operators)
        if operator.scope == text or operator.scope.startswith(text + ".")
    ]
    if not text or not inside:
        raise PlanError(
            f"C1: a run names operators of {graph.name!r}, and {text!r} is neither an operator, first..last, nor a"
            " module; `hocket inspect` lists them"
        )
    return inside


def entry_for(task: str, graph: Graph, places: Sequence[Place]) -> Entry:
    """Write one place per operator as the fewest runs."""
    runs: list[Run] = []
    start = 0
    for stop in range(1, len(places) + 1):
        if stop == len(places) or places[stop] != places[start]:
            first, last = graph.operators[start].name, graph.operators[stop - 1].name
            runs.append(Run(operators=first if first == last else f"{first}..{last}", on=places[start]))
            start = stop
    return Entry(task=task, where=tuple(runs))


def plan_for(task: str, graph: Graph, places: Sequence[Place]) -> Plan:
    """A plan of one task with one place per operator."""
    sha256 = graph.source.sha256 if graph.source else ""
    return Plan(entries=(entry_for(task, graph, places),), graph={task: sha256})
