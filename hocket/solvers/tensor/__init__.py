"""Transformers divided inside their layers: heads, neurons, positions."""

from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = ()
"""In the order of the list."""
