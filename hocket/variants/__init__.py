"""Rewrites of a model that make it cheaper or safer to divide; a change of the function is measured, never assumed."""

from hocket.variants.decouple import decouple, measured_error
from hocket.variants.importance import by_importance

__all__ = ["by_importance", "decouple", "measured_error"]
