"""The routes of OpenAI's interface."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

from hocket.serve.backend import Writer
from hocket.serve.failures import RequestError
from hocket.serve.guard import Call, Events, House, Reply, event, json_reply
from hocket.serve.openai.requests import ChatRequest, CompletionRequest, read_chat, read_completion
from hocket.serve.openai.writing import Piece, written
from hocket.units import shown

_DONE = b"data: [DONE]\n\n"


class _Style(NamedTuple):
    """How chat and completions differ in what is sent."""

    prefix: str
    """Of an answer's id."""
    whole: str
    """Kind of object of a whole answer."""
    chunk: str
    """And of a piece."""
    choice: Callable[[str], dict[str, Any]]
    """The text of a whole answer -> its part of the choice."""
    delta: Callable[[str, bool], dict[str, Any]]
    """The text of a piece, and whether it is the first -> its part of the choice."""


_CHAT = _Style(
    "chatcmpl-",
    "chat.completion",
    "chat.completion.chunk",
    lambda text: {"message": {"role": "assistant", "content": text, "refusal": None}},
    lambda text, first: {"delta": {"role": "assistant", "content": ""} if first else {"content": text} if text else {}},
)
_COMPLETION = _Style(
    "cmpl-", "text_completion", "text_completion", lambda text: {"text": text}, lambda text, _: {"text": text}
)


class _Answer:
    """The shapes of one answer."""

    def __init__(self, style: _Style, model: str, prompt: int) -> None:
        self._style, self._prompt = style, prompt
        self._head = {"id": style.prefix + secrets.token_hex(12), "created": int(time.time()), "model": model}

    def usage(self, tokens: int) -> dict[str, int]:
        """How many tokens there were."""
        return {
            "prompt_tokens": self._prompt,
            "completion_tokens": tokens,
            "total_tokens": self._prompt + tokens,
        }

    def whole(self, text: str, last: Piece) -> dict[str, Any]:
        """All of it."""
        choice = {"index": 0, **self._style.choice(text), "logprobs": None, "finish_reason": last.finish}
        return {**self._head, "object": self._style.whole, "choices": [choice], "usage": self.usage(last.tokens)}

    def chunk(self, text: str, finish: str | None = None, *, first: bool = False) -> dict[str, Any]:
        """A piece of it."""
        choice = {"index": 0, **self._style.delta(text, first), "logprobs": None, "finish_reason": finish}
        return {**self._head, "object": self._style.chunk, "choices": [choice]}

    def counts(self, tokens: int) -> dict[str, Any]:
        """The piece that has only the counts."""
        return {**self._head, "object": self._style.chunk, "choices": [], "usage": self.usage(tokens)}


class OpenAi:
    """The routes, over some writers.

    Args:
        house: the server's.
        writers: each with a name of its own.
    """

    def __init__(self, house: House, writers: Sequence[Writer]) -> None:
        self._house = house
        self._writers: Mapping[str, Writer] = {writer.name: writer for writer in writers}
        self._created = int(time.time())

    async def models(self, _: Call) -> Reply:
        """`GET /v1/models`."""
        return json_reply({"object": "list", "data": [self._described(name) for name in self._writers]})

    async def model(self, call: Call) -> Reply:
        """`GET /v1/models/NAME`."""
        return json_reply(self._described(self._writer(call.path["name"]).name))

    async def chat(self, call: Call) -> Reply | Events:
        """`POST /v1/chat/completions`."""
        wish = await asyncio.to_thread(read_chat, call.body)
        writer = self._writer(wish.model)
        prompt = await asyncio.to_thread(writer.encode_chat, wish.conversation())
        return await self._write(call, wish, writer, prompt, _CHAT)

    async def complete(self, call: Call) -> Reply | Events:
        """`POST /v1/completions`."""
        wish = await asyncio.to_thread(read_completion, call.body)
        writer = self._writer(wish.model)
        prompt = wish.one_prompt()
        tokens = await asyncio.to_thread(writer.encode, prompt) if isinstance(prompt, str) else prompt
        return await self._write(call, wish, writer, tokens, _COMPLETION)

    def _described(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "hocket"}

    def _writer(self, name: str) -> Writer:
        if name not in self._writers:
            served = ", ".join(self._writers) or "none that writes text"
            raise RequestError(
                f"the model {shown(name)} is not served here; ask for one of: {served}",
                404,
                param="model",
                code="model_not_found",
            )
        return self._writers[name]

    async def _write(
        self, call: Call, wish: ChatRequest | CompletionRequest, writer: Writer, prompt: list[int], style: _Style
    ) -> Reply | Events:
        options = wish.options(len(prompt), writer.context)
        self._house.metrics.tokens(writer.name, "prompt", len(prompt))
        pieces = self._counted(writer.name, written(writer, prompt, options, call.hold))
        answer = _Answer(style, writer.name, len(prompt))
        if not wish.streams:
            got = [piece async for piece in pieces]
            return json_reply(answer.whole("".join(piece.text for piece in got), got[-1]))
        events = _events(answer, pieces, with_role=style is _CHAT, with_usage=wish.usage_wanted)
        return Events(await anext(events), events, _DONE)

    async def _counted(self, model: str, pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
        """The same pieces, and their tokens in the metrics."""
        seen = 0
        async with aclosing(pieces):
            async for piece in pieces:
                self._house.metrics.tokens(model, "completion", piece.tokens - seen)
                seen = piece.tokens
                yield piece


async def _events(
    answer: _Answer, pieces: AsyncGenerator[Piece, None], *, with_role: bool, with_usage: bool
) -> AsyncGenerator[bytes, None]:
    """The events of a stream; the first comes when there is a first piece."""
    tokens, first = 0, with_role
    async with aclosing(pieces):
        async for piece in pieces:
            tokens = piece.tokens
            if first:
                yield event(answer.chunk("", first=True))
                first = False
            if piece.text:
                yield event(answer.chunk(piece.text))
            if piece.finish:
                yield event(answer.chunk("", piece.finish))
    if with_usage:
        yield event(answer.counts(tokens))
