"""What is served: a model that answers with tensors, or one that writes text."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np


class TensorSpec(NamedTuple):
    """Name, element type and shape of an input or output."""

    name: str
    dtype: str
    """A numpy name: float32, int64, bool ..."""
    shape: tuple[int, ...]
    """-1 = any length."""


class Answered(Protocol):
    """The answer to one request."""

    @property
    def outputs(self) -> Mapping[str, np.ndarray]:
        """Name -> array."""

    @property
    def latency_s(self) -> float:
        """How long it took."""


class Answerer(Protocol):
    """A model that answers tensors with tensors. Its methods may be called from any thread, and return at once."""

    @property
    def name(self) -> str:
        """What clients call it."""

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        """What it takes."""

    @property
    def outputs(self) -> Sequence[TensorSpec]:
        """What it gives."""

    def ready(self) -> bool:
        """Whether a request would be served now."""

    def submit(self, inputs: Mapping[str, np.ndarray], *, deadline_s: float | None = None) -> "Future[Any]":
        """Send a request; the future gives an `Answered`.

        The server cancels the future when nobody waits for it any more. Work that has been marked as running
        (`Future.set_running_or_notify_cancel`) goes on, and counts as under way until it ends.

        Args:
            inputs: name -> array; may be read-only, and is not kept after the answer.
            deadline_s: seconds from now after which the answer is of no use; None = its own limit.

        Raises:
            FormatError: the inputs are not those of the model.
            NodeError: it cannot answer. Both may come from the future too, and `LateError`: the deadline passed.
        """


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str


@dataclass(frozen=True, slots=True)
class Options:
    """How a text is continued."""

    max_tokens: int
    """At least 1; prompt and continuation fit into the context."""
    temperature: float = 1.0
    """0 = always the likeliest token."""
    top_p: float = 1.0
    """Sample from the likeliest tokens that have this probability together; in (0, 1]."""
    top_k: int = 0
    """Sample from so many of the likeliest tokens; 0 = from all."""
    seed: int | None = None
    """0 to 2^64 - 1: the same text for the same seed; None = another text each time."""
    stop: tuple[str, ...] = ()
    """The text ends before the first of these. The server sees to it; a writer need not look."""


class Writer(Protocol):
    """A model that continues text. Its methods may be called from several threads at once, one for each request.

    One that can write only a single text at a time lets the others wait in `generate`.
    """

    @property
    def name(self) -> str:
        """What clients call it."""

    @property
    def context(self) -> int:
        """Most tokens of prompt and continuation together."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation, up to where the assistant's next words begin.

        Raises:
            FormatError: the model's template has no place for such a conversation.
        """

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens; U+FFFD stands for bytes that make no character (yet)."""

    def generate(self, tokens: Sequence[int], options: Options, stop: threading.Event) -> Iterator[int]:
        """The tokens that follow, without one that marks the end.

        It ends after `options.max_tokens`, at the model's own end, or soon after `stop` is set, because the text is
        complete or nobody waits for it any more. The next token is drawn when the one before has been sent.

        Raises:
            FormatError: a token that the model does not have.
            NodeError: it cannot write.
        """
