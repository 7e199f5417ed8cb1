"""The configuration map: the best plan for each of some states of the links, looked up instead of searched."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, ClassVar

from hocket.control.live.change import OnlineChange
from hocket.control.live.facts import Hop, World
from hocket.control.live.wishes import View, Wish, log, ratio, shares

if TYPE_CHECKING:
    from hocket.control.live.events import Thought

_MATTERS = 0.05
"""A way that carries a smaller part of the bytes does not make a table wrong."""


@dataclass(frozen=True, slots=True)
class TableMemory:
    """What `Table` remembers."""

    change: OnlineChange
    """Of the ratio between what the ways carry and what they carried when the table was asked for."""
    recent: tuple[float, ...] = ()
    """1 / that ratio, of the looks of the present state."""
    base: World | None = None
    """The world that the rows are relative to; None = there is no table."""
    rows: tuple[tuple[float, int], ...] = ()
    """(factor, plan), rising."""
    weights: Mapping[Hop, float] = field(default_factory=dict)
    """Way -> its part of the bytes that the plans of the rows send."""
    asked: World | None = None
    """The world in which a table was asked for that has not come yet."""
    asked_s: float = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Looks up the plan for the present state of the links, which it tells by Bayesian change point detection.

    As in Edgent (Li et al., IEEE TWC 2020, sections IV-C and IV-D). A row is the best plan where every link is faster
    than it was, when the table was made, by the row's factor. The state is the mean over the looks since the last
    change point; the mean is that of 1 / rate, because that is what a transfer costs. While something is late, its link
    is taken to be as slow as that says. A table is made anew when the
    world has changed in a way that it has no rows for: one link by `spread` more than another, a node's load by `load`,
    or something that was missing is back.
    """

    name: ClassVar[str] = "table"
    factors: tuple[float, ...] = tuple(2.0 ** (power / 2) for power in range(-12, 9))
    spread: float = 2.0
    load: float = 1.25
    least_s: float = 2.0
    """Between two tables."""

    def begin(self) -> TableMemory:
        """No rows yet."""
        return TableMemory(OnlineChange.of(around=1.0))

    def see(self, memory: TableMemory, view: View) -> tuple[TableMemory, Wish | None]:
        """Ask for a table if there is none that fits the world; else look up the row of the state of the links."""
        due = not view.busy and view.now_s - memory.asked_s >= self.least_s
        if due and (memory.base is None or self._misfits(memory, memory.base, view)):
            memory = replace(memory, asked=view.world, asked_s=view.now_s)
            return memory, Wish(kind="table", factors=self.factors)
        if memory.base is None:
            return memory, None
        now = ratio(memory.weights, view.fresh, _rates(memory.base, view))
        if now is not None:
            change = memory.change.seen(now)
            recent = (*memory.recent, 1.0 / max(now, self.factors[0] / 16))[-change.length :]
            memory = replace(memory, change=change, recent=recent)
        plan = self._row(memory, view)
        return memory, Wish(plan) if plan is not None and plan != view.goal else None

    def weigh(self, memory: TableMemory, view: View, thought: "Thought") -> tuple[TableMemory, int | None]:
        """Keep the rows, and look up the state as it was when they were asked for."""
        if not thought.plans or memory.asked is None:
            return memory, None
        memory = replace(
            memory,
            change=OnlineChange.of(around=1.0),
            recent=(),
            base=memory.asked,
            rows=tuple(sorted((facts.factor, facts.plan) for facts in thought.plans)),
            weights=shares(thought.plans),
            asked=None,
        )
        return memory, self._row(memory, view)

    def _row(self, memory: TableMemory, view: View) -> int | None:
        """The plan of the row nearest to the state, of those that can run; None if none can."""
        state = 1.0 / fmean(memory.recent) if memory.recent else 1.0
        if memory.base is not None:
            stated = _rates(memory.base, view)
            late = {hop: each.nbytes / each.busy_s for hop, each in view.sight.late.items()}
            state = min(state, *(rate / stated[hop] for hop, rate in late.items() if hop in stated), state)
        usable = [row for row in memory.rows if _whole(view, row[1])]
        return min(usable, key=lambda row: abs(log(row[0] / state)))[1] if usable else None

    def _misfits(self, memory: TableMemory, base: World, view: View) -> bool:
        """Whether the world has become one that the rows say nothing about."""
        world = view.world
        if (base.missing - world.missing) or (base.cut - world.cut):
            return True
        loads = [log(world.loads.get(node, 1.0) / base.loads.get(node, 1.0)) for node in {*world.loads, *base.loads}]
        if any(abs(each) > log(self.load) for each in loads):
            return True
        rates = _rates(base, view)
        moved = [
            log(world.rates[hop] / rates[hop])
            for hop, weight in memory.weights.items()
            if weight >= _MATTERS and hop in world.rates and hop in rates
        ]
        return bool(moved) and max(moved) - min(moved) > log(self.spread)


def _rates(base: World, view: View) -> Mapping[Hop, float]:
    return {**view.sight.stated, **base.rates}


def _whole(view: View, plan: int) -> bool:
    facts = view.plans[plan]
    return facts.nodes.isdisjoint(view.world.missing) and facts.hops.isdisjoint(view.world.cut)
