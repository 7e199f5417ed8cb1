"""The planning rules that other systems ship, as baselines."""

from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = ()
"""In the order of the list."""
