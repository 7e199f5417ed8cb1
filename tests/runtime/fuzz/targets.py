"""What hostile input reaches, each as something that takes one more piece of it.

A target raises nothing for whatever it is given; what escapes is a fault of hocket. The node's loop catches all, and
counts what it did not expect as faults, so they are looked for there.
"""

import contextlib
import time
from collections.abc import Sequence
from random import Random
from typing import Protocol

import msgspec
import numpy as np
import tiny
from fuzz.mutate import Frames, changed_bytes, changed_frames, changed_value

from hocket.errors import FormatError, HocketError, NodeError
from hocket.program import INPUT, Binding, Program, Resource, Wire, tensor_hash
from hocket.runtime import wire
from hocket.runtime.codecs import DTYPES, available, decode, encode
from hocket.runtime.mailbox import Mailboxes
from hocket.runtime.node import Node
from hocket.runtime.onnx_check import check_model
from hocket.runtime.routes import Routes
from hocket.runtime.tensors import describe
from hocket.runtime.transport import Received

ONE = np.ones(tiny.SHAPE, np.float32)
WEIGHT = np.arange(16, dtype=np.float32)
_FRESH_EVERY = 1000  # messages after which the node gets its program anew: a changed one may have ended it
_LATER_S = 10.0  # after every deadline, before the end of the lease


class Target(Protocol):
    """Takes hostile input."""

    def once(self, random: Random) -> int:
        """Take one piece more; gives the number of frames that it had."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Silent:
    """A transport without a network: what is sent goes nowhere, and every third peer is gone."""

    address = "silent://"

    def __init__(self) -> None:
        self.sent = 0

    def connect(self, peer: str, address: str, key: str = "") -> None:
        if not address.startswith("tcp://"):
            raise NodeError(f"{address!r} is no address; give one")

    def disconnect(self, peer: str) -> None:
        pass

    def send(self, peer: str, frames: Sequence[wire.Frame]) -> None:
        self.sent += 1
        if self.sent % 3 == 0:
            raise NodeError(f"{peer!r} is gone; connect to it first")

    def receive(self, timeout_s: float) -> Received | None:
        return None

    def wake(self) -> None:
        pass

    def broken(self) -> list[str]:
        return []

    def counters(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


def program() -> tuple[Program, list[wire.Model], Frames]:
    """On b: a raw and a coded tensor come in, one is relayed, a port waits for a deadline; models of its segments."""
    segments = [
        tiny.segment("s", "b", [tiny.port("u", "t0")], ["y"]),
        tiny.segment("d", "b", [tiny.port("v", "t1", take="deadline", deadline_s=0.001)], ["z"]),
        tiny.segment("i", "b", [tiny.port("x", INPUT)], ["w"]),
    ]
    transfers = [
        tiny.transfer("t0", "u", INPUT, "a", "b"),
        tiny.transfer("t1", "v", INPUT, "a", "b", codec="int8+zlib"),
        tiny.transfer("t2", "u", INPUT, "a", "b", "c", region=((0, 1), (1, 3)), nbytes=8),
        tiny.transfer("t3", "w", "i", "b", "c", codec="bits3"),
    ]
    outputs = [Binding(tensor=tensor, node="b", source=source) for tensor, source in (("y", "s"), ("z", "d"))]
    inputs = [Binding(tensor="u", node="a"), Binding(tensor="v", node="a"), Binding(tensor="x", node="b")]
    wires = [Wire(source="b", target="c", latency_s=0.001, resources=("port",))]
    artifacts = [tiny.add("s", "u", "y"), tiny.add("d", "v", "z"), tiny.add("i", "x", "w")]
    made = tiny.program(
        "abc",
        segments,
        transfers,
        tiny.infos("u", "v", "x", "y", "z", "w"),
        outputs,
        inputs=inputs,
        window=8,
        wires=wires,
        resources=[Resource(name="port", bytes_per_s=1e6)],
    )
    return made, [wire.Model(each.segment, each.sha256, {}) for each in artifacts], [each.model for each in artifacts]


class NodeTarget:
    """A node's loop, one message at a time and without its thread: decoder, handlers, mailboxes, compute lane."""

    def __init__(self) -> None:
        self.node = Node("b", Silent(), memory_limit=1 << 20)
        self._rounds = 0
        made, models, data = program()
        peers = tuple(wire.Peer(name, f"tcp://127.0.0.1:{port}", "") for name, port in (("a", 1), ("c", 2)))
        self._prepare = [
            bytes(frame)
            for frame in wire.pack(
                wire.Prepare("p", "b", peers, tuple(models), False, 60.0, 1), [made.to_json().encode(), *data]
            )
        ]
        self._often = [[bytes(frame) for frame in wire.pack(message, buffers)] for message, buffers in _messages()]

    def once(self, random: Random) -> int:
        """One changed message, from the owner or from somebody else."""
        if self._rounds % _FRESH_EVERY == 0:
            for name in list(self.node._programs):
                self.node._drop(name)  # changed ones, up to the most that a node holds
            self.take("owner", self._prepare)
            self._settle()
            if self.node._programs.get("p") is None:
                raise RuntimeError("the node does not take its own program any more")
        self._rounds += 1
        kind = random.random()
        if kind < 0.002:
            frames = changed_frames(self._prepare, random)
        elif kind < 0.006:
            frames = self._changed_program(random)
        else:
            frames = changed_frames(random.choice(self._often), random)
        self.take(random.choice(("owner", "owner", "stranger")), frames)
        if random.random() < 0.02:  # a program that is being prepared is ready before the next message comes
            self._settle()
        return len(frames)

    def close(self) -> None:
        """End the compute lane."""
        self.node._lane.close()

    def _changed_program(self, random: Random) -> Frames:
        """A program that is well-formed and makes no sense, under the name that messages are sent to."""
        try:
            text = msgspec.json.encode(changed_value(msgspec.json.decode(self._prepare[1]), random))
        except (msgspec.MsgspecError, UnicodeError):
            return self._prepare
        return [self._prepare[0], text, *self._prepare[2:]]

    def take(self, sender: str, frames: Frames) -> bool:
        """One round of the node's loop; gives whether the message kept the rules."""
        before = self.node.counts["malformed"]
        with contextlib.suppress(FormatError):
            self.node._take(sender, frames)
            if self.node.counts["faults"]:
                self.node.counts["faults"] = 0
                raise RuntimeError("the node met something that it did not expect")
            self.node._tick(time.monotonic())
            return self.node.counts["malformed"] == before
        return False

    def _settle(self) -> None:
        """Wait for the lane, and take back what it has computed."""
        lane = self.node._lane
        lane.settle()
        while lane._handed:
            time.sleep(0)
            lane.settle()
        self.node._tick(time.monotonic() + _LATER_S)


