"""What deciding needs to know of plans and of the world; no plan, graph or tensor itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Hop = tuple[str, str]
"""From one node to the next."""


@dataclass(frozen=True, slots=True)
class Line:
    """One program of a plan: a share of the requests goes through it."""

    window: int
    fraction: float = 1.0


@dataclass(frozen=True, slots=True)
class Facts:
    """A plan as the decisions see it."""

    plan: int
    """Its number."""
    nodes: frozenset[str]
    hops: frozenset[Hop]
    """Direct ways that its transfers take."""
    sources: frozenset[str]
    """Nodes without which no plan can do: those that bring inputs or need outputs."""
    lines: tuple[Line, ...]
    value_s: float
    """Predicted latency in the world that it was made for."""
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    """Node -> what it needs there."""
    move_s: float = 0.0
    """How long it would take to bring what nodes lack, once the plan in force is there."""
    carried: Mapping[Hop, float] = field(default_factory=dict)
    """Way -> bytes that one request sends over it."""
    factor: float = 1.0
    """For a row of a table: how much faster the links are in its world than when it was asked for."""
    objective: float | None = None
    """Predicted value of what is minimised; None = that is the latency."""
    variant: str = ""
    """The other model that it runs, with less accuracy; empty = the task's own."""
    accuracy: float = 1.0
    """Relative to the task's own model."""

    @property
    def value(self) -> float:
        """What plans are compared by: the less the better."""
        return self.value_s if self.objective is None else self.objective


@dataclass(frozen=True, slots=True)
class World:
    """How the cluster differs from its description, as far as it is known."""

    rates: Mapping[Hop, float] = field(default_factory=dict)
    """Payload bytes per second."""
    loads: Mapping[str, float] = field(default_factory=dict)
    """Node -> how many times longer it computes than its profile says."""
    missing: frozenset[str] = frozenset()
    """Nodes that cannot be used."""
    cut: frozenset[Hop] = frozenset()
    """Ways that lead nowhere."""
    delays: Mapping[Hop, float] = field(default_factory=dict)
    """Latency of ways in seconds; only of the world as it is described."""
