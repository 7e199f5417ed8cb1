"""Models to plan with at once: structure-only ONNX files, and pinned real weights and pictures."""

from hocket.zoo.listing import NAMES, model_path

__all__ = ["NAMES", "model_path"]