def _messages() -> list[tuple[wire.Message, Sequence[wire.Frame]]]:
    raw, raw_buffers = describe(ONE)
    coded, coded_buffers = describe(ONE, "int8+zlib")
    part, part_buffers = describe(np.ascontiguousarray(ONE[:, :2]))
    data: list[tuple[wire.Message, Sequence[wire.Frame]]] = []
    for request in range(8):
        data += [
            (wire.Data("p", 0, 0, request, 0, 0.0, 0.0, raw), raw_buffers),
            (wire.Data("p", 1, 0, request, 0, 0.0, 0.0, coded), coded_buffers),
            (wire.Data("p", 2, 0, request, 0, 0.0, 1e9, part), part_buffers),
            (wire.Data("p", 0, 0, request, 0, 0.0, 0.0, None), ()),
            (wire.Feed("p", request, 0, ("x",), (raw,)), raw_buffers),
        ]
    sha256 = tensor_hash(WEIGHT)
    half = WEIGHT.nbytes // 2
    return [
        *data,
        (wire.Hello(wire.VERSION, "s"), ()),
        (wire.Ping(1.0), ()),
        (wire.Ask((sha256, "0" * 64)), ()),
        (wire.Piece(sha256, "float32", (16,), 0), [WEIGHT.tobytes()[:half]]),
        (wire.Piece(sha256, "float32", (16,), half), [WEIGHT.tobytes()[half:]]),
        (wire.Forget("q"), ()),
        (wire.Low("p", 0), ()),
        (wire.Release("p", 1), ()),
        (wire.Bring("p", 1, "s", 1, 0, 2), [bytes(16)]),
        (wire.Collect("p"), ()),
        (wire.Count(), ()),
        (wire.Probe("p", "c", 1, 10), ()),
        (wire.Probing("p", "a", 1, 0.0, 0.0), [bytes(10)]),
        (wire.Output("p", 0, 0, 0.0, raw), raw_buffers),
        (wire.Stop(), ()),
    ]


