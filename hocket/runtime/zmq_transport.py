"""The transport between processes: ZeroMQ over TCP.

A listening transport binds one ROUTER; to every peer that it connects to it opens one DEALER, and answers what came
in over the ROUTER. Queues on the sending side have no limit of their own, so nothing is dropped and nobody blocks:
the program's window bounds what can be under way. Between machines CURVE encrypts, and only listed keys are heard.
"""

import contextlib
import ipaddress
import os
import re
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

import zmq
from zmq.utils.monitor import recv_monitor_message

from hocket.errors import NodeError
from hocket.runtime.door import Door
from hocket.runtime.keys import Keys
from hocket.runtime.transport import Frame, Received

MOST_FRAME_BYTES = 256 << 20
MOST_MESSAGE_BYTES = 4 << 30
_COPY_BELOW_BYTES = 1 << 16  # below this a copy is cheaper than keeping track of the buffer
_RECEIVE_QUEUE = 64  # messages per peer that wait here; more wait at their sender
_BUFFER_BYTES = 1 << 22
_POLL_S = 1e-3  # a poll counts in milliseconds; a shorter timeout is slept in steps
_STEP_S = 1e-4
_DEAD_MS = 10_000  # a connection on which nothing is acknowledged for so long is given up
_NAME = re.compile(r"[^\w.\-]")


