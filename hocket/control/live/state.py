"""All that is known of a live task between two events. Every value is immutable; `step` makes the next one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from hocket.control.live.facts import Facts, Hop
from hocket.control.live.sight import Sight
from hocket.control.live.suspicion import Flapping, Heartbeats
from hocket.errors import PlanError

Standby = Literal["none", "plan", "weights", "ready"]


@dataclass(frozen=True, slots=True)
class Recovery:
    """How to choose between a new division of the model and other models (an early exit, a skipped block) after a loss.

    CONTINUER (Majeed et al., IEEE EDGE 2022): what breaks a threshold is out; of the rest the least weighted sum wins,
    each criterion divided by its worst value among them.
    """

    latency_weight: float = 1.0
    downtime_weight: float = 1.0
    accuracy_weight: float = 1.0
    most_latency_s: float = float("inf")
    most_downtime_s: float = float("inf")
    least_accuracy: float = 0.0

    def choose(self, plans: Sequence[Facts]) -> Facts | None:
        """The best of some plans; where each breaks a threshold, the most accurate."""
        able = [
            each for each in plans
            if each.value_s <= self.most_latency_s and each.move_s <= self.most_downtime_s
            and each.accuracy >= self.least_accuracy
        ]  # fmt: skip
        if not able:
            return max(plans, key=lambda each: (each.accuracy, -each.value), default=None)
        criteria = [
            (self.latency_weight, [each.value_s for each in able]),
            (self.downtime_weight, [each.move_s for each in able]),
            (self.accuracy_weight, [1 - each.accuracy for each in able]),
        ]
        scores = [sum(w * v[i] / (max(v) or 1.0) for w, v in criteria) for i in range(len(able))]
        return able[min(range(len(able)), key=scores.__getitem__)]


@dataclass(frozen=True, slots=True)
class Rules:
    """How careful to be. Times are seconds."""

    standby: Standby = "weights"
    """What is prepared for the loss of each node: nothing; a plan; the plan's weights on its nodes; or the plan as a
    run that could begin at once."""
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    """Node -> most that runs may need there together; absent = not limited."""
    keep: int = 0
    """Runs that stay ready although nothing needs them: the last ones used."""
    pause: bool = False
    """Switch by stopping, loading and going on, instead of beside what runs: the baseline."""
    stuck_s: float = 0.5
    """A request is looked into after this long at least, and after `stuck_factor` times what is usual."""
    stuck_factor: float = 6.0
    probe_s: float = 0.4
    """A probe that takes longer than this says that its way leads nowhere."""
    look_s: float = 1.0
    """A way that leads nowhere is tried again this often."""
    retries: int = 4
    """How often a request is sent again while nothing seems to be wrong."""
    suspect: float = 3.0
    """Level of suspicion (phi) from which a node is not relied on alone."""
    dead: float = 8.0
    """Level from which it is taken to be down."""
    recovery: Recovery = field(default_factory=Recovery)
    """How to choose after a loss, where there are other models to choose from."""
    audit: float = 0.0
    """Share of the requests that are computed again by another run and compared, 0 to 1; needs runs for the loss of
    nodes, so these are kept ready."""
    trusted: frozenset[str] = frozenset()
    """Nodes that are never accused, besides those that bring inputs or need outputs."""
    watch_s: float = 0.5
    """How often the nodes are asked what they have seen."""
    quiet_s: float = 2.0
    """A way over which nothing has gone for so long is probed."""
    probe_bytes: int = 1 << 16
    """Of such a probe."""
    mirror_bytes: int = 0
    """Most that copies of what nodes keep for sequences may take in the session; 0 = there are none."""

    @classmethod
    def of(cls, standby: str) -> Self:
        """Rules with what is prepared for a loss.

        Raises:
            PlanError: it is none of what can be prepared.
        """
        for known in get_args(Standby):
            if standby == known:
                return cls(standby=known)
        raise PlanError(f"standby is one of {', '.join(get_args(Standby))}, got {standby!r}; choose one")

    @property
    def spare_runs(self) -> bool:
        """Whether runs for the loss of nodes are kept ready."""
        return self.standby == "ready" or self.audit > 0


@dataclass(frozen=True, slots=True)
class Trial:
    """A disagreement about a request: one of some nodes must have changed it."""

    at_s: float
    accused: frozenset[str]


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a node."""

    beats: Heartbeats
    flaps: Flapping
    status: Literal["up", "suspect", "down"] = "up"
    instance: str = ""
    trusted_s: float = 0.0
    """From when on it is relied on: one that comes and goes has to behave first."""
    sentence: str = ""
    """Why it is down."""


