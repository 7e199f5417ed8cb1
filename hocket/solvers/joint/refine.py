"""Moving cut points while the judge sees less: what the estimate of the search does not know."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from hocket.graph import Graph
from hocket.graph.regions import slicer_of
from hocket.plan import Run, Split
from hocket.plan.cuts import shared
from hocket.plan.placement import positions

Value = Callable[[Sequence[Run]], float]
"""What the judge says of a plan with these runs; infinite if it breaks a constraint."""
_FACTORS = (0.8, 1.25, 0.92, 1.09)


def refined(graph: Graph, runs: Sequence[Run], hosts: Sequence[str], value: Value, most: int) -> list[Run]:
    """Give nodes larger or smaller shares in all splits, then in one after another, as long as it pays.

    Args:
        graph: what the runs divide.
        runs: to begin with.
        hosts: the nodes that compute.
        value: the judge.
        most: times that it is asked.
    """
    best, least, asked = list(runs), value(runs), 1
    while True:
        better = False
        for changed in _changes(graph, best, hosts):
            if asked >= most:
                return best
            asked += 1
            found = value(changed)
            if found < least:
                best, least, better = changed, found, True
                break
        if not better:
            return best


def _changes(graph: Graph, runs: Sequence[Run], hosts: Sequence[str]) -> Iterator[list[Run]]:
    """Plans near a plan: those that change much first."""
    for factor in _FACTORS:
        for host in hosts:
            changed = [_scaled(graph, run, host, factor) for run in runs]
            if changed != list(runs):
                yield changed
    for place, run in enumerate(runs):
        if isinstance(run.on, Split) and run.on.axis != "contract" and ".." in run.operators:
            other = "exchange" if run.on.border == "recompute" else "recompute"
            yield [*runs[:place], run.replace(on=run.on.replace(border=other)), *runs[place + 1 :]]
    for place, run in enumerate(runs):
        for host in hosts:
            for factor in _FACTORS[:2]:
                changed_run = _scaled(graph, run, host, factor)
                if changed_run != run:
                    yield [*runs[:place], changed_run, *runs[place + 1 :]]


def _scaled(graph: Graph, run: Run, host: str, factor: float) -> Run:
    """A run in which a node's share is larger or smaller."""
    if not isinstance(run.on, Split) or host not in run.on.parts or run.on.cuts is None:
        return run
    length = _length(graph, run, run.on)
    sizes = [float(b - a) for a, b in pairwise((0, *run.on.cuts, length))]
    weights = [size * factor if part == host else size for size, part in zip(sizes, run.on.parts, strict=True)]
    if not any(weights):
        return run
    points = [0]
    for size in shared(weights, length, run.on.granularity):
        points.append(points[-1] + size)
    return run.replace(on=run.on.replace(cuts=tuple(points[1:-1])))


def _length(graph: Graph, run: Run, split: Split) -> int:
    """Of the axis that is divided."""
    name = graph.operators[positions(graph, run.operators)[-1]].name
    if isinstance(split.axis, int):
        return graph.tensor[name].shape[split.axis]
    return slicer_of(graph).contraction(name)[0].size
