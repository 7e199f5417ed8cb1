"""Problems for the games: devices in the cells of servers, seeded."""

import random

from problems import chain, graph_of, profile_of, random_edges

from hocket.cluster import Cluster, Direction, Link, Medium, Node
from hocket.cost import Objective, Problem, Task


def cells(
    seed: int,
    *,
    devices: int = 4,
    servers: int = 2,
    metric: str = "latency",
    hears: int | None = None,
    size: int = 6,
    shape: str = "chain",
    aggregate: str = "mean",
    clocks: bool = False,
    speed_up: float = 20.0,
    **task: object,
) -> Problem:
    """Devices with one task each; every server has a cell of its own, whose air its devices share.

    Args:
        seed: equal seeds give equal problems.
        devices: how many.
        servers: how many; each device hears the `hears` nearest of them, absent = all.
        metric: of the objective.
        hears: see `servers`.
        size: operators of each model.
        shape: chain, diamond or dag.
        aggregate: of the objective.
        clocks: nodes choose their frequency, and their power grows with its cube.
        speed_up: how many times faster than a device a server is, about.
        task: fields of every task.
    """
    rng = random.Random(f"cells {seed} {devices} {servers} {metric} {hears} {size} {shape}")
    names = [f"device{i}" for i in range(devices)], [f"server{i}" for i in range(servers)]
    spots = {name: (rng.random(), rng.random()) for name in (*names[0], *names[1])}
    nodes = [_node(rng, name, clocks) for name in (*names[0], *names[1])]
    links, tasks = [], []
    speeds = {name: speed_up * rng.uniform(0.6, 1.6) for name in names[1]}
    for device in names[0]:
        graph = _graph(rng, size, shape)
        work = [rng.choice([2e-3, 1e-2, 4e-2]) for _ in range(size)]
        slow = rng.uniform(0.7, 2.0)
        near = sorted(names[1], key=lambda name: _distance(spots[device], spots[name]))[: hears or servers]
        seconds = {device: [w * slow for w in work]} | {
            name: [w / speeds[name] * rng.uniform(0.8, 1.25) for w in work] for name in near
        }
        for name in near:
            rate = 37.5e6 / (1 + 0.5 * _distance(spots[device], spots[name]))
            both = Direction(bytes_per_s=rate)
            links.append(Link(between=(device, name), up=both, down=both, latency_s=1e-3, media=(f"cell{name[6:]}",)))
        tasks.append(
            Task(
                name=f"task{device[6:]}",
                graph=graph,
                profile=profile_of(graph, seconds, call_s=1e-4),
                inputs={tensor.name: device for tensor in graph.inputs},
                outputs=dict.fromkeys(graph.outputs, device),
                **task,
            )
        )
    media = tuple(Medium(name=f"cell{i}", bytes_per_s=37.5e6) for i in range(servers))
    cluster = Cluster(name="cells", nodes=tuple(nodes), links=tuple(links), media=media)
    return Problem(tasks=tuple(tasks), cluster=cluster, objective=Objective(metric=metric, aggregate=aggregate))


def _node(rng: random.Random, name: str, clocks: bool) -> Node:
    device = name.startswith("device")
    return Node(
        name=name,
        flops_per_s=1e9,
        compute_w=rng.uniform(2.0, 5.0) if device else rng.uniform(20.0, 40.0),
        transmit_w=rng.uniform(0.5, 1.5) if device else 1.0,
        compute_price_per_s=0.0 if device else 1e-4,
        energy_price_per_j=3e-8,
        kappa=(4e-27 if device else 1.5e-27) if clocks else None,
        frequency_hz=((0.4e9, 1.0e9) if device else (0.8e9, 3.0e9)) if clocks else None,
    )


def _graph(rng: random.Random, size: int, shape: str) -> object:
    sizes = [rng.choice([500, 4_000, 30_000]) for _ in range(size - 1)] + [10]
    if shape == "chain":
        return chain(sizes, first=rng.choice([5_000, 40_000]))
    return graph_of(random_edges(rng, size, shape, 1), sizes, inputs=(rng.choice([5_000, 40_000]),), name=shape)


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)
