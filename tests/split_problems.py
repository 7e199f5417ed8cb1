"""Seeded problems whose operators can be divided: small models of the zoo on clusters of unlike nodes with ports."""

import random
from collections.abc import Sequence

from graphs import zoo_model

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, Problem, problem_for
from hocket.graph import Graph

CONVOLUTIONAL = ("toy_chain", "toy_dag", "lenet")
"""Small models with feature maps of rank 4."""


def split_cluster(rng: random.Random, nodes: int, *, flops_per_s: float, bytes_per_s: float) -> Cluster:
    """Unlike nodes, each linked to each, with ports.

    Args:
        rng: of all that is random.
        nodes: how many.
        flops_per_s: of a middling node.
        bytes_per_s: of a middling link.
    """
    names = [f"n{number}" for number in range(nodes)]
    made = tuple(
        Node(
            name=name,
            flops_per_s=flops_per_s * rng.choice([0.3, 1.0, 1.0, 3.0]) * rng.uniform(0.8, 1.2),
            compute_w=rng.choice([1.0, 2.0, 5.0]),
            transmit_w=rng.choice([0.0, 0.7]),
            receive_w=rng.choice([0.0, 0.3]),
            compute_price_per_s=rng.choice([0.0, 1e-4]),
            port_up_bytes_per_s=rng.choice([None, bytes_per_s]),
            port_down_bytes_per_s=rng.choice([None, bytes_per_s]),
            call_s=rng.choice([0.0, 1e-4]),
        )
        for name in names
    )
    links = tuple(
        Link(
            between=(a, b),
            up=Direction(bytes_per_s=bytes_per_s * rng.choice([0.5, 1.0, 2.0])),
            down=Direction(bytes_per_s=bytes_per_s * rng.choice([0.5, 1.0, 2.0])),
            latency_s=rng.choice([0.0, 1e-4]),
        )
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    )
    return Cluster(name="divided", nodes=made, links=links, source=rng.choice(names))


def split_problem(
    seed: int,
    metric: str = "latency",
    *,
    models: Sequence[str | Graph] = CONVOLUTIONAL,
    nodes: int | None = None,
    **task: object,
) -> Problem:
    """One model, which takes about a second on a middling node; sending its largest tensor takes from 1 ms to 1 s.

    Args:
        seed: equal seeds give equal problems.
        metric: of the objective.
        models: names of the zoo, or graphs that were loaded from ONNX; one of them is drawn.
        nodes: how many; absent = two to five.
        task: other fields of the task.
    """
    rng = random.Random(f"{seed} {metric} {nodes}")
    model = rng.choice(models)
    graph = zoo_model(model).graph if isinstance(model, str) else model
    largest = max(tensor.nbytes for tensor in graph.tensors)
    cluster = split_cluster(
        rng,
        nodes or rng.choice([2, 3, 4, 5]),
        flops_per_s=graph.flops,
        bytes_per_s=largest * rng.choice([1.0, 10.0, 100.0, 1000.0]),
    )
    return problem_for(graph, cluster, objective=Objective(metric=metric), **task)
