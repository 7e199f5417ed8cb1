"""Making and changing vectors of nodes: the operators that genetic algorithms and swarms are put together from."""

import numpy as np

from hocket.solvers.layout import Floats, Layout
from hocket.solvers.search.judge import Rank, Vector

Generator = np.random.Generator


def random_vectors(rng: Generator, hosts: Vector, size: int, count: int) -> list[Vector]:
    """Vectors with any node for any unit."""
    return list(hosts[rng.integers(len(hosts), size=(count, size))])


def contiguous(rng: Generator, hosts: Vector, size: int) -> Vector:
    """A vector of a random number of pieces, each a run of units on a node of its own."""
    pieces = int(rng.integers(1, min(len(hosts), size) + 1))
    order = rng.permutation(hosts)[:pieces]
    cuts = np.sort(rng.permutation(np.arange(1, size))[: pieces - 1])
    return np.asarray(order[np.searchsorted(cuts, np.arange(size), side="right")], dtype=np.int64)


def edges_of(vector: Vector) -> list[int]:
    """First unit of each piece, and the number of units.

    >>> edges_of(np.array([2, 2, 0, 1]))
    [0, 2, 3, 4]
    """
    return [0, *(np.flatnonzero(np.diff(vector)) + 1).tolist(), len(vector)]


def one_point(rng: Generator, a: Vector, b: Vector) -> tuple[Vector, Vector]:
    """Two children that exchange everything behind a random boundary between units."""
    cut = int(rng.integers(1, max(len(a), 2)))
    return np.concatenate([a[:cut], b[cut:]]), np.concatenate([b[:cut], a[cut:]])


def two_point(rng: Generator, vector: Vector, other: Vector) -> Vector:
    """The vector with a random stretch of the other one."""
    first, last = sorted(rng.integers(0, len(vector), size=2).tolist())
    child = vector.copy()
    child[first : last + 1] = other[first : last + 1]
    return child


def flipped(rng: Generator, vector: Vector, hosts: Vector) -> Vector:
    """The vector with one random unit on a random node."""
    child = vector.copy()
    child[rng.integers(len(vector))] = hosts[rng.integers(len(hosts))]
    return child


def tournament(rng: Generator, ranks: list[Rank]) -> int:
    """The better of two at random, by Deb's rule."""
    a, b = rng.integers(len(ranks), size=2).tolist()
    return int(a if ranks[a] <= ranks[b] else b)


def accepts(rng: Generator, old: Rank, new: Rank, temperature: float) -> bool:
    """Metropolis: always what is not worse, else with probability exp(-loss / temperature).

    The loss is relative to the old value; of what breaks constraints further it is the additional excess.
    """
    if new <= old:
        return True
    if not np.isfinite(new.excess) or temperature <= 0:
        return False
    worse = new.excess - old.excess
    loss = worse if worse > 0 else (new.value - old.value) / (abs(old.value) or 1.0)
    return bool(rng.random() < np.exp(-loss / temperature))


def logistic(z: float) -> float:
    """The next number of the logistic map, chaotic between 0 and 1.

    >>> logistic(0.25)
    0.75
    """
    return 4 * z * (1 - z)


class Room:
    """Memory of nodes against the weights of the units on them; mailboxes are for the judge to count."""

    def __init__(self, layout: Layout) -> None:
        graph, nodes = layout.graph, layout.problem.cluster.nodes
        self.hosts = layout.hosts
        self.whole = float(graph.weight_bytes) if layout.problem.whole_model else None
        self.room: Floats = np.array([np.inf if n.memory_bytes is None else float(n.memory_bytes) for n in nodes])
        names = list(graph.weights)
        at = {name: number for number, name in enumerate(names)}
        self.sizes: Floats = np.array([graph.weights[name] for name in names], dtype=np.float64)
        self.reads = np.zeros((len(layout.units), len(names)), dtype=bool)
        for number, unit in enumerate(layout.units):
            for position in unit.operators:
                self.reads[number, [at[name] for name in graph.operators[position].weights]] = True
        self.bytes: Floats = self.reads @ self.sizes
        """(U,) of the weights of each unit."""

    def left(self, vector: Vector) -> Floats:
        """(N,) bytes that are left on each node; less than 0 = too little."""
        used = np.zeros(len(self.room))
        for host in set(vector.tolist()):
            used[host] = self.reads[vector == host].any(axis=0) @ self.sizes if self.whole is None else self.whole
        return np.asarray(self.room - used)

    def fits(self, vector: Vector) -> bool:
        """Whether every node has room for its weights."""
        return bool((self.left(vector) >= 0).all())

    def repaired(self, vector: Vector) -> Vector:
        """The vector with units moved from full nodes to where there is room, to the node of a neighbour if it can be.

        It comes back as it was, or partly repaired, where there is no room.
        """
        vector = vector.copy()
        for _ in range(len(vector)):
            left = self.left(vector)
            worst = int(left.argmin())
            if left[worst] >= 0:
                break
            move = self._move(vector, left, worst)
            if move is None:
                break
            vector[move[0]] = move[1]
        return vector

    def _move(self, vector: Vector, left: Floats, worst: int) -> tuple[int, int] | None:
        """The unit that leaves a full node, the largest at the border of a piece first, and where it goes."""
        moves = []
        for unit in np.flatnonzero(vector == worst).tolist():
            near = {int(vector[other]) for other in (unit - 1, unit + 1) if 0 <= other < len(vector)}
            moves += [
                ((host not in near, -self.bytes[unit], -left[host], unit, host), unit, host)
                for host in self.hosts
                if host != worst and left[host] >= self.bytes[unit] > 0
            ]
        return min(moves)[1:] if moves else None
