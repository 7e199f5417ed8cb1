"""The planner of a live session: a process of its own, so that solving never holds up what serves.

It is a module of this package that is run as a process and talks msgpack over its standard streams; nothing of the
user's program is started again.
"""

import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

import msgspec

from hocket.control.live.facts import Facts, World
from hocket.control.live.thinking import Manner, think, with_others
from hocket.cost import Problem
from hocket.errors import NodeError
from hocket.plan import Plan

_LENGTH = struct.Struct("<Q")
_MOST_BYTES = 1 << 32
_NICENESS = 5
_STOP_S = 1.0


class Question(msgspec.Struct, frozen=True):
    """What the process is asked."""

    number: int
    kind: str
    world: World
    current: str
    """The plan in force as JSON; empty = none."""
    factors: tuple[float, ...] = ()


class Reply(msgspec.Struct, frozen=True):
    """What it answers: plans as JSON with their facts."""

    number: int
    plans: tuple[str, ...]
    facts: tuple[Facts, ...]
    sentence: str
    current_value: float | None


class Planner:
    """Answers questions, one after another.

    Args:
        problem: of one task.
        manner: how to solve it.
        replied: called with each reply, on a thread of the planner's.
        others: name -> the problem with another model, and its accuracy: asked after a loss as well.
    """

    def __init__(
        self,
        problem: Problem,
        manner: Manner,
        replied: Callable[[Reply], None],
        others: Mapping[str, tuple[Problem, float]] | None = None,
    ) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hocket.control.live.planner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._replied = replied
        self._open: set[int] = set()
        self._lock = threading.Lock()
        also = {name: (other.to_json(), accuracy) for name, (other, accuracy) in (others or {}).items()}
        self._send((problem.to_json(), list(manner), also))
        self._reader = threading.Thread(target=self._read, name="hocket-planner", daemon=True)
        self._reader.start()

    def ask(self, question: Question) -> None:
        """Ask; the reply comes later, also where the planner has ended: then it says so."""
        self._open.add(question.number)
        try:
            self._send(question)
        except NodeError:
            self._fail()

    def close(self) -> None:
        """End the process, whatever it is thinking about."""
        self._process.kill()
        self._process.wait()
        self._reader.join(_STOP_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _send(self, content: Any) -> None:
        if self._process.stdin is None:
            raise NodeError("the planner has no input; start it again")
        with self._lock:
            try:
                _write(self._process.stdin, content)
            except OSError:
                raise NodeError("the planner has ended; open a new session") from None

    def _read(self) -> None:
        pipe = self._process.stdout
        while pipe is not None and (data := _next(pipe)) is not None:
            reply = msgspec.msgpack.decode(data, type=Reply)
            self._open.discard(reply.number)
            self._replied(reply)
        self._fail()

    def _fail(self) -> None:
        """Nothing is answered any more: what serves goes on without a planner."""
        while self._open:
            self._replied(Reply(self._open.pop(), (), (), "the planner has ended; open a new session", None))


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """The process: questions come in, replies go out, until the input ends."""
    first = _next(source)
    if first is None:
        return
    text, manner, also = msgspec.msgpack.decode(
        first, type=tuple[str, tuple[str, int, float | None], dict[str, tuple[str, float]]]
    )
    problem, how = Problem.from_json(text.encode(), name="the problem"), Manner(*manner)
    others = {
        name: (Problem.from_json(other.encode(), name=f"the problem of {name!r}"), accuracy)
        for name, (other, accuracy) in also.items()
    }
    while (data := _next(source)) is not None:
        question = msgspec.msgpack.decode(data, type=Question)
        current = Plan.from_json(question.current.encode(), name="the plan") if question.current else None
        thoughts = think(problem, how, question.kind, question.world, current, question.factors)
        if others and (question.world.missing or question.world.cut):
            thoughts = with_others(thoughts, others, how, question.world)
        _write(
            sink,
            Reply(
                question.number,
                tuple(plan.to_json() for plan, _ in thoughts.found),
                tuple(facts for _, facts in thoughts.found),
                thoughts.sentence,
                thoughts.current_value,
            ),
        )


def _write(pipe: IO[bytes], content: Any) -> None:
    data = msgspec.msgpack.encode(content)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _next(pipe: IO[bytes]) -> bytes | None:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = pipe.read(length) if length <= _MOST_BYTES else b""
    return data if len(data) == length else None


if __name__ == "__main__":
    os.nice(_NICENESS)
    serve(sys.stdin.buffer, sys.stdout.buffer)
