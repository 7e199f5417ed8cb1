"""The plan, its checks, and its lowering to a program."""

from hocket.plan.plan import Copies, Crossing, Entry, Gate, Plan, Run, Setting, Split

__all__ = ["Copies", "Crossing", "Entry", "Gate", "Plan", "Run", "Setting", "Split"]
