"""Reading tokens over several nodes: a text is a sequence of a live session, and outlives the nodes that carry it."""

import contextlib
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from hocket.control.live.session import LiveSession
from hocket.control.live.turn import LOST
from hocket.errors import LateError, NodeError
from hocket.language.decoder import CANDIDATES
from hocket.language.divided import MOST_TOKENS, spread
from hocket.language.session import check_tokens
from hocket.runtime.wire import Step

_LEAST_READS = 8
_MANY = 16
"""Tokens whose reading tells how fast others are read."""


class DistributedReader:
    """One text on the nodes of a live session; a context manager that gives its caches back.

    What has been read is remembered as tokens. When nodes that keep the caches are lost the text goes on where it was,
    on those that have taken over: they are brought the caches, if the session has a copy of them (`Rules.mirror_bytes`)
    and that is predicted to take less time than reading; else they read the text again.

    Args:
        session: of a task whose model keeps states.
        vocabulary: of the model.
        capacity: most tokens of the text; the model's buffers have so much room.
        piece: most tokens of one request; several pieces of a prompt are under way at once.
        retries: how often a text is read again for one new token before its failure is given up to.
    """

    def __init__(
        self, session: LiveSession, *, vocabulary: int, capacity: int, piece: int = 64, retries: int = _LEAST_READS
    ) -> None:
        self._session, self._vocabulary, self.capacity = session, vocabulary, capacity
        self._piece, self._retries = min(piece, MOST_TOKENS), retries
        self._tokens: list[int] = []
        self._sequence: int | None = None
        self._reading_s = float("inf")
        """For a token, when the most were read at once."""
        self._told_by = 1
        self.replays = 0
        """How often the text had to be read again."""
        self.revivals = 0
        """How often its caches were brought to other nodes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return len(self._tokens)

    def read(self, tokens: Sequence[int]) -> np.ndarray:
        """Read more tokens; the scores of what follows, float32 [vocabulary], -inf where they are not brought.

        Raises:
            GraphError: no token, an unknown one, or more than there is room for.
            NodeError: no plan can carry the model any more.
        """
        check_tokens(tokens, self._vocabulary, len(self._tokens), self.capacity)
        known = len(self._tokens)
        self._tokens += tokens
        begun_s = time.monotonic()
        start, heir_of = (0, None) if self._sequence is None else (known, None)
        for attempt in range(self._retries + 1):
            try:
                scores = self._scores(start, heir_of)
            except NodeError as error:
                if attempt == self._retries or isinstance(error, LateError) or self._session.status().trouble:
                    del self._tokens[known:]
                    self._forget()  # what was read of them must not be taken for what is read next
                    raise
                start, heir_of = self._after_loss(str(error))
            else:
                if attempt == 0 and len(tokens) >= self._told_by:
                    self._reading_s = (time.monotonic() - begun_s) / len(tokens)
                    self._told_by = min(len(tokens), _MANY)
                return scores
        raise NodeError("a text was read again too often; look at the session's log")

    def close(self) -> None:
        """Give the caches back; may be called again."""
        self._forget()
        self._tokens.clear()

    def _after_loss(self, why: str) -> tuple[int, int | None]:
        """The first token that has to be read again, and the sequence whose copy has those before it."""
        lost = self._sequence
        if lost is not None and why == LOST:  # what a node refuses is mended by reading
            there = self._session.mirrored(lost)
            start = min(there.positions, len(self._tokens) - 1)
            if start > 0 and self._bringing_s(there.nbytes) <= self._reading_s * start:
                self.revivals += 1
                return start, lost
        self._forget()
        self.replays += 1
        return 0, None

    def _bringing_s(self, nbytes: int) -> float:
        """Seconds until a node has so many bytes from the source, by the cluster's links: that which is farthest away,
        for which nodes have which part is not known yet."""
        source, cluster = self._session.problem.task.source, self._session.problem.cluster
        there = [name for name, how in self._session.status().nodes.items() if how != "down"]
        ways = [cluster.transfer_s(source, name, nbytes) for name in there if cluster.reachable(source, name)]
        return max(ways, default=0.0)

    def _scores(self, start: int, heir_of: int | None) -> np.ndarray:
        """Send what the nodes have not read yet, all pieces at once, and wait for the last."""
        if self._sequence is None or heir_of is not None:
            self._sequence = self._session.open_sequence()
        futures = []
        for first in range(start, len(self._tokens), self._piece):
            piece = self._tokens[first : first + self._piece]
            step = Step(self._sequence, first, first + len(piece))
            inputs = {"tokens": np.array([piece], np.int64)}
            futures.append(self._session.submit(inputs, step=step, heir_of=heir_of))
            if heir_of is not None:
                self._session.end_sequence(heir_of)
                heir_of = None
                futures[-1].result()  # what follows must not overtake the caches
        for future in futures[:-1]:
            future.result()
        outputs = futures[-1].result().outputs
        if CANDIDATES in outputs:
            return spread(outputs[CANDIDATES][0], self._vocabulary)
        scores: np.ndarray = outputs["logits"]
        return scores.reshape(-1)

    def _forget(self) -> None:
        sequence, self._sequence = self._sequence, None
        if sequence is not None:
            with contextlib.suppress(NodeError):  # the session may have ended, and with it all that was kept
                self._session.end_sequence(sequence)
