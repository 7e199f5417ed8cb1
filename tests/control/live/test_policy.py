"""Policies on hand-made worlds: they ask and switch when they should, once, and never for more than it is worth."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from hocket.control.live import policy as policies
from hocket.control.live.events import Computed, Sample, Thought
from hocket.control.live.facts import Facts, Hop, Line, World
from hocket.control.live.policy import Policy, Replan, Static, Table, Threshold, View, Wish, policy_of
from hocket.control.live.sight import Late, Pace, Sight
from hocket.control.live.wishes import ratio, shares
from hocket.errors import PlanError

UP, DOWN = ("a", "b"), ("b", "a")
FULL = 1e6
LOCAL, AWAY = 0, 1


def facts(plan: int, value_s: float, *, move_s: float = 0.0, factor: float = 1.0, hops: Iterable[Hop] = ()) -> Facts:
    """A plan on `a`, and on `b` if it uses ways."""
    ways = frozenset(hops)
    nodes = frozenset("ab" if ways else "a")
    carried = {hop: 1e5 if hop == UP else 1e3 for hop in ways}
    return Facts(plan, nodes, ways, frozenset("a"), (Line(2),), value_s, {}, move_s, carried, factor)


PLANS = {LOCAL: facts(LOCAL, 0.2), AWAY: facts(AWAY, 0.1, hops=(UP, DOWN))}


class Live:
    """A policy between a link that is looked at twice a second and a planner that answers at once.

    Away is better than local from half of the stated rate on, if node `b` is not loaded.
    """

    def __init__(self, policy: Policy, goal: int = AWAY) -> None:
        self.policy, self.goal, self.now_s = policy, goal, 0.0
        self.memory: Any = policy.begin()
        self.sight = Sight.of(World(rates={UP: FULL, DOWN: FULL}))
        self.missing: frozenset[str] = frozenset()
        self.move_s = 0.0
        self.asked: list[tuple[float, Wish]] = []
        self.switches: list[tuple[float, int]] = []

    def run(self, until_s: float, rate: float | None, load: float = 1.0, down: float | None = None) -> None:
        """Look at the link at a rate until a moment; None = nothing goes over it."""
        while self.now_s < until_s:
            self.now_s += 0.5
            samples = [(hop, each) for hop, each in ((UP, rate), (DOWN, down)) if each is not None]
            seen = tuple(Sample(hop, 100_000, self.now_s - 1e5 / each, self.now_s) for hop, each in samples)
            self.sight = self.sight.seen(seen, (Computed("b", 0.05 * load, 0.05),))
            self.look({**self.sight.fresh, "b": load})

    def look(self, fresh: dict[Hop | str, float]) -> None:
        """Let the policy look once, and answer what it asks."""
        self.memory, wish = self.policy.see(self.memory, self.view(fresh))
        if wish is None:
            return
        if wish.plan is not None:
            self.switch(wish.plan)
            return
        self.asked.append((self.now_s, wish))
        self.memory, plan = self.policy.weigh(self.memory, self.view({}), self.think(wish))
        self.switch(plan)

    def think(self, wish: Wish) -> Thought:
        """The planner's answer."""
        factors = wish.factors if wish.kind == "table" else (1.0,)
        plans = tuple(replace(self.best(factor), factor=factor) for factor in factors)
        return Thought(self.now_s, 0, plans, "", self.value(self.goal, 1.0))

    def best(self, factor: float) -> Facts:
        """The best plan where all is faster by a factor than it was seen."""
        plan = min((LOCAL, AWAY), key=lambda each: self.value(each, factor) or float("inf"))
        value = self.value(plan, factor)
        return replace(PLANS[plan], value_s=value or 0.0, move_s=0.0 if plan == self.goal else self.move_s)

    def value(self, plan: int, factor: float) -> float | None:
        """Away takes 0.1 s at the stated rate and 0.2 s at half of it."""
        world = self.sight.world(self.missing, frozenset())
        if plan == LOCAL:
            return 0.2
        if "b" in self.missing:
            return None
        return 0.1 * FULL / (world.rates.get(UP, FULL) * factor) + 0.05 * (world.loads.get("b", 1.0) - 1.0)

    def view(self, fresh: dict[Hop | str, float]) -> View:
        """What it may see."""
        world = self.sight.world(self.missing, frozenset())
        answered = int(self.now_s)
        return View(self.now_s, world, self.sight, PLANS, self.goal, AWAY, self.goal, False, answered, fresh)

    def switch(self, plan: int | None) -> None:
        """Another plan from now on."""
        if plan is not None and plan != self.goal:
            self.goal = plan
            self.switches.append((self.now_s, plan))


