"""Linear programs that are put together row by row, solved by HiGHS."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array

from hocket.errors import RefusedError
from hocket.solvers.layout import Floats

Columns = NDArray[np.int64]
"""Numbers of variables."""
_SCALE = 1e4  # HiGHS stops at an absolute gap of 1e-6: this makes it one of 1e-10
_LESS = 1 - 1e-10
_WHOLE = 1e-6


class Found(NamedTuple):
    """What HiGHS says of an integer program."""

    values: Floats | None
    """Of the variables; None = it found no solution."""
    bound: float
    """No solution has a lower value; inf = there is none at all."""
    complete: bool
    """Whether it went on to the end."""


class Linear:
    """Variables from 0 to an upper end, and rows low <= a x <= high."""

    def __init__(self) -> None:
        self.upper: list[float] = []
        self.whole: list[int] = []
        self._cells: list[tuple[Columns, Columns, Floats]] = []
        self.low: list[float] = []
        self.high: list[float] = []

    def variables(self, *shape: int, upper: float = 1.0, whole: bool = False) -> Columns:
        """Add variables, and return their numbers in that shape."""
        count = int(np.prod(shape, dtype=np.int64))
        start = len(self.upper)
        self.upper += [upper] * count
        self.whole += [int(whole)] * count
        return np.arange(start, start + count).reshape(shape)

    def rows(self, columns: Columns, values: ArrayLike, low: float = -np.inf, high: float = np.inf) -> None:
        """Add rows.

        Args:
            columns: (R, K) the variables of each row; one that comes twice counts twice.
            values: what they are multiplied with, of a shape that broadcasts to it.
            low: least value of each row.
            high: greatest value of each row.
        """
        count, width = columns.shape
        numbers = np.repeat(np.arange(len(self.low), len(self.low) + count), width)
        spread = np.broadcast_to(np.asarray(values, dtype=np.float64), columns.shape)
        self._cells.append((numbers, columns.ravel(), spread.ravel()))
        self.low += [low] * count
        self.high += [high] * count

    def row(self, parts: Sequence[tuple[Columns, ArrayLike]], low: float = -np.inf, high: float = np.inf) -> None:
        """Add one row of several parts."""
        columns = np.concatenate([np.ravel(each) for each, _ in parts])
        values = [np.broadcast_to(np.asarray(value, dtype=np.float64), np.shape(each)).ravel() for each, value in parts]
        self.rows(columns[None, :], np.concatenate(values)[None, :], low, high)

    def forbid(self, columns: Columns) -> None:
        """Keep variables at 0."""
        for column in np.ravel(columns).tolist():
            self.upper[column] = 0.0

    @property
    def matrix(self) -> csr_array:
        """(R, C) the rows."""
        shape = (len(self.low), len(self.upper))
        if not self._cells:
            return csr_array(shape)
        numbers, columns, values = (np.concatenate(each) for each in zip(*self._cells, strict=True))
        return csr_array((values, (numbers, columns)), shape=shape)

    def solve(self, cost: Floats, reference: float, *, seconds: float | None, most_nodes: int) -> Found:
        """The least cost with whole numbers where they are asked for; the relaxation is enough if it is whole itself.

        Args:
            cost: (C,) of each variable.
            reference: a typical value of the whole cost, by which it is scaled.
            seconds: most time; None = no limit.
            most_nodes: most nodes of HiGHS's search tree.
        """
        easy = self.relaxed(cost, reference)
        whole = np.array(self.whole, dtype=bool)
        if easy.values is None:
            return easy
        if np.abs(easy.values - easy.values.round())[whole].max(initial=0.0) < _WHOLE:
            return easy
        scale = _SCALE / (reference or 1.0)
        cost = self._padded(cost)
        options: dict[str, float] = {"mip_rel_gap": 0.0, "node_limit": most_nodes}
        if seconds is not None:
            options["time_limit"] = max(seconds, 0.0)
        rows = LinearConstraint(self.matrix, np.array(self.low), np.array(self.high))
        found = milp(
            cost * scale,
            integrality=whole.astype(np.int64),
            bounds=Bounds(np.zeros(len(self.upper)), np.array(self.upper)),
            constraints=[rows] if self.low else (),
            options=options,
        )
        if found.status == 2:
            return Found(None, np.inf, complete=True)
        bound = found.mip_dual_bound
        least = 0.0 if bound is None or not np.isfinite(bound) else max(bound, 0.0) / scale * _LESS
        return Found(found.x, least, complete=found.status == 0)

    def relaxed(self, cost: Floats, reference: float) -> Found:
        """The least cost in fractions, and a value that no solution beats, whatever the tolerances of HiGHS.

        From its dual values y a bound is made that holds for any y: with all variables between 0 and u, the cost is at
        least y b + sum of min(0, c - y A) u (Neumaier and Shcherbina, Safe bounds in linear and mixed-integer linear
        programming, Mathematical Programming 2004).
        """
        scale = 1.0 / (reference or 1.0)
        cost = self._padded(cost)
        matrix, low, high, upper = self.matrix, np.array(self.low), np.array(self.high), np.array(self.upper)
        same = low == high
        below, above = ~same & np.isfinite(high), ~same & np.isfinite(low)
        ends = np.concatenate([high[below], -low[above]])
        left = csr_array(_stacked(matrix[below], -matrix[above]))
        found = linprog(
            cost * scale,
            A_ub=left if len(ends) else None,
            b_ub=ends if len(ends) else None,
            A_eq=matrix[same] if same.any() else None,
            b_eq=low[same] if same.any() else None,
            bounds=np.stack([np.zeros(len(upper)), upper], axis=1),
            method="highs",
        )
        if found.status == 2:
            return Found(None, np.inf, complete=True)
        if found.status != 0:
            raise RefusedError(
                f"the linear program cannot be solved: HiGHS says {found.message!r}; report this problem"
            )
        forced = np.minimum(found.ineqlin.marginals, 0.0) if len(ends) else np.zeros(0)
        equal = found.eqlin.marginals if same.any() else np.zeros(0)
        rest = cost * scale - left.T @ forced - matrix[same].T @ equal
        value = float(ends @ forced + low[same] @ equal + np.minimum(rest, 0.0) @ upper)
        return Found(found.x, max(value / scale, 0.0) * _LESS, complete=True)

    def _padded(self, cost: Floats) -> Floats:
        """The cost of all variables, 0 for those that came after it was made."""
        return np.pad(cost, (0, len(self.upper) - len(cost)))


def _stacked(first: csr_array, second: csr_array) -> csr_array:
    from scipy.sparse import vstack

    return csr_array(vstack([first, second]))
