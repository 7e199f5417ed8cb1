"""What nodes and sessions say to each other.

A message is one header (magic, then msgpack of a tagged struct) and any number of raw buffers. Tensors travel in the
buffers as they lie in memory; nothing is ever pickled and no code travels. A frame that breaks any rule is a
`FormatError`, which the receiver counts and forgets.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from hocket.errors import FormatError

VERSION = 4
MAGIC = b"hkt1"
MOST_HEADER_BYTES = 1 << 20
MOST_BUFFERS = 4096

Name = Annotated[str, msgspec.Meta(max_length=512)]
Index = Annotated[int, msgspec.Meta(ge=0, le=2**48)]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Shape = Annotated[tuple[Size, ...], msgspec.Meta(max_length=32)]
Numbers = Annotated[tuple[float, ...], msgspec.Meta(max_length=8)]
Sentence = Annotated[str, msgspec.Meta(max_length=4000)]
Rows = Annotated[tuple[Any, ...], msgspec.Meta(max_length=1 << 20)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=True):
    """Base of all messages; fields are positional on the wire."""


class Hello(Message, frozen=True, tag="hello"):
    """A session introduces itself; the node answers `Welcome`."""

    version: int
    name: Name


class Welcome(Message, frozen=True, tag="welcome"):
    """What a node is and can do."""

    version: int
    name: Name
    onnxruntime: Name
    codecs: tuple[Name, ...]
    providers: tuple[Name, ...]
    clock: Name
    """Names the host's monotonic clock; two processes with the same name read the same clock."""
    ledger: Name
    """Id of the emulated links' ledger that the node shares; empty = it emulates none."""
    memory_bytes: Size
    """Most that the node will hold; 0 = not limited."""
    pid: Index


class Ping(Message, frozen=True, tag="ping"):
    """Are you there, and what time is it?"""

    sent_s: float


class Pong(Message, frozen=True, tag="pong"):
    """Yes; the node's clock, what it computes, since when, and for which request (-1: nothing)."""

    sent_s: float
    node_s: float
    busy: Name
    since_s: float
    request: int
    programs: tuple[Name, ...]
    """Those of the peer that asks which are ready."""
    instance: Name = ""
    """Drawn when the node started: another one means that it has forgotten everything."""


class Ask(Message, frozen=True, tag="ask"):
    """Which of these weights do you lack?"""

    hashes: tuple[Hash, ...]


class Lack(Message, frozen=True, tag="lack"):
    """These."""

    hashes: tuple[Hash, ...]


class Piece(Message, frozen=True, tag="piece"):
    """Part of a weight: bytes from `offset`, in one buffer."""

    sha256: Hash
    dtype: Name
    shape: Shape
    offset: Size


class Stored(Message, frozen=True, tag="stored"):
    """A piece has been stored; `sentence` is empty unless it was refused."""

    sha256: Hash
    offset: Size
    sentence: Sentence


class Peer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where another node of the program listens."""

    name: Name
    address: Name
    key: Name
    """CURVE public key; empty = plaintext."""


class Model(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The model of one segment; its bytes are a buffer."""

    segment: Name
    sha256: Hash
    weights: dict[str, Hash]


class Prepare(Message, frozen=True, tag="prepare"):
    """Get ready to run your part. Buffers: the program as JSON, then one model per entry of `models`."""

    program: Name
    node: Name
    peers: tuple[Peer, ...]
    models: tuple[Model, ...]
    emulate: bool
    lease_s: Annotated[float, msgspec.Meta(gt=0, le=1e6)]
    warmups: Annotated[int, msgspec.Meta(ge=0, le=100)]
    lane: Name = ""
    """The lane of its own that the program has here, shared by all that name it; empty = it takes turns with others."""
    mirror: bool = False
    """Send `Kept` for all that segments add to their states."""


class Prepared(Message, frozen=True, tag="prepared"):
    """Ready, every segment warmed up; or why not."""

    program: Name
    sentence: Sentence


class Forget(Message, frozen=True, tag="forget"):
    """Drop a program."""

    program: Name


class Tensor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Describes the tensor that one or more buffers hold."""

    dtype: Name
    shape: Shape
    codec: Name
    meta: Numbers
    parts: Annotated[int, msgspec.Meta(ge=1, le=MOST_BUFFERS)] = 1
    """Number of buffers that hold it."""


class Step(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request of a sequence: which positions it brings, after those that the nodes have kept."""

    sequence: Index
    start: Index
    stop: Index

    @property
    def place(self) -> tuple[int, int, int]:
        """All of it."""
        return self.sequence, self.start, self.stop


class Feed(Message, frozen=True, tag="feed"):
    """The inputs of a request that enter at this node, one buffer each."""

    program: Name
    request: Index
    low: Index
    """Least request still under way; everything of older ones may be dropped."""
    names: tuple[Name, ...]
    tensors: tuple[Tensor, ...]
    step: Step | None = None
    """None = the request stands alone."""


