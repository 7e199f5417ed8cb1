"""Every solver keeps the contract, on random problems; and the contract notices solvers that do not."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from problems import random_problem

from hocket.cost import Problem, evaluate
from hocket.solvers import SOLVERS, ContractError, Exhaustive, MinCut, Proposal, Solver, check_solver, lower_bound
from hocket.solvers.additive import additive_of
from hocket.solvers.registry import GENERAL
from hocket.solvers.stop import Stop

METRICS = ("sequential", "latency", "period", "energy", "price")
LEAST_ACCEPTED = {"min_cut": 80, "chain_dp": 90}


def instances(count: int = 40, *, two: bool = False) -> list[Problem]:
    """Problems of all metrics, shapes and clusters that the tests know."""
    return [
        random_problem(
            seed,
            metric,
            nodes=2 + (seed % 7 == 0 if two else seed % 2),
            size=4 + (seed % 5 == 0),
            limited=seed % 3 == 0,
            spread=seed % 4 == 0,
            packed=seed % 5 == 0,
            media=seed % 6 == 0,
            relay=seed % 7 == 0,
            call_s=2e-4 if seed % 4 == 1 else 0.0,
            **({"shape": "chain"} if seed % 3 == 1 else {}),
        )
        for metric in METRICS
        for seed in range(count)
    ]


@pytest.mark.parametrize("name", [solver.name for solver in GENERAL])
def test_every_general_solver_keeps_the_contract(name: str) -> None:
    problems = instances(two=name == "min_cut")
    assert len(problems) >= 200
    assert check_solver(SOLVERS[name](), problems, iterations=3) >= LEAST_ACCEPTED.get(
        name, 150
    )  # the families have their own


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    name: ClassVar[str] = "planted"
    exact_for: ClassVar[frozenset[str]] = frozenset({"sequential"})

    def refuses(self, problem: Problem) -> str | None:
        return None

    def best(self, problem: Problem) -> Proposal:
        return MinCut()(problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AllOnTheFirst(_Base):
    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        additive = additive_of(problem)
        return Proposal(plan=additive.plan([0] * len(additive.layout.units)), over="units")


@dataclass(frozen=True, slots=True, kw_only=True)
class _BoundTooHigh(_Base):
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        plan = self.best(problem).plan
        return Proposal(plan=plan, bound=evaluate(problem, plan).value * 1.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class _NoClaim(_Base):
    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        return Proposal(plan=self.best(problem).plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OtherNames(_Base):
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        additive = additive_of(problem)
        host = 1 if problem.cluster.nodes[0].name.startswith("renamed") else 0
        return Proposal(plan=additive.plan([host] * len(additive.layout.units)))


class _Moody(_Base):
    exact_for: ClassVar[frozenset[str]] = frozenset()
    calls: ClassVar[list[int]] = []

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        self.calls.append(1)
        additive = additive_of(problem)
        return Proposal(plan=additive.plan([len(self.calls) % 2] * len(additive.layout.units)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ForgetsAnOperator(_Base):
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        plan = self.best(problem).plan
        entry = plan.entries[0]
        return Proposal(plan=plan.replace(entries=(entry.replace(where=entry.where[:-1]),)))


@pytest.mark.parametrize(
    ("planted", "promise"),
    [
        (_AllOnTheFirst(), "gives the best over units that it claims for sequential"),
        (_BoundTooHigh(), "gives a bound that is not above its value"),
        (_NoClaim(), "names a space where it is exact for sequential"),
        (_OtherNames(), "gives the same value under other names of nodes"),
        (_Moody(), "gives the same plan for the same seed"),
        (_ForgetsAnOperator(), "a plan can be lowered, and that of planted cannot"),
    ],
)
def test_the_contract_notices_a_planted_bug(planted: Solver, promise: str) -> None:
    with pytest.raises(ContractError, match=promise):
        check_solver(planted, [random_problem(seed, spread=True) for seed in range(30)])


@pytest.mark.parametrize("metric", METRICS)
def test_the_bound_is_never_above_the_best(metric: str) -> None:
    for problem in (random_problem(seed, metric, nodes=3, size=5, spread=seed % 2 == 0) for seed in range(40)):
        best = evaluate(problem, Exhaustive()(problem).plan).value
        assert lower_bound(problem) <= best * (1 + 1e-9)
