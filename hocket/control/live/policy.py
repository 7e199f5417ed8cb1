"""When to have another plan: the rules that a live task can follow while the world moves.

A policy has no state of its own: what it remembers it is given and gives back. It sees the world as far as it was
observed, wishes for thoughts of the planner, and weighs them. `Table` has a file of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, ClassVar

from hocket.control.live.change import Smoothed
from hocket.control.live.facts import Facts, World
from hocket.control.live.table import Table
from hocket.control.live.wishes import Policy, View, Wish, log, ratio, shares
from hocket.errors import PlanError

if TYPE_CHECKING:
    from hocket.control.live.events import Thought

__all__ = [
    "GROUP", "POLICIES", "Policy", "Replan", "Static", "Table", "Threshold", "View", "Wish", "all_policies", "better",
    "policy_of",
]  # fmt: skip

_LEAST_GAIN = 0.03
"""A plan that is better by less than this is not worth a switch: predictions are not that good."""


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
class ThresholdMemory:
    """What `Threshold` remembers."""

    rate: Smoothed
    load: Smoothed


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Plans again when the links or the slowest node leave a band around what they were at the last plan."""

    name: ClassVar[str] = "threshold"
    band: float = 0.25
    hold_s: float = 1.0

    def begin(self) -> ThresholdMemory:
        """Nothing seen yet."""
        # Both begin at what was described, so that the first thing seen may already be a change.
        calm = Smoothed(band=self.band, hold_s=self.hold_s, value=1.0, said=1.0)
        return ThresholdMemory(calm, calm)

    def see(self, memory: ThresholdMemory, view: View) -> tuple[ThresholdMemory, Wish | None]:
        """Wish for the best plan when the band is left."""
        now = ratio(shares(view.plans.values()), view.world.rates, view.sight.stated)
        if now is None:  # no plan that is known sends anything
            now = ratio(dict.fromkeys(view.world.rates, 1.0), view.world.rates, view.sight.stated) or 1.0
        rate = memory.rate.seen(view.now_s, now)
        load = memory.load.seen(view.now_s, max(view.world.loads.values(), default=1.0))
        return ThresholdMemory(rate, load), Wish() if (rate.reported or load.reported) and not view.busy else None

    def weigh(self, memory: ThresholdMemory, view: View, thought: "Thought") -> tuple[ThresholdMemory, int | None]:
        """Take what is better."""
        best = better(view, thought)
        return memory, None if best is None else best.plan


@dataclass(frozen=True, slots=True)
class ReplanMemory:
    """What `Replan` remembers."""

    asked: World | None = None
    """The world that the planner was asked about last."""
    asked_s: float = float("-inf")
    marks: tuple[tuple[float, int], ...] = ()
    """(moment, requests answered by then), of the last while."""

    def per_s(self, view: View, horizon_s: float) -> float:
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
    band: float = 0.1
    """Relative: the rate of a way or the load of a node has changed if it has moved by more since the last question."""
    least_s: float = 0.5
    """Between two questions."""
    most_s: float = 20.0
    """The planner is asked at least this often."""

    def begin(self) -> ReplanMemory:
        """Nothing seen yet."""
        return ReplanMemory()

    def see(self, memory: ReplanMemory, view: View) -> tuple[ReplanMemory, Wish | None]:
        """Wish for the best plan when a link or a node has changed, has gone or has come back."""
        if not memory.marks or view.now_s > memory.marks[-1][0]:
            marks = (*memory.marks, (view.now_s, view.answered))
            memory = replace(memory, marks=tuple(each for each in marks if view.now_s - each[0] <= self.horizon_s))
        since_s = view.now_s - memory.asked_s
        if view.busy or since_s < self.least_s:
            return memory, None
        if since_s <= self.most_s and memory.asked is not None and not self._moved(memory.asked, view.world):
            return memory, None
        return replace(memory, asked=view.world, asked_s=view.now_s), Wish()

    def weigh(self, memory: ReplanMemory, view: View, thought: "Thought") -> tuple[ReplanMemory, int | None]:
        """Switch if the seconds that the requests of the horizon gain are more than those that moving costs.

        While weights are on their way the old plan serves on, so what moving costs is the gain that comes later: of the
        horizon only what is left after the move counts; and the move itself holds the links, by which the requests of
        that time are late by at most its length together.
        """
        best = better(view, thought)
        if best is None or thought.current_value is None:
            return memory, None if best is None else best.plan
        gain = 1 - best.value / thought.current_value if thought.current_value else 0.0
        usual_s = thought.current_value if best.objective is None else view.plans[view.goal].value_s
        busy = memory.per_s(view, self.horizon_s) * usual_s
        gained_s = gain * busy * max(self.horizon_s - best.move_s, 0.0)
        return memory, best.plan if gained_s > best.move_s * min(1.0, busy) else None

    def _moved(self, before: World, now: World) -> bool:
        if (before.missing, before.cut) != (now.missing, now.cut) or before.rates.keys() != now.rates.keys():
            return True
        pairs = [(before.rates[hop], rate) for hop, rate in now.rates.items()]
        pairs += [(before.loads.get(node, 1.0), load) for node, load in now.loads.items()]
        return any(abs(log(new / max(old, 1e-12))) > log(1 + self.band) for old, new in pairs)


def better(view: View, thought: "Thought") -> Facts | None:
    """The best plan of a thought, if it is another one and better than the one in force by more than a little."""
    best = thought.plans[0] if thought.plans else None
    if best is None or best.plan == view.goal:
        return None
    if thought.current_value is not None and best.value > thought.current_value * (1 - _LEAST_GAIN):
        return None
    return best


POLICIES: Mapping[str, type[Policy]] = {policy.name: policy for policy in (Static, Table, Threshold, Replan)}
"""The policies that come with hocket."""
GROUP = "hocket.policies"
"""Entry points of this group are classes of policies of other packages."""


def all_policies() -> dict[str, type[Policy]]:
    """The policies that come with hocket, then those of other packages; a name that is taken is not taken over.

    >>> list(all_policies())[:4]
    ['static', 'table', 'threshold', 'replan']
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    return {**POLICIES, **{name: found[name].load() for name in sorted(found.keys() - POLICIES.keys())}}


def policy_of(name: str) -> Policy:
    """A policy by its name.

    Raises:
        PlanError: there is none of that name.
    """
    known = all_policies()
    if name not in known:
        raise PlanError(f"there is no policy {name!r}; choose one of {', '.join(known)}")
    return known[name]()
