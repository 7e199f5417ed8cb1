"""Several tasks on one cluster: names, loads that are counted once, references that everything at home meets."""

import pytest
from problems import random_problem

from hocket.cost import Objective, Problem, evaluate, simulate
from hocket.errors import FormatError, GraphError
from hocket.program import Resource
from hocket.program.sending import finish_s
from hocket.solvers import solve


def twins(**fields: object) -> Problem:
    """The same task twice."""
    problem = random_problem(1, "latency", nodes=2, size=4)
    return problem.replace(tasks=tuple(problem.task.replace(name=name, **fields) for name in "ab"))


def test_tasks_have_different_names() -> None:
    problem = twins()
    with pytest.raises(GraphError, match="tasks have different names, and 2 have 'a'; rename one"):
        problem.replace(tasks=(problem.tasks[0], problem.tasks[0]))


def test_only_metrics_have_weights() -> None:
    with pytest.raises(FormatError, match=r"a weight is of one of latency, .*, got 'speed'; correct the name"):
        twins().replace(objective=Objective(metric="weighted", weights={"speed": 1.0}))


def test_the_simulation_counts_the_load_of_each_task_once() -> None:
    """Each of two tasks keeps the node busy for 0.3 s per second."""
    busy = evaluate(twins(), solve(twins(), "local").plan).latency_s
    problem = twins(rate_per_s=0.3 / busy)
    plan = solve(problem, "local").plan
    simulated = simulate(problem, plan, requests=50)
    assert simulated.feasible
    assert simulated.busy_s == pytest.approx(evaluate(problem, plan).busy_s)


def test_waiting_counts_in_the_sojourn_of_several_tasks() -> None:
    problem = twins(rate_per_s=0.1)
    cost = evaluate(problem, solve(problem, "local").plan)
    assert cost.sojourn_s == pytest.approx(cost.latency_s + cost.wait_s)
    assert evaluate(twins(), solve(twins(), "local").plan).sojourn_s is None


@pytest.mark.parametrize("aggregate", ["mean", "sum", "max"])
@pytest.mark.parametrize("metric", ["latency", "sequential", "period", "energy"])
def test_everything_at_home_has_the_weighted_value_1(metric: str, aggregate: str) -> None:
    objective = Objective(metric="weighted", weights={metric: 1.0}, aggregate=aggregate)
    problem = twins().replace(objective=objective, margin=0.5)
    if problem.references[metric]:
        assert evaluate(problem, solve(problem, "local").plan).value == pytest.approx(1.0)


def test_a_rate_of_0_again_and_again_ends() -> None:
    assert finish_s([Resource(name="r", trace=((0.0, 0.0),), trace_s=1.0)], 0.0, 10) - 0.0 == float("inf")
