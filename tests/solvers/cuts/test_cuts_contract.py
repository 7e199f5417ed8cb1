"""Every method of the family keeps the contract on random problems, and accepts most of them."""

import pytest
from problems import random_problem

from hocket.cost import Problem
from hocket.solvers import Solver, check_solver
from hocket.solvers.cuts import SOLVERS

WITH_DEADLINES = {"throughput_max", "dong_joint"}


def instances(deadlines: bool) -> list[Problem]:
    problems = [
        random_problem(
            seed,
            metric,
            nodes=2 + seed % 2,
            size=4 + (seed % 5 == 0),
            limited=seed % 3 == 0,
            spread=seed % 4 == 0,
            packed=seed % 5 == 0,
            media=seed % 6 == 0,
            call_s=2e-4 if seed % 4 == 1 else 0.0,
        )
        for metric in ("sequential", "latency", "period", "energy", "price")
        for seed in range(6)
    ]
    return [_due(problem, 0.7 + number % 4) for number, problem in enumerate(problems)] if deadlines else problems


def _due(problem: Problem, factor: float) -> Problem:
    return problem.replace(tasks=(problem.task.replace(deadline_s=problem.references["latency"] * factor),))


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
def test_it_keeps_the_contract(solver: type[Solver]) -> None:
    assert check_solver(solver(), instances(solver.name in WITH_DEADLINES), iterations=3) >= 18


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
def test_it_refuses_where_there_is_no_server(solver: type[Solver]) -> None:
    problem = _due(random_problem(0, shape="chain"), 2.0)
    only = problem.task.profile.replace(entries=problem.task.profile.entries[:1])
    alone = problem.replace(tasks=(problem.task.replace(profile=only),))
    assert solver().refuses(alone) == "there is no server: only 'n0', where the inputs are, can compute"
