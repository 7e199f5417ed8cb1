"""Finding plans: one file per algorithm, one verb, one contract."""

from hocket.solvers.auto import Auto
from hocket.solvers.bound import lower_bound
from hocket.solvers.chain_dp import ChainDp
from hocket.solvers.contract import ContractError, check_solver
from hocket.solvers.descent import Descent
from hocket.solvers.exhaustive import Exhaustive
from hocket.solvers.heads import table_of
from hocket.solvers.linear_scan import LinearScan
from hocket.solvers.local import Local
from hocket.solvers.min_cut import MinCut
from hocket.solvers.registry import SOLVERS, all_solvers, solve
from hocket.solvers.remote import Remote
from hocket.solvers.solution import Solution
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import MaxIterations, MaxRuntime, NoImprovement, Stop

__all__ = [
    "SOLVERS",
    "Auto",
    "ChainDp",
    "ContractError",
    "Descent",
    "Exhaustive",
    "LinearScan",
    "Local",
    "MaxIterations",
    "MaxRuntime",
    "MinCut",
    "NoImprovement",
    "Proposal",
    "Remote",
    "Solution",
    "Solver",
    "Stop",
    "all_solvers",
    "check_solver",
    "lower_bound",
    "solve",
    "table_of",
]
