"""A text as it is written: a generator in a thread of its own, drawn from one token at a time."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

from hocket.serve.backend import Options, Writer
from hocket.serve.text import Detokenizer, StopFinder


class Piece(NamedTuple):
    """Some more of a text."""

    text: str
    """May be empty."""
    tokens: int
    """Written so far."""
    finish: Literal["stop", "length"] | None
    """Why it is the last piece; None = it is not."""


def write(
    writer: Writer, prompt: Sequence[int], options: Options, stop: threading.Event
) -> Generator[Piece, None, None]:
    """Continue a prompt; the last piece, and only it, says why the text ends.

    Args:
        writer: the model.
        prompt: its tokens.
        options: how.
        stop: when it is set, the text ends without a last piece.
    """
    text, ends = Detokenizer(writer.decode), StopFinder(options.stop)
    count = 0
    tokens = writer.generate(prompt, options, stop)
    try:
        for token in tokens:
            if stop.is_set():
                return
            count += 1
            piece = ends.push(text.push(token))
            if ends.found:
                yield Piece(piece, count, "stop")
                return
            yield Piece(piece, count, None)
            if count >= options.max_tokens:
                break
        if stop.is_set():
            return
        rest = ends.push(text.flush())
        yield Piece(rest + ends.flush(), count, "stop" if ends.found or count < options.max_tokens else "length")
    finally:
        stop.set()
        close = getattr(tokens, "close", None)
        if close is not None:
            close()


async def written(
    writer: Writer, prompt: Sequence[int], options: Options, hold: "Callable[[Future[Any]], None]"
) -> AsyncGenerator[Piece, None]:
    """`write` for asyncio. The next token is drawn when the piece before has been taken: a client that reads slowly
    slows its own text down, and one that is gone ends it.

    Args:
        writer: the model.
        prompt: its tokens.
        options: how.
        hold: told of the work that may go on for a moment when nobody waits for it any more.
    """
    stop = threading.Event()
    thread = ThreadPoolExecutor(1, thread_name_prefix="hocket-write")
    pieces = write(writer, prompt, options, stop)
    loop = asyncio.get_running_loop()
    complete = False
    try:
        while (piece := await loop.run_in_executor(thread, next, pieces, None)) is not None:
            yield piece
        complete = True
    finally:
        stop.set()
        if not complete:  # the thread is at most in the middle of a token; only then can the generator be closed
            hold(thread.submit(pieces.close))
        thread.shutdown(wait=False)
