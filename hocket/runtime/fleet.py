"""A fleet: nodes that serve any number of sessions, and the ledger of the emulated links between them."""

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

from hocket.errors import NodeError, PlanError
from hocket.program import Site
from hocket.runtime.emulation import Ledger
from hocket.runtime.inproc import Network
from hocket.runtime.keys import Keys, read_token
from hocket.runtime.launch import Processes, Threads
from hocket.runtime.transport import Transport
from hocket.runtime.zmq_transport import ZmqTransport, is_loopback

_START_S = 15.0  # a process needs this long on a busy host, whatever requests may take


class Reach(TypedDict, total=False):
    """How a fleet gets at its nodes."""

    addresses: Mapping[str, str] | None
    """Node -> address or join token, instead of the site's."""
    keys: Keys | None
    """Our key pair, for nodes that were given by join token."""
    plaintext: bool
    """Allow plaintext beyond this computer."""
    emulate: bool | None
    """Make wires as slow as programs say; None = where all nodes are started here."""
    network: Network | None
    """Run the nodes as threads on this in-process network instead (for tests)."""
    cpus: Mapping[str, int] | None
    """Node -> processor that a node started here runs on."""


class Fleet:
    """Nodes that run; a context manager that leaves none behind that it started.

    Nodes whose address is a loopback one with port 0 are started here as processes; others are connected to. Sessions
    attach to it, each with a connection of its own, and all draw on one ledger of emulated links.

    Args:
        sites: the nodes; of a name that comes again the first counts.
        timeout_s: most seconds that a node may take to start, if that is more than some 15 s.
        reach: how nodes are reached.

    Raises:
        NodeError: a node cannot be started.
    """

    def __init__(
        self,
        sites: Iterable[Site],
        *,
        timeout_s: float = 30.0,
        addresses: Mapping[str, str] | None = None,
        keys: Keys | None = None,
        plaintext: bool = False,
        emulate: bool | None = None,
        network: Network | None = None,
        cpus: Mapping[str, int] | None = None,
    ) -> None:
        if not timeout_s > 0:
            raise PlanError(f"a timeout is more than 0 s, got {timeout_s:g}; give one")
        self.name = secrets.token_hex(8)
        """Tells this fleet's lanes on a node from those of others."""
        self._keys, self._plaintext, self._network = keys, plaintext, network
        self._folder = Path(tempfile.mkdtemp(prefix="hocket-"))
        self._ledger: Ledger | None = None
        self.launcher: Processes | Threads | None = None
        """What started the nodes of this computer."""
        try:
            given, mine = _places(sites, addresses or {})
            self.emulated = not given if emulate is None else emulate
            path = self._folder / "links" if self.emulated else None
            if path is not None:
                self._ledger = Ledger.create(path)
            self.launcher = Threads(network, self._ledger) if network is not None else Processes(path, cpus)
            started = self.launcher.start(mine, max(timeout_s, _START_S))
            self.places = {**given, **{node: (address, "") for node, address in started.items()}}
            """Node -> address and public key."""
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def ledger_id(self) -> str:
        """Of the emulated links; empty = none are emulated."""
        return self._ledger.id if self._ledger is not None else ""

    def connect(self) -> Transport:
        """A transport for one session, which closes it."""
        self.check()
        if self._network is not None:
            return self._network.open("session")
        return ZmqTransport("session", keys=self._keys, plaintext=self._plaintext)

    def check(self) -> None:
        """Raise NodeError if a node that was started here has ended, or all have with the fleet."""
        launcher = self.launcher
        if launcher is None:
            raise NodeError("the nodes of this session have been ended; start them again")
        launcher.check()

    def ended(self) -> dict[str, str]:
        """Nodes that were started here and have ended -> what became of them."""
        return self.launcher.ended() if self.launcher is not None else {}

    def process_id(self, node: str) -> int:
        """Of a node that was started here as a process.

        Raises:
            NodeError: it was not.
        """
        if not isinstance(self.launcher, Processes) or self.places[node][1]:
            raise NodeError(f"node {node!r} is not a process that was started here; look for it where it belongs")
        return self.launcher.process_id(node)

    def start_again(self, node: str) -> None:
        """Start a node of this computer that has ended; it has another address then.

        Raises:
            NodeError: it cannot be started, or was not started here.
        """
        if self.launcher is None or node not in self.ended():
            raise NodeError(f"node {node!r} has not ended, or was not started here; start it where it belongs")
        self.places[node] = (self.launcher.start([node], _START_S)[node], "")

    def restart_links(self) -> None:
        """Free all emulated links and let their traces begin now; for when no request is under way."""
        if self._ledger is not None:
            self._ledger.restart(time.monotonic())

    def close(self) -> None:
        """End every node that was started here; may be called again."""
        launcher, self.launcher = self.launcher, None
        try:
            if launcher is not None:
                launcher.stop()
        finally:
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None
            shutil.rmtree(self._folder, ignore_errors=True)


def _places(sites: Iterable[Site], addresses: Mapping[str, str]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Node -> address and public key of the nodes that run already, and the names of those to start."""
    given: dict[str, tuple[str, str]] = {}
    mine: list[str] = []
    for site in sorted({site.name: site for site in reversed(list(sites))}.values(), key=lambda site: site.name):
        address = addresses.get(site.name, site.address)
        if address.startswith("hocket1:"):
            given[site.name] = read_token(address)
        elif is_loopback(address) and address.endswith(":0"):
            mine.append(site.name)
        else:
            given[site.name] = (address, "")
    return given, mine
