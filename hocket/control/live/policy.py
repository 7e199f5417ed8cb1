"""When to have another plan: the rules that a live task can follow while the world moves.

A policy has no state of its own: what it remembers it is given and gives back. It sees the world as far as it was
observed, wishes for thoughts of the planner, and weighs them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from hocket.control.live.change import OnlineChange, Smoothed
from hocket.control.live.facts import Facts, Hop, World
from hocket.control.live.sight import Sight

if TYPE_CHECKING:
    from hocket.control.live.events import Thought

_LEAST_GAIN = 0.03
"""A plan that is better by less than this is not worth a switch: predictions are not that good."""


class View(NamedTuple):
    """What a policy may see."""

    now_s: float
    world: World
    sight: Sight
    plans: Mapping[int, Facts]
    goal: int
    """The plan that should be in force."""
    home: int
    """The plan that was asked for."""
    active: int | None
    """The plan in force."""
    busy: bool
    """Whether the planner is thinking for this policy."""
    answered: int
    """Requests so far."""
    fresh: Mapping[Hop | str, float]
    """What has just been seen: way -> its rate, node -> its load; empty where only time has passed."""


class Wish(NamedTuple):
    """What a policy wants: a plan that it knows, or an answer of the planner (`best`, or a `table` of factors)."""

    plan: int | None = None
    kind: str = "best"
    factors: tuple[float, ...] = ()


class Policy(Protocol):
    """Decides when to have another plan."""

    name: ClassVar[str]

    def begin(self) -> Any:
        """What it remembers at first."""
        ...

    def see(self, memory: Any, view: View) -> tuple[Any, Wish | None]:
        """Look at the world; what it remembers, and what it wants."""
        ...

    def weigh(self, memory: Any, view: View, thought: "Thought") -> tuple[Any, int | None]:
        """Weigh the planner's answer; what it remembers, and the plan that should be in force, if another."""
        ...


@dataclass(frozen=True, slots=True)
class Static:
    """Keeps the plan that was asked for; only what breaks is replaced, for as long as it is broken."""

    name: ClassVar[str] = "static"

    def begin(self) -> None:
        """Nothing."""

    def see(self, memory: None, view: View) -> tuple[None, Wish | None]:  # noqa: ARG002
        """Back to the plan that was asked for."""
        return None, Wish(view.home) if view.goal != view.home else None

    def weigh(self, memory: None, view: View, thought: "Thought") -> tuple[None, None]:  # noqa: ARG002
        """Never asked."""
        return None, None


@dataclass(frozen=True, slots=True)
class _TableMemory:
    change: OnlineChange
    rows: tuple[tuple[float, int], ...] = ()
    """(factor of the links, plan), rising."""
    asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A configuration map: the best plan for each of some states of the links, looked up when the state changes.

    The state is found by Bayesian online change point detection (Edgent, sections IV-C and IV-D).
    """

    name: ClassVar[str] = "table"
    factors: tuple[float, ...] = tuple(2.0**power for power in range(-6, 4))
    """Of the rates that the cluster states."""

    def begin(self) -> _TableMemory:
        """No rows yet."""
        return _TableMemory(OnlineChange.of(around=1.0))

    def see(self, memory: _TableMemory, view: View) -> tuple[_TableMemory, Wish | None]:
        """Ask for the table once; then look up the row of the state of the links."""
        if not memory.asked:
            return replace(memory, asked=True), Wish(kind="table", factors=self.factors)
        if view.fresh:
            memory = replace(memory, change=memory.change.seen(view.sight.ratio()))
        if not memory.rows:
            return memory, None
        plan = self._row(memory, view)
        return memory, Wish(plan) if plan is not None and plan != view.goal else None

    def weigh(self, memory: _TableMemory, view: View, thought: "Thought") -> tuple[_TableMemory, int | None]:
        """Keep the rows."""
        rows = tuple(sorted((facts.factor, facts.plan) for facts in thought.plans))
        memory = replace(memory, rows=rows)
        return memory, self._row(memory, view) if rows else None

    def _row(self, memory: _TableMemory, view: View) -> int | None:
        """The nearest factor below the state's, so that the plan promises no more than the links give."""
        state = memory.change.mean
        usable = [row for row in memory.rows if _whole(view, row[1])]
        if not usable:
            return None
        return min(usable, key=lambda row: abs(_log2(row[0]) - _log2(state)))[1]


