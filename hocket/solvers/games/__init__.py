"""Auctions, matchings, coalitions and potential games among many tasks."""

from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = ()
"""In the order of the list."""
