"""How far a run of operators may go on a node until its memory is full: weights once, and mailboxes."""

from collections.abc import Iterable, Sequence

import numpy as np

from hocket.plan.lower import SEQUENCES
from hocket.solvers.layout import Floats, Layout


class Room:
    """Room of each host for runs of consecutive parts of a graph.

    Args:
        layout: the task and its hosts.
        parts: positions of the operators of each part.
        arriving: for each part the tensors that a run reads from outside if it starts there.
    """

    def __init__(self, layout: Layout, parts: Sequence[Sequence[int]], arriving: Sequence[Iterable[str]]) -> None:
        self.layout = layout
        self._weights = _weights(layout, parts)
        longest = _longest(layout)
        self._boxes = np.array([sum(longest[name] for name in names) for names in arriving], dtype=np.float64)
        """(L,) bytes of a mailbox for what a run reads from outside if it starts at each part."""

    def ends(self, window: int) -> Floats:
        """(L, D) for each host and first part the end of the longest run that it has room for (half-open).

        Args:
            window: requests under way.
        """
        layout, size = self.layout, len(self._boxes)
        ends = np.full((size, len(layout.hosts)), float(size))
        rooms = [layout.problem.cluster.nodes[host].memory_bytes for host in layout.hosts]
        limited = [column for column, room in enumerate(rooms) if room is not None]
        # Caches live through several requests, so more are under way.
        boxes = self._boxes * (window + (SEQUENCES if layout.graph.buffers else 0))
        left = np.array([rooms[column] for column in limited], dtype=np.float64) - boxes[:, None]
        if layout.problem.whole_model:
            ends[:, limited] = np.where(layout.graph.weight_bytes <= left, size, np.arange(size)[:, None])
        else:
            ends[:, limited] = self._weights.furthest(left)
        return ends


def _longest(layout: Layout) -> dict[str, int]:
    """Bytes of the longest that may come of each tensor."""
    graph = layout.graph
    sizes = {tensor.name: tensor.nbytes for tensor in graph.tensors}
    for name, axes in graph.free.items():
        longest, tensor = dict(axes), graph.tensor[name]
        shape = tuple(longest.get(axis, length) for axis, length in enumerate(tensor.shape))
        sizes[name] = tensor.replace(shape=shape).nbytes
    return sizes


def _weights(layout: Layout, parts: Sequence[Sequence[int]]) -> "_Weights":
    graph = layout.graph
    last: dict[str, int] = {}
    sums: list[float] = []
    again: list[tuple[int, int, int]] = []
    for number, part in enumerate(parts):
        names = dict.fromkeys(name for position in part for name in graph.operators[position].weights)
        sums.append(float(sum(graph.weights[name] for name in names)))
        again += [(last[name], number, graph.weights[name]) for name in names if name in last]
        last |= dict.fromkeys(names, number)
    return _Weights(np.concatenate([[0.0], np.cumsum(sums)]), again)


class _Weights:
    """Bytes of the distinct weights of runs of parts."""

    def __init__(self, before: Floats, again: list[tuple[int, int, int]]) -> None:
        self.before = before
        """(L + 1,) bytes of the parts before each boundary, weights that several parts read counted in each."""
        self._former, self._later, self._nbytes = np.array(again, dtype=np.int64).reshape(-1, 3).T
        """Of each weight that is read again: part, next part that reads it too, bytes."""

    def furthest(self, room: Floats) -> Floats:
        """(L, D) end of the longest run from each part whose weights take at most so much room.

        Args:
            room: (L, D) bytes.
        """
        ends = np.zeros(room.shape)
        for start, most in enumerate(room):
            run = self._of_runs(start) if len(self._nbytes) else self.before[start:] - self.before[start]
            ends[start] = start + (np.searchsorted(run, most, side="right") - 1).clip(0)
        return ends

    def _of_runs(self, start: int) -> Floats:
        """Bytes of the runs from a part to each later boundary."""
        run = self.before[start:] - self.before[start]
        within = self._former >= start
        saved = np.bincount(self._later[within] - start + 1, weights=self._nbytes[within], minlength=len(run))
        return np.asarray(run - np.cumsum(saved))
