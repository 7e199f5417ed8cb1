"""The compute lane: what computes on a node, one thing at a time.

Work goes to a thread of its own, so that the event loop can take what arrives meanwhile. Handing over to a thread and
back costs about a tenth of a millisecond, so work that is known to be shorter than that is done in place.
"""

import heapq
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

SHORT_S = 2e-4

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
    expected_s: float = float("inf")
    """How long it will take; infinity = not known."""


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
        # A heap, and a bell that rings once for each entry: SimpleQueue is several times faster than PriorityQueue,
        # and a single heappush or heappop is atomic.
        self._heap: list[tuple[Key, int, Job | None]] = []
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._finished: deque[tuple[Job, Result | None]] = deque()
        self._fresh = 0  # jobs in the heap that the thread has not been told of
        self._under_way = 0  # jobs that the thread has been told of and that have not been settled
        self._thread = threading.Thread(target=self._run, name="hocket-lane", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Make a job ready; it begins with the next `settle`: of what one event makes ready the least goes first."""
        self._put(job.key, job)
        self._fresh += 1

    def settle(self) -> None:
        """Call `done` for all finished jobs and begin those that are ready; on the thread that submits."""
        while True:
            while self._finished:
                job, result = self._finished.popleft()
                self._under_way -= 1
                if result is not None:
                    job.done(result)
            if not self._fresh:
                return
            first = self._heap[0][2] if self._under_way == 0 else None
            if first is not None and first.expected_s < SHORT_S:
                self._fresh -= 1
                self._under_way += 1
                self._work(heapq.heappop(self._heap)[2])
                continue
            self._under_way += self._fresh
            while self._fresh:
                self._fresh -= 1
                self._bell.put(None)

    def close(self, timeout_s: float = 5.0) -> None:
        """Let the running job end and take no other."""
        self._put((-(1 << 62), 0, ""), None)
        self._bell.put(None)
        self._thread.join(timeout_s)

    def _put(self, key: Key, job: Job | None) -> None:
        heapq.heappush(self._heap, (key, next(self._numbers), job))

    def _run(self) -> None:
        while True:
            self._bell.get()
            _, _, job = heapq.heappop(self._heap)
            if job is None:
                return
            self._work(job)
            self._wake()

    def _work(self, job: Job | None) -> None:
        if job is not None:
            wanted = job.wanted is None or job.wanted()
            self._finished.append((job, self._do(job) if wanted else None))

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
