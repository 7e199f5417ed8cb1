"""What a plan costs: the one result type of all three judges."""

from typing import Literal

from hocket.nouns import Noun, Value
from hocket.program import Trace


class Violation(Value, frozen=True):
    """A constraint that a plan breaks."""

    constraint: str
    """C1 ... C6 of the survey, `limit`, or `trust`."""
    sentence: str
    """Rule, values and what would make it fit."""


class Cost(Noun, frozen=True, tag="hocket.cost/1"):
    """The figures of one plan. `None` = not known, or not asked for."""

    judge: Literal["predicted", "simulated", "measured"]
    latency_s: float
    """From the moment the source has the input of one request to the moment the sink has its answer, in an idle
    system; several tasks are put together as the objective says."""
    sequential_s: float
    """The survey's sum: every computation and every transfer, one after another."""
    period_s: float
    """Seconds per request of the busiest resource: the inverse of the throughput."""
    energy_j: float
    price_usd: float
    reliability: float
    memory_bytes: dict[str, int]
    """Node -> bytes of weights and mailboxes."""
    wait_s: float = 0.0
    """Mean waiting in queues, without service."""
    sojourn_s: float | None = None
    """Latency with waiting; None without arrivals."""
    latency_p95_s: float | None = None
    accuracy: float | None = None
    accuracy_source: str = ""
    value: float = 0.0
    """Of the objective, constraints not looked at: see `violations`."""
    busy_s: dict[str, float] = {}
    """Station -> seconds per request: a node, a resource, or the share `node/task` that a task holds of one."""
    refused: tuple[str, ...] = ()
    """Tasks that are not served; each adds its `refusal_cost` to the value, and nothing to anything else."""
    violations: tuple[Violation, ...] = ()
    trace: Trace | None = None

    @property
    def feasible(self) -> bool:
        """Whether no constraint is broken."""
        return not self.violations
