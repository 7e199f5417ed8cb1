"""Modules in order of definition, each on the first device that still has room for it.

Solves    one task; a node without a limit takes all that is left
Answer    accelerate's device map; it knows nothing of speeds and rates
Time      O(L D); L = layers, D = nodes
Source    Hugging Face accelerate, src/accelerate/utils/modeling.py: infer_auto_device_map, get_balanced_memory
Departs   layers are not divided into smaller modules; there is no disk, so what is left over is refused; the devices
          are the nodes in the cluster's order, and the first keeps room for the largest layer as the first GPU does
Cards     -
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.checks import require
from hocket.solvers.rules.layers import Layers, refuses_layers, ruled
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerate:
    """See the module."""

    name: ClassVar[str] = "accelerate"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    balanced: bool = False
    """Cap each device but the last near an equal part of the model (`get_balanced_memory`)."""
    low_zero: bool = False
    """With `balanced`, leave the first device empty if the others hold all."""
    fallback: bool = False
    """If a device would stay empty, take any later layer that fits (`fallback_allocation`)."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or no host."""
        return refuses_layers(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The device map."""
        require(self, problem)
        layers = Layers(problem)
        rooms = [float("inf") if node.memory_bytes is None else float(node.memory_bytes) for node in layers.nodes]
        if self.balanced:
            rooms = self._balanced(layers, rooms)
        return ruled(problem, self.name, layers.plan(self._mapped(layers, rooms)))

    def _balanced(self, layers: Layers, rooms: Sequence[float]) -> list[float]:
        count, total = len(rooms), float(layers.graph.weight_bytes)
        parts = count - 1 if self.low_zero and count > 1 else count
        largest, mean = float(layers.nbytes.max()), float(layers.nbytes.mean())
        cap = total / parts + 1.25 * max(largest, mean)
        capped = [min(room, cap) for room in rooms[:-1]] + [rooms[-1]]
        if self.low_zero and count > 1:
            capped[0] = min(max(0.0, total - sum(capped[1:])), capped[0])
        return capped

    def _mapped(self, layers: Layers, rooms: Sequence[float]) -> list[int]:
        """The device of each layer; a layer takes those with it that share weights with it."""
        queue = list(range(len(layers)))
        hosts = [-1] * len(layers)
        for device, room in enumerate(rooms):
            held: dict[str, int] = {}
            while queue:
                taken = self._next(layers, queue, room, held, main=device == 0)
                if taken is None:
                    break
                for layer in taken:
                    hosts[layer] = device
                    held |= layers.weights[layer]
                queue = [layer for layer in queue if layer not in taken]
        if queue:
            needed = int(sum(layers.nbytes[queue]))
            raise InfeasibleError(
                f"the rule accelerate has {len(queue)} layers of {needed} bytes left when the last node is full; add"
                " memory"
            )
        return hosts

    def _next(
        self, layers: Layers, queue: Sequence[int], room: float, held: dict[str, int], *, main: bool
    ) -> list[int] | None:
        """The next layers for a device; None if it is full."""
        for number, layer in enumerate(queue):
            if number and (held or not self.fallback):
                return None
            tied = [other for other in queue if other != layer and layers.weights[other].keys() & layers.weights[layer]]
            taken = [layer, *tied]
            wanted = dict(held)
            for each in taken:
                wanted |= layers.weights[each]
            rest = [float(layers.nbytes[other]) for other in queue if other not in taken]
            reserve = max(rest, default=0.0) if main else 0.0
            if sum(wanted.values()) + reserve <= room:
                return taken
        return None
