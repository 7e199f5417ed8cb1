"""The planning rules that other systems ship, as baselines."""

from hocket.solvers.rules.accelerate import Accelerate
from hocket.solvers.rules.distributed_llama import DistributedLlama
from hocket.solvers.rules.exo import Exo
from hocket.solvers.rules.halda import Halda, HaldaPaper
from hocket.solvers.rules.llama_cpp_layer import LlamaCppLayer
from hocket.solvers.rules.llama_cpp_tensor import LlamaCppTensor
from hocket.solvers.rules.petals import Petals
from hocket.solvers.rules.pipeedge import PipeedgeShipped
from hocket.solvers.rules.pipeedge_revauct import PipeedgeRevauct
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (
    Exo,
    Petals,
    Halda,
    HaldaPaper,
    PipeedgeShipped,
    PipeedgeRevauct,
    Accelerate,
    LlamaCppLayer,
    DistributedLlama,
    LlamaCppTensor,
)
"""In the order of the list."""
