"""The problems of a suite: written down so that any process can make them, then made."""

import hashlib
from functools import lru_cache
from itertools import product
from pathlib import Path

from hocket.cluster import Cluster
from hocket.comparison.fleets import cluster_of, matching
from hocket.comparison.suite import Group, Relative, Suite, Variant
from hocket.cost import Objective, Problem, problem_for
from hocket.errors import FormatError
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.nouns import Value, read_bytes
from hocket.units import parse
from hocket.zoo import model_path


class Instance(Value, frozen=True):
    """One problem of a suite. Equal instances are equal problems."""

    name: str
    """GROUP/MODELS/CLUSTER/OBJECTIVE, and /VARIANT where it is not plain."""
    group: str
    architecture: str
    """One of the five, or `file`."""
    models: tuple[str, ...]
    """Paths of ONNX files or zoo:NAME, in the order of the tasks."""
    sha256: tuple[str, ...]
    cluster: Cluster
    objective: Objective
    objective_name: str
    variant: Variant


def instances_of(suite: Suite, group: Group) -> list[Instance]:
    """The problems of a group, in the order of its lists.

    Raises:
        FormatError: a cluster or a model that is not there, or two problems with one name.
    """
    clusters = {name: cluster_of(name, suite.clusters[name]) for name in group.clusters}
    found: dict[str, Instance] = {}
    for models, cluster, objective, variant in product(group.models, group.clusters, group.objectives, group.variants):
        names = (models,) if isinstance(models, str) else models
        short = "+".join(_short(name) for name in names)
        parts = [group.name, short, cluster, objective, *([variant] if variant != "plain" else [])]
        instance = Instance(
            name="/".join(parts),
            group=group.name,
            architecture=suite.clusters[cluster].architecture or "file",
            models=names,
            sha256=tuple(hashlib.sha256(read_bytes(_file(name))).hexdigest() for name in names),
            cluster=clusters[cluster],
            objective=suite.objectives.get(objective) or Objective(metric=objective),  # type: ignore[arg-type]
            objective_name=objective,
            variant=suite.variants.get(variant, Variant()),
        )
        if instance.name in found:
            raise FormatError(f"two problems have the name {instance.name!r}; name a model, a cluster and so on once")
        found[instance.name] = instance
    return list(found.values())


def _short(model: str) -> str:
    return model.removeprefix("zoo:") if model.startswith("zoo:") else Path(model).stem


def _file(model: str) -> Path:
    return model_path(model.removeprefix("zoo:")) if model.startswith("zoo:") else Path(model)


@lru_cache(maxsize=4)
def model_of(name: str) -> Model:
    """A model by its name in a suite; kept, because rows of one problem follow each other."""
    return load_model(_file(name))


def problem_of(instance: Instance) -> Problem:
    """Make the problem.

    Raises:
        HocketError: it contradicts itself; the sentence says where.
    """
    where, variant, cluster = instance.name, instance.variant, instance.cluster
    graphs = [model_of(model).graph for model in instance.models]
    cluster = _limited(where, variant, cluster, sum(graph.weight_bytes for graph in graphs))
    patterns = variant.sources or (cluster.source,)
    sources = list(dict.fromkeys(node for p in patterns for node in matching(where, "sources", p, cluster)))
    tasks = []
    for number in range(max(len(sources), len(graphs))):
        graph, source = graphs[number % len(graphs)], sources[number % len(sources)]
        name = graph.name if len(sources) == len(graphs) == 1 else f"{number + 1}:{graph.name}@{source}"
        made = problem_for(graph, cluster, source=source, name=name)
        local_s = made.references["latency"]
        tasks.append(
            made.task.replace(
                rate_per_s=_absolute(variant.rate, "per_s", 1 / local_s if local_s else 0.0) or 0.0,
                deadline_s=_absolute(variant.deadline, "seconds", local_s),
                reliability_floor=variant.reliability,
                accuracy_floor=variant.accuracy,
                input_codecs=variant.input_codecs,
            )
        )
    return Problem(
        tasks=tuple(tasks),
        cluster=cluster,
        objective=instance.objective,
        margin=variant.margin,
        queue=variant.queue,
        whole_model=variant.whole_model,
    )


def _absolute(value: Relative | None, dimension: str, unit: float) -> float | None:
    """A quantity in its SI unit, from text or from a number of some unit."""
    if value is None:
        return None
    return parse(value, dimension) if isinstance(value, str) else value * unit


def _limited(where: str, variant: Variant, cluster: Cluster, weight_bytes: int) -> Cluster:
    limits: dict[str, int] = {}
    for pattern, value in variant.memory.items():
        nbytes = int(_absolute(value, "bytes", weight_bytes) or 0)
        limits |= dict.fromkeys(matching(where, "memory", pattern, cluster), nbytes)
    nodes = [node.replace(memory_bytes=limits[node.name]) if node.name in limits else node for node in cluster.nodes]
    return cluster.replace(nodes=tuple(nodes))
