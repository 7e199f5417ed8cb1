"""A device that computes."""

import re
from typing import Literal

from hocket.cluster.checks import Windows, check_name, check_number, check_positive, check_whole, check_windows
from hocket.errors import ClusterError
from hocket.nouns import Value
from hocket.units import shown

MOST_SLOWDOWN = 1e6
_MOST_MEMORY_BYTES = 10**18
_ADDRESS = re.compile(
    r"(hocket1:)?tcp://(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.\-]+):(\d{1,5})(?(1):[0-9a-f]{64})|(?:inproc|ipc)://[!-~]+",
    re.ASCII,
)
"""A plain address, or the join token of a node that speaks encrypted only."""
_PROVIDER = re.compile(r"[A-Za-z0-9_]+")
_ABOVE_ZERO = ("flops_per_s",)
_ABOVE_ZERO_IF_GIVEN = ("memory_bytes_per_s", "kappa", "port_up_bytes_per_s", "port_down_bytes_per_s")
_NOT_NEGATIVE = (
    "compute_w",
    "idle_w",
    "transmit_w",
    "receive_w",
    "compute_price_per_s",
    "transmit_price_per_s",
    "energy_price_per_j",
    "call_s",
)


class Node(Value, frozen=True):
    """A device: its speed, memory, power, prices, and how the runtime reaches it.

    Raises:
        ClusterError: a number out of its range, or two fields that contradict each other.
    """

    name: str
    flops_per_s: float
    """Speed of one core."""
    cores: int = 1
    core_gains: tuple[tuple[float, float], ...] = ()
    """(cores, speed-up over one core), rising: the compensation function of IAO; () = as many as there are cores.
    Where it is given, whole numbers in a plan's shares count cores."""
    memory_bytes: int | None = None
    """None = not limited."""
    memory_bytes_per_s: float | None = None
    """Bandwidth of the memory, for a roofline; None = never the limit."""
    compute_w: float = 0.0
    """Power while it computes."""
    idle_w: float = 0.0
    """Power while it waits."""
    transmit_w: float = 0.0
    """Power of the radio while it sends."""
    receive_w: float = 0.0
    """Power of the radio while it receives."""
    kappa: float | None = None
    """Effective switched capacitance: computing n cycles at f Hz takes kappa f^2 n joules."""
    frequency_hz: tuple[float, float] | None = None
    """Least and greatest clock."""
    compute_price_per_s: float = 0.0
    transmit_price_per_s: float = 0.0
    energy_price_per_j: float = 0.0
    failure_probability: float = 0.0
    """Of the node during one request."""
    slowdown: float | Literal["auto"] = 1.0
    """Emulation: how many times slower than its host it computes; "auto" = speed of the host / `flops_per_s`."""
    address: str = "tcp://127.0.0.1:0"
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    """ONNX Runtime execution providers in order of preference."""
    threads: int = 1
    port_up_bytes_per_s: float | None = None
    """Most that leaves the node over all its links together; None = not limited."""
    port_down_bytes_per_s: float | None = None
    available: Windows = ()
    """When the node is there; () = always."""
    trust: int = 0
    """Level of trust: a task may demand a least level of the nodes that see its data."""
    call_s: float = 0.0
    """Fixed time of each call of a segment."""

    def __post_init__(self) -> None:
        check_name("a node", self.name)
        what = f"node {self.name!r}"
        self._check_numbers(what)
        check_windows(what, self.available)
        self._check_gains(what)
        self._check_frequency(what)
        self._check_runtime(what)

    def _check_numbers(self, what: str) -> None:
        for field in _ABOVE_ZERO:
            check_positive(what, field, getattr(self, field))
        for field in _ABOVE_ZERO_IF_GIVEN:
            if getattr(self, field) is not None:
                check_positive(what, field, getattr(self, field))
        for field in _NOT_NEGATIVE:
            check_number(what, field, getattr(self, field))
        check_number(what, "failure_probability", self.failure_probability, 1.0)
        check_whole(what, "cores", self.cores, 1, 65536)
        check_whole(what, "threads", self.threads, 1, 1024)
        check_whole(what, "trust", self.trust, 0, 1_000_000)
        if self.memory_bytes is not None:
            check_whole(what, "memory_bytes", self.memory_bytes, 1, _MOST_MEMORY_BYTES)

    def active_w(self, clock_hz: float | None = None) -> float:
        """Watts while it computes, at a clock or, without one, at its greatest.

        With `kappa` it is kappa f^3, because n cycles take kappa f^2 n joules and n / f seconds; else `compute_w`.
        """
        if self.kappa is None or self.frequency_hz is None:
            return self.compute_w
        return self.kappa * (clock_hz or self.frequency_hz[1]) ** 3

    def gain(self, cores: float) -> float:
        """How many times faster some of its cores are than one: straight lines between the known gains, flat behind.

        >>> node = Node(name="edge", flops_per_s=1e9, cores=4, core_gains=((2, 1.8), (4, 3.0)))
        >>> [round(node.gain(cores), 3) for cores in (1, 2, 3, 4)]
        [1.0, 1.8, 2.4, 3.0]
        """
        if not self.core_gains:
            return cores
        before, gain = (1.0, 1.0) if self.core_gains[0][0] > 1 else self.core_gains[0]
        if cores <= before:
            return gain * cores / before
        for known, known_gain in self.core_gains:
            if cores <= known:
                return gain + (known_gain - gain) * (cores - before) / (known - before)
            before, gain = known, known_gain
        return gain

    def _check_gains(self, what: str) -> None:
        before, gained = 0.0, 0.0
        for cores, gain in self.core_gains:
            check_number(what, "core_gains", cores, 65536.0, 1.0)
            check_number(what, "core_gains", gain, 65536.0, 1.0)
            if cores <= before or gain < gained:
                raise ClusterError(
                    f"{what} has a gain of {gain:g} with {cores:g} cores after {gained:g} with {before:g}, and gains"
                    " are listed by rising cores and do not fall; put them in order"
                )
            before, gained = cores, gain

    def _check_frequency(self, what: str) -> None:
        if self.frequency_hz is None:
            if self.kappa is not None:
                raise ClusterError(f"{what} has kappa = {self.kappa!r} and no frequency; give its least and greatest")
            return
        for frequency in self.frequency_hz:
            check_positive(what, "frequency_hz", frequency)
        least, greatest = self.frequency_hz
        if least > greatest:
            raise ClusterError(
                f"{what} has a least frequency of {least:g} Hz above its greatest of {greatest:g} Hz; swap them"
            )

    def _check_runtime(self, what: str) -> None:
        if self.slowdown != "auto":
            check_number(what, "slowdown", self.slowdown, MOST_SLOWDOWN, 1.0)
        match = _ADDRESS.fullmatch(self.address)
        if match is None or (match[2] is not None and int(match[2]) > 65535):
            raise ClusterError(
                f"{what} has the address {shown(self.address)}, which is none; write it like 'tcp://192.168.1.7:5555'"
            )
        if not self.providers:
            raise ClusterError(f"{what} has no execution provider; give at least 'CPUExecutionProvider'")
        for name in self.providers:
            if not _PROVIDER.fullmatch(name):
                raise ClusterError(
                    f"{what} has the execution provider {shown(name)}, which is no name of one;"
                    " write it like 'CPUExecutionProvider'"
                )
