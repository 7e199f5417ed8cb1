"""What a policy sees and may want: the contract between the decisions of a live task and the rules that steer them."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from hocket.control.live.facts import Facts, Hop, World
from hocket.control.live.sight import Sight

if TYPE_CHECKING:
    from hocket.control.live.events import Thought


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
    """What has just been seen, not smoothed: way -> its rate, node -> its load; empty where only time has passed."""


class Wish(NamedTuple):
    """What a policy wants: a plan that it knows, or an answer of the planner (`best`, or a `table` of factors)."""

    plan: int | None = None
    kind: str = "best"
    factors: tuple[float, ...] = ()


class Policy(Protocol):
    """Decides when to have another plan; it has no state of its own."""

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


def shares(plans: Iterable[Facts]) -> dict[Hop, float]:
    """How much each way matters to some plans: its part of all bytes that they send.

    Of a link that carries images one way and labels the other way, only the first counts.
    """
    sums: dict[Hop, float] = {}
    for facts in plans:
        for hop, nbytes in facts.carried.items():
            sums[hop] = sums.get(hop, 0.0) + nbytes
    total = sum(sums.values())
    return {hop: nbytes / total for hop, nbytes in sums.items()} if total else {}


def ratio(weights: Mapping[Hop, float], rates: Mapping[Hop | str, float] | Mapping[Hop, float],
          base: Mapping[Hop, float]) -> float | None:  # fmt: skip
    """Rate / what it was, the weighted geometric mean over the ways of which both are known; None if there is none.

    >>> round(ratio({("a", "b"): 3.0, ("b", "a"): 1.0}, {("a", "b"): 2.0}, {("a", "b"): 8.0, ("b", "a"): 8.0}), 3)
    0.25
    """
    known = [hop for hop, weight in weights.items() if weight and hop in rates and base.get(hop)]
    total = sum(weights[hop] for hop in known)
    if not total:
        return None
    return math.exp(sum(weights[hop] / total * log(rates[hop] / base[hop]) for hop in known))


def log(value: float) -> float:
    """Natural logarithm; of nothing, that of very little."""
    return math.log(max(value, 1e-12))
