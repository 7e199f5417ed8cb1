"""Reading tokens over several nodes: a text is a sequence of a live session, and outlives the nodes that carry it."""

import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from hocket.control.live.session import LiveSession
from hocket.errors import LateError, NodeError
from hocket.language.decoder import CANDIDATES
from hocket.language.divided import MOST_TOKENS, spread
from hocket.language.session import check_tokens
from hocket.runtime.wire import Step

_LEAST_READS = 8


class DistributedReader:
    """One text on the nodes of a live session; a context manager that gives its caches back.

    What has been read is remembered as tokens. When the nodes that keep the caches are lost the text is read again on
    those that have taken over, and goes on where it was.

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
        self.replays = 0
        """How often the text had to be read again."""

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
        for attempt in range(self._retries + 1):
            try:
                return self._scores(known if self._sequence is not None else 0)
            except NodeError as error:
                if attempt == self._retries or isinstance(error, LateError) or self._session.status().trouble:
                    del self._tokens[known:]
                    raise
                self._forget()
                self.replays += 1
        raise NodeError("a text was read again too often; look at the session's log")

    def close(self) -> None:
        """Give the caches back; may be called again."""
        self._forget()
        self._tokens.clear()

    def _scores(self, start: int) -> np.ndarray:
        """Send what the nodes have not read yet, all pieces at once, and wait for the last."""
        if self._sequence is None:
            self._sequence = self._session.open_sequence()
        futures = []
        for first in range(start, len(self._tokens), self._piece):
            piece = self._tokens[first : first + self._piece]
            stop = first + len(piece)
            inputs = {"tokens": np.array([piece], np.int64)}
            futures.append(self._session.submit(inputs, step=Step(self._sequence, first, stop)))
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
