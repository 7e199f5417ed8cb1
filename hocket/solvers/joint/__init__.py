"""Ours: each block of a chain divided as suits it best."""

from hocket.solvers.joint.joint_split import JointSplit
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (JointSplit,)
"""In the order of the list."""
