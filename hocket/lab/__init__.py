"""The testbed: a cluster as a small real network on one Linux computer, and faults in it."""

from hocket.lab.lab import Lab, down, names

__all__ = ["Lab", "down", "names"]
