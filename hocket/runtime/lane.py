"""The compute lane: what computes on a node.

Work goes to a thread of its own, one job after another, so that the event loop can take what arrives meanwhile. Handing
over to a thread and back costs about a tenth of a millisecond, so work that is known to be shorter than that is done in
place.

A node does one thing at a time, in turns of its programs (`hocket.program.turns`), and is busy with a job until its
pacer says that it is over. A program that has a share of the node reserved has, as it were, a slower processor of its
own: its jobs wait for nothing but each other, and nobody waits for them. The thread is idle for as long as jobs of
slowed processors are only waited for, so it can compute those of all of them.

Jobs that say so are computed together with others of their kind that are ready when their turn comes. Nobody waits for
company.
"""

import contextlib
import heapq
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hocket.errors import HocketError
from hocket.program.turns import Turns
from hocket.runtime.pacer import LEAST_WAIT_S, Pacer

SHORT_S = 2e-4
COMMON = ""
"""The processor of the programs that have no share reserved."""

Key = tuple[int, int, str]
"""(request, priority, id): of what a program has ready the least goes first."""


@dataclass(frozen=True, slots=True)
class Together:
    """How a job is computed with others of its kind."""

    kind: str
    """Those of one program with the same kind go together."""
    item: Any
    """What `work` is given of this job."""
    work: Callable[[Sequence[Any]], Sequence[Any]]
    """Computes several items: for each its value, or the `HocketError` that is its own."""
    most: Callable[[], int]
    """Asked when its turn comes: how many go at once, itself counted."""


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
    program: str = ""
    """Whose turn it is."""
    processor: str = COMMON
    """What it keeps busy: the node's, or the one that a program has for itself."""
    together: Together | None = None
    """None = it is computed alone."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a job gave, or why not, and when it ran."""

    value: Any
    error: str
    start_s: float
    stop_s: float
    used_s: float
    """On the clock of its pacer: CPU seconds where the work has one thread."""
    together: int = 1
    """Jobs that were computed as one; the times are of all of them."""


class _Ready(NamedTuple):
    key: Key
    number: int
    job: Job
    since_s: float


class _Work(NamedTuple):
    """Jobs that are computed as one, and the processor that they keep busy from a moment on."""

    processor: "_Processor"
    jobs: tuple[Job, ...]
    start_s: float

    @property
    def first(self) -> Job:
        """The one whose turn it is."""
        return self.jobs[0]


class _Outcome(NamedTuple):
    job: Job
    value: Any
    error: str


class _Done(NamedTuple):
    """What came of the work, and when it really ran."""

    work: _Work
    outcomes: tuple[_Outcome, ...]
    """Of the jobs that were still wanted."""
    start_s: float
    stop_s: float
    used_s: float
    """On the clock of its pacer."""


class _Processor:
    def __init__(self) -> None:
        self.turns: Turns[_Ready] = Turns()
        self.free_s = 0.0
        self.work: _Work | None = None

    def start_s(self) -> float:
        """When its next job could have begun."""
        return max(self.turns.peek().since_s, self.free_s)

    def take(self) -> tuple[Job, ...]:
        """The job whose turn it is, and those that go with it."""
        first = self.turns.take().job
        together = first.together
        if together is None or (most := together.most()) <= 1:
            return (first,)
        found = self.turns.take_with(first.program, lambda ready: _alike(first, ready.job), most - 1)
        return (first, *(ready.job for ready in found))


