"""Drawing random data and operators."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from region_harness import Arrays, Case

Draw = Callable[[st.SearchStrategy[Any]], Any]


def number(draw: Draw, lo: int, hi: int) -> int:
    """A random whole number, both ends included."""
    return int(draw(st.integers(lo, hi)))


def one_of(draw: Draw, *values: Any) -> Any:
    """One of some values."""
    return draw(st.sampled_from(values))


def noise(draw: Draw, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Random data."""
    generator = np.random.default_rng(number(draw, 0, 9))
    if dtype in ("int64", "int32"):
        return generator.integers(-5, 6, shape).astype(dtype)
    if dtype in ("uint8", "int8"):
        return generator.integers(1, 100, shape).astype(dtype)
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    return np.asarray(generator.standard_normal(shape).astype(dtype))


def case(kind: str, inputs: Arrays, weights: Arrays | None = None, known: Arrays | None = None, **more: Any) -> Case:
    """Inputs, then weights, then constants, in this order unless one is given."""
    weights, known = weights or {}, known or {}
    attributes = more.pop("attributes", {})
    order = more.pop("order", tuple({**inputs, **weights, **known}))
    return Case(kind, inputs, {**weights, **known}, order, attributes, known=frozenset(known), **more)


def ints(*values: int) -> np.ndarray:
    """A constant of whole numbers."""
    return np.array(values, np.int64)
