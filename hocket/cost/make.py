"""Putting a problem together from a model and a cluster, or from a problem file."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hocket.cluster import Cluster, load_cluster
from hocket.cost.leakage import LeakageTable
from hocket.cost.problem import NonNegative, Objective, Probability, Problem, Task, Trust
from hocket.cost.queueing import Queue
from hocket.cost.trust import RAW
from hocket.errors import FormatError
from hocket.graph import Graph
from hocket.nouns import complaint, read_bytes
from hocket.profile import Profile, formula_profile
from hocket.units import parse


def problem_for(
    graph: Graph,
    cluster: Cluster,
    *,
    profile: Profile | None = None,
    objective: Objective | None = None,
    source: str | None = None,
    name: str | None = None,
    **task: Any,
) -> Problem:
    """One task: a model whose inputs are born, and whose answers are needed, at one node.

    Args:
        graph: the model.
        cluster: nodes and links.
        profile: seconds of each operator; absent = the formula profile.
        objective: absent = latency.
        source: the node with the inputs; absent = the cluster's source.
        name: of the task; absent = the graph's.
        task: other fields of `Task`: rate_per_s, deadline_s, ...

    Raises:
        ClusterError: the source is no node.
        ProfileError: the profile is of another model or lacks operators.
    """
    home = cluster.require(source or cluster.source).name
    made = Task(
        name=name or graph.name,
        graph=graph,
        profile=profile or formula_profile(graph, cluster),
        inputs={tensor.name: home for tensor in graph.inputs},
        outputs=dict.fromkeys(graph.outputs, home),
        **task,
    )
    return Problem(tasks=(made,), cluster=cluster, objective=objective or Objective())


FORMAT = "hocket.problem/1"
_TASK_KEYS = {"name", "model", "shape", "profile", "source", "inputs", "outputs", "rate", "deadline", "accuracy",
              "reliability", "weight", "priority", "refusal_cost", "private", "trust", "leakage"}  # fmt: skip
_KEYS = {"format", "cluster", "task", "objective", "margin", "queue", "whole_model"}


def read_problem(path: str | Path, load_graph: Callable[[Path, Mapping[str, tuple[int, ...]]], Graph]) -> Problem:
    """Read a problem file (TOML): several tasks, their sources, rates and deadlines on one cluster.

    Args:
        path: the file; the paths in it are relative to it.
        load_graph: reads a model with the shapes of its inputs.

    Raises:
        FormatError: not such a file; the sentence names the key.
    """
    path = Path(path)
    data = _toml(path)
    _known(data, _KEYS, f"{path}")
    cluster = _cluster(path, data)
    tasks = data.get("task")
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        raise FormatError(f"{path}: a problem has at least one [[task]], got {tasks!r}; add one")
    made = tuple(_task(path, number, task, cluster, load_graph) for number, task in enumerate(tasks, 1))
    try:
        rest = msgspec.convert({key: data[key] for key in _REST if key in data}, _Rest)
    except msgspec.ValidationError as error:
        raise FormatError(f"{path}: {complaint(error)}; correct that key") from None
    return Problem(tasks=made, cluster=cluster, **{name: getattr(rest, name) for name in _REST})


class _Rest(msgspec.Struct):
    objective: Objective = Objective()
    margin: NonNegative = 0.0
    queue: Queue = "none"
    whole_model: bool = False


_REST = _Rest.__struct_fields__


def _toml(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path} is not TOML ({error}); correct that line") from None
    if data.get("format") != FORMAT:
        raise FormatError(f"{path} has format {data.get('format')!r} where {FORMAT!r} is needed; correct the format")
    return data


def _known(data: Mapping[str, Any], keys: set[str], where: str) -> None:
    for key in data:
        if key not in keys:
            raise FormatError(f"{where}: there is no key {key!r}; the keys are {', '.join(sorted(keys))}")


def _cluster(path: Path, data: Mapping[str, Any]) -> Cluster:
    name = data.get("cluster")
    if not isinstance(name, str):
        raise FormatError(f"{path}: the key 'cluster' is the path of a cluster file, got {name!r}; give one")
    return load_cluster(path.parent / name)


def _task(
    path: Path,
    number: int,
    data: Mapping[str, Any],
    cluster: Cluster,
    load_graph: Callable[[Path, Mapping[str, tuple[int, ...]]], Graph],
) -> Task:
    where = f"{path}: task {number}"
    _known(data, _TASK_KEYS, where)
    model = data.get("model")
    if not isinstance(model, str):
        raise FormatError(f"{where}: the key 'model' is a path or zoo:NAME, got {model!r}; give one")
    file = Path(model) if model.startswith("zoo:") else path.parent / model
    shapes = _shapes(where, data.get("shape", {}))
    graph = load_graph(file, shapes)
    for key in ("profile", "source"):
        if not isinstance(data.get(key, ""), str):
            raise FormatError(f"{where}: the key {key!r} is text, got {data[key]!r}; correct that key")
    profile = Profile.load(path.parent / data["profile"]) if "profile" in data else formula_profile(graph, cluster)
    source = cluster.require(data.get("source", cluster.source)).name
    graph_inputs = [tensor.name for tensor in graph.inputs]
    fields = {"accuracy": "accuracy_floor", "reliability": "reliability_floor", "weight": "weight",
              "priority": "priority", "refusal_cost": "refusal_cost", "trust": "trust"}  # fmt: skip
    values = {
        "name": data.get("name", graph.name),
        "inputs": data.get("inputs", dict.fromkeys(graph_inputs, source)),
        "outputs": data.get("outputs", dict.fromkeys(graph.outputs, source)),
        "rate_per_s": parse(data.get("rate", 0), "per_s"),
        "deadline_s": parse(data["deadline"], "seconds") if "deadline" in data else None,
        "private": list(graph_inputs) if data.get("private") == "all" else data.get("private", []),
        "leakage": _leakage(path, where, graph, data.get("leakage", {})),
        **{field: data[key] for key, field in fields.items() if key in data},
    }
    try:
        return Task(graph=graph, profile=profile, **msgspec.to_builtins(msgspec.convert(values, _TaskFields)))
    except msgspec.ValidationError as error:
        raise FormatError(f"{where}: {complaint(error)}; correct that key") from None


class _TaskFields(msgspec.Struct, omit_defaults=True):
    name: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    rate_per_s: float = 0.0
    deadline_s: float | None = None
    accuracy_floor: Probability | None = None
    reliability_floor: Probability | None = None
    weight: NonNegative = 1.0
    priority: int = 0
    refusal_cost: NonNegative | None = None
    private: tuple[str, ...] = ()
    trust: Trust = 0
    leakage: dict[str, dict[str, Probability]] = {}


def _leakage(path: Path, where: str, graph: Graph, data: object) -> object:
    """A table that `hocket leakage` wrote, by its path, or tensor -> leakage, or tensor -> codec -> leakage."""
    if isinstance(data, str):
        table = LeakageTable.load(path.parent / data)
        sha256 = graph.source.sha256 if graph.source else ""
        if table.sha256 and sha256 and table.sha256 != sha256:
            raise FormatError(
                f"{where}: leakage is measured of one model file, and {data!r} is of {table.sha256[:12]} where"
                f" {sha256[:12]} was given; measure this model"
            )
        return table.by_tensor()
    if not isinstance(data, dict):
        raise FormatError(f"{where}: the key 'leakage' is the path of a table or a table, got {data!r}; give one")
    return {tensor: known if isinstance(known, dict) else {RAW: known} for tensor, known in data.items()}


def _shapes(where: str, data: object) -> dict[str, tuple[int, ...]]:
    try:
        return msgspec.convert(data, dict[str, tuple[int, ...]])
    except msgspec.ValidationError:
        raise FormatError(
            f"{where}: 'shape' maps an input to numbers, got {data!r}; write x = [1, 3, 224, 224]"
        ) from None
