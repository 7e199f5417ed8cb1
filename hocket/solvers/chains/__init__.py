"""Layers over many nodes by dynamic programming, shortest paths and integer programs; pipelines."""

from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = ()
"""In the order of the list."""
