"""Limits of processor and memory for a node's processes, by control groups of version 1 or 2."""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hocket.cluster import Node
from hocket.errors import NodeError

ROOT = Path("/sys/fs/cgroup")
OWN_BYTES = 192 << 20
"""What the process of a node takes before it holds any weight: Python, NumPy and ONNX Runtime."""
_PERIOD_S, _LEAST_QUOTA_S, _MOST_PERIOD_S = 0.02, 0.002, 1.0
_PATIENCE_S = 2.0


class Setting(NamedTuple):
    """A file of a group and what is written to it."""

    path: Path
    text: str


def version(root: Path = ROOT) -> int:
    """Of the control groups that can limit processor and memory here; 0 = there are none."""
    controllers = root / "cgroup.controllers"
    if controllers.is_file():
        has_both = {"cpu", "memory"} <= set(controllers.read_text().split())
        return 2 if has_both and os.access(root, os.W_OK) else 0
    both = [root / "cpu", root / "memory"]
    return 1 if all(os.access(folder / "cgroup.procs", os.W_OK) for folder in both) else 0


def folders(kind: int, lab: str, node: str = "", root: Path = ROOT) -> list[Path]:
    """The folders of a node's group, or of all of a lab."""
    tops = {0: [], 1: [root / "cpu", root / "memory"], 2: [root]}[kind]
    return [top / f"hocket+{lab}" / node for top in tops]


def settings(kind: int, lab: str, node: Node, slowdown: float, *, processors: int, root: Path = ROOT) -> list[Setting]:
    """What is written to give a node its share of this computer.

    Args:
        kind: version of the control groups.
        lab: its name.
        node: its memory and cores.
        slowdown: how many times slower than a processor of this computer each of its cores is.
        processors: of this computer.
        root: where the control groups are.

    Returns:
        In the order of writing; of version 2 also what makes the limits available.
    """
    found: list[Setting] = []
    of_cpu, of_memory = (folders(kind, lab, node.name, root) * 2)[:2] if kind else (root, root)
    if kind == 2:
        for folder in (root, of_cpu.parent):
            found.append(Setting(folder / "cgroup.subtree_control", "+cpu +memory"))
    share = node.cores / slowdown
    if kind and share < processors:
        period_us, quota_us = quota(share)
        if kind == 1:
            found.append(Setting(of_cpu / "cpu.cfs_period_us", str(period_us)))
            found.append(Setting(of_cpu / "cpu.cfs_quota_us", str(quota_us)))
        else:
            found.append(Setting(of_cpu / "cpu.max", f"{quota_us} {period_us}"))
    if kind and node.memory_bytes is not None:
        name = {1: "memory.limit_in_bytes", 2: "memory.max"}[kind]
        found.append(Setting(of_memory / name, str(node.memory_bytes + OWN_BYTES)))
    return found


def quota(share: float) -> tuple[int, int]:
    """Period and quota in microseconds for so many processors: short, or a short computation would escape the limit.

    >>> quota(0.25), quota(0.01)
    ((20000, 5000), (200000, 2000))
    """
    period_s = min(max(_PERIOD_S, _LEAST_QUOTA_S / share), _MOST_PERIOD_S)
    return round(period_s * 1e6), max(round(period_s * share * 1e6), 1000)


def make(kind: int, lab: str, node: Node, slowdown: float) -> None:
    """Make the group of a node.

    Raises:
        NodeError: the system refuses.
    """
    wanted = folders(kind, lab, node.name)
    try:
        for folder in wanted:
            folder.mkdir(parents=True, exist_ok=True)
        for path, text in settings(kind, lab, node, slowdown, processors=os.cpu_count() or 1):
            path.write_text(text)
    except OSError as error:
        raise NodeError(
            f"the control group of node {node.name!r} cannot be made ({error}); make the lab without limits"
        ) from None


def join(kind: int, lab: str, node: str, pid: int) -> None:
    """Put a process into the group of a node."""
    for folder in folders(kind, lab, node):
        (folder / "cgroup.procs").write_text(str(pid))


def members(kind: int, lab: str) -> set[int]:
    """The processes in the groups of a lab."""
    found: set[int] = set()
    for top in folders(kind, lab):
        for file in top.glob("*/cgroup.procs"):
            found |= {int(word) for word in file.read_text().split()}
    return found


def remove(kind: int, lab: str) -> None:
    """Remove all groups of a lab, whose processes have been ended; nothing happens if there are none."""
    for top in folders(kind, lab):
        inner: Sequence[Path] = sorted(path for path in top.glob("*") if path.is_dir())
        for folder in (*inner, top):
            _remove(folder)


def _remove(folder: Path) -> None:
    """A group may stay for a moment after its last process has ended."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while folder.is_dir():
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        if time.monotonic() > deadline_s:
            raise NodeError(f"{folder} cannot be removed; end the processes that {folder}/cgroup.procs lists")
        time.sleep(0.02)
