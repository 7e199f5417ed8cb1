"""A language model on its nodes as a server wants it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hocket.errors import FormatError, GraphError
from hocket.language.generate import generate
from hocket.language.language_model import LanguageModel
from hocket.language.live import LiveLanguageModel, open_language_model, read_language_model
from hocket.language.sampling import Sampling
from hocket.language.tokenizer import Tokenizer
from hocket.serve.backend import Message, Options, Writer
from hocket.solvers import Solution


@contextmanager
def open_writers(
    solution: Solution, model: str, name: str = "", *, precision: str = "float32", **options: Any
) -> Iterator[Sequence[Writer]]:
    """Deploy a language model and keep it alive; what was started ends with the context.

    Args:
        solution: of a problem that `language_problem` made.
        model: a GGUF file or a local Hugging Face folder.
        name: what clients call it; empty = its own name.
        precision: of its matrices, that which it was planned with.
        options: as for `hocket.deploy`.

    Raises:
        FormatError: no model, or one without tokenizer.
        PlanError: the plan is of another model.
        NodeError: a node cannot be started or reached.
    """
    language = read_language_model(model, precision)
    _tokenizer_of(name or language.config.name, language)
    with open_language_model(solution, language, **options) as live:
        yield [LiveWriter(name or language.config.name, live)]


class LiveWriter:
    """Continues texts on the nodes of a live session, several at once; each has caches of its own there.

    Args:
        name: what clients call it.
        live: the model on its nodes.

    Raises:
        FormatError: the model has no tokenizer.
    """

    def __init__(self, name: str, live: LiveLanguageModel) -> None:
        self.name, self._live = name, live
        self._tokenizer = _tokenizer_of(name, live.model)

    @property
    def context(self) -> int:
        """Most tokens of prompt and continuation together."""
        return self._live.capacity

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self._tokenizer.encode(text)

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation, up to where the assistant's next words begin.

        Raises:
            FormatError: the model's template has no place for such a conversation.
        """
        return self._tokenizer.encode_chat(messages)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens."""
        return self._tokenizer.decode(tokens)

    def generate(self, tokens: Sequence[int], options: Options, stop: threading.Event) -> Iterator[int]:
        """The tokens that follow; the caches are given back at the end, whatever ends the text.

        Raises:
            FormatError: a token that the model does not have, or more than its context.
            NodeError: no plan can carry the model any more.
        """
        sampling = Sampling(
            temperature=options.temperature, top_k=options.top_k, top_p=options.top_p, seed=options.seed
        )
        with self._live.reader() as reader:
            # The last token is given and not read, so a continuation may end behind the last place.
            most = min(options.max_tokens, reader.capacity - len(tokens) + 1)
            if most < 1:
                raise FormatError(
                    f"a prompt of {self.name!r} has at most {reader.capacity} tokens, got {len(tokens)}; shorten it"
                )
            try:
                for token in generate(reader, tokens, sampling, most=most, ends=self._tokenizer.ends):
                    if stop.is_set():
                        return
                    yield token
                    if stop.is_set():
                        return
            except GraphError as error:
                raise FormatError(str(error)) from None


def _tokenizer_of(name: str, model: LanguageModel) -> Tokenizer:
    if model.tokenizer is None:
        raise FormatError(f"a served text needs a tokenizer, and {name!r} has none; give a model that has one")
    return model.tokenizer
