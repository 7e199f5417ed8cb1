"""The best sequence of steps: a dynamic program over boundaries and over who holds the tensor there."""

import heapq
from typing import NamedTuple

from hocket.graph.regions import Box, whole
from hocket.plan import Run
from hocket.solvers.joint.moving import Held, Moving
from hocket.solvers.joint.steps import Step, Steps


class _State(NamedTuple):
    seconds: float
    weight_bytes: tuple[int, ...]
    before: "_State | None"
    step: Step | None

    def rank(self, lean: bool) -> tuple[float, float]:
        """What is compared: the fullest node first, if that is wanted."""
        return (max(self.weight_bytes) if lean else 0, self.seconds)

    def runs(self) -> tuple[Run, ...]:
        """From the first cell on."""
        found: list[Run] = []
        state: _State | None = self
        while state is not None and state.step is not None:
            found[:0] = state.step.runs
            state = state.before
        return tuple(found)


def sequences(
    steps: Steps, moving: Moving, *, most_s: float, kept: int = 12, lean: bool = False
) -> list[tuple[float, tuple[Run, ...]]]:
    """The sequences of steps that take the least time, one for each way in which the answer may be held.

    Everything is counted one after another: what the first cells' slowest node takes, the exchange, the next cells. So
    it is an estimate from above of what the judge's timeline says.

    Args:
        steps: of the chain.
        moving: what exchanges cost.
        most_s: sequences that cannot be faster than this are given up.
        kept: states that are followed at each boundary.
        lean: prefer what leaves the node with most weights the fewest, and only then what is fast.

    Returns:
        (seconds, runs), the least first.
    """
    cells = steps.cells
    size, cluster = len(cells.cells), cells.problem.cluster
    rooms = [node.memory_bytes if node.memory_bytes is not None else float("inf") for node in cluster.nodes]
    start: list[Box | None] = [None] * len(cluster.nodes)
    entry = cells.tensor(0)
    start[cluster.index[cells.task.inputs[entry]]] = whole(cells.shape(0))
    states: list[dict[Held, _State]] = [{} for _ in range(size + 1)]
    states[0][tuple(start)] = _State(0.0, (0,) * len(start), None, None)
    least = _least_left(steps)
    for boundary in range(size):
        best = heapq.nsmallest(kept, states[boundary].items(), key=lambda item: item[1].rank(lean))
        if not best:
            continue
        itemsize = _itemsize(steps, boundary)
        for step in steps.of(boundary):
            for held, state in best:
                seconds = state.seconds + step.seconds
                if seconds + least[step.last] > most_s:
                    continue
                seconds += moving.seconds(held, step.needs, itemsize)
                if seconds + least[step.last] > most_s:
                    continue
                weights = tuple(a + b for a, b in zip(state.weight_bytes, step.weight_bytes, strict=True))
                if any(nbytes > room for nbytes, room in zip(weights, rooms, strict=True)):
                    continue
                found, known = _State(seconds, weights, state, step), states[step.last].get(step.holds)
                if known is None or found.rank(lean) < known.rank(lean):
                    states[step.last][step.holds] = found
    ended = _finished(steps, moving, states[size], lean)
    return [(state.seconds, state.runs()) for state in ended]


def _finished(steps: Steps, moving: Moving, states: dict[Held, _State], lean: bool) -> list[_State]:
    """The last states with the way of the answer, the best first."""
    cells = steps.cells
    last = len(cells.cells)
    needed: list[Box | None] = [None] * len(cells.problem.cluster.nodes)
    needed[cells.problem.cluster.index[cells.task.outputs[cells.tensor(last)]]] = whole(cells.shape(last))
    ended = [
        state._replace(seconds=state.seconds + moving.seconds(held, tuple(needed), _itemsize(steps, last)))
        for held, state in states.items()
    ]
    return sorted((state for state in ended if state.seconds < float("inf")), key=lambda state: state.rank(lean))


def _least_left(steps: Steps) -> list[float]:
    """Seconds that the cells behind each boundary take at least, divided over all hosts without any loss."""
    total = steps.cells.seconds
    left = total[-1] - total
    return [1 / sum(1 / seconds for seconds in row) if row.all() else 0.0 for row in left]


def _itemsize(steps: Steps, boundary: int) -> int:
    tensor = steps.cells.graph.tensor[steps.cells.tensor(boundary)]
    return tensor.nbytes // max(tensor.size, 1)
