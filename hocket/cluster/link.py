"""What lies between devices: links with two directions, and media that several links share."""

from hocket.cluster.checks import Windows, check_name, check_number, check_positive, check_windows, first_repeated
from hocket.cluster.traces import RateTrace
from hocket.errors import ClusterError
from hocket.nouns import Value
from hocket.units import shown


class Direction(Value, frozen=True):
    """One direction of a link: a constant rate, a rate that changes, or (neither) no limit of its own."""

    bytes_per_s: float | None = None
    trace: RateTrace | None = None

    def __post_init__(self) -> None:
        if self.bytes_per_s is None:
            return
        check_positive("a link's direction", "bytes_per_s", self.bytes_per_s)
        if self.trace is not None:
            raise ClusterError("a link's direction has both a rate and a trace; give one of them")


class Link(Value, frozen=True):
    """A full-duplex link between two nodes.

    Raises:
        ClusterError: a link of a node to itself, or a number out of its range.
    """

    between: tuple[str, str]
    up: Direction = Direction()
    """From the first node to the second."""
    down: Direction = Direction()
    """From the second node to the first."""
    latency_s: float = 0.0
    """One way, per message."""
    failure_probability: float = 0.0
    """Of one transfer."""
    media: tuple[str, ...] = ()
    """Shared media that a transfer occupies besides the link itself."""
    timeout_s: float | None = None
    """A transfer that takes longer is lost; None = it may take for ever."""
    available: Windows = ()
    """When the link is there; () = always."""

    def __post_init__(self) -> None:
        first, second = self.between
        what = f"the link {shown(first)} - {shown(second)}"
        if first == second:
            raise ClusterError(f"{what} joins a node with itself; name two different nodes")
        check_number(what, "latency_s", self.latency_s)
        check_number(what, "failure_probability", self.failure_probability, 1.0)
        if self.timeout_s is not None:
            check_positive(what, "timeout_s", self.timeout_s)
        check_windows(what, self.available)
        repeated = first_repeated(self.media)
        if repeated is not None:
            raise ClusterError(f"{what} names the medium {shown(repeated)} twice; name it once")
        if self.available and any(d.bytes_per_s is None and d.trace is None for d in (self.up, self.down)):
            raise ClusterError(f"{what} has windows of time and no rate; give the rate that it has inside them")


class Medium(Value, frozen=True):
    """Something that several links draw on, one transfer at a time: a Wi-Fi cell, a bus."""

    name: str
    bytes_per_s: float | None = None
    trace: RateTrace | None = None

    def __post_init__(self) -> None:
        check_name("a medium", self.name)
        if (self.bytes_per_s is None) == (self.trace is None):
            raise ClusterError(f"medium {self.name!r} has either a rate or a trace; give exactly one of them")
        if self.bytes_per_s is not None:
            check_positive(f"medium {self.name!r}", "bytes_per_s", self.bytes_per_s)
