"""One cut, or a minimum cut: a task between a device and a server."""

from hocket.solvers.cuts.cic import Cic
from hocket.solvers.cuts.dads import Dads
from hocket.solvers.cuts.dnnsplit import DnnSplit
from hocket.solvers.cuts.dong_joint import DongJoint
from hocket.solvers.cuts.edgent import Edgent
from hocket.solvers.cuts.gan_defense import GanDefense
from hocket.solvers.cuts.hsms_adp import HsmsAdp
from hocket.solvers.cuts.loadpart import LoadPart
from hocket.solvers.cuts.miao_adaptive import MiaoAdaptive
from hocket.solvers.cuts.neurosurgeon import Neurosurgeon
from hocket.solvers.cuts.task_migration import TaskMigration
from hocket.solvers.cuts.throughput_max import ThroughputMax
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (
    Neurosurgeon,
    TaskMigration,
    LoadPart,
    Edgent,
    DnnSplit,
    HsmsAdp,
    Dads,
    ThroughputMax,
    Cic,
    GanDefense,
    DongJoint,
    MiaoAdaptive,
)
"""In the order of the list."""
