"""A minimum cut with float capacities, on scipy's maximum flow, which knows only 32-bit integers.

The capacities are rounded down to integers, the flow is sent, and what is left of every capacity is scaled up and
sent again. Each round makes the flow that is still missing about 10^6 times smaller.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from hocket.solvers.layout import Floats

_MOST = 2.0**29  # twice it is still a 32-bit integer, and flows on opposite arcs may add up to that
_ROUNDS = 4
_PRECISION = 1e-10


class Arcs:
    """Arcs of a flow network, collected one by one; capacities of equal arcs add up."""

    def __init__(self, vertices: int) -> None:
        self.vertices = vertices
        self.tails: list[int] = []
        self.heads: list[int] = []
        self.capacities: list[float] = []

    def vertex(self) -> int:
        """Add a vertex and return it."""
        self.vertices += 1
        return self.vertices - 1

    def add(self, tail: int, head: int, capacity: float) -> None:
        """Add an arc; inf = it is never cut."""
        self.tails.append(tail)
        self.heads.append(head)
        self.capacities.append(capacity)

    def many(self, tails: NDArray[np.int64], heads: NDArray[np.int64], capacities: Floats) -> None:
        """Add several arcs."""
        self.tails += tails.tolist()
        self.heads += heads.tolist()
        self.capacities += capacities.tolist()


def source_side(arcs: Arcs, source: int, sink: int, most: float) -> NDArray[np.bool_]:
    """The vertices on the side of the source of a minimum cut.

    Args:
        arcs: the network.
        source: one end.
        sink: the other end.
        most: the value of some cut; capacities beyond it count as that much and a little more.

    Returns:
        (V,) bool; of all minimum cuts the one nearest to the source, up to 1e-9 of `most`.
    """
    size = arcs.vertices
    capacities = np.minimum(np.array(arcs.capacities, dtype=np.float64), 2 * most)
    tails, heads = np.array(arcs.tails, dtype=np.int64), np.array(arcs.heads, dtype=np.int64)
    # Every arc is there in both directions, so that flow can be taken back in a later round.
    keys = np.concatenate([tails * size + heads, heads * size + tails])
    kept, place = np.unique(keys, return_inverse=True)
    left = np.zeros(len(kept))
    np.add.at(left, place, np.concatenate([capacities, np.zeros(len(capacities))]))
    rows, columns = kept // size, kept % size
    starts = np.searchsorted(rows, np.arange(size + 1)).astype(np.int32)
    columns32 = columns.astype(np.int32)
    missing = 4 * most
    for _ in range(_ROUNDS):
        unit = missing / _MOST
        whole = np.floor(np.minimum(left, missing) / unit).astype(np.int32)
        flow = maximum_flow(csr_array((whole, columns32, starts), shape=(size, size)), source, sink).flow
        left -= _aligned(flow, kept, columns, size) * unit
        missing = unit * len(kept)  # in the cut that stopped this round less than one unit per arc was rounded away
        if missing <= _PRECISION * most:
            break
    tolerance = max(_PRECISION * most, missing / len(kept))
    open_arcs = left > tolerance
    graph = csr_array((np.ones(int(open_arcs.sum())), (rows[open_arcs], columns[open_arcs])), shape=(size, size))
    reached = np.zeros(size, dtype=bool)
    reached[breadth_first_order(graph, source, return_predecessors=False)] = True
    return reached


def _aligned(flow: csr_array, kept: NDArray[np.int64], columns: NDArray[np.int64], size: int) -> Floats:
    """The flow on each kept arc; scipy may drop or reorder entries."""
    if flow.nnz == len(kept) and np.array_equal(flow.indices, columns):
        return np.asarray(flow.data, dtype=np.float64)
    found = flow.tocoo()
    aligned = np.zeros(len(kept))
    aligned[np.searchsorted(kept, found.row.astype(np.int64) * size + found.col)] = found.data
    return aligned
