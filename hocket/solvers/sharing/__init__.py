"""Many tasks that share nodes and links: cuts and shares together."""

from hocket.solvers.sharing.cut_and_share import CutAndShare
from hocket.solvers.sharing.ddpra import Ddpra
from hocket.solvers.sharing.fan_edgecloud import FanEdgecloud
from hocket.solvers.sharing.iao import Iao
from hocket.solvers.sharing.jpdra import Jpdra
from hocket.solvers.sharing.mjoa_mu import MjoaMu
from hocket.solvers.sharing.mv_jramp import MvJramp
from hocket.solvers.sharing.pra_sac import PraSac
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (
    CutAndShare,
    Iao,
    MvJramp,
    FanEdgecloud,
    MjoaMu,
    Jpdra,
    Ddpra,
    PraSac,
)
"""In the order of the list."""
