"""What tensors of a model hold for some inputs, how they look after a codec, and what the model answers then."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from hocket.errors import GraphError, PlanError
from hocket.graph.execute import Runner
from hocket.graph.graph import Graph
from hocket.graph.model import Model
from hocket.plan.build import subgraph
from hocket.runtime.codecs import decode, encode, require
from hocket.runtime.noise import MECHANISMS, noise_of, noised


class Activations:
    """The tensors of a model with one input.

    Args:
        model: what is computed.
        inputs: (count, *shape of the input).
    """

    def __init__(self, model: Model, inputs: np.ndarray) -> None:
        self.model, self.graph, self.inputs = model, model.graph, inputs
        self.input = only_input(model.graph)

    def of(self, tensors: Sequence[str]) -> dict[str, np.ndarray]:
        """Tensor -> (count, *its shape)."""
        made = [name for name in tensors if name != self.input]
        found = self._run(needed(self.graph, made, ()), made, {self.input: self.inputs}) if made else {}
        return {self.input: self.inputs, **found}

    @cached_property
    def answers(self) -> np.ndarray:
        """(count,) the largest element of the first output."""
        return _largest(self.of([self.graph.outputs[0]])[self.graph.outputs[0]])

    def changed(self, tensor: str, values: np.ndarray) -> float:
        """Share of the inputs whose answer is another one if a tensor has other values.

        Args:
            tensor: whose values they are.
            values: (count, *its shape).
        """
        last = self.graph.outputs[0]
        if tensor == last:
            return float((_largest(values) != self.answers).mean())
        operators = needed(self.graph, [last], (tensor,))
        read = {name for operator in operators for name in self.graph.operator[operator].inputs}
        entering = {tensor: values, self.input: self.inputs} if self.input in read else {tensor: values}
        return float((_largest(self._run(operators, [last], entering)[last]) != self.answers).mean())

    def _run(
        self, operators: Sequence[str], outputs: Sequence[str], inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        runner = Runner(self.model, subgraph(self.model, operators, inputs, outputs))
        rows = [runner.run({name: values[row] for name, values in inputs.items()}) for row in range(len(self.inputs))]
        return {name: np.stack([row[name] for row in rows]) for name in outputs}


def only_input(graph: Graph) -> str:
    """The input that is reconstructed.

    Raises:
        GraphError: there are several, or it has no numbers that are near or far.
    """
    if len(graph.inputs) != 1:
        names = ", ".join(tensor.name for tensor in graph.inputs)
        raise GraphError(f"leakage is of the only input, and {graph.name!r} has {names}; give a model with one")
    tensor = graph.inputs[0]
    if not np.issubdtype(np.dtype(tensor.dtype), np.floating):
        raise GraphError(
            f"leakage is of an input of floating-point numbers, and {tensor.name!r} of {graph.name!r} is"
            f" {tensor.dtype}; give a model that begins after what makes them"
        )
    return tensor.name


def needed(graph: Graph, outputs: Sequence[str], known: Sequence[str]) -> list[str]:
    """The operators that outputs depend on if some tensors are known, in topological order."""
    wanted, found = set(outputs) - set(known), []
    for operator in reversed(graph.operators):
        if not wanted.isdisjoint(operator.outputs):
            found.append(operator.name)
            wanted |= set(operator.inputs) - set(known)
    return found[::-1]


def depths(graph: Graph) -> dict[str, int]:
    """Tensor -> operators on the longest way to it from an input."""
    found = {tensor.name: 0 for tensor in graph.inputs}
    for operator in graph.operators:
        depth = 1 + max((found.get(name, 0) for name in operator.inputs), default=0)
        found |= dict.fromkeys(operator.outputs, depth)
    return found


def as_sent(codec: str, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What arrives of tensors that a codec carries one by one; noise is seeded here, and nowhere else.

    Raises:
        PlanError: there is no such codec, or it does not fit.
    """
    require(codec)
    quantiser = codec.partition("+")[0]
    if quantiser == "raw":
        return values
    if values.dtype.kind != "f":
        raise PlanError(f"a codec that loses something is for floating-point tensors, got {values.dtype}; measure raw")
    if quantiser.startswith(MECHANISMS):
        return np.stack([noised(noise_of(quantiser), value, rng.bytes) for value in values])
    return np.stack([decode(codec, value.dtype.name, value.shape, *encode(codec, value)) for value in values])


def _largest(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.reshape(len(values), -1).argmax(axis=1))
