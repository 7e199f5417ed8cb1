"""A session's side of the conversation with its nodes: questions, answers, and whether all are still there."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from hocket.errors import FormatError, LateError, NodeError
from hocket.runtime import wire
from hocket.runtime.transport import Transport

_CHECK_S = 0.1
_MOST_BEAT_S = 1.0
_PINGS = 20

Reply = TypeVar("Reply", bound=wire.Message)
Event = tuple[str, wire.Message, Sequence[wire.Frame]]


class Client:
    """Talks to nodes that have been connected.

    Args:
        transport: to talk over.
        check: raises NodeError when a node that we started has ended.
        timeout_s: how long a node may be silent, or take for an answer.
    """

    def __init__(self, transport: Transport, check: Callable[[], None], timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.nodes: dict[str, str] = {}
        """Name -> address."""
        self.pongs: dict[str, wire.Pong] = {}
        self._transport, self._check = transport, check
        self._beat_s = min(_MOST_BEAT_S, timeout_s / 5)
        self._heard_s: dict[str, float] = {}
        self._backlog: deque[Event] = deque()
        self._checked_s = self._pinged_s = 0.0

    def connect(self, node: str, address: str, key: str = "") -> None:
        """Make a node known."""
        self._transport.connect(node, address, key)
        self.nodes[node] = address
        self._heard_s[node] = time.monotonic()

    def send(self, node: str, message: wire.Message, buffers: Sequence[wire.Frame] = ()) -> None:
        """Queue a message for a node."""
        self._transport.send(node, wire.pack(message, buffers))

    def receive(self, timeout_s: float) -> Event | None:
        """The next message that is not a pong; looks after the nodes meanwhile.

        Raises:
            NodeError: a node has ended or is silent for too long.
        """
        return self._backlog.popleft() if self._backlog else self._listen(timeout_s)

    def ask(
        self,
        node: str,
        message: wire.Message,
        kind: type[Reply],
        buffers: Sequence[wire.Frame] = (),
        *,
        timeout_s: float | None = None,
    ) -> Reply:
        """Send a message and wait for the reply of a kind; what else comes is kept for `receive`."""
        self.send(node, message, buffers)
        return self.wait(node, kind, timeout_s=timeout_s)

    def wait(self, node: str, kind: type[Reply], *, timeout_s: float | None = None) -> Reply:
        """The next message of a kind from a node.

        Raises:
            LateError: it does not come.
        """
        return self.wait_any(node, (kind,), timeout_s=timeout_s)

    def wait_any(self, node: str, kinds: "tuple[type[Reply], ...]", *, timeout_s: float | None = None) -> Reply:
        """The next message of some kinds from a node.

        Raises:
            LateError: it does not come.
        """
        for kept in self._backlog:
            if kept[0] == node and isinstance(kept[1], kinds):
                self._backlog.remove(kept)
                return kept[1]
        patience_s = self.timeout_s if timeout_s is None else timeout_s
        deadline_s = time.monotonic() + patience_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            event = self._listen(min(left_s, _CHECK_S))
            if event is None:
                continue
            if event[0] == node and isinstance(event[1], kinds):
                return event[1]
            self._backlog.append(event)
        raise LateError(
            f"node {node!r} at {self.nodes[node]} did not answer within {patience_s:g} s;"
            " check that it runs, its address and its keys"
        )

    def clock(self, node: str) -> tuple[float, float]:
        """How much to add to a node's clock to get ours, and how far that may be off: from the fastest of pings."""
        best = (float("inf"), 0.0)
        for _ in range(_PINGS):
            sent_s = time.monotonic()
            self.pongs.pop(node, None)
            self.send(node, wire.Ping(sent_s))
            while node not in self.pongs or self.pongs[node].sent_s != sent_s:
                event = self._listen(_CHECK_S)
                if event is not None:
                    self._backlog.append(event)
            back_s = time.monotonic()
            best = min(best, (back_s - sent_s, (sent_s + back_s) / 2 - self.pongs[node].node_s))
        return best[1], best[0] / 2

    def silence_s(self, node: str) -> float:
        """Seconds since a node was heard."""
        return time.monotonic() - self._heard_s[node]

    def _listen(self, timeout_s: float) -> Event | None:
        received = self._transport.receive(timeout_s)
        now_s = time.monotonic()
        if now_s - self._checked_s > _CHECK_S:
            self._look_after(now_s)
        if received is None:
            return None
        node, frames = received
        try:
            message, buffers = wire.unpack(frames)
        except FormatError:
            return None
        self._heard_s[node] = now_s
        if isinstance(message, wire.Pong):
            self.pongs[node] = message
            return None
        return node, message, buffers

    def _look_after(self, now_s: float) -> None:
        if now_s - self._checked_s > self._beat_s + 1.0:
            # Nobody was listening meanwhile: the nodes were not asked, so their silence says nothing.
            self._heard_s = dict.fromkeys(self._heard_s, now_s)
        self._checked_s = now_s
        self._check()
        for node, heard_s in self._heard_s.items():
            if now_s - heard_s > self.timeout_s:
                raise LateError(
                    f"node {node!r} at {self.nodes[node]} has been silent for {now_s - heard_s:.1f} s;"
                    " check that it runs and can be reached"
                )
        if now_s - self._pinged_s > self._beat_s:
            self._pinged_s = now_s
            for node in self.nodes:
                self.send(node, wire.Ping(now_s))


def check_welcome(node: str, welcome: wire.Welcome, codecs: set[str], providers: set[str], ledger: str) -> None:
    """Refuse a node that cannot do its part.

    Raises:
        NodeError: it speaks another version, or lacks a codec, a provider or the ledger of emulated links.
    """
    if welcome.version != wire.VERSION:
        raise NodeError(
            f"node {node!r} speaks wire version {welcome.version}, this session {wire.VERSION}; install the same hocket"
        )
    for kind, wanted, had in (
        ("codec", codecs, welcome.codecs),
        ("execution provider", providers, welcome.providers),
    ):
        lacking = sorted(wanted - set(had))
        if lacking:
            raise NodeError(f"node {node!r} lacks {kind} {lacking[0]!r} and has {', '.join(had)}; choose one of these")
    if ledger and welcome.ledger != ledger:
        raise NodeError(
            f"node {node!r} does not share the ledger of emulated links; let the session start it, or do not emulate"
        )
