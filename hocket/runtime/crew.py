"""Several programs on the nodes of a fleet at once, without ever waiting: commands go in, happenings come out.

Where a `Session` runs one program and raises when something fails, a crew goes on: what fails is a happening among
others, and whoever drives the crew decides. It belongs to one thread; only `wake` may be called from others.
"""

import contextlib
import secrets
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hocket.errors import FormatError, NodeError
from hocket.program import Artifact, Program, WeightSource
from hocket.runtime import wire
from hocket.runtime.answers import Pending
from hocket.runtime.client import check_welcome
from hocket.runtime.clock import clock_id
from hocket.runtime.deliveries import Deliveries
from hocket.runtime.delivery import PIECES_UNDER_WAY, Delivery
from hocket.runtime.deployed import Bringing, Clock, Deployed
from hocket.runtime.fleet import Fleet
from hocket.runtime.happenings import (
    Came,
    Counted,
    Failed,
    Happening,
    Kept,
    Key,
    Lost,
    Pinged,
    Prepared,
    Proceeded,
    Reached,
    Rows,
    Seen,
)
from hocket.runtime.tensors import describe, restore

_LEASE_S = 20.0
_WARMUPS = 2

_GROUND: Key = (-1, 0)


class Crew:
    """The connections to all nodes of a fleet, and the programs on them.

    Args:
        fleet: running nodes.
        ground: a program without segments, of all nodes and wires: what probes travel by.
        lanes: node -> the lane of its own that the task has there.
        mirror: let nodes tell (`Kept`) what they keep for sequences.
    """

    def __init__(
        self, fleet: Fleet, ground: Program, *, lanes: Mapping[str, str] | None = None, mirror: bool = False
    ) -> None:
        self._fleet = fleet
        self._transport = fleet.connect()
        self._lanes = {node: f"{fleet.name}/{lane}" for node, lane in (lanes or {}).items()}
        self._ground, self._mirror = Deployed(_GROUND, ground), mirror
        self._programs: dict[Key, Deployed] = {}
        self._names: dict[str, Deployed] = {}
        self._deliveries = Deliveries(fleet.places, self._send, self._delivered)
        self._instances: dict[str, str] = {}
        self._clocks: dict[str, Clock] = {node: Clock() for node in fleet.places}
        self._probes: dict[int, tuple[str, str, int]] = {}
        self._out: deque[Happening] = deque()
        self.connected: dict[str, tuple[str, str]] = {}
        """Node -> address and key."""
        for node in fleet.places:
            self.connect(node)

    # ------------------------------------------------------------ nodes

    def connect(self, node: str) -> None:
        """Open a (new) connection to a node, at the place where the fleet has it now."""
        address, key = self._fleet.places[node]
        self._deliveries.give_up(node, "the connection to it is being made anew")
        self._transport.disconnect(node)
        try:
            self._transport.connect(node, address, key)
        except NodeError as error:
            self._out.append(Lost(node, str(error)))
            return
        moved = node in self.connected and self.connected[node] != (address, key)
        self.connected[node] = (address, key)
        self._send(node, wire.Hello(wire.VERSION, "session"))
        for each in self.connected if moved else (node,):
            self._send_ground(each)

    def ping(self) -> None:
        """Ask every node whether it is there."""
        now_s = time.monotonic()
        for node in self.connected:
            self._send(node, wire.Ping(now_s))

    def watch(self) -> None:
        """Ask for what has been seen since the last time."""
        for deployed in self._programs.values():
            if not deployed.missing:
                for node in deployed.nodes:
                    self._send(node, wire.Collect(deployed.name))

    def count(self) -> None:
        """Ask every node for its counters."""
        for node in self.connected:
            self._send(node, wire.Count())

    def ready(self, key: Key) -> bool:
        """Whether a program is ready on all its nodes."""
        return key in self._programs and not self._programs[key].missing

    def probe(self, source: str, target: str, nbytes: int, *, fresh: bool) -> None:
        """Send some bytes from one node to another; `Reached` tells when they came."""
        number = secrets.randbits(40)
        self._probes[number] = (source, target, nbytes)
        self._send(source, wire.Probe(self._ground.name, target, number, nbytes, fresh))

    # ------------------------------------------------------------ programs

    def store(self, artifacts: Mapping[str, Sequence[Artifact]], weights: WeightSource) -> None:
        """Bring weights to nodes and nothing else. Args: node -> artifacts that will be needed there."""
        for node, own in artifacts.items():
            self._deliveries.add(Delivery(None, node, own, weights, None, ()))

    def prepare(
        self, key: Key, program: Program, artifacts: Mapping[str, Sequence[Artifact]], weights: WeightSource
    ) -> None:
        """Bring a program to its nodes beside all that is there; `Prepared` tells when all are ready."""
        deployed = self._programs[key] = Deployed(key, program)
        self._names[deployed.name] = deployed
        text = program.to_json().encode()
        for node in deployed.nodes:
            own = tuple(artifacts.get(node, ()))
            models = tuple(wire.Model(each.segment, each.sha256, dict(each.weights)) for each in own)
            message = self._getting_ready(deployed, node, models)
            self._deliveries.add(
                Delivery(deployed.name, node, own, weights, message, (text, *(each.model for each in own)))
            )

    def forget(self, key: Key) -> None:
        """Let the nodes drop a program."""
        deployed = self._programs.pop(key, None)
        if deployed is None:
            return
        del self._names[deployed.name]
        for node in deployed.nodes:
            self._deliveries.withdraw(node, deployed.name)
            self._send(node, wire.Forget(deployed.name))

    def start(
        self,
        key: Key,
        number: int,
        inputs: Mapping[str, np.ndarray],
        step: wire.Step | None = None,
        kept: Mapping[str, Iterator[Rows]] | None = None,
    ) -> None:
        """Send the inputs of a request into a program, as its next number.

        Args:
            key: of the program.
            number: of the request.
            inputs: name -> array.
            step: its place in a sequence.
            kept: node -> what is brought there of that sequence before, in the order of the positions.
        """
        deployed = self._programs[key]
        deployed.next = number + 1
        now_s = time.monotonic()
        deployed.pending[number] = Pending(
            number, inputs, now_s, dict(deployed.wanted), set(deployed.feeds), arrival_s=now_s
        )
        if kept and step is not None:
            deployed.bringing[number] = Bringing(step, dict(kept), Counter())
            for node in kept:
                for _ in range(PIECES_UNDER_WAY):
                    self._bring(deployed, number, node)
        else:
            self._feed(deployed, number, step)

    def _feed(self, deployed: Deployed, number: int, step: wire.Step | None) -> None:
        inputs = deployed.pending[number].inputs
        for node, names in deployed.feeds.items():
            described = [describe(inputs[name]) for name in names]
            tensors = tuple(tensor for tensor, _ in described)
            message = wire.Feed(deployed.name, number, deployed.low, names, tensors, step)
            self._send(node, message, [buffer for _, buffers in described for buffer in buffers])

    def release(self, key: Key, sequence: int) -> None:
        """A sequence has ended: the nodes give back what they keep for it."""
        deployed = self._programs.get(key)
        if deployed is not None:
            for node in deployed.nodes:
                self._send(node, wire.Release(deployed.name, sequence))

    def drop(self, key: Key, numbers: Sequence[int]) -> None:
        """Whatever comes of some requests is not wanted."""
        deployed = self._programs.get(key)
        if deployed is not None:
            for number in numbers:
                deployed.pending.pop(number, None)
                deployed.bringing.pop(number, None)
            self._tell_low(deployed)

    # ------------------------------------------------------------ what comes

    def receive(self, timeout_s: float) -> list[Happening]:
        """What has happened; waits for the first message at most so long, then takes all that are there."""
        received = self._transport.receive(0.0 if self._out else timeout_s)
        while received is not None:
            node, frames = received
            with contextlib.suppress(FormatError):  # a node that sends nonsense is as good as silent
                message, buffers = wire.unpack(frames)
                if node in self._clocks:  # one that has just been let go may still say something
                    self._take(node, message, buffers)
            received = self._transport.receive(0.0)
        for node in self._transport.broken():
            if node in self.connected:
                self._deliveries.give_up(node, "its connection broke")
                self._out.append(Lost(node, "its connection broke"))
        found = list(self._out)
        self._out.clear()
        return found

    def wake(self) -> None:
        """Make `receive` return soon."""
        self._transport.wake()

    def close(self) -> None:
        """Let go of everything."""
        for key in list(self._programs):
            self.forget(key)
        self._transport.close()

    @property
    def clock_error_s(self) -> float:
        """How far the clocks of two nodes may differ after alignment; 0 where all are on one host."""
        return max((clock.error_s for clock in self._clocks.values()), default=0.0)

    # ------------------------------------------------------------ inside

    def _send(self, node: str, message: wire.Message, buffers: Sequence[wire.Frame] = ()) -> None:
        try:
            self._transport.send(node, wire.pack(message, buffers))
        except NodeError as error:
            self._out.append(Lost(node, str(error)))

    def _take(self, node: str, message: wire.Message, buffers: Sequence[wire.Frame]) -> None:
        if isinstance(message, wire.Pong):
            self._pong(node, message)
        elif isinstance(message, wire.Welcome):
            self._welcome(node, message)
        elif isinstance(message, wire.Lack | wire.Stored | wire.Prepared):
            self._deliveries.advance(node, message)
        elif isinstance(message, wire.Counted):
            self._out.append(Counted(node, message.counters))
        elif isinstance(message, wire.Probed):
            self._probed(message)
        elif isinstance(message, wire.Spans):
            self._spans(node, message)
        elif isinstance(message, wire.Kept):
            self._kept(node, message, buffers)
        elif isinstance(message, wire.Brought):
            self._brought(node, message)
        elif isinstance(message, wire.Fed | wire.Output | wire.Failed):
            self._about_request(node, message, buffers)

    def _pong(self, node: str, message: wire.Pong) -> None:
        self._clocks[node].heard(message.sent_s, message.node_s, time.monotonic())
        if self._instances.get(node, message.instance) != message.instance:
            self._deliveries.give_up(node, "it has been restarted")
            self._send_ground(node)
        self._instances[node] = message.instance
        should = {each.name: each.key for each in self._programs.values() if node in each.nodes and not each.missing}
        lacking = tuple(key for name, key in should.items() if name not in message.programs)
        self._out.append(Pinged(node, message.instance, lacking))

    def _welcome(self, node: str, message: wire.Welcome) -> None:
        if message.clock and message.clock == clock_id():
            self._clocks[node] = Clock(same=True)
        try:
            check_welcome(node, message, set(), set(), self._fleet.ledger_id)
        except NodeError as error:
            self._out.append(Lost(node, str(error)))

    def _send_ground(self, node: str) -> None:
        self._send(node, self._getting_ready(self._ground, node, ()), [self._ground.program.to_json().encode()])

    def _getting_ready(self, deployed: Deployed, node: str, models: tuple[wire.Model, ...]) -> wire.Prepare:
        peers = tuple(wire.Peer(each, *self._fleet.places[each]) for each in deployed.nodes)
        lane = self._lanes.get(node, "")
        return wire.Prepare(
            deployed.name, node, peers, models, self._fleet.emulated, _LEASE_S, _WARMUPS, lane, self._mirror
        )

    def _delivered(self, delivery: Delivery, sentence: str) -> None:
        deployed = self._names.get(delivery.program or "")
        if deployed is not None:
            deployed.missing.discard(delivery.node)
            if sentence or not deployed.missing:
                self._out.append(Prepared(deployed.key, delivery.node, sentence))

    def _probed(self, message: wire.Probed) -> None:
        known = self._probes.pop(message.number, None)
        if known is not None:
            source, target, nbytes = known
            start_s = self._clocks[source].ours(message.start_s)
            self._out.append(Reached(source, target, nbytes, start_s, self._clocks[target].ours(message.stop_s)))

    def _spans(self, node: str, message: wire.Spans) -> None:
        deployed = self._names.get(message.program)
        if deployed is None:
            return
        if message.more:
            self._send(node, wire.Collect(deployed.name))
        rows = []
        for kind, what, request, place, target, start_s, stop_s, nbytes in message.rows:
            first = self._clocks.get(place, self._clocks[node])
            rows.append(
                (
                    kind, what, request, place, target,
                    first.ours(start_s), self._clocks[node].ours(stop_s), nbytes,
                )
            )  # fmt: skip
        self._out.append(Seen(deployed.key, node, tuple(rows)))

    def _kept(self, node: str, message: wire.Kept, buffers: Sequence[wire.Frame]) -> None:
        deployed = self._names.get(message.program)
        own = deployed is not None and any(each.id == message.segment for each in deployed.program.at(node))
        if deployed is not None and own and len(buffers) == 1:
            rows = Rows(message.segment, message.start, message.stop, buffers[0])
            self._out.append(Kept(deployed.key, message.sequence, rows))

    def _bring(self, deployed: Deployed, number: int, node: str) -> None:
        """Send the next piece that a request waits for to a node, if there is one."""
        known = deployed.bringing[number]
        rows = next(known.pieces[node], None)
        if rows is not None:
            known.under_way[node] += 1
            place = (rows.segment, known.step.sequence, rows.start, rows.stop)
            self._send(node, wire.Bring(deployed.name, number, *place), [rows.data])

    def _brought(self, node: str, message: wire.Brought) -> None:
        deployed, number = self._names.get(message.program), message.request
        known = deployed.bringing.get(number) if deployed is not None else None
        if deployed is None or known is None or not known.under_way[node]:
            return
        known.under_way[node] -= 1
        if message.sentence:
            del deployed.bringing[number], deployed.pending[number]
            self._out.append(Failed(deployed.key, number, node, message.sentence))
            return
        self._out.append(Proceeded(deployed.key, number))
        self._bring(deployed, number, node)
        if not known.under_way.total():
            del deployed.bringing[number]
            self._feed(deployed, number, known.step)

    def _about_request(
        self, node: str, message: wire.Fed | wire.Output | wire.Failed, buffers: Sequence[wire.Frame]
    ) -> None:
        deployed = self._names.get(message.program)
        pending = deployed.pending.get(message.request) if deployed is not None else None
        if deployed is None or pending is None:
            return
        if isinstance(message, wire.Failed):
            del deployed.pending[message.request]
            deployed.bringing.pop(message.request, None)
            self._out.append(Failed(deployed.key, message.request, node, message.sentence))
            return
        at_s = self._clocks[node].ours(message.at_s)
        if isinstance(message, wire.Fed):
            pending.fed(node, at_s)
        elif message.binding < len(deployed.program.outputs):
            tensor = deployed.program.outputs[message.binding].tensor
            array = restore(message.tensor, buffers) if message.tensor is not None else None
            if not pending.bring(tensor, array, at_s, time.monotonic()):
                del deployed.pending[message.request]
                sentence = f"output {tensor!r} is void: every gate before it was closed; let one way stay open"
                self._out.append(Failed(deployed.key, message.request, node, sentence))
                return
        if pending.finished:
            del deployed.pending[message.request]
            if not deployed.pending:
                self._tell_low(deployed)
            self._out.append(Came(deployed.key, message.request, pending.answer()))

    def _tell_low(self, deployed: Deployed) -> None:
        for node in deployed.nodes:
            self._send(node, wire.Low(deployed.name, deployed.low))
