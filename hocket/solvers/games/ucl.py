"""Units compete for nodes: a potential game whose cost is the delay of the whole stream.

Solves    one or more models, any graph, any number of unlike nodes: a stream of requests
Answer    a Nash equilibrium: no unit alone lowers the delay of the stream by going elsewhere; the delay is what one
          request of each task takes step after step, and for each further request the time of the busiest node
Time      O(r U N); r = rounds, U = units, N = nodes
Source    Yu, Wu, Gao, Gong: UCL: unit competition of layers for streaming tasks in heterogeneous networks, GLOBECOM
          2022, pp. 5207-5212
Departs   [standard] the cost form; links are not counted as stages of the pipeline; groups of a convolution compete
          where the graph has them as operators of their own; local optima are left as they are
Cards     ucl
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.games.best_response import best_response
from hocket.solvers.games.groups import Groups
from hocket.solvers.games.market import settled
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.starts import in_a_row
from hocket.solvers.stop import Stop


def unit_costs(seconds: Floats, arriving_s: Floats, leaving_s: Floats, busy_s: Floats, stream: int) -> Floats:
    """What each node costs a unit, up to what it cannot change: all that it has to know of the others it can hear.

    Args:
        seconds: (N,) of the unit on each node; inf = it cannot be there.
        arriving_s: (N,) of bringing it what it reads, from where its neighbours say that they are.
        leaving_s: (N,) of bringing what it makes to its readers.
        busy_s: (N,) how long each node says that it computes for the others.
        stream: number of requests.

    Two requests, two nodes; the second is faster but has 4 s of work for others already:

    >>> unit_costs(np.array([3.0, 1.0]), np.zeros(2), np.zeros(2), np.array([0.0, 4.0]), 2).tolist()
    [7.0, 6.0]
    """
    busiest = np.maximum(busy_s.max(), busy_s + seconds)
    return np.asarray(seconds + arriving_s + leaving_s + (stream - 1) * busiest)


class Competition:
    """The game; a strategy is a node of the cluster."""

    def __init__(self, groups: Groups, stream: int) -> None:
        self.groups, self.stream = groups, stream

    def costs(self, unit: int, places: Sequence[int]) -> Floats:
        """(N,) cost of each node for a unit while the others stay."""
        groups = self.groups
        arriving, leaving = groups.arriving(unit, places), groups.leaving(unit, places)
        return unit_costs(groups.seconds[unit], arriving, leaving, groups.busy_s(places, without=unit), self.stream)

    def delay_s(self, places: Sequence[int]) -> float:
        """The delay of the stream: the potential."""
        return self.groups.sequential_s(places) + (self.stream - 1) * float(self.groups.busy_s(places).max())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ucl:
    """See the module."""

    name: ClassVar[str] = "ucl"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    stream: int = 10
    """Requests of each task that follow each other."""
    start: Literal["source", "speed"] = "source"
    """All units where the inputs are, or consecutive ones shared out by the speeds of the nodes."""

    def refuses(self, problem: Problem) -> str | None:
        """Start at a source that cannot compute."""
        if self.stream < 1:
            return f"a stream has at least one request, and stream = {self.stream}"
        for task in problem.tasks:
            if self.start == "source" and task.source not in task.profile.nodes:
                return f"the inputs of {task.name!r} are on {task.source!r}, of which the profile knows nothing"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of the equilibrium that best responses lead to."""
        require(self, problem)
        groups = Groups(problem, lambda layout: range(len(layout.units)))
        game = Competition(groups, self.stream)
        if self.start == "source":
            start = [groups.source(unit) for unit in range(len(groups.task_of))]
        else:
            start = [node for layout in groups.layouts for node in in_a_row(layout)]
        found = best_response(game.costs, start, stop=stop)
        notes = {
            "delay_s": f"{game.delay_s(found.strategies):.9g}",
            "moves": str(found.moves),
            "stable": "yes" if found.stable else "no",
        }
        return settled(problem, self.name, groups.plan(found.strategies), notes)
