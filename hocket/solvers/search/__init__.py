"""Genetic algorithms, swarms and annealing."""

from hocket.solvers.search.autodice_explore import AutodiceExplore
from hocket.solvers.search.eosdnn import EosDnn
from hocket.solvers.search.fan_iiot import FanIiot
from hocket.solvers.search.feltin_throughput import FeltinThroughput
from hocket.solvers.search.hcea import Hcea
from hocket.solvers.search.na_ga import NaGa
from hocket.solvers.search.placement_partition import PlacementPartition
from hocket.solvers.search.yardsticks import Ga, Nsga2, Pso
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (
    NaGa,
    Hcea,
    EosDnn,
    AutodiceExplore,
    PlacementPartition,
    FanIiot,
    FeltinThroughput,
    Ga,
    Pso,
    Nsga2,
)
"""In the order of the list."""
