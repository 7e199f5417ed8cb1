"""Replicas, overlapped partitions and what is left when a node dies."""

from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = ()
"""In the order of the list."""
