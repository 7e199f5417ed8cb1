"""Each block of a chain divided as suits it best: one node, rows, columns, channels, heads, positions, contraction.

Solves    latency, period, energy, price, sequential of one task whose graph was loaded from ONNX and is a chain of
          blocks
Answer    the best of a dynamic program over who holds what at each boundary, refined by the judge; never worse than
          everything on one node, the best placement of whole operators that auto finds, and every exact method of the
          families tiles and tensor; with a lower bound for divided plans
Time      O(L F T K) estimates, and a given number of judgements; L = blocks, F = fused blocks, T = ways to divide one,
          K = states kept
Source    -
Departs   -
Cards     -
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Cost, Problem
from hocket.errors import GraphError, InfeasibleError, RefusedError
from hocket.plan import Entry, Plan, Run
from hocket.solvers import tensor, tiles
from hocket.solvers.checks import infeasible, refuses_nodes, require
from hocket.solvers.fixed import fixed_plans, judged
from hocket.solvers.joint.bound import split_bound
from hocket.solvers.joint.cells import Cells
from hocket.solvers.joint.moving import Moving
from hocket.solvers.joint.refine import refined
from hocket.solvers.joint.search import sequences
from hocket.solvers.joint.steps import Step, Steps
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import MaxIterations, MaxRuntime, Stop
from hocket.solvers.whole import best_whole

_JUDGED = 3  # of the sequences that the search finds; the first of them is refined
_WHOLE = 20  # judgements of the search for whole operators
_MOST_RUNS = 1200
"""Runs that are judged in all while cut points are refined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSplit:
    """See the module."""

    name: ClassVar[str] = "joint_split"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    judgements: int = 100
    """How many plans the judge is asked about to refine cut points, at most."""
    kept: int = 12
    """States that are followed at each boundary."""
    others: bool = True
    """Try the methods of the families tiles and tensor too, and take theirs if it is better."""
    whole: bool = True
    """Look for the best placement of whole operators too, and take it if it is better."""
    lean: bool = False
    """Least memory on the fullest node instead of the least objective: limits keep the objective in bounds."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a graph that cannot be divided, or nothing that can compute."""
        reason = refuses_nodes(problem)
        if reason:
            return reason
        if not problem.task.graph.body:
            return f"the operators of {problem.task.graph.name!r} are not known as ONNX, so they cannot be divided"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan found."""
        require(self, problem)
        best: tuple[tuple[float, float], str, Plan] | None = None
        sentence = "no way leads from the inputs to the answers"
        for found_by, plan in self._candidates(problem, seed, stop):
            cost = judged(problem, plan)
            if cost is None:
                continue
            if not cost.feasible:
                sentence = cost.violations[0].sentence
            elif best is None or self._rank(cost) < best[0]:
                best = (self._rank(cost), found_by, plan)
        if best is None:
            raise infeasible(problem, "single nodes, whole blocks and divided blocks", sentence)
        notes = {"found_by": best[1]}
        if self.lean:
            least = problem.task.graph.weight_bytes / len(problem.task.profile.nodes)
            notes |= {"peak_memory_bytes": f"{best[0][0]:.0f}", "least_possible_bytes": f"{least:.0f}"}
        return Proposal(plan=best[2], bound=split_bound(problem), notes=notes)

    def _rank(self, cost: Cost) -> tuple[float, float]:
        """What is compared."""
        return (max(cost.memory_bytes.values(), default=0) if self.lean else 0, cost.value)

    def _candidates(self, problem: Problem, seed: int, stop: Stop | None) -> Iterator[tuple[str, Plan]]:
        """Plans with who found them: ours last, so that of equal ones the simpler wins."""
        yield from fixed_plans(problem).items()
        if self.whole:
            with suppress(InfeasibleError, RefusedError):
                yield "whole operators", best_whole(problem, seed=seed, stop=_soon(stop), judgements=_WHOLE).plan
        for solver in _others() if self.others else ():
            if solver.refuses(problem) is not None:
                continue
            try:
                yield solver.name, solver(problem, seed=seed, stop=MaxIterations(20)).plan
            except (InfeasibleError, RefusedError, GraphError):
                continue
        for runs in self._sequences(problem, stop):
            yield self.name, _plan(problem, runs)

    def _sequences(self, problem: Problem, stop: Stop | None) -> Iterator[Sequence[Run]]:
        cells, moving = Cells(problem, problem.task), Moving(problem)
        if not cells.cells or len(cells.hosts) < 2:
            return
        steps = _StoppedSteps(cells, moving, stop)
        # An estimate counts nothing twice at once, so it may be above what the judge says by as much again.
        # What is lean may take as long as it likes: limits say how long.
        most_s = float("inf") if self.lean else 2 * float(cells.seconds[-1].min())
        found = sequences(steps, moving, most_s=most_s, kept=self.kept, lean=self.lean)
        best, stopped = float("inf"), False

        def value(runs: Sequence[Run]) -> float:
            nonlocal best, stopped
            if stopped:
                return float("inf")
            cost = judged(problem, _plan(problem, runs))
            result = cost.value if cost is not None and cost.feasible else float("inf")
            best = min(best, result)
            stopped = stop is not None and stop(best)
            return result

        # Larger programs take longer to judge, so fewer of their neighbours are looked at.
        most = max(min(self.judgements, _MOST_RUNS // max(len(found[0][1]), 1)), 8) if found else 0
        for number, (_, runs) in enumerate(found[:_JUDGED]):
            refine = number == 0 and not self.lean
            yield refined(problem.task.graph, runs, cells.hosts, value, most) if refine else runs


def _soon(stop: Stop | None) -> Stop | None:
    """A rule that also ends the search for whole operators, which is not all that there is time for."""
    if stop is None:
        return None
    enough = MaxIterations(_WHOLE)
    return lambda best: enough(best) or stop(best)


class _StoppedSteps(Steps):
    """Steps of which there are none any more when the time is over: the search that follows them then ends."""

    def __init__(self, cells: Cells, moving: Moving, stop: Stop | None) -> None:
        super().__init__(cells, moving)
        # Other rules count what is judged.
        self._stop = stop if isinstance(stop, MaxRuntime) else None

    def of(self, first: int) -> Iterator[Step]:
        """Every step that begins with a cell."""
        if self._stop is None or not self._stop(float("inf")):
            yield from super().of(first)


def _others() -> list[Solver]:
    """The published methods that divide operators, in the order of the list, without those that change the answer."""
    return [kind() for kind in (*tiles.SOLVERS, *tensor.SOLVERS) if not getattr(kind, "approximate", False)]


def _plan(problem: Problem, runs: Sequence[Run]) -> Plan:
    task = problem.task
    sha256 = task.graph.source.sha256 if task.graph.source else ""
    return Plan(entries=(Entry(task=task.name, where=tuple(runs)),), graph={task.name: sha256})
