"""Algorithms of pymoo on vectors of nodes, asked for vectors and told what the judge says of them."""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from hocket.cost import Cost
from hocket.cost.objective import figure
from hocket.errors import MissingError
from hocket.solvers.layout import Floats
from hocket.solvers.search.judge import NOWHERE, Judge, Rank, Vector

Algorithm = Literal["ga", "pso", "nsga2"]
Point = tuple[tuple[float, ...], Vector]
"""Figures, and the vector that has them."""
_MOST_MATINGS = 20  # with far fewer a genetic algorithm takes a small space for exhausted and ends early
_AS_INFINITE = 1e30  # the library compares and subtracts, so nothing may be infinite


def evolve(judge: Judge, algorithm: Algorithm, *, population: int, seed: int) -> int:
    """Search for the least objective until the judge's `stop` says so, or nothing new can be made.

    Returns:
        How many generations there were.
    """

    def told(vectors: list[Vector]) -> tuple[Floats, list[Rank]]:
        ranks = judge.ranks(vectors)
        return np.array([[rank.value] for rank in ranks]), ranks

    return _run(judge, algorithm, 1, told, population, seed)


def front(judge: Judge, metrics: Sequence[str], *, population: int, seed: int) -> list[Point]:
    """The plans that nothing seen by NSGA-II dominates, by their figures, rising.

    Args:
        judge: of the vectors.
        metrics: `memory` (most bytes on one node) or metrics of an objective.
        population: of each generation.
        seed: of all that is random.
    """
    seen: dict[tuple[float, ...], Vector] = {}

    def told(vectors: list[Vector]) -> tuple[Floats, list[Rank]]:
        costs = [judge.cost(vector) for vector in vectors]
        ranks = [NOWHERE if cost is None else judge.rank(vector) for cost, vector in zip(costs, vectors, strict=True)]
        rows = []
        for vector, cost, rank in zip(vectors, costs, ranks, strict=True):
            row = figures(cost, metrics) if cost else (np.inf,) * len(metrics)
            rows.append(row)
            if rank.excess == 0:
                seen.setdefault(row, vector)
        return np.array(rows), ranks

    _run(judge, "nsga2", len(metrics), told, population, seed)
    return undominated(list(seen.items()))


def figures(cost: Cost, metrics: Sequence[str]) -> tuple[float, ...]:
    """Figures of a cost by name; `memory` is the most bytes on one node."""
    return tuple(
        float(max(cost.memory_bytes.values(), default=0)) if name == "memory" else figure(cost, name)
        for name in metrics
    )


def undominated(points: Sequence[Point]) -> list[Point]:
    """Points such that no other is as good in every figure and better in one, rising.

    >>> [figures for figures, _ in undominated([((1.0, 3.0), []), ((2.0, 3.0), []), ((2.0, 1.0), [])])]
    [(1.0, 3.0), (2.0, 1.0)]
    """
    kept: list[Point] = []
    # In rising order a point can only be dominated by one before it.
    for row, vector in sorted(points, key=lambda point: point[0]):
        if not any(all(a <= b for a, b in zip(other, row, strict=True)) for other, _ in kept):
            kept.append((row, vector))
    return kept


def _run(
    judge: Judge,
    algorithm: Algorithm,
    objectives: int,
    told: Callable[[list[Vector]], tuple[Floats, list[Rank]]],
    population: int,
    seed: int,
) -> int:
    """Ask and tell, one generation per iteration; how many there were."""
    evaluator, static, problem, method = _library(algorithm, judge, objectives, population)
    # Its own rule to end would count generations; here only the judge's `stop` ends a search.
    method.setup(problem, termination=("n_gen", 2**62), seed=seed, verbose=False)
    generation = 0
    while True:
        asked = method.ask()
        if asked is None or not len(asked):
            return generation
        numbers = np.clip(np.floor(asked.get("X").astype(float)).astype(int), 0, len(judge.hosts) - 1)
        values, ranks = told(list(judge.hosts[numbers]))
        broken = np.array([[rank.excess] for rank in ranks])
        finite = [np.minimum(some, _AS_INFINITE) for some in (values, broken)]
        evaluator.eval(static(problem, F=finite[0], G=finite[1]), asked)
        method.tell(infills=asked)
        if judge.over():
            return generation + 1
        generation += 1


def _library(algorithm: Algorithm, judge: Judge, objectives: int, population: int) -> tuple[Any, Any, Any, Any]:
    """Evaluator, static problem, problem and algorithm of pymoo.

    Raises:
        MissingError: it is not installed.
    """
    if importlib.util.find_spec("pymoo") is None:
        raise MissingError(f"{judge.solver.name} needs pymoo, which is not installed here; install hocket[search]")
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.algorithms.soo.nonconvex.pso import PSO
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.pntx import TwoPointCrossover
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.problems.static import StaticProblem

    top = len(judge.hosts) if algorithm == "pso" else len(judge.hosts) - 1
    problem = Problem(n_var=judge.size, n_obj=objectives, n_ieq_constr=1, xl=0, xu=top)
    if algorithm == "pso":
        return Evaluator(), StaticProblem, problem, PSO(pop_size=population)
    kind = GA if algorithm == "ga" else NSGA2
    method = kind(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=TwoPointCrossover(),
        mutation=PM(vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    # In a small space nearly everything is known soon; looking a hundred times for what is not takes very long.
    method.mating.n_max_iterations = _MOST_MATINGS
    return Evaluator(), StaticProblem, problem, method
