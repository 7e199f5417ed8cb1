"""Replicas, overlapped partitions and what is left when a node dies."""

from hocket.solvers.robust.aspm import Aspm
from hocket.solvers.robust.continuer import Continuer
from hocket.solvers.robust.cpo_sa3_fmtr import CpoSa3Fmtr
from hocket.solvers.robust.replica_search import ReplicaSearch
from hocket.solvers.robust.robustdice import Robustdice
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (CpoSa3Fmtr, Aspm, Continuer, ReplicaSearch, Robustdice)
"""In the order of the list."""
