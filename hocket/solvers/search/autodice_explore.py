"""NSGA-II over mappings of layers to devices, for memory, energy and throughput.

Solves    every constraint of one task; the front of most memory on one device, energy and period, in which the
          objective chooses
Answer    the plan on the front found that has the least objective; with a lower bound. The front is `front`
Time      O(G P) judgements; G = generations, P = mappings
Source    Guo, Pimentel, Stefanov: Automated Exploration and Implementation of Distributed CNN Inference at the Edge,
          IEEE IoT-J 10(7):5843-5858, 2023
Departs   [standard] operators of NSGA-II; a device is one processor, not a set of cores; code is not generated, because
          the runtime takes the plan as it is
Cards     autodice_explore
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.solvers.search.judge import Judge, refuses_search
from hocket.solvers.search.library import Point
from hocket.solvers.search.yardsticks import front_of, on_the_front
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import MaxIterations, Stop

METRICS = ("memory", "energy", "period")


@dataclass(frozen=True, slots=True, kw_only=True)
class AutodiceExplore:
    """See the module."""

    name: ClassVar[str] = "autodice_explore"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    population: int = 32
    generations: int = 80
    """How many if no `stop` is given."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_search(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The plan on the front that the objective likes best."""
        judge = self._judge(problem, stop)
        return on_the_front(judge, front_of(judge, METRICS, self.population, seed))

    def front(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> list[Point]:
        """Most bytes on one device, joules, seconds per request, and the node of each unit, by rising figures."""
        return front_of(self._judge(problem, stop), METRICS, self.population, seed)

    def _judge(self, problem: Problem, stop: Stop | None) -> Judge:
        return Judge(self, problem, stop or MaxIterations(self.generations))