ADAPTIVE = [Table(), Threshold(), Replan()]


@pytest.mark.parametrize("policy", ADAPTIVE, ids=lambda each: each.name)
def test_it_switches_soon_after_the_rate_has_fallen_and_once_back(policy: Policy) -> None:
    live = Live(policy)
    live.run(30, FULL)
    assert live.switches == []
    live.run(60, FULL / 8)
    live.run(100, FULL)
    assert [plan for _, plan in live.switches] == [LOCAL, AWAY]
    (fell_s, _), (rose_s, _) = live.switches
    assert 30 < fell_s <= 33
    assert 60 < rose_s <= 75


@pytest.mark.parametrize("policy", ADAPTIVE, ids=lambda each: each.name)
def test_noise_on_one_side_of_the_best_is_no_reason(policy: Policy) -> None:
    live = Live(policy)
    for second in range(120):
        live.run(second / 2 + 0.5, FULL * (0.9, 1.3, 0.8, 1.1, 1.2)[second % 5])
    assert live.switches == []


@pytest.mark.parametrize("policy", ADAPTIVE, ids=lambda each: each.name)
def test_a_node_that_others_use_is_left(policy: Policy) -> None:
    live = Live(policy)
    live.run(20, FULL)
    live.run(40, FULL, load=8.0)
    assert live.switches[0][1] == LOCAL
    assert live.switches[0][0] <= 25
    live.run(60, FULL, load=1.0)
    assert [plan for _, plan in live.switches] == [LOCAL, AWAY]


def test_static_goes_home_and_nowhere_else() -> None:
    live = Live(Static())
    live.run(20, FULL / 100)
    assert live.switches == []
    assert live.asked == []
    live.goal = LOCAL
    live.run(21, FULL / 100)
    assert live.goal == AWAY


def test_replan_stays_where_moving_costs_more_than_it_gains() -> None:
    for move_s, plan in ((2.0, LOCAL), (29.0, AWAY), (1000.0, AWAY)):
        live = Live(Replan())
        live.move_s = move_s
        live.run(20, FULL / 4)
        assert live.goal == plan, move_s


def test_replan_asks_again_only_when_the_world_has_moved_or_after_long() -> None:
    live = Live(Replan(most_s=20.0))
    live.run(60, FULL)
    assert [at_s for at_s, _ in live.asked] == [0.5, 21.0, 41.5]
    live.run(61, FULL / 3)
    assert [at_s for at_s, _ in live.asked[3:]] == [60.5, 61.0]


def test_a_plan_that_is_hardly_better_is_not_worth_it() -> None:
    live = Live(Replan())
    thought = Thought(1.0, 0, (facts(LOCAL, 0.098),), "", 0.1)
    assert live.policy.weigh(live.memory, live.view({}), thought)[1] is None
    thought = Thought(1.0, 0, (facts(LOCAL, 0.09),), "", 0.1)
    assert live.policy.weigh(live.memory, live.view({}), thought)[1] == LOCAL


def test_the_table_takes_the_nearest_row_that_can_run() -> None:
    table = Table()
    live = Live(table)
    live.look({})
    rows = [(0.25, 2), (0.5, 3), (1.0, 4), (2.0, 5)]
    plans = {plan: facts(plan, 0.1, factor=factor, hops=(UP, DOWN)) for factor, plan in rows}
    plans[2] = facts(2, 0.1, factor=0.25)
    thought = Thought(1.0, 0, tuple(plans.values()), "", None)

    def view(fresh: dict[Hop | str, float], missing: frozenset[str] = frozenset()) -> View:
        return live.view(fresh)._replace(plans=plans, goal=4, now_s=1.5, world=World(missing=missing))

    live.memory = table.begin()
    memory, _ = table.see(table.begin(), view({}))
    memory, plan = table.weigh(memory, view({}), thought)
    assert plan == 4
    for rate, plan in ((0.55, 3), (0.3, 2), (0.01, 2), (1.9, 5), (100.0, 5)):
        _, wish = table.see(memory, view({UP: rate * FULL}))
        assert wish is not None
        assert wish.plan == plan
    assert table.see(memory, view({UP: 0.9 * FULL}))[1] is None
    _, wish = table.see(memory, view({UP: 0.9 * FULL}, frozenset("b")))
    assert wish == Wish(plan=2)


