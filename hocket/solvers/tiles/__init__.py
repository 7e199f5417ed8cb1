"""Feature maps divided over nodes: rows, grids, fused tiles."""

from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = ()
"""In the order of the list."""
