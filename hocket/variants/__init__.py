"""Approximate rewrites of a model: another function, cheaper to divide, whose error is measured and never assumed."""

from hocket.variants.decouple import decouple, measured_error

__all__ = ["decouple", "measured_error"]
