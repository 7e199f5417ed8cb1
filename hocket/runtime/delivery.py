"""Bringing a program's part to one node, a message at a time: which weights it lacks, those, then the program."""

from collections import deque
from collections.abc import Iterator, Sequence

from hocket.program import Artifact, WeightSource
from hocket.runtime import wire
from hocket.runtime.codecs import bytes_of

PIECE_BYTES = 1 << 18  # small, so that no activation waits long behind one
PIECES_UNDER_WAY = 4  # few, so that weights do not stand before activations in any queue
HASHES_AT_ONCE = 4096  # well below the largest header

Outgoing = tuple[wire.Message, Sequence[wire.Frame]]


class Delivery:
    """What has to be said to one node until it has what it needs; `advance` takes each answer.

    Args:
        program: its name; None = only the weights are brought.
        node: to whom.
        artifacts: what it will run.
        weights: gives a weight by its hash.
        message: asks it to get ready; None = only the weights are brought.
        buffers: of that message.
    """

    def __init__(
        self,
        program: str | None,
        node: str,
        artifacts: Sequence[Artifact],
        weights: WeightSource,
        message: wire.Prepare | None,
        buffers: Sequence[wire.Frame],
    ) -> None:
        self.program, self.node = program, node
        self.begun = self.ended = False
        self.sentence = ""
        """Why it failed; empty = it did not."""
        self.nbytes = 0
        """Of weights that were sent."""
        self._weights, self._message, self._buffers = weights, message, buffers
        self._hashes = list(dict.fromkeys(sha256 for each in artifacts for sha256 in each.weights.values()))
        self._wanted = frozenset(self._hashes)
        self._sent: set[str] = set()
        self._lacking: deque[str] = deque()
        self._pieces: Iterator[Outgoing] = iter(())
        self._asked = 0
        self._under_way = 0
        self._waiting = False

    def advance(self, message: wire.Lack | wire.Stored | wire.Prepared | None) -> list[Outgoing]:
        """What to say next, after an answer (None = it begins)."""
        self.begun = True
        if isinstance(message, wire.Prepared):
            if message.program == self.program:
                self._end(message.sentence)
            return []
        if isinstance(message, wire.Stored):
            if message.sha256 not in self._sent:
                return []  # of a delivery that was given up
            self._under_way -= 1
            if message.sentence:
                self._end(f"it refuses weight {message.sha256[:12]}: {message.sentence}")
                return []
        elif isinstance(message, wire.Lack):
            self._lacking.extend(sha256 for sha256 in message.hashes if sha256 in self._wanted)
        return self._next()

    def _next(self) -> list[Outgoing]:
        if self._asked < len(self._hashes):
            some = tuple(self._hashes[self._asked : self._asked + HASHES_AT_ONCE])
            self._asked += len(some)
            return [(wire.Ask(some), ())]
        out: list[Outgoing] = []
        while self._under_way < PIECES_UNDER_WAY:
            piece = next(self._pieces, None)
            if piece is not None:
                self._under_way += 1
                out.append(piece)
            elif self._lacking:
                self._pieces = self._cut(self._lacking.popleft())
            else:
                break
        if not out and not self._under_way and not self._waiting:
            if self._message is None:
                self._end("")
            else:
                self._waiting = True
                out.append((self._message, self._buffers))
        return out

    def _cut(self, sha256: str) -> Iterator[Outgoing]:
        self._sent.add(sha256)
        array = self._weights(sha256)
        data = bytes_of(array)
        self.nbytes += data.nbytes
        for offset in range(0, max(data.nbytes, 1), PIECE_BYTES):
            yield (
                wire.Piece(sha256, array.dtype.name, array.shape, offset),
                [data[offset : offset + PIECE_BYTES]],
            )

    def _end(self, sentence: str) -> None:
        self.ended, self.sentence = True, sentence
