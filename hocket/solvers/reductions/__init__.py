"""From a DAG to a chain and back."""

from hocket.solvers.reductions.chained import Chained
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (Chained,)
"""In the order of the list."""
