"""How long each operator takes on each node: measured, predicted, or by formula."""

from hocket.profile.attribute import Measured, attribute_kernels, measured_profile
from hocket.profile.formula import formula_profile, speed_up
from hocket.profile.predict import Predictor, predict_node, predict_profile, train
from hocket.profile.profile import CodecCost, NodeProfile, Profile

__all__ = [
    "CodecCost",
    "Measured",
    "NodeProfile",
    "Predictor",
    "Profile",
    "attribute_kernels",
    "formula_profile",
    "measured_profile",
    "predict_node",
    "predict_profile",
    "speed_up",
    "train",
]
