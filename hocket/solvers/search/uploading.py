"""Layer Merge Uploading: in which order weights are sent so that queries become fast soon (Xue et al.: EosDNN, 2022).

A query runs at the source whatever is not at its server yet. The benefit of sending something is the time that it saves
a query, per byte; a layer alone often saves nothing, because its tensors would have to travel, so neighbours whose
joint benefit is higher are merged.
"""

from collections.abc import Sequence
from itertools import pairwise

from hocket.cost import Problem
from hocket.solvers.additive import Additive
from hocket.solvers.layout import Layout

Part = tuple[int, ...]
"""Units that are sent together, rising."""


def upload_order(problem: Problem, places: Sequence[int]) -> tuple[str, ...]:
    """Names of the weights that leave the source, in the order in which they are sent.

    Args:
        problem: one task.
        places: node of each unit.
    """
    layout = Layout(problem, problem.task)
    source = problem.cluster.index[problem.task.source]
    remote = [unit for unit, node in enumerate(places) if node != source]
    if source in layout.hosts:
        parts = _Uploading(Additive(layout, {"sequential": 1.0}), list(places), source).order()
        remote = [unit for part in parts for unit in part]
    graph = layout.graph
    return tuple(
        dict.fromkeys(
            name for unit in remote for at in layout.units[unit].operators for name in graph.operators[at].weights
        )
    )


class _Uploading:
    def __init__(self, additive: Additive, places: list[int], source: int) -> None:
        self.layout, self.costs, self.places = additive.layout, additive.costs, places
        self.now = [source] * len(places)
        self.sizes = self._sizes()

    def _sizes(self) -> list[float]:
        graph = self.layout.graph
        return [
            float(sum(graph.weights[n] for n in dict.fromkeys(n for at in unit.operators
                                                              for n in graph.operators[at].weights)))
            for unit in self.layout.units
        ]  # fmt: skip

    def order(self) -> list[Part]:
        """Merged parts, each time the one of the highest benefit after all that was sent before."""
        parts = self.merged()
        sent = []
        while parts:
            best = max(parts, key=lambda part: (self.benefit(part), -part[0]))
            parts.remove(best)
            self._send(best)
            sent.append(best)
        return sent

    def merged(self) -> list[Part]:
        """Layers that leave the source, neighbours together where that is of more benefit than each alone."""
        parts: list[Part] = [(unit,) for unit, node in enumerate(self.places) if node != self.now[unit]]
        value = {part: self.benefit(part) for part in parts}
        while True:
            gains = []
            for a, b in pairwise(parts):
                joint = a + b
                if joint not in value:
                    value[joint] = self.benefit(joint)
                best = max(value[a], value[b])
                if value[joint] > best:
                    gains.append((value[joint] - best, -a[0], a, b))
            if not gains:
                return parts
            _, _, a, b = max(gains, key=lambda found: found[:2])
            at = parts.index(a)
            parts[at : at + 2] = [a + b]

    def benefit(self, part: Part) -> float:
        """Seconds that a query is faster after a part is sent, per byte of it."""
        after = list(self.now)
        for unit in part:
            after[unit] = self.places[unit]
        saved = self.costs.value(self.now) - self.costs.value(after)
        nbytes = sum(self.sizes[unit] for unit in part)
        if saved != saved:  # noqa: PLR0124  neither state has all its ways
            return 0.0
        return saved / nbytes if nbytes else (float("inf") if saved > 0 else saved)

    def _send(self, part: Part) -> None:
        for unit in part:
            self.now[unit] = self.places[unit]
