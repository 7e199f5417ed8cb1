"""Graphs, placements and models for tests: seeded, small, and with every awkward shape that a planner meets."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, Problem, Task
from hocket.graph import Graph, Operator, Tensor
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.profile import NodeProfile, Profile

MODELS = Path(__file__).parent.parent / "hocket" / "zoo" / "models"
DENSE = ("Conv", "MatMul", "Gemm", "Concat", "MaxPool")
CHEAP = ("Relu", "Reshape", "Add", "Sigmoid")


@cache
def zoo_model(name: str) -> Model:
    """A model of the zoo, read once per test run."""
    return load_model(MODELS / f"{name}.onnx")


def operator(name: str, *inputs: str, kind: str = "Conv", more: Sequence[str] = (), **fields: object) -> Operator:
    """An operator with one output and, if asked for, more."""
    return Operator(name=name, kind=kind, inputs=inputs, outputs=(name, *more), **fields)


def graph_of(
    *operators: Operator,
    inputs: Sequence[str] = ("x",),
    outputs: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
) -> Graph:
    """A graph of bytes: `sizes` is the number of bytes of a tensor (1000 if it is not named)."""
    names = [*inputs, *(name for op in operators for name in op.outputs)]
    tensors = {name: Tensor(name=name, dtype="int8", shape=((sizes or {}).get(name, 1000),)) for name in names}
    weights = {name: 100 for op in operators for name in op.weights}
    return Graph(
        name="hand",
        inputs=tuple(tensors[name] for name in inputs),
        outputs=tuple(outputs) or (operators[-1].name,),
        operators=operators,
        tensors=tuple(tensors.values()),
        weights=weights,
    )


def random_graph(seed: int, operators: int = 12, *, inputs: int = 1) -> Graph:
    """A random DAG: chains, branches, skips, several outputs, an operator with two results, readers of an input."""
    generator = np.random.default_rng(seed)
    entering = [f"x{i}" for i in range(inputs)]
    made = list(entering)
    rows: list[Operator] = []
    for number in range(operators):
        near = min(len(made), int(generator.integers(1, 6)))
        most = min(near, 1 if generator.random() < 0.55 else 3)
        reads = generator.choice(made[-near:], size=int(generator.integers(1, most + 1)), replace=False)
        kind = str(generator.choice(CHEAP if generator.random() < 0.3 else DENSE))
        name = f"t{number}"
        more = (f"{name}b",) if generator.random() < 0.08 else ()
        flops = float(generator.integers(1, 1000)) * 1e6
        rows.append(operator(name, *map(str, reads), kind=kind, more=more, flops=flops, weights=(f"w{number}",)))
        made += [name, *more]
    read = {name for row in rows for name in row.inputs}
    ends = [name for name in made if name not in read and name not in entering]
    sizes = {name: int(generator.integers(1, 400)) * 1000 for name in made}
    return graph_of(*rows, inputs=entering, outputs=ends, sizes=sizes)


def random_places(seed: int, count: int, nodes: Sequence[str], *, run: float = 3.0) -> list[str]:
    """A node for each of `count` operators; neighbours agree for `run` operators on average."""
    generator = np.random.default_rng(seed)
    places: list[str] = []
    while len(places) < count:
        places += [str(generator.choice(nodes))] * int(generator.geometric(1 / run))
    return places[:count]


def node(name: str, flops_per_s: float = 1e9, **fields: object) -> Node:
    """A node of 1 GFLOP/s."""
    return Node(name=name, flops_per_s=flops_per_s, **fields)


def link(a: str, b: str, bytes_per_s: float | None = 1e6, latency_s: float = 0.0, **fields: object) -> Link:
    """A link with the same rate both ways."""
    direction = Direction(bytes_per_s=bytes_per_s)
    return Link(between=(a, b), **({"up": direction, "down": direction, "latency_s": latency_s} | fields))


def mesh(*nodes: Node, bytes_per_s: float | None = 1e6, latency_s: float = 0.0) -> Cluster:
    """Nodes, each linked to each."""
    links = tuple(link(a.name, b.name, bytes_per_s, latency_s) for i, a in enumerate(nodes) for b in nodes[i + 1 :])
    return Cluster(name="mesh", nodes=nodes, links=links)


def profile_of(graph: Graph, seconds: Mapping[str, Mapping[str, float]], **fields: object) -> Profile:
    """A profile from node -> operator -> seconds; operators that are not named take none."""
    none = {row.name: 0.0 for row in graph.operators}
    entries = tuple(NodeProfile(node=name, seconds=none | dict(times), **fields) for name, times in seconds.items())
    return Profile(graph=graph.name, sha256=graph.source.sha256 if graph.source else "", how="formula", entries=entries)


def problem_of(
    graph: Graph,
    cluster: Cluster,
    profile: Profile,
    *,
    objective: Objective | None = None,
    task: Mapping[str, object] | None = None,
    **fields: object,
) -> Problem:
    """A problem of one task whose inputs and outputs are at the source of the cluster."""
    made = Task(
        **(
            {
                "name": "task",
                "graph": graph,
                "profile": profile,
                "inputs": {tensor.name: cluster.source for tensor in graph.inputs},
                "outputs": dict.fromkeys(graph.outputs, cluster.source),
            }
            | dict(task or {})
        )
    )
    return Problem(tasks=(made,), cluster=cluster, objective=objective or Objective(), **fields)


def write_model(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    *,
    inputs: Mapping[str, Sequence[int | str] | None],
    outputs: Sequence[str] | Mapping[str, Sequence[int]],
    weights: Mapping[str, np.ndarray] | None = None,
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
    external: bool = False,
) -> Path:
    """Write a small ONNX file; outputs have a declared shape only where one is given."""
    shapes = outputs if isinstance(outputs, Mapping) else {}
    graph = helper.make_graph(
        list(nodes),
        path.stem,
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes.get(name)) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(path), save_as_external_data=external, size_threshold=0, location=f"{path.stem}.bin")
    return path
