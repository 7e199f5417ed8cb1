"""Requests as those who send them see them: inputs that are kept until the answer has come, and futures."""

import itertools
import random
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hocket.errors import HocketError, LateError, NodeError
from hocket.runtime.answers import Answer
from hocket.runtime.wire import Step

_MOST_CHECKS = 64
_ROUNDING = 1e-3  # of the largest magnitude: other cuts and processors round differently

Arrays = Mapping[str, np.ndarray]


class _Open(NamedTuple):
    inputs: Arrays
    future: "Future[Answer]"
    since_s: float
    step: Step | None
    heir_of: int | None


class Desk:
    """Numbers requests and settles their futures; belongs to one thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._open: dict[int, _Open] = {}
        self._closed = ""

    def take(
        self,
        inputs: Arrays,
        future: "Future[Answer]",
        since_s: float,
        step: Step | None = None,
        heir_of: int | None = None,
    ) -> int | None:
        """The number of a new request; None = it has been cancelled already."""
        if not future.set_running_or_notify_cancel():
            return None
        if self._closed:
            future.set_exception(NodeError(self._closed))
            return None
        request = next(self._numbers)
        self._open[request] = _Open(inputs, future, since_s, step, heir_of)
        return request

    def inputs(self, request: int) -> Arrays:
        """What it brings."""
        return self._open[request].inputs

    def step(self, request: int) -> Step | None:
        """Its place in its sequence; None = it stands alone."""
        return self._open[request].step

    def inherits(self, request: int) -> bool:
        """Whether it begins with what another sequence has kept."""
        return self._open[request].heir_of is not None

    def number(self, future: "Future[Answer]") -> int | None:
        """Of the request that a future waits for; None = it has ended."""
        return next((number for number, each in self._open.items() if each.future is future), None)

    def finish(self, request: int, answer: Answer) -> None:
        """Its answer has come."""
        known = self._open.pop(request)
        waited_s = max(time.monotonic() - answer.round_trip_s - known.since_s, 0.0)
        known.future.set_result(replace(answer, request=request, waited_s=waited_s))

    def fail(self, request: int, sentence: str, *, late: bool = False) -> None:
        """There will be none."""
        error: HocketError = LateError(sentence) if late else NodeError(sentence)
        self._open.pop(request).future.set_exception(error)

    def close(self, sentence: str) -> None:
        """Fail all that are open, and all that come."""
        self._closed = sentence
        for request in list(self._open):
            self.fail(request, sentence)


class Orders:
    """Plans that somebody wants to be in force, and who waits for it."""

    def __init__(self) -> None:
        self._open: list[tuple[int, Future[None]]] = []

    def add(self, plan: int, done: "Future[None]") -> None:
        """Somebody waits for a plan."""
        self._open.append((plan, done))

    def settle(self, home: int, active: int | None) -> None:
        """Args: the plan that was wanted last, and the one that is in force."""
        if not self._open:  # asked after every event
            return
        waiting, self._open = self._open, []
        for plan, done in waiting:
            if plan != home:
                done.set_exception(NodeError("another plan was wanted before this one was in force"))
            elif plan == active:
                done.set_result(None)
            else:
                self._open.append((plan, done))

    def close(self, sentence: str) -> None:
        """None of them will be."""
        for _, done in self._open:
            done.set_exception(NodeError(sentence))


class Audits:
    """Answered requests that are being computed again: their inputs and what the first answer was."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._chance = random.SystemRandom()  # a node must not be able to guess which requests are checked
        self._open: dict[int, tuple[Arrays, list[tuple[int, Arrays]]]] = {}

    def take(self, share: float, plan: int, inputs: Arrays, outputs: Arrays) -> int | None:
        """The number of a check of an answer that a plan has given; None = this one is not checked."""
        if share <= 0 or self._chance.random() >= share:
            return None
        if len(self._open) >= _MOST_CHECKS:
            del self._open[next(iter(self._open))]
        number = next(self._numbers)
        self._open[number] = (inputs, [(plan, outputs)])
        return number

    def inputs(self, check: int) -> Arrays | None:
        """What the request brought; None = it is too long ago."""
        known = self._open.get(check)
        return None if known is None else known[0]

    def compare(self, check: int, plan: int, outputs: Arrays) -> list[tuple[int, bool]]:
        """The plans that answered before, and whether each gave the same answer but for rounding.

        While two plans disagree the check stays open, for a third to answer.
        """
        if check not in self._open:
            return []
        answers = self._open[check][1]
        found = [(other, all(_alike(known[name], outputs[name]) for name in known)) for other, known in answers]
        answers.append((plan, outputs))
        if len(answers) > 2 or all(agrees for _, agrees in found):
            del self._open[check]
        return found


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    if not np.issubdtype(one.dtype, np.floating):
        return bool(np.array_equal(one, other))
    scale = float(np.abs(one).max(initial=0.0))
    return bool(np.allclose(one, other, rtol=0.0, atol=_ROUNDING * scale + 1e-30, equal_nan=True))
