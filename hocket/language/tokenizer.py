"""From text to tokens and back, and conversations as a model was trained to read them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hocket.errors import FormatError, MissingError

MOST_TEXT = 1 << 24
"""Characters of a text; longer ones are no prompt."""


class Turn(Protocol):
    """One turn of a conversation."""

    @property
    def role(self) -> str:
        """`system`, `user` or `assistant`."""

    @property
    def content(self) -> str:
        """What was said."""


class Tokenizer:
    """The tokens of one model.

    Args:
        rules: what the `tokenizers` library reads (the text of a tokenizer.json).
        begin: token before every text; None = none.
        ends: tokens that end a text.
        chat_template: Jinja template of a conversation; "" = the model knows no conversations.

    Raises:
        FormatError: rules that the library cannot read.
        MissingError: the library is not installed.
    """

    def __init__(
        self, rules: str, *, begin: int | None = None, ends: Sequence[int] = (), chat_template: str = ""
    ) -> None:
        self.rules = rules
        self.begin = begin
        self.ends = frozenset(ends)
        self.chat_template = chat_template
        try:
            import tokenizers
        except ImportError:
            raise MissingError(
                "tokens need the package tokenizers, which is missing; install hocket[language]"
            ) from None
        try:
            self._tokens = tokenizers.Tokenizer.from_str(rules)
            self._literal = tokenizers.Tokenizer.from_str(rules)
        except Exception as error:  # noqa: BLE001 (border: the library raises nothing more exact)
            raise FormatError(
                f"the tokenizer's rules cannot be read ({_short(error)}); give a tokenizer.json"
            ) from None
        for each in (self._tokens, self._literal):  # a text keeps its own length, whatever the file says of batches
            each.no_padding()
            each.no_truncation()
        self._literal.encode_special_tokens = True  # special names in a text are text like any other
        added = self._tokens.get_added_tokens_decoder()
        self._special = {token.content for token in added.values() if token.special and token.content}

    @property
    def size(self) -> int:
        """Number of tokens."""
        return int(self._tokens.get_vocab_size())

    def number(self, name: str) -> int | None:
        """The token of this name; None if there is none."""
        found: int | None = self._tokens.token_to_id(name)
        return found

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """The tokens of a text, the one that begins every text in front.

        Args:
            text: to read.
            special: whether names of special tokens in it stand for these tokens, as in a template, or for themselves.
        """
        front = [] if self.begin is None else [self.begin]
        return front + self._plain(text, special)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, special ones left out; U+FFFD stands for bytes that make no character (yet)."""
        return str(self._tokens.decode(list(tokens), skip_special_tokens=True))

    def encode_chat(self, turns: Sequence[Turn]) -> list[int]:
        """The tokens of a conversation, up to where the assistant's next words begin.

        Raises:
            FormatError: no template, a conversation that it refuses, or special tokens inside of what was said.
        """
        for turn in turns:
            found = next((name for name in self._special if name in turn.content), None)
            if found is not None:
                raise FormatError(f"what is said contains no special token, and it has {found!r}; leave that out")
        text = self.render_chat(turns)
        tokens = self._plain(text, special=True)
        # Most templates write the first token themselves.
        return tokens if self.begin is None or tokens[:1] == [self.begin] else [self.begin, *tokens]

    def render_chat(self, turns: Sequence[Turn]) -> str:
        """The text of a conversation, up to where the assistant's next words begin."""
        if not self.chat_template:
            raise FormatError("conversations need a chat template, and this model has none; give it plain text")
        try:
            import jinja2
            import jinja2.sandbox
        except ImportError:
            raise MissingError(
                "chat templates need the package jinja2, which is missing; install hocket[language]"
            ) from None
        # Templates come with models from anywhere: in the sandbox they reach neither files nor Python's insides.
        engine = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        engine.globals["raise_exception"] = _refuse
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            template = engine.from_string(self.chat_template)
            return str(template.render(messages=messages, add_generation_prompt=True, **self._names()))
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(
                f"the model's chat template refuses this conversation ({_short(error)}); give other turns"
            ) from None

    def _names(self) -> Mapping[str, Any]:
        """What templates call the first and the last token."""
        begin = "" if self.begin is None else self._tokens.id_to_token(self.begin)
        end = self._tokens.id_to_token(min(self.ends)) if self.ends else ""
        return {"bos_token": begin, "eos_token": end}

    def _plain(self, text: str, special: bool) -> list[int]:
        if len(text) > MOST_TEXT:
            raise FormatError(f"a text has at most {MOST_TEXT} characters, and this has {len(text)}; shorten it")
        tokens = self._tokens if special else self._literal
        return list(tokens.encode(text, add_special_tokens=False).ids)


def _refuse(message: str) -> None:
    import jinja2

    raise jinja2.TemplateError(message)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
