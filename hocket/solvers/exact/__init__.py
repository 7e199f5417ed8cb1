"""Proven optima and bounds: integer programs, constraint programming, branch and bound, Pareto fronts."""

from hocket.solvers.exact.branch_and_bound import BranchAndBound
from hocket.solvers.exact.cp_sat import CpSat
from hocket.solvers.exact.epsilon import Epsilon, Point, pareto
from hocket.solvers.exact.milp import Milp
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (Milp, BranchAndBound, CpSat, Epsilon)
"""In the order of the list."""

__all__ = ["SOLVERS", "BranchAndBound", "CpSat", "Epsilon", "Milp", "Point", "pareto"]
