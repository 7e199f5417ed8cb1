"""Feature maps divided over nodes: rows, grids, fused tiles."""

from hocket.solvers.solver import Solver
from hocket.solvers.tiles.aofl import Aofl
from hocket.solvers.tiles.coedge import Coedge
from hocket.solvers.tiles.deepthings_ftp import DeepthingsFtp
from hocket.solvers.tiles.edgeflow import Edgeflow
from hocket.solvers.tiles.modnn import Modnn

SOLVERS: tuple[type[Solver], ...] = (Modnn, DeepthingsFtp, Aofl, Coedge, Edgeflow)
"""In the order of the list."""
