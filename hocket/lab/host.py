"""What this computer can do for a lab, and running commands on it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from hocket.errors import NodeError
from hocket.lab.commands import Argv

_TOOLS = ("ip", "tc", "ethtool")
_NEEDED = {12: "CAP_NET_ADMIN", 21: "CAP_SYS_ADMIN"}
_SECONDS = 30.0  # no command of a lab takes as long as that


def why_not() -> str:
    """Why this computer cannot make a lab, in one sentence; empty = it can."""
    if not sys.platform.startswith("linux"):
        return f"a lab is made of Linux's network namespaces, and this is {sys.platform}; use a computer with Linux"
    lacking = [name for bit, name in _NEEDED.items() if not _capabilities() >> bit & 1]
    if lacking:
        return f"making a lab takes the rights of root, and {' and '.join(lacking)} is not there; use sudo"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"a lab is made with {', '.join(_TOOLS)}, and {missing[0]} is missing; install iproute2 and ethtool"
    return ""


def _capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def run(argv: Argv) -> str:
    """Run a command of a lab; what it printed.

    Raises:
        NodeError: it failed.
    """
    done = _done(argv)
    if done.returncode:
        reason = " ".join(done.stderr.split())[:300] or f"code {done.returncode}"
        raise NodeError(f"`{' '.join(argv)}` failed ({reason}); take the lab down and see what the system lacks")
    return done.stdout


def try_run(argv: Argv) -> bool:
    """Run a command that may fail because there is nothing to do; whether it did something."""
    return _done(argv).returncode == 0


def run_all(commands: Iterable[Argv]) -> None:
    """Run commands one after another up to the first that fails."""
    for argv in commands:
        run(argv)


def _done(argv: Argv) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=_SECONDS, check=False, env={**os.environ, "LC_ALL": "C"}
    )


def namespaces(prefix: str) -> list[str]:
    """The network namespaces whose names begin so, as `ip netns` knows them."""
    folder = Path("/run/netns")
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(prefix)) if folder.is_dir() else []


def has_netem() -> bool:
    """Whether the kernel can hold packets back by itself; asked in a namespace that is removed at once."""
    name = f"hocket+{os.getpid()}"
    run(["ip", "netns", "add", name])
    try:
        return try_run(["tc", "-n", name, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"])
    finally:
        run(["ip", "netns", "del", name])
