"""Random weights scaled by measurement until every contraction's output has about unit spread.

Only then does comparing the outputs of a model without weights mean anything: with careless ones activations fade
to 1e-15 or overflow within a few dozen layers.
"""

import numpy as np
import onnx

from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.plan.build import subgraph

_SCALED = {"Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (1, 2), "MatMul": (1,)}
"""Kind -> the input indices that are multiplied by 1 / spread."""


def calibrated(model: Model, *, seed: int = 0) -> Model:
    """The model with random weights in place of absent ones, scaled once on one seeded input.

    Operators run one by one, each on the already scaled results of those before it. Models that bring weights
    come back as they are.
    """
    source = model.graph.source
    if source is None or source.has_weights:
        return model
    values = dict(random_inputs(model.graph, seed=seed))
    found: dict[str, np.ndarray] = {}
    for operator in model.graph.operators:
        proto = subgraph(model, [operator.name], operator.inputs, operator.outputs)
        values |= Runner(model, proto).run({name: values[name] for name in operator.inputs})
        scaled = _scaled(model, model.nodes[operator.name], values[operator.name], found)
        if scaled is not None:
            values[operator.name] = scaled
        for name in operator.inputs:
            if model.graph.readers[name][-1] == model.graph.index[operator.name]:
                del values[name]
    absent = {name: model.weight(name) for name in model.graph.weights if model.values(name) is None}
    return model.with_weights({**absent, **found})


def _scaled(model: Model, node: onnx.NodeProto, result: np.ndarray, found: dict[str, np.ndarray]) -> np.ndarray | None:
    """Divide an operator's weights by the spread of its result, and the result itself."""
    names = [node.input[i] for i in _SCALED.get(node.op_type, ()) if i < len(node.input) and node.input[i]]
    # Dividing the result is right only if all that adds up to it is divided, and only once.
    if not names or any(name not in model.initializers or name in found for name in names):
        return None
    if model.values(names[0]) is not None:
        return None
    spread = float(result.std())
    if not np.isfinite(spread) or spread == 0:
        return None
    for name in names:
        found[name] = (model.weight(name) / spread).astype(model.weight(name).dtype)
    return (result / spread).astype(result.dtype)
