"""Serving several tasks at once: a thread for each stream of requests, which knows nothing of the others."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from hocket.control.progress import Progress
from hocket.control.sessions import Line
from hocket.cost import Task
from hocket.plan.dealing import dealt
from hocket.program import Span
from hocket.runtime.answers import Answer
from hocket.runtime.fleet import Fleet

_LOOK_S = 0.1
_LEAD_S = 0.2  # between the beginning of the threads and the moment from which arrivals count

Arrays = Mapping[str, np.ndarray]
"""Name of a tensor -> its value."""


@dataclass
class Stream:
    """The requests of one task, and what became of them."""

    task: Task
    lines: list[Line]
    feeds: Arrays
    chosen: list[int]
    """Request -> which of the lines serves it."""
    arrivals_s: list[float] | None
    """Of each request after the beginning; None = when the one before has its answer."""
    answers: dict[int, Answer] = field(default_factory=dict)

    def of_line(self, position: int) -> list[int]:
        """The requests that a line serves, in its order."""
        return [request for request, line in enumerate(self.chosen) if line == position]

    def work(self, begin_s: float) -> list[Callable[[threading.Event], None]]:
        """What has to be done at the same time, each in a thread: it ends when the event is set."""
        if self.arrivals_s is None:
            return [partial(self._one_by_one, begin_s)]
        moments = [begin_s + at_s for at_s in self.arrivals_s]
        return [partial(self._as_they_arrive, position, moments) for position in range(len(self.lines))]

    def _one_by_one(self, begin_s: float, stop: threading.Event) -> None:
        stop.wait(begin_s - time.monotonic())
        for request, position in enumerate(self.chosen):
            if stop.is_set():
                return
            self.answers[request] = self.lines[position].session.run(self.feeds)

    def _as_they_arrive(self, position: int, moments: Sequence[float], stop: threading.Event) -> None:
        mine = self.of_line(position)

        def feeds() -> Iterator[Arrays]:
            for _ in mine:
                if stop.is_set():
                    return
                yield self.feeds

        session = self.lines[position].session
        answers = session.stream(feeds(), arrivals_s=[moments[request] for request in mine])
        for request, answer in zip(mine, answers, strict=False):
            self.answers[request] = answer

    def in_order(self) -> list[Answer]:
        """The answers by request, with the task's numbers."""
        return [replace(self.answers[request], request=request) for request in sorted(self.answers)]

    def spans(self) -> list[Span]:
        """What happened, with the task's numbers of the requests."""
        found = []
        for position, line in enumerate(self.lines):
            mine = self.of_line(position)
            found += [span.replace(request=mine[span.request]) for span in line.session.spans()]
        return found


def streams_of(
    tasks: Sequence[Task], lines: Sequence[Line], feeds: Mapping[str, Arrays], requests: int, seed: int
) -> list[Stream]:
    """A stream for each task.

    Args:
        tasks: in the order of the problem.
        lines: their entries, deployed.
        feeds: task -> the inputs of each of its requests.
        requests: how many of each task.
        seed: of the arrivals.
    """
    generator = np.random.default_rng(seed)  # drawn from as `simulate` does, so that arrivals are the same
    streams = []
    for task in tasks:
        mine = [line for line in lines if line.task.name == task.name]
        arrivals = None
        if task.rate_per_s:
            arrivals = [float(at_s) for at_s in np.cumsum(generator.exponential(1 / task.rate_per_s, requests))]
        chosen = dealt([line.fraction for line in mine], requests)
        streams.append(Stream(task, mine, feeds[task.name], chosen, arrivals))
    return streams


def drive(streams: Sequence[Stream], fleet: Fleet, progress: Progress) -> None:
    """Serve all streams at once.

    Raises:
        NodeError: of the stream that failed first; it, or an interrupt, ends the others and the fleet.
    """
    stop = threading.Event()
    works = [work for stream in streams for work in stream.work(time.monotonic() + _LEAD_S)]
    total = sum(len(stream.chosen) for stream in streams)
    failed: Future[None] | None = None
    with ThreadPoolExecutor(len(works), thread_name_prefix="hocket-task") as pool:
        running = {pool.submit(work, stop) for work in works}
        try:
            while running and failed is None:
                ended, running = wait(running, _LOOK_S, FIRST_EXCEPTION)
                failed = next((future for future in ended if future.exception() is not None), None)
                progress("measuring", sum(len(stream.answers) for stream in streams), total)
        finally:
            stop.set()
            if running:
                fleet.close()  # sessions that wait for an answer learn at once that there will be none
    if failed is not None:
        failed.result()
