"""Many tasks that share nodes and links: cuts and shares together."""

from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = ()
"""In the order of the list."""
