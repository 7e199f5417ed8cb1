"""A node: one process that stores weights, holds programs and runs its part of them.

An event loop takes messages, a compute lane computes; neither ever waits for a peer. Whatever a peer sends, the node
lives on: a message that breaks a rule is counted and forgotten.
"""

import os
import secrets
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import onnxruntime as ort

from hocket.errors import FormatError, HocketError, NodeError
from hocket.program import Artifact, Program
from hocket.runtime import wire
from hocket.runtime.clock import clock_id
from hocket.runtime.codecs import available
from hocket.runtime.deployment import Deployment
from hocket.runtime.emulation import Ledger
from hocket.runtime.handover import Carried, Handover
from hocket.runtime.lane import Job, Lane, Result
from hocket.runtime.power import give_back, open_meter, process_usage
from hocket.runtime.transport import Transport
from hocket.runtime.weights import WeightStore

_TICK_S = 1.0
_FED_S = 2e-3  # a session is told this much later that its input has come, or with the output
_LEAST_POLL_S = 1e-3  # shorter waits cost the processor more, and are for what has to be on time
_MOST_ROWS = 2000  # spans per message
_MOST_PROGRAMS = 64
_MOST_PEERS = 4096

Buffers = Sequence[wire.Frame]


class Node:
    """Serves programs until it is told to stop.

    Args:
        name: for messages and people.
        transport: a listening one; closed by the node when it ends.
        ledger: of emulated links, shared with the other nodes of this host; None = links are real.
        memory_limit: most bytes of weights; 0 = not limited.
        owned: a session started this node and may end it.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        ledger: Ledger | None = None,
        memory_limit: int = 0,
        owned: bool = False,
    ) -> None:
        self.name, self.counts = name, Counter(malformed=0, unknown=0, foreign=0, unsent=0, faults=0)
        self._transport, self._ledger = transport, ledger
        self._memory_limit, self._owned = memory_limit, owned
        self._instance = secrets.token_hex(8)
        self._meter = open_meter()
        self._lane = Lane(transport.wake)
        self._weights = WeightStore(most_bytes=memory_limit)
        self._programs: dict[str, Deployment] = {}
        self._peers: dict[str, dict[str, wire.Peer]] = {}
        self._heard_s: dict[str, float] = {}
        self._leases_s: dict[str, float] = {}
        self._later = Handover()
        self._next_tick_s = 0.0
        self._stopping = False
        self._handlers: dict[type, Callable[[str, Any, Buffers], None]] = {
            wire.Hello: self._hello,
            wire.Ping: self._ping,
            wire.Ask: self._ask,
            wire.Piece: self._piece,
            wire.Prepare: self._prepare,
            wire.Forget: self._forget,
            wire.Feed: self._feed,
            wire.Data: self._data,
            wire.Low: self._low,
            wire.Release: self._release,
            wire.Bring: self._bring,
            wire.Collect: self._collect,
            wire.Count: self._count,
            wire.Probe: self._probe,
            wire.Probing: self._probing,
            wire.Stop: self._stop,
        }

    def run(self) -> None:
        """Serve until `stop` is called."""
        try:
            while not self._stopping:
                received = self._transport.receive(self._patience_s())
                if received is not None:
                    self._guarded(self._take, *received)
                # What an emulated wire hands over makes jobs too: the lane chooses after that.
                self._guarded(self._tick, time.monotonic())
                self._guarded(self._lane.settle)
        finally:
            self._lane.close(timeout_s=0.5)
            self._transport.close()

    def stop(self) -> None:
        """End `run` soon; may be called from any thread."""
        self._stopping = True
        self._transport.wake()

    # ------------------------------------------------------------ the loop

    def _guarded(self, step: Callable[..., None], *values: Any) -> None:
        """Do something that a peer or its program may have made impossible."""
        try:
            step(*values)
        except FormatError:
            self.counts["malformed"] += 1
        except Exception:  # noqa: BLE001 (border of the process: nothing that comes in may end a node)
            self.counts["faults"] += 1
            traceback.print_exc(file=sys.stderr)

    def _take(self, sender: str, frames: Buffers) -> None:
        message, buffers = wire.unpack(frames)
        handler = self._handlers.get(type(message))
        if handler is None:
            raise FormatError(f"a node does not take {type(message).__name__}; sessions do")
        self._hear(sender)
        handler(sender, message, buffers)

    def _hear(self, sender: str) -> None:
        if sender not in self._heard_s and len(self._heard_s) >= _MOST_PEERS:
            del self._heard_s[min(self._heard_s, key=self._heard_s.__getitem__)]
        self._heard_s[sender] = time.monotonic()

    def _patience_s(self) -> float:
        """How long the loop may wait for the next message."""
        now_s = time.monotonic()
        due_s = min(self._later.due_s, self._lane.due_s)
        soft_s = self._next_tick_s
        for program in self._programs.values():
            due_s = min(due_s, program.next_deadline_s())
            soft_s = min(soft_s, program.fed_s + _FED_S)
        return max(min(due_s - now_s, max(soft_s - now_s, _LEAST_POLL_S)), 0.0)

    def _tick(self, now_s: float) -> None:
        for sender, message, buffers in self._later.delivered(now_s):
            self._guarded(self._handed_over, sender, message, buffers)
        for program in self._programs.values():
            if program.next_deadline_s() <= now_s:
                program.expire(now_s)
            program.flush(now_s - _FED_S)
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + _TICK_S
            for name, program in list(self._programs.items()):
                if now_s - self._heard_s.get(program.owner, now_s) > self._leases_s[name]:
                    self._drop(name)
            self._heard_s = {peer: at_s for peer, at_s in self._heard_s.items() if now_s - at_s < 1e5}

    def _send(self, peer: str, message: wire.Message, buffers: Buffers = ()) -> None:
        try:
            self._transport.send(peer, wire.pack(message, buffers))
        except NodeError:
            self.counts["unsent"] += 1

    # ------------------------------------------------------------ who, when, what

    def _hello(self, sender: str, message: wire.Hello, buffers: Buffers) -> None:  # noqa: ARG002
        ledger = self._ledger.id if self._ledger is not None else ""
        providers = tuple(ort.get_available_providers())
        self._send(
            sender,
            wire.Welcome(
                wire.VERSION,
                self.name,
                ort.__version__,
                available(),
                providers,
                clock_id(),
                ledger,
                self._memory_limit,
                os.getpid(),
            ),
        )

    def _ping(self, sender: str, message: wire.Ping, buffers: Buffers) -> None:  # noqa: ARG002
        label, request, since_s = self._lane.busy
        ready = tuple(name for name, program in self._programs.items() if program.owner == sender and program.installed)
        now_s = time.monotonic()
        self._send(sender, wire.Pong(message.sent_s, now_s, label[:512], since_s, request, ready, self._instance))

    def _count(self, sender: str, message: wire.Count, buffers: Buffers) -> None:  # noqa: ARG002
        total = Counter({**self.counts, "used_us": 0, "busy_us": 0})
        total.update(self._transport.counters())
        for program in self._programs.values():
            total.update(program.counters())
            if program.owner == sender:
                total.update(program.computing())
        total["weight_bytes"] = self._weights.nbytes
        total["state_bytes"] = sum(program.state_bytes for program in self._programs.values())
        usage = process_usage()
        total["memory_bytes"], total["cpu_us"] = usage.resident_bytes, round(1e6 * usage.cpu_s)
        if self._meter is not None:
            total["energy_uj"] = round(1e6 * self._meter.energy_j())
        total["waiting"] = len(self._later)
        self._send(sender, wire.Counted(dict(total)))

    def _stop(self, sender: str, message: wire.Stop, buffers: Buffers) -> None:  # noqa: ARG002
        if not self._owned:
            raise FormatError("only a node that a session started can be ended by it; end the process")
        self._stopping = True

    # ------------------------------------------------------------ programs

    def _ask(self, sender: str, message: wire.Ask, buffers: Buffers) -> None:  # noqa: ARG002
        self._send(sender, wire.Lack(self._weights.lacking(message.hashes)))

    def _piece(self, sender: str, message: wire.Piece, buffers: Buffers) -> None:
        sentence = ""
        try:
            data = memoryview(buffers[0]).cast("B") if buffers else memoryview(b"")
            self._weights.piece(message.sha256, message.dtype, message.shape, message.offset, data)
        except HocketError as error:
            sentence = str(error)
        self._send(sender, wire.Stored(message.sha256, message.offset, sentence))

    def _prepare(self, sender: str, message: wire.Prepare, buffers: Buffers) -> None:
        name = message.program
        try:
            self._claim(sender, name)
            deployment = self._deployment(sender, message, buffers)
        except HocketError as error:
            self._send(sender, wire.Prepared(name, str(error)[:4000]))
            return
        self._programs[name] = deployment
        self._heard_s[sender], self._leases_s[name] = time.monotonic(), message.lease_s
        models = {
            model.segment: Artifact(
                segment=model.segment, sha256=model.sha256, model=bytes(buffer), weights=model.weights
            )
            for model, buffer in zip(message.models, buffers[1:], strict=True)
        }
        self._weights.use(name, tuple(sha256 for model in message.models for sha256 in model.weights.values()))

        def done(result: Result) -> None:
            if not result.error:
                deployment.install(result.value)
            elif self._programs.get(name) is deployment:  # not one that came later under this name
                self._drop(name)
            self._send(sender, wire.Prepared(name, result.error[:4000]))

        work: Callable[[], Any] = lambda: deployment.build(models, message.warmups, self._weights.get)  # noqa: E731
        self._lane.submit(Job((-1, 0, name), f"preparing {name}", work, done))

    def _claim(self, sender: str, name: str) -> None:
        """A program replaces one of the same name, if that is the same session's."""
        known = self._programs.get(name)
        if known is not None and known.owner != sender:
            raise NodeError(f"program {name!r} belongs to another session; choose another name")
        self._drop(name)

    def _deployment(self, sender: str, message: wire.Prepare, buffers: Buffers) -> Deployment:
        if len(buffers) != 1 + len(message.models):
            raise FormatError(
                f"{len(message.models)} models come with {len(buffers)} buffers; send the program, then each"
            )
        if len(self._programs) >= _MOST_PROGRAMS:
            raise NodeError(f"node {self.name!r} holds {_MOST_PROGRAMS} programs, its most; end a session first")
        if message.emulate and self._ledger is None:
            raise NodeError(f"node {self.name!r} shares no ledger of emulated links; start it with --emulation FILE")
        program = Program.from_json(bytes(buffers[0]), name="the program")
        missing = {segment.id for segment in program.at(message.node)} - {model.segment for model in message.models}
        if missing:
            raise FormatError(f"segment {min(missing)!r} comes without its model; send one for each segment")
        peers = {peer.name: peer for peer in message.peers}
        ledger = self._ledger if message.emulate else None

        def send(target: str, content: wire.Message, parts: Buffers) -> None:
            peer = peers.get(target)
            self._send(_peer_id(peer) if peer is not None else target, content, parts)

        deployment = Deployment(
            message.program, program, message.node, sender, self._lane, send, ledger, message.lane, self._room,
            message.mirror,
        )  # fmt: skip
        for target in deployment.routes.next_nodes:
            if target not in peers:
                raise NodeError(f"node {target!r} comes without its address; give one for each node")
            self._connect(peers[target])
        self._peers[message.program] = peers
        return deployment

    def _room(self, nbytes: int) -> bool:
        """Whether so many more bytes may be held for sequences."""
        held = self._weights.nbytes + sum(program.state_bytes for program in self._programs.values())
        return not self._memory_limit or held + nbytes <= self._memory_limit

    def _connect(self, peer: wire.Peer) -> None:
        self._transport.connect(_peer_id(peer), peer.address, peer.key)

    def _owned_by(self, sender: str, program: str) -> Deployment | None:
        deployment = self._programs.get(program)
        if deployment is None:
            self.counts["unknown"] += 1
        elif deployment.owner != sender:
            self.counts["foreign"] += 1
            return None
        return deployment

    def _forget(self, sender: str, message: wire.Forget, buffers: Buffers) -> None:  # noqa: ARG002
        if self._owned_by(sender, message.program) is not None:
            self._drop(message.program)

    def _drop(self, name: str) -> None:
        if self._programs.pop(name, None) is not None:
            self._leases_s.pop(name, None)
            self._lane.forget(name)
            gone = {_peer_id(peer) for peer in self._peers.pop(name, {}).values()}
            for peer in gone - {_peer_id(peer) for peers in self._peers.values() for peer in peers.values()}:
                self._transport.disconnect(peer)
            self._weights.release(name)
            give_back()

    # ------------------------------------------------------------ requests

    def _feed(self, sender: str, message: wire.Feed, buffers: Buffers) -> None:
        deployment = self._owned_by(sender, message.program)
        if deployment is not None and not deployment.installed:
            raise FormatError(f"program {message.program!r} is not ready; wait until it is")
        if deployment is not None:
            deployment.feed(message, buffers)
        elif message.program not in self._programs:
            sentence = f"node {self.name!r} no longer holds the program; start a new session"
            self._send(sender, wire.Failed(message.program, message.request, sentence))

    def _low(self, sender: str, message: wire.Low, buffers: Buffers) -> None:  # noqa: ARG002
        deployment = self._owned_by(sender, message.program)
        if deployment is not None:
            deployment.drop_below(message.low)

    def _release(self, sender: str, message: wire.Release, buffers: Buffers) -> None:  # noqa: ARG002
        deployment = self._owned_by(sender, message.program)
        if deployment is not None:
            deployment.release(message.sequence)

    def _bring(self, sender: str, message: wire.Bring, buffers: Buffers) -> None:
        deployment = self._owned_by(sender, message.program)
        if deployment is not None:
            deployment.bring(message, buffers)

    def _data(self, sender: str, message: wire.Data, buffers: Buffers) -> None:
        deployment = self._programs.get(message.program)
        if deployment is None or not deployment.installed:
            self.counts["unknown"] += 1
        elif deployment.ledger is not None and message.due_s > time.monotonic():
            self._later.put(sender, message, buffers)
        else:
            deployment.arrive(message, buffers)

    def _handed_over(self, sender: str, message: Carried, buffers: Buffers) -> None:
        if isinstance(message, wire.Probing):
            self._probing(sender, message, buffers)
        else:
            self._data(sender, message, buffers)

    # ------------------------------------------------------------ what was measured

    def _collect(self, sender: str, message: wire.Collect, buffers: Buffers) -> None:  # noqa: ARG002
        deployment = self._owned_by(sender, message.program)
        rows = deployment.take_spans(_MOST_ROWS) if deployment is not None else []
        self._send(sender, wire.Spans(message.program, tuple(rows), len(rows) == _MOST_ROWS))

    def _probe(self, sender: str, message: wire.Probe, buffers: Buffers) -> None:  # noqa: ARG002
        deployment = self._owned_by(sender, message.program)
        peer = self._peers.get(message.program, {}).get(message.target)
        if deployment is None or peer is None:
            raise FormatError(f"node {message.target!r} is not of the program; probe one of its nodes")
        if message.fresh:
            self._transport.disconnect(_peer_id(peer))
        self._connect(peer)
        start_s, due_s = deployment.wire_to(message.target, message.nbytes)
        probing = wire.Probing(message.program, self.name, message.number, start_s, due_s)
        self._send(_peer_id(peer), probing, [bytes(message.nbytes)])

    def _probing(self, sender: str, message: wire.Probing, buffers: Buffers) -> None:
        deployment = self._programs.get(message.program)
        now_s = time.monotonic()
        if deployment is None:
            self.counts["unknown"] += 1
        elif deployment.ledger is not None and message.due_s > now_s:
            self._later.put(sender, message, buffers)
        else:
            self._send(deployment.owner, wire.Probed(message.program, message.number, message.start_s, now_s))


def _peer_id(peer: wire.Peer) -> str:
    """Names a connection by where it goes: two programs may call different nodes by one name."""
    return f"{peer.address}#{peer.key}"
