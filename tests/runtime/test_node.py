"""One node and a peer that does not keep the rules."""

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hocket.program import INPUT, Artifact, Binding, Program
from hocket.runtime import wire
from hocket.runtime.inproc import InprocTransport, Network
from hocket.runtime.node import Node
from hocket.runtime.tensors import describe

ONE = np.ones(tiny.SHAPE, np.float32)


class Peer:
    """Sends what it likes to one node and reads what comes back."""

    def __init__(self, network: Network, node: str, name: str = "peer") -> None:
        self.transport: InprocTransport = network.open(name)
        self.transport.connect("node", node)

    def send(self, message: wire.Message, buffers: Sequence[bytes | memoryview] = ()) -> None:
        self.transport.send("node", wire.pack(message, buffers))

    def reply(self, kind: type[wire.Message]) -> wire.Message:
        deadline_s = time.monotonic() + 5
        while time.monotonic() < deadline_s:
            received = self.transport.receive(0.1)
            if received is not None:
                message, _ = wire.unpack(received[1])
                if isinstance(message, kind):
                    return message
        raise TimeoutError(kind.__name__)

    def counters(self) -> dict[str, int]:
        self.send(wire.Count())
        counted = self.reply(wire.Counted)
        assert isinstance(counted, wire.Counted)
        return counted.counters


class Place:
    """A network with a running node b."""

    def __init__(self) -> None:
        self.network = Network()
        transport = self.network.open("b")
        self.address = transport.address
        self.node = Node("b", transport)
        self.thread = threading.Thread(target=self.node.run, daemon=True)
        self.thread.start()
        self.peer = Peer(self.network, self.address)


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.node.stop()
    place.thread.join(5)


def relay(window: int = 4) -> tuple[Program, Artifact]:
    """u comes to b, y = u + 1 leaves as the answer."""
    own = tiny.segment("s", "b", [tiny.port("u", "t0")], ["y"])
    outputs = [Binding(tensor="y", node="b", source="s")]
    transfers = [tiny.transfer("t0", "u", INPUT, "a", "b")]
    inputs = [Binding(tensor="u", node="a")]
    program = tiny.program("ab", [own], transfers, tiny.infos("u", "y"), outputs, inputs=inputs, window=window)
    return program, tiny.add("s", "u", "y")


def prepared(place: Place, lease_s: float = 60.0) -> None:
    program, artifact = relay()
    models = (wire.Model("s", artifact.sha256, {}),)
    place.peer.send(wire.Prepare("p", "b", (), models, False, lease_s, 1), [program.to_json().encode(), artifact.model])
    assert place.peer.reply(wire.Prepared) == wire.Prepared("p", "")


def data(request: int, low: int = 0, **changes: object) -> tuple[wire.Data, list[bytes | memoryview]]:
    tensor, buffers = describe(ONE)
    fields = {"program": "p", "transfer": 0, "hop": 0, "start_s": 0.0, "due_s": 0.0, "tensor": tensor, **changes}
    return wire.Data(request=request, low=low, **fields), buffers


def test_a_node_says_who_it_is(place: Place) -> None:
    place.peer.send(wire.Hello(wire.VERSION, "me"))
    welcome = place.peer.reply(wire.Welcome)
    assert isinstance(welcome, wire.Welcome)
    assert (welcome.version, welcome.name) == (wire.VERSION, "b") and "raw" in welcome.codecs


def test_replayed_and_old_frames_are_dropped_and_counted(place: Place) -> None:
    prepared(place)
    for _ in range(3):
        place.peer.send(*data(0))
    assert isinstance(place.peer.reply(wire.Output), wire.Output)
    place.peer.send(*data(2, low=2))
    place.peer.reply(wire.Output)
    place.peer.send(*data(1))
    counters = place.peer.counters()
    assert (counters["repeated"], counters["late"], counters["pending"], counters["malformed"]) == (2, 1, 0, 0)


