"""One share of the rows for each node in all layers, of least energy within a deadline (CoEdge).

Solves    one task that begins with feature maps, on two or more nodes that can compute
Answer    shares from a linear program for energy with the deadline; the rule that a share is 0 or at least as high as
          the border that a neighbour needs is kept by dropping the node with the smallest share, so they may not be the
          best of the mixed-integer program
Time      O(D) linear programs of D + L variables
Source    Zeng, Chen, Zhou, Yang, Zhang: CoEdge: cooperative DNN inference with adaptive workload partitioning over
          heterogeneous edge devices, IEEE/ACM Transactions on Networking 29(2), 2021
Departs   without a deadline (of the task, or a limit on latency) the deadline is the least that the linear program
          meets, or none if energy is the objective; borders are counted at the slowest way to a node, and those of the
          smallest map are the ones that a share must reach; rows of a layer are those of the input, scaled down, and
          if they then break the deadline the fastest shares are taken
Cards     coedge
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.optimize import linprog

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.graph.topology import units
from hocket.plan.cuts import scaled, shared
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.maps import ROWS, Maps, refuses_maps, require_maps, strip_place, strips
from hocket.solvers.tiles.windows import windows_of

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Coedge:
    """See the module."""

    name: ClassVar[str] = "coedge"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Nothing to divide, or nobody to divide it among."""
        return refuses_maps(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Shares of the rows; the fastest ones if whole rows of those of least energy break the deadline."""
        maps = require_maps(self, problem)
        model, deadline_s = workload(maps), deadline_of(problem)
        if deadline_s is not None:
            with suppress(InfeasibleError):
                return self._proposal(maps, thresholded(model, deadline_s))
        return self._proposal(maps, thresholded(model, None))

    def _proposal(self, maps: Maps, shares: Floats) -> Proposal:
        height = maps.size(-1)[0]
        points = (0, *accumulate(shared(shares.tolist(), height)))
        runs = []
        for layer in range(maps.count):
            rows = maps.size(layer)[0]
            divided = strips(range(len(maps.hosts)), [scaled((0, point), height, rows)[1] for point in points])
            runs.append(maps.run(layer, layer, strip_place(maps, ROWS, divided, exchange=True)))
        words = ", ".join(f"{host} {share:.3f}" for host, share in zip(maps.hosts, shares.tolist(), strict=True))
        return maps.propose(self, runs, after=maps.count, notes={"shares": words})


class Workload(NamedTuple):
    """What shares of the rows cost: times and energies are straight lines; layers are synchronised."""

    seconds: Floats
    """(L, D) of all rows of a layer on a host."""
    halo_s: Floats
    """(L, D) of a layer's borders, for a host that takes part."""
    scatter_s: Floats
    """(D,) of the whole input to a host."""
    gather_s: Floats
    """(D,) of the whole last map from a host to the owner."""
    joules: Floats
    """(D,) of everything on one host."""
    halo_j: Floats
    """(D,) of the borders of a host that takes part."""
    rest_s: float
    """What comes after the maps, on the owner."""
    least: float
    """The smallest share that is not 0."""
    able: tuple[int, ...]
    """Hosts with a way to the input and to the owner, and room for the weights."""


def deadline_of(problem: Problem) -> float | None:
    """Seconds; None = as fast as can be, infinite = no matter how long."""
    given = [problem.task.deadline_s, problem.objective.limits.get("latency")]
    known = [seconds for seconds in given if seconds is not None]
    if known:
        return min(known)
    return float("inf") if problem.objective.metric == "energy" else None


def workload(maps: Maps) -> Workload:
    """The straight lines of a problem's maps."""
    hosts, owner = range(len(maps.hosts)), maps.owner
    cluster = maps.problem.cluster
    nodes = [cluster.node[host] for host in maps.hosts]
    between = np.array([[maps.seconds_per_byte(a, b) for b in hosts] for a in hosts])
    finite = np.where(np.isfinite(between), between, 0.0)
    input_bytes = maps.graph.inputs[0].nbytes
    last_bytes = maps.graph.tensor[maps.cells.cells[maps.count - 1].result].nbytes
    home = maps.task.source
    ways = [maps.way_s(home, host, input_bytes) for host in maps.hosts]
    halo, least = _borders(maps)
    seconds = np.diff(maps.cells.seconds[: maps.count + 1], axis=0)
    slowest = finite.max(axis=0)  # to each host
    halo_s = halo[:, None] * slowest[None, :] + maps.calls[None, :]
    watts = np.array([node.active_w() for node in nodes])
    sends, receives = (np.array([getattr(node, field) for node in nodes]) for field in ("transmit_w", "receive_w"))
    moved = np.where(np.isfinite(ways), ways, 0.0) * (cluster.node[home].transmit_w + receives)
    gathered = finite[:, owner] * last_bytes
    moved = moved + gathered * (sends + receives[owner])
    rest = maps.cells.seconds[-1] - maps.cells.seconds[maps.count]
    weights = sum(
        maps.graph.operator[name].weight_bytes for cell in maps.cells.cells[: maps.count] for name in cell.operators
    )
    able = tuple(
        host
        for host in hosts
        if np.isfinite(ways[host])
        and np.isfinite(between[host, owner])
        and (nodes[host].memory_bytes is None or weights <= (nodes[host].memory_bytes or 0))
    )
    return Workload(
        seconds=seconds,
        halo_s=halo_s,
        scatter_s=np.array(ways),
        gather_s=between[:, owner] * last_bytes,
        joules=seconds.sum(axis=0) * watts + moved,
        halo_j=halo.sum() * slowest * receives,
        rest_s=float(rest[owner]),
        least=least,
        able=able or (owner,),
    )


def _borders(maps: Maps) -> tuple[Floats, float]:
    """(L,) bytes of the borders that a host in the middle needs for each layer, and the highest of them as a share."""
    windows, tensor = windows_of(maps.graph), maps.graph.tensor
    layer_of = {name: number for number, cell in enumerate(maps.cells.cells[: maps.count]) for name in cell.operators}
    halo, least = np.zeros(maps.count), 0.0
    for unit in units(maps.graph):
        names = tuple(maps.graph.operators[position].name for position in unit.operators)
        window = windows.of(names, (ROWS,)) if names[0] in layer_of else None
        if window is None:
            continue
        lines = window.lines[0]
        for place, entry in enumerate(window.entries, len(window.operators)):
            above, below, rows = (int(column[place]) for column in (lines.before, lines.after, lines.length))
            shape = tensor[entry].shape
            if len(shape) == 4 and int(lines.stride[place]):
                halo[layer_of[names[0]]] += (max(above, 0) + max(below, 0)) * tensor[entry].nbytes / rows
                least = max(least, max(above, below) / rows)
    return halo, min(least, 1.0)


def thresholded(model: Workload, deadline_s: float | None) -> Floats:
    """(D,) shares: the linear program, again and again without the node whose share is too small.

    Args:
        model: what shares cost.
        deadline_s: None = the least.
    """
    active = list(model.able)
    while True:
        shares = least_energy(model, active, deadline_s)
        small = [host for host in active if shares[host] < model.least - _ROUNDING or shares[host] < _ROUNDING]
        if not small or len(active) == 1:
            return shares
        active.remove(min(small, key=lambda host: (shares[host], host)))


def least_energy(model: Workload, active: Sequence[int], deadline_s: float | None) -> Floats:
    """(D,) shares of some hosts that take the least energy within the deadline, or the least time if none does."""
    shares = None
    if deadline_s is not None:
        shares = _solved(model, active, model.joules, deadline_s)
    if shares is None:
        fastest = _solved(model, active, None, float("inf"))
        reached = time_s(model, fastest, active) * (1 + _ROUNDING) if fastest is not None else float("inf")
        shares = _solved(model, active, model.joules, reached)
        shares = fastest if shares is None else shares
    if shares is None:
        shares = np.zeros(len(model.joules))
        shares[active[0]] = 1.0
    return shares


def time_s(model: Workload, shares: Floats, active: Sequence[int]) -> float:
    """Seconds of shares: layer after layer, each as long as its slowest node."""
    on = list(active)
    layers = (model.seconds[:, on] * shares[on] + model.halo_s[:, on]).max(axis=1).sum()
    return float(
        (model.scatter_s[on] * shares[on]).max() + layers + (model.gather_s[on] * shares[on]).max() + model.rest_s
    )


def _solved(model: Workload, active: Sequence[int], joules: Floats | None, deadline_s: float) -> Floats | None:
    """The linear program: a share of each host, then the seconds of scatter, layers and gather."""
    on, count = list(active), len(active)
    slopes = np.vstack([model.scatter_s, model.seconds, model.gather_s])[:, on]
    starts = np.vstack([np.zeros(len(model.joules)), model.halo_s, np.zeros(len(model.joules))])[:, on]
    steps = len(slopes)
    cost = np.concatenate([joules[on], np.zeros(steps)] if joules is not None else [np.zeros(count), np.ones(steps)])
    rows = np.zeros((steps * count, count + steps))
    for place in range(count):
        block = rows[place * steps : (place + 1) * steps]
        block[:, place] = slopes[:, place]
        block[np.arange(steps), count + np.arange(steps)] = -1.0
    limits = -starts.T.ravel()
    if np.isfinite(deadline_s):
        rows = np.vstack([rows, np.concatenate([np.zeros(count), np.ones(steps)])])
        limits = np.append(limits, deadline_s - model.rest_s)
    found = linprog(
        cost,
        A_ub=rows,
        b_ub=limits,
        A_eq=np.concatenate([np.ones(count), np.zeros(steps)])[None, :],
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
    )
    if found.status != 0:
        return None
    shares = np.zeros(len(model.joules))
    shares[on] = np.clip(found.x[:count], 0.0, 1.0)
    return shares
