"""The layers of a Transformer, for solvers: see `hocket.graph.layers`, which rewrites of models use too."""

from hocket.graph import Graph
from hocket.graph.layers import Half, Layers, Names, layers_of

__all__ = ["Half", "Layers", "Names", "layers_of", "refuses_layers"]


def refuses_layers(graph: Graph) -> str | None:
    """The reason of a solver for Transformers."""
    if not graph.body:
        return f"the operators of {graph.name!r} are not known as ONNX, so they cannot be divided"
    if layers_of(graph) is None:
        return (
            f"{graph.name!r} has no Transformer layers: blocks between single tensors that hold an attention and end in"
            " a matrix product with weights"
        )
    return None
