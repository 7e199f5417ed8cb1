"""A decoder on this computer: one session of ONNX Runtime, and caches that it fills in place."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hocket.errors import GraphError
from hocket.language.decoder import Logits
from hocket.language.language_model import LanguageModel
from hocket.runtime.executable import ORT_ERRORS, open_model

_PIECE = 256
"""Tokens that are read at once: longer pieces take more memory and are no faster."""


class DecoderSession:
    """Reads tokens and tells the scores of the next one; for one thread at a time.

    Past and present caches are the same memory, so a step writes one row and moves nothing.

    Args:
        model: with its weights.
        threads: that compute.
        capacity: most tokens of prompt and continuation; None = the model's context. It is taken from memory at once.
        logits: of the last token that is read, or of all.

    Raises:
        GraphError: no weights, or more capacity than the model's context.
    """

    def __init__(
        self, model: LanguageModel, *, threads: int = 1, capacity: int | None = None, logits: Logits = "last"
    ) -> None:
        config = model.config
        if not model.weights:
            raise GraphError(f"generating takes weights, and {config.name!r} has none; load a model with weights")
        self.capacity = config.context if capacity is None else capacity
        if not 1 <= self.capacity <= config.context:
            raise GraphError(
                f"a context of {config.name!r} has 1 to {config.context} tokens, got {capacity}; ask for another"
            )
        self.length = 0
        """Tokens read so far."""
        self._config = config
        self._all = logits == "all"
        structure = model.structure(logits=logits).SerializeToString()
        self._session, self._values = open_model(structure, model.weights, threads=threads)
        self._binding = self._session.io_binding()
        shape = (1, config.kv_heads, self.capacity, config.head_size)
        self._caches = [np.zeros(shape, np.float32) for _ in model.caches]
        for cache, buffer in zip(model.caches, self._caches, strict=True):
            self._bind(self._binding.bind_input, cache.past, buffer)
            self._bind(self._binding.bind_output, cache.present, buffer)
        self._last = np.zeros(1, np.int32)
        self._total = np.zeros(1, np.int32)
        self._bind(self._binding.bind_input, "last_position", self._last)
        self._bind(self._binding.bind_input, "total_length", self._total)

    def read(self, tokens: Sequence[int]) -> np.ndarray:
        """Read more tokens.

        Args:
            tokens: at least one.

        Returns:
            Scores of what follows the last token, float32 [vocabulary]; of each token, [tokens, vocabulary], if the
            session was made for all.

        Raises:
            GraphError: a token that the model does not have, or more than there is room for.
        """
        check_tokens(tokens, self._config.vocabulary, self.length, self.capacity)
        scores = [self._step(tokens[start : start + _PIECE]) for start in range(0, len(tokens), _PIECE)]
        return np.concatenate(scores) if self._all else scores[-1][0]

    def rewind(self, length: int = 0) -> None:
        """Forget all but the first tokens.

        Raises:
            GraphError: so many were not read.
        """
        if not 0 <= length <= self.length:
            raise GraphError(f"{self.length} tokens were read, and {length} shall stay; keep fewer")
        self.length = length

    def _step(self, tokens: Sequence[int]) -> np.ndarray:
        ids = np.array([tokens], np.int64)
        total = self.length + len(tokens)
        self._total[:], self._last[:] = total, total - 1
        scores: np.ndarray = np.empty((len(tokens) if self._all else 1, self._config.vocabulary), np.float32)
        self._bind(self._binding.bind_input, "tokens", ids)
        self._bind(self._binding.bind_output, "logits", scores[None])
        try:
            self._session.run_with_iobinding(self._binding)
        except ORT_ERRORS as error:
            raise GraphError(f"ONNX Runtime fails on these tokens ({error}); check the model") from None
        self.length = total
        return scores

    @staticmethod
    def _bind(bind: Any, name: str, array: np.ndarray) -> None:
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


def check_tokens(tokens: Sequence[int], vocabulary: int, length: int, capacity: int) -> None:
    """Refuse tokens that cannot be read.

    Raises:
        GraphError: none, one that does not exist, or more than there is room for.
    """
    if not tokens:
        raise GraphError("a model reads at least one token, got none; give a prompt that is not empty")
    if min(tokens) < 0 or max(tokens) >= vocabulary:
        wrong = next(token for token in tokens if not 0 <= token < vocabulary)
        raise GraphError(f"tokens are 0 to {vocabulary - 1}, got {wrong}; use the model's own tokenizer")
    if length + len(tokens) > capacity:
        raise GraphError(
            f"prompt and continuation have at most {capacity} tokens together, and these would be"
            f" {length + len(tokens)}; shorten the prompt or ask for fewer"
        )
