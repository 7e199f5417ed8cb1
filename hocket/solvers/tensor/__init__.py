"""Transformers divided inside their layers: heads, hidden units, positions."""

from hocket.solvers.solver import Solver
from hocket.solvers.tensor.detransformer import Detransformer
from hocket.solvers.tensor.galaxy import Galaxy
from hocket.solvers.tensor.hepti import Hepti
from hocket.solvers.tensor.megatron import Megatron
from hocket.solvers.tensor.pope_2d import Pope2d
from hocket.solvers.tensor.voltage import Voltage

SOLVERS: tuple[type[Solver], ...] = (Megatron, Pope2d, Voltage, Galaxy, Hepti, Detransformer)
"""In the order of the list."""
