"""Who may come in: the ZAP handler that admits listed CURVE keys, and counters of who was turned away."""

from collections import Counter

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

_WATCHED = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_DISCONNECTED
_ZAP_VERSION = b"1.0"


class Door:
    """Answers ZeroMQ's questions about who may connect to one listening socket."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", listener: "zmq.Socket[bytes]", allow: frozenset[str]
    ) -> None:
        self.counts: Counter[str] = Counter(strangers=0, broken_handshakes=0, disconnected=0)
        self._allow = allow
        self._listener = listener
        self._zap = context.socket(zmq.ROUTER)
        self._zap.linger = 0
        self._zap.bind("inproc://zeromq.zap.01")
        self._monitor = listener.get_monitor_socket(_WATCHED)
        self.sockets = (self._zap, self._monitor)

    def serve(self) -> None:
        """Answer what has been asked and count what has happened; never waits."""
        while self._zap.poll(0):
            self._answer(self._zap.recv_multipart())
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self.counts["disconnected" if event == zmq.EVENT_DISCONNECTED else "broken_handshakes"] += 1

    def close(self) -> None:
        """Stop answering."""
        self._listener.disable_monitor()
        self._zap.close()

    def _answer(self, frames: list[bytes]) -> None:
        # Frames: return address, empty, version, request, domain, address, identity, mechanism, credentials.
        if len(frames) < 8 or frames[2] != _ZAP_VERSION:
            return
        admitted = frames[7] == b"CURVE" and len(frames) == 9 and z85.encode(frames[8]).decode() in self._allow
        self.counts["strangers"] += not admitted
        code, text = (b"200", b"OK") if admitted else (b"400", b"not on the list")
        self._zap.send_multipart([frames[0], b"", _ZAP_VERSION, frames[3], code, text, b"", b""])
