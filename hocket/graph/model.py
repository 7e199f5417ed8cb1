"""A model: its graph for the planners, and the ONNX nodes and weights that computing it takes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import onnx

from hocket.errors import GraphError
from hocket.graph.graph import Graph
from hocket.graph.weights import checked, random_weight


@dataclass(frozen=True)
class Model:
    """What `load_model` makes: every shape fixed, every constant folded, every operator named by its first output."""

    graph: Graph
    nodes: Mapping[str, onnx.NodeProto]
    """Operator name -> its ONNX node; the node's name is the operator's."""
    constants: Mapping[str, onnx.NodeProto]
    """Tensor -> the node that makes it from weights alone (a transposed or dequantised weight)."""
    initializers: Mapping[str, onnx.TensorProto]
    """Name -> type and dimensions; the data may be absent."""
    values: Callable[[str], np.ndarray | None]
    """Gives the data of an initializer from the file, None where the file has none."""
    opsets: Mapping[str, int]
    ir_version: int
    overrides: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Data used instead of the file's."""

    def with_weights(self, weights: Mapping[str, np.ndarray]) -> "Model":
        """The same model with other data for some initializers.

        Raises:
            GraphError: an unknown name, or another shape or type.
        """
        for name in weights:
            if name not in self.initializers:
                raise GraphError(
                    f"a weight has the name of an initializer, and {name!r} is none of {self.graph.name!r};"
                    " give one that its graph lists"
                )
        given = {name: checked(self.initializers[name], value) for name, value in weights.items()}
        changed = {**self.overrides, **given}
        return replace(self, overrides=changed, graph=_weighty(self, changed))

    def weight(self, name: str) -> np.ndarray:
        """The data of an initializer: given, from the file, or else seeded random numbers of a sensible size."""
        if name in self.overrides:
            return self.overrides[name]
        value = self.values(name)
        return random_weight(self.initializers[name], *self.uses.get(name, ("", 0))) if value is None else value

    @cached_property
    def uses(self) -> dict[str, tuple[str, int]]:
        """Initializer -> (kind, input index) of its first reader."""
        uses: dict[str, tuple[str, int]] = {}
        for node in [*self.nodes.values(), *self.constants.values()]:
            for index, name in enumerate(node.input):
                if name in self.initializers:
                    uses.setdefault(name, (node.op_type, index))
        return uses

    def closure(self, names: Iterable[str]) -> tuple[list[onnx.NodeProto], list[str]]:
        """What a set of operators needs besides activations.

        Returns:
            The constant nodes in the order in which they must run, and the initializers, sorted.
        """
        needed: dict[str, onnx.NodeProto] = {}
        weights: set[str] = set()

        def visit(node: onnx.NodeProto) -> None:
            for name in reads(node):
                if name in self.constants and name not in needed:
                    visit(self.constants[name])
                    needed.update(dict.fromkeys(self.constants[name].output, self.constants[name]))
                elif name in self.initializers:
                    weights.add(name)

        for name in names:
            visit(self.nodes[name])
        unique = {id(node): node for node in needed.values()}
        return list(unique.values()), sorted(weights)


def reads(node: onnx.NodeProto) -> list[str]:
    """Names that a node reads, those that its sub-graphs capture included, each once."""
    names = dict.fromkeys(name for name in node.input if name)
    for attribute in node.attribute:
        bodies = [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else list(attribute.graphs)
        for body in bodies:
            inside = {value.name for value in [*body.input, *body.initializer]}
            for inner in body.node:
                names.update(dict.fromkeys(name for name in reads(inner) if name not in inside))
                inside.update(inner.output)
            names.update(dict.fromkeys(value.name for value in body.output if value.name not in inside))
    return list(names)


def _weighty(model: Model, overrides: Mapping[str, np.ndarray]) -> Graph:
    """The graph, noting that no weight is missing any more if the overrides fill every gap."""
    source = model.graph.source
    if source is None or source.has_weights:
        return model.graph
    whole = all(name in overrides or model.values(name) is not None for name in model.graph.weights)
    return model.graph.replace(source=source.replace(has_weights=whole))
