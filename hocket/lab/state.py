"""What is known of a lab to every process that has to do with it: a file in a folder of its own."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hocket.cluster import Cluster
from hocket.errors import NodeError
from hocket.lab.layout import Layout
from hocket.lab.processes import Process
from hocket.nouns import Noun, write_whole

RUN = Path("/run/hocket")
"""Where the folders of all labs are; all of them are gone after a start of the computer, as their namespaces are."""

Delays = dict[str, dict[str, float]]
"""Device of the switch -> address of the sender -> seconds that its packets are held back."""


class State(Noun, frozen=True, tag="hocket.lab/1"):
    """A lab as it is at the moment."""

    name: str
    cluster: Cluster
    """As its file has it, with a number for every slowdown."""
    netem: bool = False
    """Whether the kernel holds packets back; otherwise a process of ours does."""
    groups: int = 0
    """Version of the control groups that limit processor and memory; 0 = nothing limits them."""
    paced: bool = False
    """Whether hocket itself slows its computations down, and no limit of the processor does."""
    processes: dict[str, Process] = {}
    """`node:NAME`, `load:NAME:NUMBER`, `delay_line` and `replay`."""


class Made:
    """A lab that is there, as its file tells.

    Args:
        folder: of the lab.

    Raises:
        NodeError: there is no such lab.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        state = self.state()
        self.layout = Layout(state.cluster, state.name)

    @property
    def name(self) -> str:
        """Of the lab."""
        return self.layout.name

    @property
    def addresses(self) -> dict[str, str]:
        """Node -> where its process listens."""
        return self.layout.addresses

    def state(self) -> State:
        """What its file says now."""
        path = self.folder / "state.json"
        if not path.is_file():
            raise NodeError(f"there is no lab {self.folder.name!r}; make it with `hocket lab up CLUSTER`")
        return State.load(path)

    @property
    def cluster(self) -> Cluster:
        """The cluster with the addresses of the lab, and without a slowdown where a limit of the processor makes it."""
        state = self.state()
        limited = state.groups > 0 and not state.paced
        nodes = (
            node.replace(address=self.addresses[node.name], slowdown=1.0 if limited else node.slowdown)
            for node in state.cluster.nodes
        )
        return state.cluster.replace(nodes=tuple(nodes))

    def record(self, changes: Mapping[str, Process | None]) -> None:
        """Note which processes have been started, and (None) which have ended."""
        with self.locked():
            state = self.state()
            kept = {**state.processes, **changes}
            state.replace(processes={key: process for key, process in kept.items() if process}).save(
                self.folder / "state.json"
            )

    def delays(self) -> Delays:
        """What the delay line was told."""
        path = self.folder / "delays.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def set_delay(self, source: str, target: str, latency_s: float) -> bool:
        """Tell the delay line; whether it is the first that it hears of this pair."""
        device, host = f"l{self.layout.number(target)}", self.layout.host(source)
        with self.locked():
            delays = self.delays()
            first = host not in delays.setdefault(device, {})
            delays[device][host] = latency_s
            write_whole(self.folder / "delays.json", json.dumps(delays).encode())
        return first

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from changing what is known of the lab."""
        with (self.folder / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
