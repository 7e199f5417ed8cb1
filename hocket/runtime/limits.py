"""What a node lets others take of it: how large things may be, how many, and how fast they may come."""

import os
import pwd
import resource
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from hocket.errors import FormatError, NodeError
from hocket.runtime.power import data_bytes
from hocket.runtime.transport import Frame, Received, Transport

_RESERVE_BYTES = 64 << 20  # for messages on their way and the threads' stacks
_MOST_PEERS = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that are chosen for a node; the others are fixed where they are kept (docs/nodes.md lists all).

    Raises:
        FormatError: a bound is below its least value.
    """

    memory_bytes: int = 0
    """Most bytes held for programs: weights, models, tensors; 0 = not limited."""
    message_bytes: int = 4 << 30
    """Of one message; a larger one is thrown away."""
    messages_per_s: float = 0.0
    """From one peer; 0 = not limited."""
    bytes_per_s: float = 0.0
    """From one peer; 0 = not limited."""
    peers: int = _MOST_PEERS
    """Whose rates are remembered; beyond it those that were heard longest ago are forgotten."""

    def __post_init__(self) -> None:
        for each in fields(self):
            least = 1 if each.default else 0
            if not getattr(self, each.name) >= least:  # so that NaN is none
                raise FormatError(
                    f"limit {each.name} is at least {least}, got {getattr(self, each.name)}; give a larger one"
                )

    def allowance(self) -> "Allowance":
        """What keeps the rates."""
        return Allowance(self.messages_per_s, self.bytes_per_s, most_peers=self.peers)


class Allowance:
    """Token buckets: how much each peer may send. Pure: no clock, socket or thread.

    A peer has `burst_s` seconds' worth of its rates in store at most. It may overdraw by one message, so that a long
    one is let in after a while whatever its length; until the debt is paid off, nothing else is.

    Args:
        messages_per_s: of one peer; 0 = not limited.
        bytes_per_s: of one peer; 0 = not limited.
        burst_s: how long a silence may be made up for.
        most_peers: how many are remembered.

    Examples:
        >>> allowance = Allowance(2, 0, burst_s=1)
        >>> [allowance.admits("a", 10, now_s) for now_s in (0.0, 0.0, 0.0, 0.4, 0.5)]
        [True, True, False, False, True]
    """

    def __init__(
        self, messages_per_s: float, bytes_per_s: float, *, burst_s: float = 2.0, most_peers: int = _MOST_PEERS
    ) -> None:
        self._rates = (messages_per_s, bytes_per_s)
        # Below one message there would never be a whole token.
        self._most = (max(messages_per_s * burst_s, 1.0), bytes_per_s * burst_s)
        self._most_peers = most_peers
        self._peers: OrderedDict[str, tuple[float, float, float]] = OrderedDict()

    @property
    def peers(self) -> int:
        """How many are remembered."""
        return len(self._peers)

    def admits(self, peer: str, nbytes: int, now_s: float) -> bool:
        """Whether a message of so many bytes is let in now; what is not costs the peer nothing.

        Args:
            peer: who sent it.
            nbytes: of all its frames.
            now_s: on a clock that never goes back.
        """
        if not any(self._rates):
            return True
        messages, volume, since_s = self._peers.pop(peer, (*self._most, now_s))
        passed_s = max(now_s - since_s, 0.0)
        messages = min(messages + passed_s * self._rates[0], self._most[0])
        volume = min(volume + passed_s * self._rates[1], self._most[1])
        admitted = (not self._rates[0] or messages >= 1.0) and (not self._rates[1] or volume > 0.0)
        if admitted:
            messages, volume = messages - 1.0, volume - nbytes
        self._peers[peer] = (messages, volume, now_s)
        while len(self._peers) > self._most_peers:
            self._peers.popitem(last=False)
        return admitted


class Rationed:
    """A transport that lets in what the limits allow; the rest is thrown away and counted.

    Args:
        transport: what brings the messages.
        limits: rates of each peer, and the size of a message.
        clock: in seconds, never going back.
    """

    def __init__(self, transport: Transport, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport, self._limits, self._clock = transport, limits, clock
        self._allowance = limits.allowance()
        self._counts = Counter(throttled=0, oversized=0)

    @property
    def address(self) -> str:
        """Where others can connect to."""
        return self._transport.address

    def connect(self, peer: str, address: str, key: str = "") -> None:
        """Make a peer known."""
        self._transport.connect(peer, address, key)

    def disconnect(self, peer: str) -> None:
        """Forget a peer."""
        self._transport.disconnect(peer)

    def send(self, peer: str, frames: Sequence[Frame]) -> None:
        """Queue a message; what leaves is not limited."""
        self._transport.send(peer, frames)

    def receive(self, timeout_s: float) -> Received | None:
        """The next message; None also where one came that is not let in."""
        received = self._transport.receive(timeout_s)
        if received is None:
            return None
        nbytes = sum(len(frame) for frame in received[1])
        if nbytes > self._limits.message_bytes:
            self._counts["oversized"] += 1
            return None
        if not self._allowance.admits(received[0], nbytes, self._clock()):
            self._counts["throttled"] += 1
            return None
        return received

    def wake(self) -> None:
        """Make `receive` return."""
        self._transport.wake()

    def broken(self) -> list[str]:
        """Peers whose connection has broken."""
        return self._transport.broken()

    def counters(self) -> dict[str, int]:
        """What was refused, here and below."""
        total = Counter(self._counts)
        total.update(self._transport.counters())
        return dict(total)

    def close(self) -> None:
        """Let go of everything."""
        self._transport.close()


def limit_memory(memory_bytes: int) -> bool:
    """Let this process fail to get memory rather than take more than it may, beside what it has already.

    What counts is memory that can be written to (RLIMIT_DATA since Linux 4.7), so neither files that are mapped nor
    address space that threads reserve and never use: with four threads of ONNX Runtime the latter are twice of the
    former, which makes a limit on the address space useless.

    Args:
        memory_bytes: for programs; what the interpreter and its libraries have, and a reserve, come on top.

    Returns:
        Whether there is a limit now; other systems than Linux have none of this kind.
    """
    held_bytes = data_bytes()
    if sys.platform != "linux" or not held_bytes:
        return False
    most = held_bytes + memory_bytes + _RESERVE_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    return True


def become(user: str) -> None:
    """Give up the superuser's rights for good, for those of another user and its groups.

    Raises:
        NodeError: there is no such user, or we are not the superuser.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise NodeError(f"there is no user {user!r} here; make one with `useradd --system {user}`") from None
    if os.geteuid() == entry.pw_uid:
        return
    if os.geteuid() != 0:
        raise NodeError(f"only the superuser can become {user!r}; start the node as that user instead")
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)  # all three ids: there is no way back
