"""Processes that outlive whoever started them, known by number and start: a number alone is given out again."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from hocket.lab.commands import Argv
from hocket.nouns import Value

_PATIENCE_S = 3.0
_PACKAGE_FOLDER = str(Path(__file__).resolve().parents[2])


class Process(Value, frozen=True):
    """A process of this computer."""

    pid: int
    started: int
    """When, in clock ticks since the computer was started."""

    @property
    def alive(self) -> bool:
        """Whether it is still there; a zombie is not."""
        return _started(self.pid) == self.started

    def send(self, number: int) -> bool:
        """Send it a signal; whether it was there."""
        if not self.alive:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False


def find(pid: int) -> Process | None:
    """The process of that number; None = there is none."""
    started = _started(pid)
    return None if started is None else Process(pid=pid, started=started)


def _started(pid: int) -> int | None:
    try:
        # The name, in parentheses, may hold anything; the state is the first word after it, the start the twentieth.
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else int(words[19])


def start(argv: Argv, log: Path) -> Process:
    """Start a process that goes on when this one ends; what it says goes to a file."""
    path = os.pathsep.join(filter(None, [_PACKAGE_FOLDER, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with log.open("ab") as file:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, start_new_session=True
        )
    found = find(process.pid)
    threading.Thread(target=process.wait, daemon=True).start()  # or it would stay as a zombie while we are there
    return found or Process(pid=process.pid, started=0)


def python(module: str, *words: str) -> Argv:
    """A command that runs a module of ours."""
    return [sys.executable, "-m", module, *words]


def script(name: str, *words: str) -> Argv:
    """A command that runs a file of this folder that needs nothing of the package, which would take long to load."""
    return [sys.executable, "-P", str(Path(__file__).with_name(f"{name}.py")), *words]


def end(processes: Iterable[Process]) -> None:
    """Kill processes and wait until they are gone."""
    left = list(processes)
    for process in left:
        process.send(signal.SIGKILL)
    deadline_s = time.monotonic() + _PATIENCE_S
    while left and time.monotonic() < deadline_s:
        left = [process for process in left if process.alive]
        if left:
            time.sleep(0.005)
