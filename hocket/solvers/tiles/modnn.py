"""Each layer in strips along the longer side of its map, as wide as the workers are fast (BODP).

Solves    one task that begins with feature maps, on two or more nodes that can compute
Answer    strips in proportion to speed, layer by layer; nothing is searched, and what travels is not weighed
Time      O(L D)
Source    Mao, Chen, Nixon, Krieger, Chen: MoDNN: local distributed mobile computing system for deep neural network,
          DATE 2017
Departs   what a worker needs comes from those that have it, where the published system gathers each map at the owner
          and scatters it again, which is never faster; dense fully connected layers above a size are divided by output
          neurons in proportion to speed; the co-clustering of sparse ones (MSCC, FGCP) needs the weights, which a
          planner does not see
Cards     modnn
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from hocket.cost import Problem
from hocket.plan import Run
from hocket.plan.cuts import shared
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.maps import Maps, refuses_maps, require_maps, strip_place, strips


@dataclass(frozen=True, slots=True, kw_only=True)
class Modnn:
    """See the module."""

    name: ClassVar[str] = "modnn"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    least_bytes: int = 1 << 20
    """Weights of a fully connected layer from which on it is divided."""

    def refuses(self, problem: Problem) -> str | None:
        """Nothing to divide, or nobody to divide it among."""
        return refuses_maps(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Strips in proportion to speed."""
        maps = require_maps(self, problem)
        runs = [_layer(maps, layer) for layer in range(maps.count)]
        tail = list(_tail(maps, self.least_bytes))
        last = max((number for number, run in enumerate(tail) if not isinstance(run.on, str)), default=-1)
        runs += tail[: last + 1]
        return maps.propose(self, runs, after=maps.count + last + 1, notes={"strips": _shares(maps)})


def bodp(speeds: Sequence[float], length: int) -> tuple[int, ...]:
    """The points that divide a side in proportion to speed, by largest remainder.

    >>> bodp((3.0, 1.0), 8)
    (0, 6, 8)
    """
    return (0, *accumulate(shared(speeds, length)))


def _layer(maps: Maps, layer: int) -> Run:
    axis = maps.longer(layer)
    length = maps.cells.shape(layer + 1)[axis]
    divided = strips(range(len(maps.hosts)), bodp(maps.speeds.tolist(), length))
    return maps.run(layer, layer, strip_place(maps, axis, divided, exchange=True))


def _tail(maps: Maps, least_bytes: int) -> Iterator[Run]:
    """What comes after the maps, cell by cell: large fully connected layers divided, the rest on the owner."""
    for number in range(maps.count, len(maps.cells.cells)):
        cell = maps.cells.cells[number]
        kinds = {maps.graph.operator[name].kind for name in cell.operators[:1]}
        shape = maps.cells.shape(number + 1)
        nbytes = sum(maps.graph.operator[name].weight_bytes for name in cell.operators)
        place = strip_place(maps, 1, {maps.owner: (0, shape[-1])})
        if kinds <= {"Gemm", "MatMul"} and len(shape) == 2 and nbytes >= least_bytes:
            divided = strips(range(len(maps.hosts)), bodp(maps.speeds.tolist(), shape[1]))
            place = strip_place(maps, 1, divided)
        yield maps.run(number, number, place)


def _shares(maps: Maps) -> str:
    total = float(maps.speeds.sum())
    return ", ".join(
        f"{host} {100 * speed / total:.0f} %" for host, speed in zip(maps.hosts, maps.speeds.tolist(), strict=True)
    )
