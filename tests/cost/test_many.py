"""The judge that remembers: the same as the judge that does not, and cheap where one task changes."""

import random

import pytest
from stars import entry, problem, split, task

from hocket.cost import evaluate
from hocket.cost.evaluate import judge_entry
from hocket.cost.many import Evaluator
from hocket.cost.replicas import replicated_reliability
from hocket.errors import PlanError
from hocket.plan import Plan


def made(seed: int) -> tuple[object, list[list[object]]]:
    """A problem of five tasks, some of which may be refused, and the entries that each may have."""
    rng = random.Random(seed)
    names = [(f"t{i}", rng.choice("ab")) for i in range(5)]
    tasks = [
        task(name, at, rate_per_s=rng.choice([0.0, 0.2, 0.5]), refusal_cost=rng.choice([None, 1.0]))
        for name, at in names
    ]
    options = [
        [entry(name, ("u..v", at)), split(name, at), split(name, at, shares={"e": rng.uniform(0.05, 0.4), "wifi": 0.2})]
        for name, at in names
    ]
    return problem(*tasks, queue=rng.choice(["none", "mm1", "md1"])), options


@pytest.mark.parametrize("seed", range(8))
def test_the_same_as_evaluate(seed: int) -> None:
    question, options = made(seed)
    judge, rng = Evaluator(question), random.Random(seed)
    for _ in range(6):
        chosen = [
            rng.sample(some, rng.choice([1, 1, 2]))
            for some, row in zip(options, question.tasks, strict=True)
            if row.refusal_cost is None or rng.random() < 0.7
        ]
        plan = Plan(entries=tuple(one for some in chosen for one in some))
        cost = evaluate(question, plan)
        assert judge.evaluate(plan) == cost
        judge.hold(plan)
        for name, own in judge.costs(plan).items():
            mine = [one for one in plan.entries if one.task == name]
            assert judge.cost_if(*mine).wait_s == pytest.approx(own.wait_s)
            assert judge.cost_if(*mine).latency_s == own.latency_s


def test_one_task_that_changes() -> None:
    question, options = made(1)
    judge = Evaluator(question)
    plan = Plan(entries=tuple(some[0] for some in options))
    judge.hold(plan)
    changed = Plan(entries=(options[0][1], *plan.entries[1:]))
    expected = judge.costs(changed)
    assert judge.cost_if(options[0][1]).wait_s == pytest.approx(expected["t0"].wait_s)
    judge.change(options[0][1])
    assert judge.cost_if(options[1][0]).wait_s == pytest.approx(expected["t1"].wait_s)
    judge.drop("t0")
    judge.hold(changed)
    assert judge.cost_if(options[1][0]).wait_s == pytest.approx(expected["t1"].wait_s)


def test_an_entry_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*args: object) -> object:
        calls.append(args)
        return judge_entry(*args)

    monkeypatch.setattr("hocket.cost.many.judge_entry", counted)
    question, options = made(2)
    judge = Evaluator(question)
    for first in options[0]:
        for _ in range(3):
            judge.evaluate(Plan(entries=(first, *(some[0] for some in options[1:]))))
    assert len(calls) == 7


def test_a_plan_that_lacks_a_task_is_refused() -> None:
    question = problem(task("s", "a"), task("t", "b"))
    with pytest.raises(PlanError, match="C1: every task has an entry, and 't' has none; add one or drop the task"):
        Evaluator(question).evaluate(Plan(entries=(split("s", "a"),)))


def test_replicas_against_enumeration() -> None:
    rng = random.Random(5)
    names = [f"n{i}" for i in range(7)]
    for _ in range(60):
        failure = {name: rng.choice([0.0, 0.1, 0.3, 0.9]) for name in names}
        parts = [
            [rng.sample(names, rng.randint(1, 3)) for _ in range(rng.randint(1, 3))] for _ in range(rng.randint(1, 4))
        ]
        expected = 0.0
        for state in range(2 ** len(names)):
            up = {name for bit, name in enumerate(names) if state >> bit & 1}
            chance = 1.0
            for name in names:
                chance *= 1 - failure[name] if name in up else failure[name]
            if all(any(up.issuperset(way) for way in ways) for ways in parts):
                expected += chance
        assert replicated_reliability(parts, failure) == pytest.approx(expected)


def test_replicas_are_the_product_where_nothing_is_shared() -> None:
    failure = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    found = replicated_reliability([[["a"], ["b"]], [["c"], ["d"]]], failure)
    assert found == pytest.approx((1 - 0.1 * 0.2) * (1 - 0.3 * 0.4))


def test_a_node_that_hosts_two_parts_fails_once() -> None:
    assert replicated_reliability([[["a"]], [["a"]], [["a", "b"]]], {"a": 0.1, "b": 0.2}) == pytest.approx(0.72)
