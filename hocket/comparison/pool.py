"""Processes that do rows, each with a hard limit: what takes longer is killed, and what crashes stops only its row.

Each worker is a Python process of its own, started by command and not forked, so that a script needs no guard; its
numeric libraries have one thread, so that all solvers compute on equal terms and rows beside each other do not
disturb one another.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock
from typing import IO, Any

import msgspec

from hocket.comparison.rows import Record, Row, record_of

_START_S = 120.0
"""Most seconds to start a process, and again to make a problem."""
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


COMMAND = (sys.executable, "-m", "hocket.comparison.worker")


class _LateError(Exception):
    """Nothing came in time."""


class _GoneError(Exception):
    """The process ended; the text says why."""


class Worker:
    """One process, started when it is first needed and again after a row that ended it."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._rest = b""
        self._stopped = False
        self._lock = Lock()

    def do(self, row: Row) -> Record:
        """Do a row; a record comes in any case."""
        waiting = "to start"
        try:
            process = self._started()
            waiting = "to make the problem"
            self._say(process, msgspec.json.encode(row) + b"\n")
            line = self._line(process, _START_S)
            if line == b"ready":
                waiting = ""
                line = self._line(process, row.kill_after_s)
            return msgspec.json.decode(line, type=Record)
        except _LateError:
            self.kill()
            if waiting:
                return record_of(row, "error", sentence=f"a process needed more than {_START_S:g} s {waiting}")
            sentence = f"no answer after {row.kill_after_s:g} s"
            return record_of(row, "late", sentence=sentence, solve_s=row.kill_after_s)
        except _GoneError as error:
            self.kill()
            return record_of(row, "error", sentence=str(error))

    def stop(self) -> None:
        """End the process, from another thread than that of its row; it is not started again."""
        with self._lock:
            self._stopped = True
            self._signal()

    def kill(self) -> None:
        """End the process and all that it started."""
        with self._lock:
            self._signal()
            process, self._process, self._rest = self._process, None, b""
        if process is not None:
            process.wait()
            for pipe in (process.stdin, process.stdout, self._complaints):
                if pipe is not None:
                    pipe.close()

    def _signal(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)

    def _started(self) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._process is not None:
                return self._process
            if self._stopped:
                raise _GoneError("stopped before it was done")
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
            self._process = process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
                env={**os.environ, **_ONE_THREAD},
                start_new_session=True,
            )
        self._line(process, _START_S)
        return process

    def _say(self, process: "subprocess.Popen[bytes]", data: bytes) -> None:
        pipe: Any = process.stdin
        try:
            while data:
                data = data[pipe.write(data) :]
        except BrokenPipeError:
            raise _GoneError(self._last_words(process)) from None

    def _line(self, process: "subprocess.Popen[bytes]", seconds: float) -> bytes:
        """The next line that the process writes.

        Raises:
            _LateError: there is none in time.
            _GoneError: the process has ended.
        """
        until, pipe = time.monotonic() + seconds, process.stdout
        if pipe is None:
            raise _GoneError("the process has no output")
        while b"\n" not in self._rest:
            ready, _, _ = select.select([pipe], [], [], max(until - time.monotonic(), 0))
            if not ready:
                raise _LateError
            data = os.read(pipe.fileno(), 1 << 16)
            if not data:
                raise _GoneError(self._last_words(process))
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _last_words(self, process: "subprocess.Popen[bytes]") -> str:
        """Why the process ended: the last line of its complaints, which names the exception, or its signal."""
        code = process.wait()
        if code < 0:
            return f"the process was ended by {signal.Signals(-code).name}"
        text = b""
        if self._complaints is not None:
            self._complaints.seek(0)
            text = self._complaints.read()
        lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"the process ended with exit code {code}"


def records(rows: Sequence[Row], jobs: int, command: Sequence[str] = COMMAND) -> Iterator[Record]:
    """Do rows, several at the same time; a record for each comes when it is done.

    Args:
        rows: what to do; those of one problem should stand together, since a process keeps what they share.
        jobs: how many processes.
        command: what starts one.
    """
    workers = [Worker(command) for _ in range(min(jobs, len(rows)))]
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def do(row: Row) -> Record:
        worker = free.get()
        try:
            return worker.do(row)
        finally:
            free.put(worker)

    try:
        with ThreadPoolExecutor(max_workers=max(len(workers), 1)) as threads:
            futures = [threads.submit(do, row) for row in rows]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()
                for worker in workers:
                    worker.stop()
    finally:
        for worker in workers:
            worker.kill()
