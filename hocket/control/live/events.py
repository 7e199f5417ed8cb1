"""What happens to a live task, and what is to be done about it: the two sides of `step`.

Events carry the moment at which they happened (seconds of any one clock that rises); commands carry none. Neither holds
a tensor: requests are numbers, and whoever drives the function keeps their inputs.
"""

from dataclasses import dataclass
from typing import NamedTuple

from hocket.control.live.facts import Facts, Hop, World


class Sample(NamedTuple):
    """A transfer that was seen: how many bytes passed from one node to the next, and when."""

    hop: Hop
    nbytes: int
    start_s: float
    stop_s: float


class Computed(NamedTuple):
    """Segments that were seen computing on a node: seconds that they took, and that the profile promises."""

    node: str
    measured_s: float
    predicted_s: float


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Submitted(Event):
    """A request has come."""

    request: int
    deadline_s: float = float("inf")
    """The moment from which its answer is of no use."""
    sequence: int | None = None
    """That it belongs to; all requests of one go to the run that keeps its states."""
    goes_on: bool = False
    """Whether it needs what earlier requests of its sequence have left."""


@dataclass(frozen=True, slots=True)
class Released(Event):
    """A sequence has ended."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Cancelled(Event):
    """Nobody waits for a request any more."""

    request: int


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """All outputs of a request have come from a run."""

    run: int
    line: int
    number: int


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """A node could not go on with a request."""

    run: int
    line: int
    number: int
    node: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Proceeded(Event):
    """A request waits for something that is on its way, and some more of it has come."""

    run: int
    line: int
    number: int


@dataclass(frozen=True, slots=True)
class Ready(Event):
    """Every node of a run can begin."""

    run: int


@dataclass(frozen=True, slots=True)
class Unready(Event):
    """A run cannot begin, or a node has lost it."""

    run: int
    node: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Heard(Event):
    """A node has answered a ping; another instance than before means that it has been restarted."""

    node: str
    instance: str


@dataclass(frozen=True, slots=True)
class Gone(Event):
    """A node's process has ended, or its connection has broken."""

    node: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Tick(Event):
    """Time has passed."""

    paused_s: float = 0.0
    """For how long nobody listened before it: silence in that time says nothing."""


@dataclass(frozen=True, slots=True)
class Watched(Event):
    """What the nodes have seen lately."""

    samples: tuple[Sample, ...] = ()
    computed: tuple[Computed, ...] = ()


@dataclass(frozen=True, slots=True)
class Probed(Event):
    """A probe has arrived at the other end of a hop."""

    hop: Hop
    nbytes: int
    start_s: float


@dataclass(frozen=True, slots=True)
class Thought(Event):
    """The planner's answer to a question."""

    question: int
    plans: tuple[Facts, ...]
    """Found for it, the best first; none = there is no plan."""
    sentence: str = ""
    """Why there is none."""
    current_value: float | None = None
    """Value of the plan that was in force, in the world of the question; None = it cannot run there."""


@dataclass(frozen=True, slots=True)
class Check(Event):
    """An answered request shall be computed again elsewhere: a spot check."""

    check: int
    """Number of the check."""
    run: int
    """That answered it."""


@dataclass(frozen=True, slots=True)
class Compared(Event):
    """The answers of two runs to one request are the same, or are not."""

    check: int
    plans: tuple[int, int]
    agree: bool


@dataclass(frozen=True, slots=True)
class Judged(Event):
    """A third run has answered a request about which two runs disagreed."""

    plans: tuple[int, int]
    judge: int
    right: tuple[bool, bool]
    """Whether each of the two had the judge's answer."""


@dataclass(frozen=True, slots=True)
class Pardoned(Event):
    """A node that was excluded for its answers may be used again."""

    node: str


@dataclass(frozen=True, slots=True)
class Wanted(Event):
    """Somebody wants a plan to be in force from now on."""

    facts: Facts


# ------------------------------------------------------------ commands


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all commands."""


@dataclass(frozen=True, slots=True)
class Prepare(Command):
    """Bring a plan to its nodes as a run, beside all that is there."""

    run: int
    plan: int


@dataclass(frozen=True, slots=True)
class Store(Command):
    """Bring the weights of a plan to its nodes, and no more."""

    plan: int


@dataclass(frozen=True, slots=True)
class Send(Command):
    """Send a request's inputs into a line of a run, as its next number."""

    request: int
    run: int
    line: int
    number: int


@dataclass(frozen=True, slots=True)
class Again(Command):
    """Send the inputs of a check into a line of a run, as its next number."""

    check: int
    run: int
    line: int
    number: int


@dataclass(frozen=True, slots=True)
class Compare(Command):
    """Compare the first answer of a check with the one that has come; `Compared` tells."""

    check: int
    run: int
    line: int
    number: int


@dataclass(frozen=True, slots=True)
class Drop(Command):
    """Whatever comes of these numbers of a line is not wanted."""

    run: int
    line: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Forget(Command):
    """Let the nodes drop a run."""

    run: int


@dataclass(frozen=True, slots=True)
class Release(Command):
    """Let the nodes of a line give back what they keep for a sequence."""

    run: int
    line: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Finish(Command):
    """Give out the answer of a request, as it came from a run."""

    request: int
    run: int
    line: int
    number: int


@dataclass(frozen=True, slots=True)
class Fail(Command):
    """Tell whoever waits for a request that there will be no answer."""

    request: int
    sentence: str
    late: bool = False


@dataclass(frozen=True, slots=True)
class Probe(Command):
    """Send some bytes over a hop, on a new connection if the old one may be dead."""

    hop: Hop
    nbytes: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Think(Command):
    """Ask the planner; it answers with `Thought`."""

    question: int
    kind: str
    """`best`: the best plan in a world. `spare`: the same, without some of its nodes. `table`: the best plan for each
    of some worlds in which all links are faster or slower by a factor."""
    world: World
    goal: int | None
    """The plan to compare with."""
    factors: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Tell(Command):
    """Something worth writing down."""

    sentence: str
