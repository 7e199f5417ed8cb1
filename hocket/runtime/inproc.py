"""A transport inside one process, for tests and for trying things out."""

import itertools
import queue
from collections.abc import Sequence

from hocket.errors import NodeError
from hocket.runtime.transport import Frame, Received


class Network:
    """A place where in-process transports find each other."""

    def __init__(self) -> None:
        self._boxes: dict[str, queue.SimpleQueue[Received | None]] = {}
        self._numbers = itertools.count()

    def open(self, name: str) -> "InprocTransport":
        """A new transport on this network."""
        return InprocTransport(self, name, f"inproc://{name}/{next(self._numbers)}")


class InprocTransport:
    """Frames over queues; the same contract as ZeroMQ."""

    def __init__(self, network: Network, name: str, address: str) -> None:
        self.name, self.address = name, address
        self._network = network
        self._box: queue.SimpleQueue[Received | None] = queue.SimpleQueue()
        self._known: dict[str, str] = {}
        network._boxes[address] = self._box

    def connect(self, peer: str, address: str, key: str = "") -> None:  # noqa: ARG002 (nobody listens in here)
        """Make a peer known by its address."""
        if address not in self._network._boxes:
            raise NodeError(f"nobody listens at {address} (node {peer!r}); start it first")
        self._known[peer] = address

    def disconnect(self, peer: str) -> None:
        """Forget a peer."""
        self._known.pop(peer, None)

    def send(self, peer: str, frames: Sequence[Frame]) -> None:
        """Put a message into the peer's queue."""
        # A peer that wrote to us is named by its address, one that we connected to by the name given then.
        box = self._network._boxes.get(self._known.get(peer, peer))
        if box is None:
            raise NodeError(f"node {peer!r} is not connected or has closed; connect to it first")
        box.put((self.address, list(frames)))

    def receive(self, timeout_s: float) -> Received | None:
        """The next message of any peer."""
        try:
            received = self._box.get(timeout=timeout_s) if timeout_s > 0 else self._box.get_nowait()
        except queue.Empty:
            return None
        if received is None:
            return None
        sender, frames = received
        return next((peer for peer, address in self._known.items() if address == sender), sender), frames

    def wake(self) -> None:
        """Make `receive` return."""
        self._box.put(None)

    def broken(self) -> list[str]:
        """Peers that have closed."""
        gone = [peer for peer, address in self._known.items() if address not in self._network._boxes]
        for peer in gone:
            del self._known[peer]
        return gone

    def counters(self) -> dict[str, int]:
        """Nothing is ever refused here."""
        return {}

    def close(self) -> None:
        """Leave the network."""
        self._network._boxes.pop(self.address, None)
