"""Proven optima and bounds: integer programs, constraint programming, branch and bound, Pareto fronts."""

from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = ()
"""In the order of the list."""