def is_loopback(address: str) -> bool:
    """Whether an address such as `tcp://127.0.0.1:0` can be reached from this computer only."""
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ZmqTransport:
    """Frames over ZeroMQ.

    Args:
        name: what the others see of us.
        listen: where to listen, such as `tcp://127.0.0.1:0`; None = only connect.
        keys: our key pair; None = plaintext.
        allow: public keys that may connect to us.
        plaintext: plaintext is wanted also beyond loopback.
    """

    def __init__(
        self,
        name: str,
        *,
        listen: str | None = None,
        keys: Keys | None = None,
        allow: Collection[str] = (),
        plaintext: bool = False,
    ) -> None:
        self.name, self.address = name, ""
        self._keys, self._plaintext = keys, plaintext
        self._identity = f"{_NAME.sub('_', name)[:40]}/{secrets.token_hex(6)}".encode()
        self._context = zmq.Context(io_threads=1)
        self._dealers: dict[str, zmq.Socket[bytes]] = {}
        self._addresses: dict[str, tuple[str, str]] = {}
        self._sources: dict[object, str] = {}
        self._watchers: dict[str, zmq.Socket[bytes]] = {}
        self._watched: dict[object, str] = {}
        self._broken: dict[str, None] = {}
        self._arrived: deque[Received] = deque()
        self._counts: Counter[str] = Counter()
        self._poller = zmq.Poller()
        self._waking = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._poller.register(self._wake_read, zmq.POLLIN)
        self._door: Door | None = None
        self._router: zmq.Socket[bytes] | None = None
        if listen is not None:
            try:
                self._listen(listen, allow)
            except BaseException:
                self.close()
                raise

    def connect(self, peer: str, address: str, key: str = "") -> None:
        """Open a way to a peer."""
        if self._addresses.get(peer) == (address, key):
            return
        self._check_plaintext(address, encrypted=bool(key))
        if key and self._keys is None:
            raise NodeError(f"node {peer!r} wants encryption and {self.name!r} has no keys; give it a key file")
        self.disconnect(peer)
        dealer = self._socket(zmq.DEALER, address)
        dealer.setsockopt(zmq.ROUTING_ID, self._identity)
        if key and self._keys is not None:
            dealer.curve_publickey = self._keys.public.encode()
            dealer.curve_secretkey = self._keys.secret.encode()
            dealer.curve_serverkey = key.encode()
        try:
            dealer.connect(address)
        except zmq.ZMQError as error:
            dealer.close()
            raise NodeError(
                f"node {peer!r} has the address {address!r}, which is of no use ({error}); correct it"
            ) from None
        self._dealers[peer], self._addresses[peer], self._sources[dealer] = dealer, (address, key), peer
        self._poller.register(dealer, zmq.POLLIN)
        if self._router is None:  # nodes do not ask for broken connections: the sessions do
            watcher = self._watchers[peer] = dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            self._watched[watcher] = peer
            self._poller.register(watcher, zmq.POLLIN)

    def disconnect(self, peer: str) -> None:
        """Close the way to a peer."""
        self._addresses.pop(peer, None)
        dealer = self._dealers.pop(peer, None)
        if dealer is not None:
            self._poller.unregister(dealer)
            self._sources.pop(dealer, None)
            watcher = self._watchers.pop(peer, None)
            if watcher is not None:
                self._poller.unregister(watcher)
                del self._watched[watcher]
                self._broken.pop(peer, None)
                dealer.disable_monitor()
                watcher.close(linger=0)
            dealer.close(linger=0)

    def send(self, peer: str, frames: Sequence[Frame]) -> None:
        """Queue a message for a peer."""
        socket = self._dealers.get(peer)
        try:
            if socket is None:
                if self._router is None:
                    raise NodeError(f"node {peer!r} is not connected; connect to it first")
                socket = self._router
                socket.send(peer.encode("latin-1"), zmq.SNDMORE | zmq.NOBLOCK)
            for frame in frames[:-1]:
                socket.send(frame, zmq.SNDMORE | zmq.NOBLOCK, copy=len(frame) < _COPY_BELOW_BYTES)
            socket.send(frames[-1], zmq.NOBLOCK, copy=len(frames[-1]) < _COPY_BELOW_BYTES)
        except zmq.Again:
            # With queues that have no limit this happens only where the peer has broken off the handshake for good.
            self.disconnect(peer)
            raise NodeError(f"node {peer!r} refused the connection; check that each lists the other's key") from None
        except (zmq.ZMQError, UnicodeEncodeError) as error:
            raise NodeError(f"node {peer!r} cannot be sent to ({error}); connect to it first") from None

    def receive(self, timeout_s: float) -> Received | None:
        """The next message of any peer."""
        if self._arrived:
            return self._arrived.popleft()
        if timeout_s >= _POLL_S:
            self._poll(int(timeout_s * 1000))
        else:
            deadline_s = time.monotonic() + timeout_s
            while not self._poll(0) and (left_s := deadline_s - time.monotonic()) > 0:
                time.sleep(min(left_s, _STEP_S))
        return self._arrived.popleft() if self._arrived else None

    def wake(self) -> None:
        """Make `receive` return; a full pipe means that it will anyway."""
        with contextlib.suppress(BlockingIOError), self._waking:
            if not self._context.closed:
                os.write(self._wake_write, b"!")

    def broken(self) -> list[str]:
        """Peers whose connection has broken; ZeroMQ goes on trying to make a new one."""
        found, self._broken = self._broken, {}
        return list(found)

    def counters(self) -> dict[str, int]:
        """What never became a message."""
        refused = self._door.counts if self._door else {}
        return {"oversized": self._counts["oversized"], **refused}

    def close(self) -> None:
        """Close all sockets."""
        with self._waking:  # whoever wakes us from another thread does so before, or finds the context closed
            self._close()

    def _close(self) -> None:
        if self._context.closed:
            return
        for peer in list(self._dealers):
            self.disconnect(peer)
        if self._door is not None:
            self._door.close()
        self._context.destroy(linger=0)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _listen(self, address: str, allow: Collection[str]) -> None:
        self._check_plaintext(address, encrypted=self._keys is not None)
        router = self._socket(zmq.ROUTER, address)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        # A peer that comes again over a new connection is heard there, though the old one may not know that it is dead.
        router.setsockopt(zmq.ROUTER_HANDOVER, 1)
        if self._keys is not None:
            router.curve_server = True
            router.curve_publickey = self._keys.public.encode()
            router.curve_secretkey = self._keys.secret.encode()
            router.zap_domain = b"hocket"
        self._door = Door(self._context, router, frozenset(allow))
        try:
            router.bind(address)
        except zmq.ZMQError as error:
            raise NodeError(f"{self.name!r} cannot listen at {address!r} ({error}); choose another address") from None
        self.address = router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._router = router
        for socket in (router, *self._door.sockets):
            self._poller.register(socket, zmq.POLLIN)

    def _check_plaintext(self, address: str, *, encrypted: bool) -> None:
        if not (encrypted or self._plaintext or is_loopback(address)):
            raise NodeError(f"{address} is beyond this computer and there are no keys; give keys, or ask for plaintext")

    def _socket(self, kind: int, address: str) -> "zmq.Socket[bytes]":
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.sndhwm = 0
        socket.rcvhwm = _RECEIVE_QUEUE
        socket.maxmsgsize = MOST_FRAME_BYTES
        socket.ipv6 = "[" in address
        socket.handshake_ivl = 10_000
        socket.reconnect_ivl = 50
        socket.reconnect_ivl_max = 1000
        socket.connect_timeout = 2000
        socket.setsockopt(zmq.TCP_MAXRT, _DEAD_MS)
        socket.setsockopt(zmq.SNDBUF, _BUFFER_BYTES)
        socket.setsockopt(zmq.RCVBUF, _BUFFER_BYTES)
        return socket

    def _poll(self, timeout_ms: int) -> bool:
        """Take in what there is; whether `receive` has a reason to return."""
        woken = False
        for source, _ in self._poller.poll(max(timeout_ms, 0)):
            if source == self._wake_read:
                os.read(self._wake_read, 4096)
                woken = True
            elif self._door is not None and source in self._door.sockets:
                self._door.serve()
            elif source in self._watched:
                recv_monitor_message(source)
                self._broken[self._watched[source]] = None
                woken = True
            else:
                self._take(source)
        return woken or bool(self._arrived)

    def _take(self, socket: "zmq.Socket[bytes]") -> None:
        peer = self._sources.get(socket)
        while True:
            try:
                parts = [socket.recv(zmq.NOBLOCK, copy=False)]
            except zmq.Again:
                return
            nbytes = len(parts[0])
            while parts[-1].more:
                part = socket.recv(copy=False)
                nbytes += len(part)
                if nbytes > MOST_MESSAGE_BYTES:
                    parts = [part]  # the rest still has to be read, but none of it is kept
                else:
                    parts.append(part)
            if nbytes > MOST_MESSAGE_BYTES:
                self._counts["oversized"] += 1
                continue
            sender = peer or parts.pop(0).bytes.decode("latin-1")
            self._arrived.append((sender, [part.buffer for part in parts]))