class Lane:
    """Runs jobs, not interrupting any; all but the work itself happens on the thread that submits.

    Args:
        wake: called after every job, from the lane's thread: it is time to `settle`.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._numbers = itertools.count()
        self._processors: dict[str, _Processor] = {COMMON: _Processor()}
        self._waiting: list[tuple[float, int, _Done]] = []  # computed, and over at a moment to come
        self._begun: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._finished: deque[_Done] = deque()
        self._handed = 0  # jobs that the thread has and that have not come back
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="hocket-lane", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> tuple[str, int, float]:
        """Label, request and start of the job that has run for longest; "" and -1 = nothing runs."""
        under_way = [processor.work for processor in self._processors.values() if processor.work is not None]
        first = min(under_way, key=lambda work: work.start_s, default=None)
        return ("", -1, 0.0) if first is None else (first.first.label, first.first.key[0], first.start_s)

    @property
    def due_s(self) -> float:
        """When the next job is over that has been computed already; infinity = there is none."""
        return self._waiting[0][0] if self._waiting else float("inf")

    def submit(self, job: Job) -> None:
        """Make a job ready; it begins with the next `settle`: of what one event makes ready the first goes first."""
        processor = self._processors.setdefault(job.processor, _Processor())
        processor.turns.put(job.program, _Ready(job.key, next(self._numbers), job, time.monotonic()))

    def settle(self) -> None:
        """Call `done` for all jobs that are over, then begin those whose turn it is."""
        while True:
            while self._finished:
                self._handed -= 1
                self._take_back(self._finished.popleft())
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                due_s, _, done = heapq.heappop(self._waiting)
                self._end(done, due_s)
            if not self._begin():
                return

    def forget(self, program: str) -> None:
        """A program has ended: nothing of it begins any more."""
        for name, processor in list(self._processors.items()):
            processor.turns.forget(program)
            if name != COMMON and processor.work is None and not processor.turns:
                del self._processors[name]

    def close(self, timeout_s: float = 5.0) -> None:
        """Let the running job end and take no other."""
        self._closing = True
        self._begun.put(None)
        self._thread.join(timeout_s)

    # ------------------------------------------------------------ on the thread that submits

    def _begin(self) -> bool:
        """Give every free processor its next job; whether one was done in place, so that there may be more to do."""
        free = [each for each in self._processors.values() if each.work is None and each.turns]
        for processor in sorted(free, key=_Processor.start_s):
            start_s = processor.start_s()
            work = processor.work = _Work(processor, processor.take(), start_s)
            if work.first.expected_s < SHORT_S and self._handed == 0:
                self._take_back(_compute(work))
                return True
            self._handed += 1
            self._begun.put(work)
        return False

    def _take_back(self, done: _Done) -> None:
        pacer = done.work.first.pacer
        if not done.outcomes or pacer is None or not pacer.paced:
            self._release(done, done.start_s, done.stop_s)
            return
        due_s = pacer.due_s(done.work.start_s, done.used_s)
        if due_s - time.monotonic() < LEAST_WAIT_S:
            self._end(done, due_s)
        else:
            heapq.heappush(self._waiting, (due_s, next(self._numbers), done))

    def _end(self, done: _Done, due_s: float) -> None:
        """The time of a paced job is over."""
        now_s = time.monotonic()
        if done.work.first.pacer is not None:
            done.work.first.pacer.ended(due_s, now_s)
        self._release(done, done.work.start_s, now_s)

    def _release(self, done: _Done, start_s: float, stop_s: float) -> None:
        done.work.processor.work, done.work.processor.free_s = None, stop_s
        count = len(done.outcomes)
        with contextlib.ExitStack() as stack:  # each is told, whatever the telling of another raises
            for job, value, error in reversed(done.outcomes):
                stack.callback(job.done, Result(value, error, start_s, stop_s, done.used_s, count))

    # ------------------------------------------------------------ on the lane's thread

    def _run(self) -> None:
        while (work := self._begun.get()) is not None and not self._closing:
            self._finished.append(_compute(work))
            self._wake()


def _alike(first: Job, other: Job) -> bool:
    """Whether two jobs of a program are computed together."""
    return first.together is not None and other.together is not None and first.together.kind == other.together.kind


def _compute(work: _Work) -> _Done:
    jobs = [job for job in work.jobs if job.wanted is None or job.wanted()]
    clock = work.first.pacer.now_s if work.first.pacer is not None else time.monotonic
    start_s, since_s = time.monotonic(), clock()
    outcomes = tuple(_Outcome(job, *made) for job, made in zip(jobs, _made(jobs), strict=True))
    used_s = clock() - since_s
    return _Done(work, outcomes, start_s, time.monotonic(), used_s)


def _made(jobs: Sequence[Job]) -> list[tuple[Any, str]]:
    """Value and error of each job."""
    if not jobs:
        return []
    label, together = jobs[0].label, jobs[0].together
    try:
        if len(jobs) == 1 or together is None:
            return [(jobs[0].work(), "")]
        values = together.work([job.together.item for job in jobs if job.together is not None])
        return [
            (None, str(value)) if isinstance(value, HocketError) else (value, "")
            for _, value in zip(jobs, values, strict=True)
        ]
    except HocketError as problem:
        error = str(problem)
    except MemoryError:
        error = f"there is no memory for {label}; place less on this node, or give it more"
    except Exception as problem:  # noqa: BLE001 (border of the thread: the node must live on and say what happened)
        error = f"{label} failed ({type(problem).__name__}: {problem}); this is a fault of hocket, report it"
    return [(None, error)] * len(jobs)
