"""Small Transformers as exporters write them, and problems with them: seeded, no downloads."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from split_problems import split_problem

from hocket.cluster import Cluster
from hocket.cost import Objective, Problem, problem_for
from hocket.graph.model import Model
from hocket.graph.onnx import load_model

STYLES = ("bert", "bert_attention", "gpt", "vit")
"""Post-norm with separate projections; the same with the Attention operator; pre-norm, fused, causal; pre-norm with a
classifier on the first position."""


class _Writer:
    """Nodes and weights of one model."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self.random = np.random.default_rng(seed)
        self.count = 0

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        self.count += 1
        names = [f"{kind.lower()}_{self.count}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        name = f"w{len(self.weights)}"
        spread = scale / np.sqrt(shape[0]) if len(shape) > 1 else 0.2
        self.weights[name] = (self.random.standard_normal(shape) * spread).astype(np.float32)
        return name

    def ints(self, *values: int) -> str:
        name = f"i{len(self.weights)}"
        self.weights[name] = np.array(values, np.int64)
        return name

    def number(self, value: float) -> str:
        name = f"c{len(self.weights)}"
        self.weights[name] = np.array(value, np.float32)
        return name

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        return self.add("Add", self.add("MatMul", x, self.weight(inputs, outputs)), self.weight(outputs))

    def norm(self, x: str, width: int) -> str:
        return self.add("LayerNormalization", x, self.weight(width), self.weight(width), axis=-1)

    def gelu(self, x: str) -> str:
        """As exporters before opset 20 write it."""
        erf = self.add("Erf", self.add("Div", x, self.number(np.sqrt(2))))
        return self.add("Mul", self.add("Mul", x, self.add("Add", erf, self.number(1.0))), self.number(0.5))


def _attention(w: _Writer, x: str, style: str, n: int, width: int, heads: int) -> str:
    d = width // heads
    if style == "gpt":
        rows = w.add("Reshape", x, w.ints(n, width))
        fused = w.add("Gemm", rows, w.weight(width, 3 * width), w.weight(3 * width))
        first = w.add("Split", w.add("Reshape", fused, w.ints(1, n, 3 * width)), outputs=3, axis=2, num_outputs=3)
        projected = [first[:-1] + str(i) for i in range(3)]
    else:
        projected = [w.linear(x, width, width) for _ in range(3)]
    split = [w.add("Reshape", each, w.ints(1, n, heads, d)) for each in projected]
    if style == "bert_attention":
        q, k, v = (w.add("Transpose", each, perm=[0, 2, 1, 3]) for each in split)
        mixed = w.add("Attention", q, k, v)
    else:
        q, k, v = (
            w.add("Transpose", each, perm=[0, 2, 3, 1] if i == 1 else [0, 2, 1, 3]) for i, each in enumerate(split)
        )
        scores = w.add("Div", w.add("MatMul", q, k), w.number(np.sqrt(d)))
        if style == "gpt":
            w.weights["causal"] = np.triu(np.full((n, n), -1e4, np.float32), 1)
            scores = w.add("Add", scores, "causal")
        mixed = w.add("MatMul", w.add("Softmax", scores, axis=-1), v)
    joined = w.add("Reshape", w.add("Transpose", mixed, perm=[0, 2, 1, 3]), w.ints(1, n, width))
    if style == "gpt":
        rows = w.add("Gemm", w.add("Reshape", joined, w.ints(n, width)), w.weight(width, width), w.weight(width))
        return w.add("Reshape", rows, w.ints(1, n, width))
    return w.linear(joined, width, width)


def _mlp(w: _Writer, x: str, width: int, hidden: int) -> str:
    return w.linear(w.gelu(w.linear(x, width, hidden)), hidden, width)


@cache
def transformer(
    style: str = "bert", *, layers: int = 2, heads: int = 4, width: int = 32, hidden: int = 64, positions: int = 12
) -> Model:
    """A small Transformer with seeded weights."""
    w = _Writer(seed=STYLES.index(style))
    outputs = ["states"]
    if style == "vit":
        inputs = {"image": (TensorProto.FLOAT, [1, 3, 4 * (positions - 1), 4])}
        patches = w.add("Conv", "image", w.weight(width, 3, 4, 4), w.weight(width), kernel_shape=[4, 4], strides=[4, 4])
        rows = w.add("Transpose", w.add("Reshape", patches, w.ints(1, width, positions - 1)), perm=[0, 2, 1])
        w.weights["class"] = w.random.standard_normal((1, 1, width)).astype(np.float32)
        x = w.add("Concat", "class", rows, axis=1)
    else:
        inputs = {"tokens": (TensorProto.INT64, [1, positions])}
        x = w.add("Gather", w.weight(100, width, scale=10.0), "tokens", axis=0)
    w.weights["place"] = w.random.standard_normal((1, positions, width)).astype(np.float32)
    x = w.add("Add", x, "place")
    if style.startswith("bert"):
        x = w.norm(x, width)
    for _ in range(layers):
        if style.startswith("bert"):
            x = w.norm(w.add("Add", _attention(w, x, style, positions, width, heads), x), width)
            x = w.norm(w.add("Add", _mlp(w, x, width, hidden), x), width)
        else:
            x = w.add("Add", x, _attention(w, w.norm(x, width), style, positions, width, heads))
            x = w.add("Add", x, _mlp(w, w.norm(x, width), width, hidden))
    if not style.startswith("bert"):
        x = w.norm(x, width)
    if style == "vit":
        w.weights["first"] = np.array(0, np.int64)
        x = w.linear(w.add("Gather", x, "first", axis=1), width, 10)
    elif style == "gpt":
        x = w.add("MatMul", x, w.weight(width, 100))
    elif style == "bert":
        w.weights["first"] = np.array(0, np.int64)
        w.add("Tanh", w.linear(w.add("Gather", x, "first", axis=1), width, width))
        outputs.append(w.nodes[-1].output[0])
    w.nodes.append(helper.make_node("Identity", [x], ["states"]))
    return _saved(w, f"{style}_{layers}_{heads}_{width}_{hidden}_{positions}", inputs, outputs)


def _saved(w: _Writer, name: str, inputs: dict[str, tuple[int, list[int]]], outputs: list[str]) -> Model:
    graph = helper.make_graph(
        w.nodes,
        name,
        [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in outputs],
        [numpy_helper.from_array(value, key) for key, value in w.weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    path = Path(mkdtemp()) / f"{name}.onnx"
    onnx.save(model, str(path))
    return load_model(path)


def problem_at(model: Model, cluster: Cluster, *, metric: str = "latency") -> Problem:
    """One task at the cluster's source, with times from operation counts."""
    return problem_for(model.graph, cluster, objective=Objective(metric=metric))


def divided_problems(count: int, *, limited: bool = False) -> list[Problem]:
    """Small Transformers on clusters of unlike nodes, all metrics in turn.

    Args:
        count: how many.
        limited: one node of each cluster has little memory.
    """
    graphs = [transformer(style, hidden=512 if limited else 64).graph for style in STYLES]
    metrics = ("latency", "period", "energy", "price", "sequential")
    problems = [split_problem(seed, metrics[seed % 5], models=graphs) for seed in range(count)]
    return [_limited(problem) for problem in problems] if limited else problems


def _limited(problem: Problem) -> Problem:
    nodes = list(problem.cluster.nodes)
    last = max(number for number, node in enumerate(nodes) if node.name != problem.task.source)
    nodes[last] = nodes[last].replace(memory_bytes=problem.task.graph.weight_bytes * 2 // 3)
    return problem.replace(cluster=problem.cluster.replace(nodes=tuple(nodes)))
