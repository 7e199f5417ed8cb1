"""How frames get from one process to another: a small interface with two implementations.

A transport belongs to one thread; only `wake` may be called from others. A peer is a name: one that was given to
`connect`, or one that `receive` reported. Sending never blocks and never drops silently.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from hocket.errors import NodeError

Frame = bytes | memoryview
Received = tuple[str, Sequence[Frame]]


class Transport(Protocol):
    """Sends and receives messages of several frames."""

    @property
    def address(self) -> str:
        """Where others can connect to; empty = it only connects."""
        ...

    def connect(self, peer: str, address: str, key: str = "") -> None:
        """Make a peer known by its address (and CURVE public key); again with another address moves it.

        Raises:
            NodeError: the address cannot be used.
        """
        ...

    def disconnect(self, peer: str) -> None:
        """Forget a peer that was connected; nothing happens if it was not."""
        ...

    def send(self, peer: str, frames: Sequence[Frame]) -> None:
        """Queue a message. Buffers are not copied: they must not change afterwards.

        Raises:
            NodeError: the peer is not known, or gone.
        """
        ...

    def receive(self, timeout_s: float) -> Received | None:
        """The next message and who sent it; None after a `wake`, or the timeout, or up to 1 ms before it."""
        ...

    def wake(self) -> None:
        """Make `receive` return soon; the one call that any thread may make."""
        ...

    def broken(self) -> list[str]:
        """Peers that were connected and whose connection has broken since the last call."""
        ...

    def counters(self) -> dict[str, int]:
        """What was refused below the level of messages."""
        ...

    def close(self) -> None:
        """Let go of everything; what has not left by then is lost."""
        ...


def check_transport(make: Callable[[str], Transport], *, timeout_s: float = 5.0) -> None:
    """Check that a transport keeps the contract; for tests of any implementation.

    Args:
        make: gives a listening transport of that name; all it makes can reach each other.
        timeout_s: how long a message may take.

    Raises:
        AssertionError: it does not.
    """
    left, right = make("left"), make("right")
    try:
        left.connect("right", right.address)
        _check_exchange(left, right, timeout_s)
        _check_order(left, right, timeout_s)
        _check_wake(left)
        _check_unknown(left)
        _check_disconnect(left)
    finally:
        left.close()
        right.close()


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(f"a transport must {rule}")


def _check_exchange(left: Transport, right: Transport, timeout_s: float) -> None:
    large = bytes(range(256)) * (1 << 12)
    left.send("right", [b"one", b"", large])
    received = right.receive(timeout_s)
    _require(received is not None, "deliver a message")
    if received is not None:
        sender, frames = received
        _require([bytes(frame) for frame in frames] == [b"one", b"", large], "deliver all frames unchanged")
        right.send(sender, [b"back"])
        answer = left.receive(timeout_s)
        _require(answer is not None and bytes(answer[1][0]) == b"back", "carry an answer back over the same way")
        _require(answer is not None and answer[0] == "right", "name an answering peer as it was connected")


def _check_order(left: Transport, right: Transport, timeout_s: float) -> None:
    for number in range(1000):
        left.send("right", [number.to_bytes(4, "big")])
    for number in range(1000):
        received = right.receive(timeout_s)
        whole = received is not None and bytes(received[1][0]) == number.to_bytes(4, "big")
        _require(whole, "keep the order and lose nothing")


def _check_wake(left: Transport) -> None:
    left.wake()
    _require(left.receive(5.0) is None, "return None when it is woken")
    _require(left.receive(0.0) is None, "return None when nothing has come")


def _check_unknown(left: Transport) -> None:
    try:
        left.send("nobody", [b"x"])
    except NodeError:
        return
    _require(False, "refuse to send to an unknown peer")


def _check_disconnect(left: Transport) -> None:
    left.disconnect("right")
    left.disconnect("right")
    try:
        left.send("right", [b"x"])
    except NodeError:
        return
    _require(False, "refuse to send to a peer that was disconnected")