class Fed(Message, frozen=True, tag="fed"):
    """The moment a source node had the inputs of a request."""

    program: Name
    request: Index
    at_s: float


class Data(Message, frozen=True, tag="data"):
    """A transfer (by its index in the program) on one of its hops; without a tensor it is a void."""

    program: Name
    transfer: Index
    hop: Index
    request: Index
    low: Index
    start_s: float
    """When the sender's wire took it, on the sender's clock."""
    due_s: float
    """When an emulated wire delivers it, on the host's clock; 0 = on arrival."""
    tensor: Tensor | None
    step: Step | None = None


class Release(Message, frozen=True, tag="release"):
    """A sequence has ended: give back what is kept for it."""

    program: Name
    sequence: Index


class Kept(Message, frozen=True, tag="kept"):
    """What a segment has added to the states of a sequence: positions of one state after the other, in one buffer."""

    program: Name
    segment: Name
    sequence: Index
    start: Index
    stop: Index


class Bring(Message, frozen=True, tag="bring"):
    """The same, for a node that is to go on with the sequence, before a request; it answers `Brought`."""

    program: Name
    request: Index
    segment: Name
    sequence: Index
    start: Index
    stop: Index


class Brought(Message, frozen=True, tag="brought"):
    """It is there; or why it cannot be."""

    program: Name
    request: Index
    sentence: Sentence


class Output(Message, frozen=True, tag="output"):
    """An output (by its index in the program's bindings) as a session gets it; without a tensor it is a void."""

    program: Name
    binding: Index
    request: Index
    at_s: float
    tensor: Tensor | None


class Low(Message, frozen=True, tag="low"):
    """Requests below this one have ended."""

    program: Name
    low: Index


class Failed(Message, frozen=True, tag="failed"):
    """A request or a program cannot go on at this node."""

    program: Name
    request: int
    sentence: Sentence


class Collect(Message, frozen=True, tag="collect"):
    """Give me (and forget) the spans of a program."""

    program: Name


class Spans(Message, frozen=True, tag="spans"):
    """Rows of kind, id, request, node, target, start_s, stop_s, nbytes; more = another message follows."""

    program: Name
    rows: Rows
    more: bool


class Count(Message, frozen=True, tag="count"):
    """Give me your counters."""


class Counted(Message, frozen=True, tag="counted"):
    """Counters of what was dropped and refused, of what is held, and of what the process has used."""

    counters: dict[str, int]


class Probe(Message, frozen=True, tag="probe"):
    """Send `nbytes` to another node of the program and let it tell the session when they came."""

    program: Name
    target: Name
    number: Index
    nbytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 28)]
    fresh: bool = False
    """Open a new connection for it: the old one may lead nowhere without knowing."""


class Probing(Message, frozen=True, tag="probing"):
    """The bytes of a probe, between nodes."""

    program: Name
    source: Name
    number: Index
    start_s: float
    due_s: float


class Probed(Message, frozen=True, tag="probed"):
    """A probe arrived: sent on the sender's clock, received on the receiver's."""

    program: Name
    number: Index
    start_s: float
    stop_s: float


class Stop(Message, frozen=True, tag="stop"):
    """End the node's process; obeyed only by a node that a session started."""


Any_ = (
    Hello | Welcome | Ping | Pong | Ask | Lack | Piece | Stored | Prepare | Prepared | Forget | Feed | Fed | Data
    | Release | Kept | Bring | Brought | Output | Low | Failed | Collect | Spans | Count | Counted | Probe | Probing
    | Probed | Stop
)  # fmt: skip

Frame = bytes | memoryview
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any_] = msgspec.msgpack.Decoder(Any_)


def pack(message: Message, buffers: Sequence[Frame] = ()) -> list[Frame]:
    """Write a message as frames."""
    return [MAGIC + _encoder.encode(message), *buffers]


def unpack(frames: Sequence[Frame]) -> tuple[Any_, Sequence[Frame]]:
    """Read a message and its buffers.

    Raises:
        FormatError: the frames are not a message of this version.
    """
    if not 1 <= len(frames) <= MOST_BUFFERS + 1:
        raise FormatError(f"a message has 1 to {MOST_BUFFERS + 1} frames, got {len(frames)}; send it as hocket does")
    header = frames[0]
    if not len(MAGIC) < len(header) <= MOST_HEADER_BYTES or bytes(header[:4]) != MAGIC:
        raise FormatError(f"a header of {len(header)} bytes is not hocket's; speak wire version {VERSION}")
    try:
        return _decoder.decode(memoryview(header)[4:]), frames[1:]
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError, ValueError) as error:
        raise FormatError(f"a header does not decode ({error}); speak wire version {VERSION}") from None
