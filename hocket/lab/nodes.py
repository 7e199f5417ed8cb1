"""The processes of a lab: its nodes, what else keeps them busy, and anything that is run among them."""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from hocket.errors import ClusterError, NodeError
from hocket.lab import cgroups, commands, processes
from hocket.lab.layout import PORT
from hocket.lab.processes import Process, python
from hocket.lab.state import Made

_START_S = 60.0
_LOOK_S = 0.01


class Nodes(Made):
    """The nodes of a lab; each is a process `python -m hocket.runtime` in a namespace and a control group."""

    def start_nodes(self, nodes: Sequence[str]) -> None:
        """Start the processes of nodes and wait until they listen.

        Raises:
            NodeError: one of them ends instead, or takes longer than a minute.
        """
        sizes = {node: self._start_node(node) for node in nodes}
        deadline_s = time.monotonic() + _START_S
        for node, said in sizes.items():
            self._await(node, said, deadline_s)

    def _start_node(self, node: str) -> int:
        """How long its log was before."""
        words = ["--name", node, "--listen", f"tcp://{self.layout.host(node)}:{PORT}", "--plaintext"]
        memory_bytes = self.layout.cluster.node[node].memory_bytes
        if memory_bytes is not None:
            words += ["--memory-limit", str(memory_bytes)]
        log = self.folder / f"{node}.log"
        said = log.stat().st_size if log.exists() else 0
        process = processes.start(commands.inside(self.layout.namespace(node), python("hocket.runtime", *words)), log)
        self.record({f"node:{node}": process})
        cgroups.join(self.state().groups, self.name, node, process.pid)
        return said

    def _await(self, node: str, said: int, deadline_s: float) -> None:
        """Wait for the line of JSON that a node says when it is ready."""
        log = self.folder / f"{node}.log"
        while True:
            lines = log.read_bytes()[said:].decode(errors="replace").splitlines(keepends=True)
            for line in lines:
                with contextlib.suppress(ValueError, TypeError):
                    if line.endswith("\n") and json.loads(line)["name"] == node:
                        return
            if not self._process(node).alive or time.monotonic() > deadline_s:
                last = lines[-1].strip()[:300] if lines else "it said nothing"
                raise NodeError(f"node {node!r} did not start ({last}); see {log}")
            time.sleep(_LOOK_S)

    def _process(self, node: str) -> Process:
        self.layout.number(node)
        known = self.state().processes.get(f"node:{node}")
        if known is None:
            raise NodeError(f"node {node!r} of lab {self.name!r} has no process; start it with `restart`")
        return known

    def runs(self, node: str) -> bool:
        """Whether a node's process is there (perhaps stopped)."""
        return self._process(node).alive

    def kill(self, node: str) -> None:
        """End a node's process without warning, as a loss of power would."""
        self._signal(node, signal.SIGKILL)
        processes.end([self._process(node)])

    def restart(self, node: str) -> None:
        """Start a node again on the address that it had; one that runs is killed first."""
        processes.end([self._process(node)])
        self.start_nodes([node])

    def stop(self, node: str) -> None:
        """Freeze a node's process; its connections stay."""
        self._signal(node, signal.SIGSTOP)

    def resume(self, node: str) -> None:
        """Let a node's process go on after `stop`."""
        self._signal(node, signal.SIGCONT)

    def _signal(self, node: str, number: signal.Signals) -> None:
        if not self._process(node).send(number):
            raise NodeError(f"node {node!r} of lab {self.name!r} does not run; restart it first")

    def load_cpu(self, node: str, seconds: float, share: float = 1.0) -> None:
        """Keep a processor of a node busy besides what it computes, for some seconds.

        Args:
            node: whose.
            seconds: for how long.
            share: of one processor of this computer, 0 to 1; the node's limit holds for it too.
        """
        if not 0 < share <= 1:
            raise ClusterError(f"a load takes a share of a processor, above 0 and at most 1, got {share!r}; give one")
        self._load(node, ["--seconds", f"{seconds:g}", "--share", f"{share:g}"])

    def load_memory(self, node: str, seconds: float, nbytes: int) -> None:
        """Hold memory of a node for some seconds; beyond its limit the system ends one of its processes."""
        self._load(node, ["--seconds", f"{seconds:g}", "--memory", str(nbytes)])

    def _load(self, node: str, words: list[str]) -> None:
        argv = commands.inside(self.layout.namespace(node), processes.script("load", *words))
        process = processes.start(argv, self.folder / "load.log")
        self.record({f"load:{node}:{process.pid}": process})
        cgroups.join(self.state().groups, self.name, node, process.pid)

    def popen(self, node: str, argv: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
        """Start a command in a node's namespace and control group; "" = in the session's namespace.

        Args:
            node: where.
            argv: the command.
            options: as for `subprocess.Popen`.
        """
        namespace = self.layout.namespace(node) if node else self.layout.session
        process = subprocess.Popen(commands.inside(namespace, list(argv)), **options)
        if node:
            with contextlib.suppress(ProcessLookupError):  # it may have ended already
                cgroups.join(self.state().groups, self.name, node, process.pid)
        return process

    def exec(
        self, node: str, argv: Sequence[str], timeout_s: float | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in a node's namespace and control group to its end; "" = in the session's namespace.

        Raises:
            subprocess.TimeoutExpired: it took longer and was ended.
        """
        process = self.popen(node, argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return subprocess.CompletedProcess(list(argv), process.returncode, output, errors)
