"""How long each operator takes on each node: measured, predicted, or by formula."""

from hocket.profile.formula import formula_profile, speed_up
from hocket.profile.profile import CodecCost, NodeProfile, Profile

__all__ = ["CodecCost", "NodeProfile", "Profile", "formula_profile", "speed_up"]
