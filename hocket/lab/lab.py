"""A lab: a cluster as a small real network of Linux namespaces on one computer."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hocket.cluster import Cluster, load_cluster
from hocket.cluster.checks import check_name
from hocket.errors import HocketError, NodeError
from hocket.lab import cgroups, commands, host, processes
from hocket.lab.layout import Layout
from hocket.lab.links import Links
from hocket.lab.nodes import Nodes
from hocket.lab.state import RUN, State

if TYPE_CHECKING:
    from hocket.solvers import Solution


class Lab(Links, Nodes):
    """A lab that is there, with everything that can be done to it; `with Lab.open(cluster) as lab` ends it as well.

    >>> Lab.find("nowhere")
    Traceback (most recent call last):
    ...
    hocket.errors.NodeError: there is no lab 'nowhere'; make it with `hocket lab up CLUSTER`
    """

    @classmethod
    def open(cls, cluster: Cluster | str | Path, *, name: str = "", paced: bool = False, nodes: bool = True) -> Self:
        """Make a lab.

        Args:
            cluster: what it is like, or its file.
            name: of the lab; by default the cluster's.
            paced: hocket slows its own computations down, as without a lab, and the processor is not limited.
            nodes: start the processes of the nodes.

        Raises:
            NodeError: this computer cannot make one, or one of that name is there.
            ClusterError: a cluster that a lab cannot represent.
        """
        cluster = cluster if isinstance(cluster, Cluster) else load_cluster(cluster)
        layout = Layout(cluster, name)
        reason = host.why_not()
        if reason:
            raise NodeError(reason)
        folder = RUN / layout.name
        RUN.mkdir(mode=0o755, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise NodeError(
                f"there is a lab {layout.name!r} already; end it with `hocket lab down {layout.name}`"
            ) from None
        try:
            state = State(name=layout.name, cluster=cluster, groups=cgroups.version(), paced=paced)
            state.save(folder / "state.json")
            state.replace(cluster=_with_numbers(cluster), netem=host.has_netem()).save(folder / "state.json")
            lab = cls(folder)
            lab._make(nodes=nodes)
        except BaseException:
            down(layout.name)
            raise
        return lab

    @classmethod
    def find(cls, name: str) -> Self:
        """A lab that was made before, perhaps by another process.

        Raises:
            NodeError: there is none of that name.
            ClusterError: no lab can have such a name.
        """
        check_name("a lab", name)
        return cls(RUN / name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()

    def _make(self, *, nodes: bool) -> None:
        state = self.state()
        host.run_all(commands.up(self.layout, netem=state.netem))
        for node in state.cluster.nodes:
            slowdown = 1.0 if state.paced or node.slowdown == "auto" else node.slowdown
            cgroups.make(state.groups, self.name, node, slowdown)
        if not state.netem:
            for (source, target), wire in self.layout.wires.items():
                if wire.latency_s > 0:
                    self.set_delay(source, target, wire.latency_s)
            if self.delays():
                self._start_delay_line()
        self.restart_traces()
        if nodes:
            self.start_nodes([node.name for node in state.cluster.nodes])

    def restart_traces(self) -> None:
        """Let all traces of links and media begin now."""
        if any(resource.trace for resource in self.layout.cluster.resource.values()):
            known = self.state().processes.get("replay")
            processes.end([known] if known else [])
            for name, resource in self.layout.cluster.resource.items():
                if resource.trace:
                    self._set_rate(name, None)
            argv = processes.python("hocket.lab.replay", str(self.folder))
            self.record({"replay": processes.start(argv, self.folder / "replay.log")})

    def solution(self, solution: "Solution") -> "Solution":
        """A solution with the addresses of this lab, to be run in the session's namespace.

        Raises:
            NodeError: it is for a cluster with other nodes.
        """
        mine = self.cluster
        theirs = solution.problem.cluster
        if set(theirs.node) != set(mine.node):
            raise NodeError(
                f"lab {self.name!r} has the nodes {', '.join(mine.node)}, and the plan is for {', '.join(theirs.node)};"
                " make a lab of the plan's cluster"
            )
        nodes = (node.replace(address=mine.node[node.name].address, slowdown=mine.node[node.name].slowdown)
                 for node in theirs.nodes)  # fmt: skip
        cluster = theirs.replace(nodes=tuple(nodes))
        return solution.replace(problem=solution.problem.replace(cluster=cluster))

    def status(self) -> list[dict[str, Any]]:
        """A row for each node: where it is and whether its process is there."""
        state = self.state()
        return [
            {
                "node": node.name,
                "address": self.addresses[node.name],
                "namespace": self.layout.namespace(node.name),
                "process": process.pid if process and process.alive else None,
            }
            for node in state.cluster.nodes
            for process in (state.processes.get(f"node:{node.name}"),)
        ]

    def down(self) -> None:
        """End the lab; may be called again."""
        down(self.name)


def _with_numbers(cluster: Cluster) -> Cluster:
    """The cluster with a number for every slowdown; only measuring this computer takes the runtime."""
    if all(node.slowdown != "auto" for node in cluster.nodes):
        return cluster
    from hocket.control.sessions import paced

    return paced(cluster)


def down(name: str) -> bool:
    """End a lab and remove everything that was made for it, also of one that was made only in part.

    Returns:
        Whether there was anything of it.

    Raises:
        ClusterError: no lab can have such a name.
    """
    check_name("a lab", name)
    folder, kind = RUN / name, cgroups.version()
    prefix = f"hocket+{name}+"
    spaces = host.namespaces(prefix)
    there = folder.is_dir() or bool(spaces)
    known: dict[int, processes.Process] = {}
    if (folder / "state.json").is_file():
        try:
            known = {process.pid: process for process in State.load(folder / "state.json").processes.values()}
        except HocketError:
            known = {}  # a file that is no state any more: what it named is found by namespace and group
    inside = {int(word) for space in spaces for word in host.run(["ip", "netns", "pids", space]).split()}
    for pid in inside | cgroups.members(kind, name):
        found = processes.find(pid)
        if found is not None:
            known[pid] = found
    processes.end(known.values())
    host.run_all(commands.down(space) for space in spaces)
    cgroups.remove(kind, name)
    shutil.rmtree(folder, ignore_errors=True)
    return there


def names() -> list[str]:
    """The labs that are there."""
    return sorted(path.name for path in RUN.iterdir() if path.is_dir()) if RUN.is_dir() else []