def test_states_for_a_segment_that_keeps_none_are_refused(place: Place) -> None:
    prepared(place)
    place.peer.send(wire.Bring("p", 3, "s", 1, 0, 1), [bytes(16)])
    answer = place.peer.reply(wire.Brought)
    assert isinstance(answer, wire.Brought)
    assert (answer.program, answer.request) == ("p", 3)
    assert "'s' is brought positions that it does not keep" in answer.sentence


@pytest.mark.parametrize(
    "message",
    [
        data(0, transfer=1),
        data(0, hop=1),
        data(9, low=0),
        data(0, low=1),
        data(1 << 40),
        data(0, tensor=wire.Tensor("float32", (1, 5), "raw", ())),
        data(0, tensor=wire.Tensor("float64", (1, 4), "raw", ())),
        data(0, tensor=wire.Tensor("float32", (1, 4), "raw+zlib", ())),
        (data(0)[0], [b"short"]),
        (wire.Output("p", 0, 0, 0.0, None), []),
        (wire.Stop(), []),
        (wire.Probe("p", "nowhere", 0, 10), []),
        (wire.Bring("p", 0, "nowhere", 1, 0, 1), [bytes(16)]),
        (wire.Bring("p", 0, "s", 1, 0, 1), []),
        (wire.Feed("p", 0, 0, ("x",), (wire.Tensor("float32", (1, 4), "raw", ()),)), [bytes(16)]),
    ],
    ids=lambda value: type(value[0]).__name__ if isinstance(value, tuple) else "",
)
def test_messages_that_break_a_rule_are_dropped_and_counted(
    place: Place, message: tuple[wire.Message, list[bytes | memoryview]]
) -> None:
    prepared(place)
    place.peer.send(*message)
    counters = place.peer.counters()
    assert counters["malformed"] == 1 and counters["faults"] == 0
    place.peer.send(*data(0))
    assert isinstance(place.peer.reply(wire.Output), wire.Output)


def test_what_belongs_to_another_is_not_touched(place: Place) -> None:
    prepared(place)
    other = Peer(place.network, place.address, "other")
    other.send(wire.Forget("p"))
    other.send(wire.Low("p", 99))
    other.send(wire.Forget("q"))
    counters = other.counters()
    assert counters["foreign"] == 2 and counters["unknown"] == 1
    place.peer.send(*data(0))
    assert isinstance(place.peer.reply(wire.Output), wire.Output)


def test_frames_for_a_program_that_is_not_here_are_counted(place: Place) -> None:
    place.peer.send(*data(0))
    assert place.peer.counters()["unknown"] == 1


def test_a_program_without_its_session_is_dropped_after_its_lease(place: Place) -> None:
    prepared(place, lease_s=0.01)
    time.sleep(2.2)
    other = Peer(place.network, place.address, "other")
    other.send(*data(0))
    assert other.counters()["unknown"] == 1


@given(
    frames=st.lists(
        st.binary(max_size=80) | st.binary(max_size=60).map(lambda b: wire.MAGIC + b), min_size=1, max_size=3
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_never_ends_a_node(place: Place, frames: list[bytes]) -> None:
    before = place.peer.counters()
    place.peer.transport.send("node", frames)
    after = place.peer.counters()
    assert after["malformed"] == before["malformed"] + 1 and after["faults"] == 0


def test_a_node_takes_no_more_than_it_should(place: Place) -> None:
    program, artifact = relay()
    models = (wire.Model("s", artifact.sha256, {}),)
    for buffers, sentence in (
        ([program.to_json().encode()], "1 models come with 1 buffers"),
        ([b"{}", artifact.model], "the program has format None"),
        ([b"[" * 100_000, artifact.model], "the program is not JSON"),
    ):
        place.peer.send(wire.Prepare("p", "b", (), models, False, 9.0, 1), buffers)
        reply = place.peer.reply(wire.Prepared)
        assert isinstance(reply, wire.Prepared) and sentence in reply.sentence
    place.peer.send(wire.Prepare("p", "b", (), models, True, 9.0, 1), [program.to_json().encode(), artifact.model])
    reply = place.peer.reply(wire.Prepared)
    assert isinstance(reply, wire.Prepared)
    assert reply.sentence == "node 'b' shares no ledger of emulated links; start it with --emulation FILE"
