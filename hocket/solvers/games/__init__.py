"""Auctions, matchings, coalitions and potential games among many tasks."""

from hocket.solvers.games.camera_coalition import CameraCoalition
from hocket.solvers.games.dds import Dds
from hocket.solvers.games.dia import Dia
from hocket.solvers.games.dina import Dina
from hocket.solvers.games.gafpd import Gafpd
from hocket.solvers.games.many_to_many import ManyToMany
from hocket.solvers.games.ucl import Ucl
from hocket.solvers.games.vcg_auction import VcgAuction
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (VcgAuction, CameraCoalition, Dds, Gafpd, Dina, Dia, Ucl, ManyToMany)
"""In the order of the list."""
