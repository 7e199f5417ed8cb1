"""Comparing solvers: a suite of problems, every solver on each, one table and one report."""

from hocket.comparison.compare import Comparison, compare
from hocket.comparison.load import SUITES, load_suite
from hocket.comparison.suite import Suite

__all__ = ["SUITES", "Comparison", "Suite", "compare", "load_suite"]