@dataclass(frozen=True, slots=True)
class Way:
    """One line of a run: what is under way in it."""

    window: int
    fraction: float
    next: int = 0
    sent: int = 0
    under: Mapping[int, int] = field(default_factory=dict)
    """Number -> request."""

    @property
    def room(self) -> bool:
        """Whether another request may be sent: the numbers under way span at most the window."""
        return self.next - min(self.under, default=self.next) < self.window


@dataclass(frozen=True, slots=True)
class Run:
    """A plan that is on its nodes, or is being brought there."""

    plan: int
    ways: tuple[Way, ...]
    begun_s: float
    ready: bool = False
    used_s: float = -1.0
    """When it was last in force."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way in it."""
        return not any(way.under for way in self.ways)


@dataclass(frozen=True, slots=True)
class Request:
    """One that has no answer yet."""

    since_s: float
    deadline_s: float
    sent_s: float = float("inf")
    """Last time."""
    doubted_s: float = -1.0
    """When its ways were last tried because it took so long."""
    tries: int = 0
    refusals: tuple[str, ...] = ()
    where: tuple[tuple[int, int, int], ...] = ()
    """Run, line and number of every try that may still bring an answer."""
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that the planner has not answered."""

    purpose: Literal["recover", "spare", "policy", "judge"]
    node: str = ""
    """For `spare`: whose loss it is about."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything."""

    rules: Rules
    policy: Any
    """A `Policy`; it has no state of its own."""
    memory: Any = None
    """Of the policy."""
    now_s: float = 0.0
    sight: Sight = field(default_factory=Sight)
    nodes: Mapping[str, Health] = field(default_factory=dict)
    cut: Mapping[Hop, float] = field(default_factory=dict)
    """Way that leads nowhere -> when it was last tried."""
    probes: Mapping[Hop, float] = field(default_factory=dict)
    """Way that is being tried -> until when the answer has to come."""
    plans: Mapping[int, Facts] = field(default_factory=dict)
    spoiled: Mapping[int, float] = field(default_factory=dict)
    """Plan that could not be prepared -> until when it is not tried again."""
    runs: Mapping[int, Run] = field(default_factory=dict)
    active: int | None = None
    """The run that new requests go to."""
    home: int = 0
    """The plan that was asked for."""
    goal: int = 0
    """The plan that should be in force."""
    paused: bool = False
    spares: Mapping[str, int | None] = field(default_factory=dict)
    """Node -> the plan for its loss; None = there is none."""
    requests: Mapping[int, Request] = field(default_factory=dict)
    queue: tuple[int, ...] = ()
    """Requests to be sent, the next one first; some may have a try under way as well."""
    homes: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Sequence -> run and line that keep its states."""
    questions: Mapping[int, Asked] = field(default_factory=dict)
    next: int = 1
    """The next number of a run or question."""
    checks: Mapping[tuple[int, int, int], float] = field(default_factory=dict)
    """Run, line and number of a spot check that is under way -> until when it is waited for."""
    trials: tuple[Trial, ...] = ()
    """The last disagreements."""
    doubted: frozenset[str] = frozenset()
    """Nodes that every accusation is about."""
    case: tuple[int, tuple[int, int]] | None = None
    """A check about which two plans disagreed, to be put to the judge."""
    judge: int | None = None
    """A plan without any of them, to tell which it is."""
    banned: frozenset[str] = frozenset()
    """Nodes that are not used any more because of their answers."""
    trouble: str = ""
    """Why no plan can run; empty = one can."""
    pace_s: float = 0.0
    """How long requests take lately."""
    considered_s: float = float("-inf")
    """When the policy last looked at the world."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What has happened how often: `answered`, `failed`, `late`, `resent`, `switches`, `losses` of nodes,
    `checked`, `disagreed` and `unchecked` for spot checks."""
