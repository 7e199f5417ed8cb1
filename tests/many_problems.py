"""Seeded problems of many tasks: devices around one server, and devices that several servers can help."""

import random
from collections.abc import Sequence

from problems import chain, profile_of

from hocket.cluster import Cluster, Direction, Link, Medium, Node
from hocket.cost import Objective, Problem, Task
from hocket.graph import Graph


def _graph(rng: random.Random, blocks: int) -> Graph:
    sizes = [rng.choice([64, 256, 1024, 4096]) for _ in range(blocks)]
    return chain(sizes, weights=[rng.choice([0, 1000, 40_000]) for _ in sizes], first=rng.choice([1024, 4096, 8192]))


def _task(rng: random.Random, number: int, graph: Graph, speeds: dict[str, float], options: dict[str, object]) -> Task:
    device = f"d{number}"
    work = [rng.choice([2e-4, 1e-3, 4e-3]) for _ in graph.operators]
    profile = profile_of(graph, {node: [w / speed for w in work] for node, speed in speeds.items()})
    return Task(
        name=f"t{number}",
        graph=graph,
        profile=profile,
        inputs={graph.inputs[0].name: device},
        outputs={graph.outputs[0]: device},
        rate_per_s=rng.choice([1.0, 2.0, 5.0]) if options.get("rates") else 0.0,
        deadline_s=rng.choice([0.5, 1.0]) if options.get("deadlines") else None,
        weight=rng.choice([0.5, 1.0, 2.0]) if options.get("weights") else 1.0,
    )


def _node(rng: random.Random, name: str, **fields: object) -> Node:
    return Node(
        name=name,
        flops_per_s=1e9,
        compute_w=rng.choice([1.0, 5.0, 20.0]),
        transmit_w=rng.choice([0.0, 1.0]),
        compute_price_per_s=rng.choice([0.0, 1e-4]),
        **fields,
    )


def many_to_one(
    seed: int, *, devices: int = 3, blocks: int = 4, metric: str = "latency", aggregate: str = "mean", **options: object
) -> Problem:
    """Devices around one server.

    Args:
        seed: equal seeds give equal problems.
        devices: how many, each with one task.
        blocks: of each chain.
        metric: of the objective.
        aggregate: of the objective.
        options: rates, deadlines, weights, cell (links draw on one medium), cores, gains (of the server), queue.
    """
    return many_to_many(seed, devices=devices, servers=1, blocks=blocks, metric=metric, aggregate=aggregate, **options)


def many_to_many(
    seed: int,
    *,
    devices: int = 3,
    servers: int = 2,
    blocks: int = 4,
    metric: str = "latency",
    aggregate: str = "mean",
    **options: object,
) -> Problem:
    """Devices that each have a link to every server; servers are joined. See `many_to_one`."""
    rng = random.Random(f"{seed} {devices} {servers} {blocks} {sorted(options)}")
    cores: dict[str, object] = {"cores": int(options.get("cores", 1)), "core_gains": options.get("gains", ())}
    names = [f"s{number}" for number in range(servers)]
    nodes = [_node(rng, f"d{number}") for number in range(devices)]
    nodes += [_node(rng, name, **cores) for name in names]
    cell = bool(options.get("cell"))
    links = [_link(rng, f"d{number}", name, cell) for number in range(devices) for name in names]
    links += [
        Link(between=(a, b), up=Direction(bytes_per_s=1e8), down=Direction(bytes_per_s=1e8), latency_s=1e-3)
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]
    media = tuple(Medium(name=f"air_{name}", bytes_per_s=rng.choice([1e6, 4e6])) for name in names) if cell else ()
    cluster = Cluster(name="many", nodes=tuple(nodes), links=tuple(links), media=media)
    speeds = {name: rng.choice([5.0, 10.0, 30.0]) for name in names}
    tasks = tuple(
        _task(rng, number, _graph(rng, blocks), {f"d{number}": rng.choice([0.3, 1.0]), **speeds}, options)
        for number in range(devices)
    )
    return Problem(
        tasks=tasks,
        cluster=cluster,
        objective=Objective(metric=metric, aggregate=aggregate),
        queue=str(options.get("queue", "none")),
    )


def _link(rng: random.Random, device: str, server: str, cell: bool) -> Link:
    latency_s = rng.choice([0.0, 1e-3])
    if cell:
        return Link(between=(device, server), latency_s=latency_s, media=(f"air_{server}",))
    rate = Direction(bytes_per_s=rng.choice([5e5, 2e6, 1e7]))
    return Link(between=(device, server), up=rate, down=rate, latency_s=latency_s)


def class_of(count: int, *, many: bool = False, sizes: Sequence[int] = (2, 3, 4)) -> list[Problem]:
    """Problems of every kind that the generators know."""
    make = many_to_many if many else many_to_one
    return [
        make(
            seed,
            devices=sizes[seed % len(sizes)],
            blocks=3 + seed % 3,
            metric=("latency", "sequential")[seed % 7 == 0],
            aggregate=("mean", "max", "sum")[seed % 3],
            cell=seed % 2 == 0,
            rates=seed % 4 == 1,
            deadlines=seed % 5 == 2,
            weights=seed % 3 == 1,
            cores=4 if seed % 4 == 2 else 1,
        )
        for seed in range(count)
    ]
