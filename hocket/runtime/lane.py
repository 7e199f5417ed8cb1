"""The compute lane: the one thread of a node that computes, one thing at a time."""

import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hocket.errors import HocketError
from hocket.runtime.pacer import Pacer

Key = tuple[int, int, str]
"""(request, priority, id): of what is ready the least goes first."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to compute, and what to do with the result on the event loop's thread."""

    key: Key
    label: str
    work: Callable[[], Any]
    done: Callable[["Result"], None]
    pacer: Pacer | None = None
    wanted: Callable[[], bool] | None = None
    """Asked just before the work; False skips it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a job gave, or why not, and when it ran."""

    value: Any
    error: str
    start_s: float
    stop_s: float


class Lane:
    """Runs jobs, not interrupting any, and hands results over through `finished`.

    Args:
        wake: called after every job, from the lane's thread.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.busy: tuple[str, int, float] = ("", -1, 0.0)
        """Label, request and start of the job that runs."""
        self._wake = wake
        self._numbers = itertools.count()
        self._queue: queue.PriorityQueue[tuple[Key, int, Job | None]] = queue.PriorityQueue()
        self._finished: deque[tuple[Job, Result]] = deque()
        self._thread = threading.Thread(target=self._run, name="hocket-lane", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._queue.put((job.key, next(self._numbers), job))

    def settle(self) -> bool:
        """Call `done` for all finished jobs, on the caller's thread; whether there were any."""
        settled = False
        while self._finished:
            job, result = self._finished.popleft()
            job.done(result)
            settled = True
        return settled

    def close(self, timeout_s: float = 5.0) -> None:
        """Let the running job end and take no other."""
        self._queue.put(((-(1 << 62), 0, ""), next(self._numbers), None))
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            _, _, job = self._queue.get()
            if job is None:
                return
            if job.wanted is not None and not job.wanted():
                continue
            self._finished.append((job, self._do(job)))
            self._wake()

    def _do(self, job: Job) -> Result:
        start_s = time.monotonic()
        self.busy = (job.label, job.key[0], start_s)
        value, error = None, ""
        try:
            since_s = job.pacer.now_s() if job.pacer else 0.0
            value = job.work()
            if job.pacer is not None:
                job.pacer.pause(since_s)
        except HocketError as problem:
            error = str(problem)
        except Exception as problem:  # noqa: BLE001 (border of the thread: the node must live on and say what happened)
            error = f"{job.label} failed ({type(problem).__name__}: {problem}); this is a fault of hocket, report it"
        self.busy = ("", -1, 0.0)
        return Result(value, error, start_s, time.monotonic())
