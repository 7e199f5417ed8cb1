"""PipeEdge's scheduler as its code ships it: the least bottleneck over types of devices.

Solves    one task; devices that cost the same are of one type
Answer    the least bottleneck of stages by its own sums (one bandwidth per device, no way in or back), each device at
          most once; as shipped it reads the figures of the wrong device where a type has several (`patched` repairs it)
Time      O(L^2 T^2 prod (n_t + 1)); L = layers, T = types, n_t = devices of each
Source    usc-isi/PipeEdge, src-native/schedule.cpp; Hu, Imes, Zhao, Kundu, Beerel, Crago, Walters: PipeEdge, DSD 2022
Departs   layers of the chain are its sub-layers; a device's bandwidth is its fastest way; `chain_dp` is the right form
Cards     -
"""

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.checks import require
from hocket.solvers.rules.layers import Layers, refuses_layers, ruled
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_Set = tuple[int, ...]
_State = tuple[int, _Set, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeedgeShipped:
    """See the module."""

    name: ClassVar[str] = "pipeedge_shipped"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    patched: bool = False
    """Read the figures of a type from a device of that type."""
    most_states: int = 2_000_000
    """Larger problems are refused."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, no host, or too many states."""
        reason = refuses_layers(problem)
        if reason:
            return reason
        table = _Types(Layers(problem), self.patched)
        states = len(table.layers) ** 2 * len(table.counts) ** 2 * int(np.prod([n + 1 for n in table.counts]))
        if states > self.most_states:
            return f"{states} states of sets of devices are more than {self.most_states}"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The stages."""
        require(self, problem)
        table = _Types(Layers(problem), self.patched)
        stages, bottleneck = table.best()
        free = [list(members) for members in table.members]
        hosts = [host for kind, count in stages for host in [free[kind].pop(0)] * count]
        return ruled(problem, self.name, table.layers.plan(hosts), {"believed_bottleneck_s": repr(bottleneck)})


class _Types:
    def __init__(self, layers: Layers, patched: bool) -> None:
        self.layers = layers
        width = len(layers.names)
        rates = [max((layers.rate(a, b) for b in range(width) if b != a), default=0.0) for a in range(width)]
        kinds: dict[object, list[int]] = {}
        for host in range(width):
            key = (layers.seconds[:, host].tobytes(), layers.nodes[host].memory_bytes, rates[host])
            kinds.setdefault(key, []).append(host)
        self.members = list(kinds.values())
        self.counts = [len(members) for members in self.members]
        devices = [members[0] for members in self.members for _ in members]
        # The code has a list with one entry per device and looks a type up in it by the number of the type.
        self.read = [members[0] for members in self.members] if patched else devices[: len(self.members)]
        self.rates = [rates[host] for host in self.read]
        self.before = np.vstack([np.zeros(width), np.cumsum(layers.seconds, axis=0)])
        self.held = np.concatenate([[0.0], np.cumsum(layers.nbytes)])
        self.leaving = [float(layers.graph.inputs[0].nbytes), *layers.leaving.tolist()]

    def best(self) -> tuple[list[tuple[int, int]], float]:
        """(type, layers) of each stage, and the bottleneck as the code sees it.

        Raises:
            InfeasibleError: no set of devices holds the model.
        """
        size, kinds = len(self.layers), range(len(self.counts))
        empty = tuple(0 for _ in kinds)
        least: dict[_State, float] = {(0, empty, kind): 0.0 for kind in kinds}
        came: dict[_State, _State] = {}
        ends: list[tuple[float, _State]] = []
        # Sets in the order of their sizes, so that each is complete before it grows; the first type counts up first.
        sets = product(*(range(count + 1) for count in self.counts))
        for used in sorted(sets, key=lambda used: (sum(used), used[::-1])):
            for kind in kinds:
                if used[kind] == self.counts[kind]:
                    continue
                grown = tuple(count + (at == kind) for at, count in enumerate(used))
                for start in range(size):
                    state = (start, used, kind)
                    if state not in least:
                        continue
                    for stop in range(start + 1, size + 1):
                        if not self._fits(start, stop, kind):
                            break
                        value = max(least[state], self._works_s(start, stop, kind))
                        if stop == size:
                            ends.append((value, state))
                        for after in kinds if stop < size else ():
                            sent = max(value, self._sends_s(stop, kind, after))
                            if sent < least.get((stop, grown, after), np.inf):
                                least[stop, grown, after] = sent
                                came[stop, grown, after] = state
        if not ends:
            raise InfeasibleError("no set of devices holds the model by PipeEdge's rule; add memory")
        bottleneck, state = min(ends, key=lambda end: (end[0], sum(end[1][1])))
        stages, stop = [(state[2], size - state[0])], state[0]
        while state in came:
            state = came[state]
            stages.append((state[2], stop - state[0]))
            stop = state[0]
        return stages[::-1], bottleneck

    def _works_s(self, start: int, stop: int, kind: int) -> float:
        host = self.read[kind]
        return float(self.before[stop, host] - self.before[start, host])

    def _sends_s(self, stop: int, kind: int, after: int) -> float:
        rate = min(self.rates[kind], self.rates[after])
        return self.leaving[stop] / rate if rate else np.inf

    def _fits(self, start: int, stop: int, kind: int) -> bool:
        room = self.layers.nodes[self.read[kind]].memory_bytes
        boxes = self.leaving[start] * (2 if start else 1) + 2 * self.leaving[stop]
        return room is None or self.held[stop] - self.held[start] + boxes < room
