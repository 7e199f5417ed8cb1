"""Feature maps divided over nodes: rows, grids, fused tiles."""

from hocket.solvers.solver import Solver
from hocket.solvers.tiles.aofl import Aofl
from hocket.solvers.tiles.coedge import Coedge
from hocket.solvers.tiles.d3_vsm import D3Vsm
from hocket.solvers.tiles.deepthings_ftp import DeepthingsFtp
from hocket.solvers.tiles.edgeflow import Edgeflow
from hocket.solvers.tiles.mednn import Mednn
from hocket.solvers.tiles.modnn import Modnn
from hocket.solvers.tiles.pmp import Pmp
from hocket.solvers.tiles.repurpose import Repurpose

SOLVERS: tuple[type[Solver], ...] = (D3Vsm, Modnn, Mednn, DeepthingsFtp, Aofl, Coedge, Edgeflow, Pmp, Repurpose)
"""In the order of the list."""