class DecoderTarget:
    """The decoder of messages alone, for answers of a node too."""

    def __init__(self) -> None:
        self._messages = [[bytes(frame) for frame in wire.pack(message, buffers)] for message, buffers in _messages()]
        answers: list[wire.Message] = [
            wire.Spans("p", (("compute", "s", 0, "b", "", 0.0, 1.0, 5),), False),
            wire.Counted({"late": 1}),
            wire.Lack(("0" * 64,)),
            wire.Failed("p", 1, "why"),
            wire.Kept("p", "s", 1, 0, 2),
            wire.Brought("p", 1, ""),
        ]
        self._messages += [[bytes(frame) for frame in wire.pack(message)] for message in answers]

    def once(self, random: Random) -> int:
        """Decode one changed message."""
        frames = changed_frames(random.choice(self._messages), random)
        with contextlib.suppress(HocketError):
            wire.unpack(frames)
        return len(frames)

    def close(self) -> None:
        """There is nothing to let go of."""


class ProgramTarget(DecoderTarget):
    """A program's JSON, and the mailboxes that are made from what it says."""

    def __init__(self) -> None:
        self._text = program()[0].to_json().encode()
        self._tree = msgspec.json.decode(self._text)

    def once(self, random: Random) -> int:
        """Read one changed program, then let some of its tensors arrive."""
        if random.random() < 0.3:
            text = changed_bytes(self._text, random)
        else:
            try:
                text = msgspec.json.encode(changed_value(self._tree, random))
            except (msgspec.MsgspecError, UnicodeError):
                return 0
        with contextlib.suppress(HocketError):
            made = Program.from_json(text, name="the program")
            for node in made.nodes()[:4]:
                Routes(made, node)  # checks what mailboxes rely on
                _arrivals(Mailboxes(made, node), made, random)
        return 1


def _arrivals(boxes: Mailboxes, made: Program, random: Random) -> None:
    for number in range(6):
        source = random.choice([INPUT, *(transfer.id for transfer in made.transfers)])
        tensor = random.choice([info.name for info in made.tensors] or ["x"])
        # As the node does: nothing is put in that is not of the declared shape.
        shape = next((info.shape for info in made.tensors if info.name == tensor), ())
        if np.prod([float(length) for length in shape]) > 1000:
            return
        value = None if random.random() < 0.3 else np.zeros(shape, np.float32)
        boxes.put(random.randrange(4), source, tensor, value, float(number))
        boxes.expire(float(number))
    boxes.drop_below(4)
    if boxes.pending():
        raise RuntimeError("a mailbox holds requests that have ended")


class ModelTarget(DecoderTarget):
    """What looks at a model before ONNX Runtime does."""

    def __init__(self) -> None:
        self._models = [*program()[2], tiny.model([], {}, {}, initializers=[tiny.absent("w", WEIGHT)])]

    def once(self, random: Random) -> int:
        """Check one changed model."""
        data = random.choice(self._models)
        for _ in range(random.randrange(1, 4)):
            data = changed_bytes(data, random)
        with contextlib.suppress(HocketError):
            check_model(data)
        return 1


class CodecTarget(DecoderTarget):
    """The decoders of tensors."""

    def __init__(self) -> None:
        array = np.linspace(-1, 1, 48, dtype=np.float32).reshape(4, 4, 3)
        picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
        self._coded = []
        for name in available():
            codec = name.replace("laplace", "laplace:epsilon=8:norm=4")
            codec = codec.replace("gaussian", "gaussian:epsilon=8:delta=1e-5:norm=4")
            given = picture if codec in ("png", "jpeg") else array
            buffers, meta = encode(codec, given)
            self._coded.append((codec, given.dtype.name, given.shape, [bytes(each) for each in buffers], meta))

    def once(self, random: Random) -> int:
        """Decode one changed tensor."""
        codec, dtype, shape, buffers, meta = random.choice(self._coded)
        if random.random() < 0.2:
            codec = random.choice(self._coded)[0]
        if random.random() < 0.2:
            dtype = random.choice(sorted(DTYPES))
        if random.random() < 0.3:
            shape = tuple(random.choice((0, 1, 3, 4, 16, 255, 2**20, 2**40)) for _ in range(random.randrange(5)))
        if random.random() < 0.3 and meta:
            meta = tuple(random.choice((0.0, -1.0, float("nan"), float("inf"), 1e308)) for _ in range(2))
        if random.random() < 0.7:
            buffers = [changed_bytes(each, random) for each in buffers]
        with contextlib.suppress(HocketError):
            array = decode(codec, dtype, shape, buffers, meta)
            if array.shape != shape or array.dtype.name != dtype:
                raise RuntimeError(f"{codec} gave {array.dtype} {array.shape}")
        return len(buffers)


TARGETS: dict[str, type[Target]] = {
    "decoder": DecoderTarget,
    "node": NodeTarget,
    "program": ProgramTarget,
    "model": ModelTarget,
    "codecs": CodecTarget,
}