def test_the_table_goes_by_the_links_that_carry_the_bytes() -> None:
    live = Live(Table())
    live.run(20, FULL, down=FULL)
    live.run(40, FULL, down=FULL / 50)
    assert live.switches == []
    assert shares(PLANS.values())[UP] == pytest.approx(100 / 101)


def test_the_table_is_made_anew_where_one_link_has_moved_alone() -> None:
    live = Live(Table())
    both = {hop: replace(PLANS[AWAY], carried={UP: 5e4, DOWN: 5e4}) for hop in (UP,)}[UP]
    live.best = lambda factor: replace(both, factor=factor)  # type: ignore[method-assign]
    live.run(20, FULL, down=FULL)
    assert len(live.asked) == 1
    live.run(40, FULL / 2, down=FULL / 2)
    assert len(live.asked) == 1
    live.run(60, FULL / 2, down=FULL / 8)
    assert 2 <= len(live.asked) <= 4


def test_the_table_does_not_wait_for_what_does_not_come() -> None:
    live = Live(Table())
    live.run(20, FULL)
    live.sight = replace(live.sight, late={UP: Late(21.0, 100_000, 1.0)})
    live.look({})
    assert live.goal == LOCAL
    live.sight = replace(live.sight, late={})
    live.look({})
    assert live.goal == AWAY


def test_the_table_is_made_anew_when_a_node_is_back() -> None:
    live = Live(Table())
    live.missing = frozenset("b")
    live.run(10, FULL)
    asked = len(live.asked)
    assert live.goal == LOCAL
    live.missing = frozenset()
    live.run(12, FULL)
    assert len(live.asked) == asked + 1
    assert live.goal == AWAY


def test_a_ratio_is_of_what_both_know() -> None:
    assert ratio({UP: 1.0}, {DOWN: 1.0}, {UP: 1.0, DOWN: 1.0}) is None
    assert ratio({UP: 1.0, DOWN: 1.0}, {UP: 4.0, DOWN: 1.0}, {UP: 1.0, DOWN: 1.0}) == pytest.approx(2.0)


def test_the_pace_is_what_requests_pay_on_average() -> None:
    pace = Pace(tau_s=1e9)
    for second in range(10):
        pace = pace.seen(float(second), 100_000, 0.1 if second % 2 else 0.9)
    assert pace.bytes_per_s == pytest.approx(100_000 / 0.5)
    assert Pace().seen(0.0, 1000, 0.1).bytes_per_s is None


def test_what_has_not_come_counts_as_slow_until_it_has() -> None:
    sight = Sight.of(World(rates={UP: FULL}))
    sight = sight.seen((Sample(UP, 100_000, 0.0, 0.1),), ())
    nobody: frozenset[str] = frozenset()
    calm = sight.world(nobody, frozenset()).rates[UP]
    late = replace(sight, late={UP: Late(3.0, 100_000, 2.9)}).world(nobody, frozenset()).rates[UP]
    soon = replace(sight, late={UP: Late(3.0, 100_000, 0.01)}).world(nobody, frozenset()).rates[UP]
    assert late < calm / 8
    assert soon == calm


def test_queued_transfers_are_one_look() -> None:
    sight = Sight.of(World(rates={UP: FULL}))
    both = (Sample(UP, 100_000, 0.0, 0.1), Sample(UP, 100_000, 0.0, 0.2))
    assert sight.seen(both, ()).fresh == {UP: pytest.approx(1e6)}


def test_policies_are_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Static):
        name = "other"

    class Point:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self) -> type[Policy]:
            return Other

    assert isinstance(policy_of("table"), Table)
    with pytest.raises(PlanError, match=r"no policy 'other'; choose one of static, table, threshold, replan"):
        policy_of("other")
    monkeypatch.setattr(policies, "entry_points", lambda group: [Point("other"), Point("table")])
    assert isinstance(policy_of("other"), Other)
    assert isinstance(policy_of("table"), Table)