@dataclass(frozen=True, slots=True)
class _ThresholdMemory:
    rate: Smoothed
    load: Smoothed


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Plans again when the links or the slowest node leave a band around what they were at the last plan."""

    name: ClassVar[str] = "threshold"
    band: float = 0.25
    hold_s: float = 1.0

    def begin(self) -> _ThresholdMemory:
        """Nothing seen yet."""
        # Both begin at what was described, so that the first thing seen may already be a change.
        calm = Smoothed(band=self.band, hold_s=self.hold_s, value=1.0, said=1.0)
        return _ThresholdMemory(calm, calm)

    def see(self, memory: _ThresholdMemory, view: View) -> tuple[_ThresholdMemory, Wish | None]:
        """Wish for the best plan when the band is left."""
        rate = memory.rate.seen(view.now_s, view.sight.ratio())
        load = memory.load.seen(view.now_s, max(view.world.loads.values(), default=1.0))
        return _ThresholdMemory(rate, load), Wish() if (rate.reported or load.reported) and not view.busy else None

    def weigh(self, memory: _ThresholdMemory, view: View, thought: "Thought") -> tuple[_ThresholdMemory, int | None]:
        """Take what is better."""
        best = better(view, thought)
        return memory, None if best is None else best.plan


@dataclass(frozen=True, slots=True)
class _ReplanMemory:
    changes: Mapping[Hop | str, OnlineChange] = field(default_factory=dict)
    broken: frozenset[Hop | str] = frozenset()
    """What was missing or cut the last time."""
    asked_s: float = float("-inf")
    stale: bool = False
    """Something has changed since the last question."""
    marks: tuple[tuple[float, int], ...] = ()
    """(moment, requests answered by then), of the last while."""

    def per_s(self, view: "View", horizon_s: float) -> float:
        """Requests per second lately; at least one in the horizon."""
        (first_s, first), last_s = (self.marks or ((view.now_s, 0),))[0], view.now_s
        seen = (view.answered - first) / (last_s - first_s) if last_s > first_s else 0.0
        return max(seen, 1 / horizon_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replan:
    """Solves again when something has changed, and switches if the gain over the horizon exceeds the cost of moving."""

    name: ClassVar[str] = "replan"
    horizon_s: float = 30.0
    """How long a state of the world is expected to last."""
    least_s: float = 1.0
    """Between two questions."""
    most_s: float = 20.0
    """The planner is asked at least this often."""

    def begin(self) -> _ReplanMemory:
        """Nothing seen yet."""
        return _ReplanMemory()

    def see(self, memory: _ReplanMemory, view: View) -> tuple[_ReplanMemory, Wish | None]:
        """Wish for the best plan when a link or a node has changed, has gone or has come back."""
        changes, stale = dict(memory.changes), memory.stale
        for key, value in view.fresh.items():
            known = changes.get(key)
            changes[key] = (OnlineChange.of(around=value) if known is None else known).seen(value)
            stale = stale or known is None or changes[key].changed
        broken: frozenset[Hop | str] = view.world.missing | view.world.cut
        marks = (*memory.marks, (view.now_s, view.answered))
        memory = replace(
            memory,
            changes=changes,
            broken=broken,
            stale=stale or broken != memory.broken,
            marks=tuple(mark for mark in marks if view.now_s - mark[0] <= self.horizon_s),
        )
        since_s = view.now_s - memory.asked_s
        if view.busy or since_s < self.least_s or not (memory.stale or since_s > self.most_s):
            return memory, None
        return replace(memory, asked_s=view.now_s, stale=False), Wish()

    def weigh(self, memory: _ReplanMemory, view: View, thought: "Thought") -> tuple[_ReplanMemory, int | None]:
        """Switch if the seconds that the requests of the horizon gain are more than those that moving costs.

        While weights are on their way the old plan serves on, so what moving costs is the gain that comes later: of the
        horizon only what is left after the move counts; and the move itself holds the links, by which the requests of
        that time are late by at most its length together.
        """
        best = better(view, thought)
        if best is None or thought.current_s is None:
            return memory, None if best is None else best.plan
        gain_s = thought.current_s - best.value_s
        per_s = memory.per_s(view, self.horizon_s)
        gained_s = gain_s * per_s * max(self.horizon_s - best.move_s, 0.0)
        return memory, best.plan if gained_s > best.move_s * min(1.0, per_s * thought.current_s) else None


def better(view: View, thought: "Thought") -> Facts | None:
    """The best plan of a thought, if it is another one and better than the one in force by more than a little."""
    best = thought.plans[0] if thought.plans else None
    if best is None or best.plan == view.goal:
        return None
    if thought.current_s is not None and best.value_s > thought.current_s * (1 - _LEAST_GAIN):
        return None
    return best


POLICIES: Mapping[str, type[Policy]] = {policy.name: policy for policy in (Static, Table, Threshold, Replan)}


def _whole(view: View, plan: int) -> bool:
    facts = view.plans[plan]
    return facts.nodes.isdisjoint(view.world.missing) and facts.hops.isdisjoint(view.world.cut)


def _log2(value: float) -> float:
    return math.log2(max(value, 1e-12))
