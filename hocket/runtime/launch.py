"""Local nodes that a session starts and stops: processes, or threads for tests."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from hocket.errors import NodeError
from hocket.runtime.emulation import Ledger
from hocket.runtime.inproc import Network
from hocket.runtime.node import Node

_STOP_S = 1.5
_PACKAGE_FOLDER = str(Path(__file__).resolve().parents[2])


class Launcher(Protocol):
    """Starts nodes of this computer."""

    def start(self, names: list[str], timeout_s: float) -> dict[str, str]:
        """Start nodes; name -> address."""
        ...

    def check(self) -> None:
        """Raise NodeError if one has ended."""
        ...

    def ended(self) -> dict[str, str]:
        """Those that have ended -> what became of them."""
        ...

    def stop(self) -> None:
        """End all, whatever state they are in."""
        ...


@dataclass(frozen=True, slots=True)
class _Child:
    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]

    def close(self) -> None:
        """Let go of its pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.errors.close()

    def last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read()[-2000:].decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"


class Processes:
    """Nodes as processes, each in a process group of its own, so that Ctrl-C reaches the session only.

    Args:
        ledger: file of the emulated links; None = not emulated.
        cpus: node -> processor to run on.
    """

    def __init__(self, ledger: Path | None = None, cpus: Mapping[str, int] | None = None) -> None:
        self._ledger, self._cpus = ledger, dict(cpus or {})
        self._children: dict[str, _Child] = {}
        self._lock = threading.Lock()  # one thread may start a node again while another looks which have ended

    def start(self, names: list[str], timeout_s: float) -> dict[str, str]:
        """Start all at once and wait until each has said where it listens."""
        for name in names:
            child = self._spawn(name)
            with self._lock:
                former, self._children[name] = self._children.get(name), child
                if former is not None:
                    former.close()
        deadline_s = time.monotonic() + timeout_s
        return {name: self._address(name, deadline_s) for name in names}

    def check(self) -> None:
        """Raise NodeError if one has ended."""
        for name, sentence in self.ended().items():
            raise NodeError(f"node {name!r} {sentence}; start the session again")

    def ended(self) -> dict[str, str]:
        """Those that have ended -> what became of them."""
        with self._lock:
            return {
                name: f"has ended with code {child.process.returncode} ({child.last_words()})"
                for name, child in self._children.items()
                if child.process.poll() is not None
            }

    def process_id(self, name: str) -> int:
        """Of a node's process."""
        return self._children[name].process.pid

    def stop(self) -> None:
        """End all: first by closing their standard input, then by force."""
        for child in self._children.values():
            for pipe in (child.process.stdin, child.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        deadline_s = time.monotonic() + _STOP_S
        try:
            for child in self._children.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(max(deadline_s - time.monotonic(), 0.0))
        finally:
            for child in self._children.values():
                if child.process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
                child.errors.close()
            self._children.clear()

    def _spawn(self, name: str) -> _Child:
        command = [sys.executable, "-m", "hocket.runtime", "--name", name, "--listen", "tcp://127.0.0.1:0", "--owned"]
        if self._ledger is not None:
            command += ["--emulation", str(self._ledger)]
        if name in self._cpus:
            command += ["--cpu", str(self._cpus[name])]
        path = os.pathsep.join(filter(None, [_PACKAGE_FOLDER, os.environ.get("PYTHONPATH", "")]))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the child)
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
        return _Child(process, errors)

    def _address(self, name: str, deadline_s: float) -> str:
        child = self._children[name]
        line: list[bytes] = []
        pipe = child.process.stdout
        if pipe is None:
            raise NodeError(f"node {name!r} has no output to read its address from; start the session again")
        reader = threading.Thread(target=lambda: line.append(pipe.readline()), daemon=True)
        reader.start()
        reader.join(max(deadline_s - time.monotonic(), 0.0))
        if not line or not line[0]:
            raise NodeError(
                f"node {name!r} did not start ({child.last_words()}); try `python -m hocket.runtime` by hand"
            )
        return str(json.loads(line[0])["address"])


class Threads:
    """Nodes as threads of this process, on an in-process network."""

    def __init__(self, network: Network, ledger: Ledger | None = None) -> None:
        self._network, self._ledger = network, ledger
        self._nodes: dict[str, tuple[Node, threading.Thread]] = {}

    def start(self, names: list[str], timeout_s: float) -> dict[str, str]:  # noqa: ARG002
        """Start all."""
        addresses = {}
        for name in names:
            transport = self._network.open(name)
            node = Node(name, transport, ledger=self._ledger, owned=True)
            thread = threading.Thread(target=node.run, name=f"hocket-{name}", daemon=True)
            thread.start()
            self._nodes[name], addresses[name] = (node, thread), transport.address
        return addresses

    def node(self, name: str) -> Node:
        """One of them, to look into."""
        return self._nodes[name][0]

    def check(self) -> None:
        """Raise NodeError if one has ended."""
        for name, sentence in self.ended().items():
            raise NodeError(f"node {name!r} {sentence}; start the session again")

    def ended(self) -> dict[str, str]:
        """Those that have ended -> what became of them."""
        return {name: "has ended" for name, (_, thread) in self._nodes.items() if not thread.is_alive()}

    def stop(self) -> None:
        """End all."""
        for node, _ in self._nodes.values():
            node.stop()
        for _, thread in self._nodes.values():
            thread.join(_STOP_S)
        self._nodes.clear()
