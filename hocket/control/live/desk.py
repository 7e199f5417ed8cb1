"""Requests as those who send them see them: inputs that are kept until the answer has come, and futures."""

import itertools
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hocket.errors import HocketError, LateError, NodeError
from hocket.runtime.answers import Answer

Arrays = Mapping[str, np.ndarray]


class _Open(NamedTuple):
    inputs: Arrays
    future: "Future[Answer]"
    since_s: float


class Desk:
    """Numbers requests and settles their futures; belongs to one thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._open: dict[int, _Open] = {}

    def take(self, inputs: Arrays, future: "Future[Answer]", since_s: float) -> int | None:
        """The number of a new request; None = it has been cancelled already."""
        if not future.set_running_or_notify_cancel():
            return None
        request = next(self._numbers)
        self._open[request] = _Open(inputs, future, since_s)
        return request

    def inputs(self, request: int) -> Arrays:
        """What it brings."""
        return self._open[request].inputs

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
        """Fail all that are open."""
        for request in list(self._open):
            self.fail(request, sentence)
