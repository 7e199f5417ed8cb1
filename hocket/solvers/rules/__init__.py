"""The planning rules that other systems ship, as baselines."""

from hocket.solvers.rules.accelerate import Accelerate
from hocket.solvers.rules.exo import Exo
from hocket.solvers.rules.llama_cpp_layer import LlamaCppLayer
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (Exo, Accelerate, LlamaCppLayer)
"""In the order of the list."""
