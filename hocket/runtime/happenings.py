"""What happens to the programs and nodes of a crew."""

from collections.abc import Mapping
from typing import NamedTuple

from hocket.runtime.answers import Answer

Key = tuple[int, int]
"""What the caller calls a program: a run and its line."""


class Pinged(NamedTuple):
    """A node answered."""

    node: str
    instance: str
    lacking: tuple[Key, ...]
    """Programs that should be ready there and are not."""


class Lost(NamedTuple):
    """A node has ended, its connection has broken, or it will not do."""

    node: str
    sentence: str


class Prepared(NamedTuple):
    """A program is ready on all its nodes; or why it will not be (then `node` says where)."""

    key: Key
    node: str
    sentence: str


class Came(NamedTuple):
    """The outputs of a request have all come."""

    key: Key
    number: int
    answer: Answer


class Failed(NamedTuple):
    """A node could not go on with a request."""

    key: Key
    number: int
    node: str
    sentence: str


class Reached(NamedTuple):
    """A probe came to the other end of a way."""

    source: str
    target: str
    nbytes: int
    start_s: float
    stop_s: float


class Seen(NamedTuple):
    """Spans of a program from one node: kind, id, request, node, target, start_s, stop_s, nbytes; on our clock."""

    key: Key
    node: str
    rows: tuple[tuple[str, str, int, str, str, float, float, int], ...]


class Rows(NamedTuple):
    """Positions of a sequence that a segment has kept: of one state after the other."""

    segment: str
    start: int
    stop: int
    data: memoryview | bytes


class Kept(NamedTuple):
    """A segment has added to what it keeps for a sequence."""

    key: Key
    sequence: int
    rows: Rows


class Proceeded(NamedTuple):
    """A request waits for something that is on its way, and some more of it has come."""

    key: Key
    number: int


class Counted(NamedTuple):
    """Counters of a node."""

    node: str
    counters: Mapping[str, int]


Happening = Pinged | Lost | Prepared | Came | Failed | Reached | Seen | Kept | Proceeded | Counted
