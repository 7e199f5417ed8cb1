"""Models that need no session, and a server around them in a thread of this process."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hocket.errors import FormatError, LateError
from hocket.runtime.answers import Answer
from hocket.serve import Message, Options, TensorSpec
from hocket.serve.server import Listening, Place, serve
from hocket.serve.settings import Limits

TYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
)  # fmt: skip


@dataclass
class Echo:
    """Gives back what it gets, under the name `out_NAME`, when the gate is open."""

    name: str = "echo"
    inputs: Sequence[TensorSpec] = (TensorSpec("x", "float32", (-1, 3)),)
    gate: threading.Event = field(default_factory=threading.Event)
    deadlines_s: list[float | None] = field(default_factory=list)
    is_ready: bool = True

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def outputs(self) -> Sequence[TensorSpec]:
        return [TensorSpec(f"out_{spec.name}", spec.dtype, spec.shape) for spec in self.inputs]

    def ready(self) -> bool:
        return self.is_ready

    def submit(self, inputs: Mapping[str, np.ndarray], *, deadline_s: float | None = None) -> "Future[Any]":
        self.deadlines_s.append(deadline_s)
        if sorted(inputs) != sorted(spec.name for spec in self.inputs):
            raise FormatError(f"the inputs are {sorted(inputs)}; give others")
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()

        def answer() -> None:
            if not self.gate.wait(deadline_s):
                future.set_exception(LateError("the gate stayed shut; open it"))
                return
            if "bug" in inputs:
                future.set_exception(KeyError("a secret of the server"))
                return
            future.set_result(Answer(0, {f"out_{name}": array for name, array in inputs.items()}, 0.001, 0.001))

        threading.Thread(target=answer, daemon=True).start()
        return future


def all_types() -> Echo:
    return Echo("types", tuple(TensorSpec(dtype, dtype, (-1, 2)) for dtype in TYPES))


def buggy() -> Echo:
    return Echo("buggy", (TensorSpec("bug", "float32", (1,)),))


@dataclass
class Parrot:
    """Repeats the prompt for ever, or up to its end mark, one byte a token; 256 is the first token that is none."""

    name: str = "parrot"
    context: int = 4096
    pause_s: float = 0.0
    drawn: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[Options] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        if messages[-1].role != "user":
            raise FormatError(f"the last message is the user's, got {messages[-1].role!r}; reorder them")
        return self.encode(messages[-1].content)

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode(errors="replace")

    def generate(self, tokens: Sequence[int], options: Options, stop: threading.Event) -> Iterator[int]:
        self.asked.append(options)
        if any(token > 255 for token in tokens):
            raise FormatError("a token is 0 to 255; send others")
        tokens = list(tokens)
        if options.seed is not None:
            tokens = list(np.random.default_rng(options.seed).permutation(tokens))
        try:
            count = 0
            while True:
                for token in tokens:
                    if token == 0 or count >= options.max_tokens or stop.is_set():  # 0 ends the text
                        return
                    self.gate.wait(10.0)
                    time.sleep(self.pause_s)
                    count += 1
                    self.drawn += 1
                    yield int(token)
        finally:
            self.stopped.set()


@contextmanager
def served(
    answerers: Sequence[Any] = (), writers: Sequence[Any] = (), *, limits: Limits | None = None, **place: Any
) -> Iterator[Listening]:
    """A real server on loopback, in a thread."""
    place.setdefault("port", 0)
    found: Future[tuple[Listening, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        await serve(
            answerers,
            writers,
            place=Place(**place),
            limits=limits or Limits(stop_s=1.0),
            stop=stop,
            started=lambda listening: found.set_result((listening, loop, stop)),
        )

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            if not found.done():
                found.set_exception(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        listening, loop, stop = found.result(10.0)
        try:
            yield listening
        finally:
            loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join(20.0)
    assert not thread.is_alive()


def until(condition: Any, seconds: float = 5.0) -> None:
    """Wait for something that another thread brings about."""
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.005)
