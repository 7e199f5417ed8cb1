"""The model: what it computes, what that costs, and where it may be divided."""

from hocket.graph.graph import Graph, Operator, Source, Tensor, nbytes

__all__ = ["Graph", "Operator", "Source", "Tensor", "nbytes"]
