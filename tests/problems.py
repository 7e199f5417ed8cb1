"""Problems for the tests of solvers: seeded random ones of every shape, and named ones whose answer is known."""

import random
from collections.abc import Sequence

from hocket.cluster import Cluster, Direction, Link, Medium, Node
from hocket.cost import Objective, Problem, Task
from hocket.graph import Graph, Operator, Tensor
from hocket.profile import CodecCost, NodeProfile, Profile

FLOAT = "float32"


def graph_of(
    edges: Sequence[Sequence[int]],
    sizes: Sequence[int],
    *,
    inputs: Sequence[int] = (256,),
    weights: Sequence[int] | None = None,
    outputs: Sequence[int] = (-1,),
    kinds: Sequence[str] | None = None,
    name: str = "made",
) -> Graph:
    """A graph by hand.

    Args:
        edges: for each operator the operators that it reads; -1, -2, ... are the inputs of the graph.
        sizes: elements of each operator's output.
        inputs: elements of each input.
        weights: bytes of each operator's weights; absent = none.
        outputs: operators whose results are answers; negative counts from the end.
        kinds: ONNX kinds; absent = Conv everywhere.
    """
    entering = tuple(Tensor(name=f"x{i}", dtype=FLOAT, shape=(size,)) for i, size in enumerate(inputs))
    weights = weights or [0] * len(edges)
    operators = tuple(
        Operator(
            name=f"t{i}",
            kind=kinds[i] if kinds else "Conv",
            inputs=tuple(dict.fromkeys(f"t{r}" if r >= 0 else f"x{-r - 1}" for r in reads)),
            outputs=(f"t{i}",),
            weights=(f"w{i}",) if weights[i] else (),
            weight_bytes=weights[i],
        )
        for i, reads in enumerate(edges)
    )
    made = tuple(Tensor(name=f"t{i}", dtype=FLOAT, shape=(size,)) for i, size in enumerate(sizes))
    return Graph(
        name=name,
        inputs=entering,
        outputs=tuple(operators[i].name for i in outputs),
        operators=operators,
        tensors=entering + made,
        weights={f"w{i}": size for i, size in enumerate(weights) if size},
    )


def chain(sizes: Sequence[int], *, weights: Sequence[int] | None = None, first: int = 256) -> Graph:
    """Operators in a row."""
    return graph_of([[i - 1] for i in range(len(sizes))], sizes, inputs=(first,), weights=weights, name="chain")


def profile_of(graph: Graph, seconds: dict[str, Sequence[float]], *, call_s: float = 0.0, **fields: object) -> Profile:
    """Seconds of each operator on each node."""
    entries = tuple(
        NodeProfile(
            node=node,
            seconds={operator.name: float(s) for operator, s in zip(graph.operators, column, strict=True)},
            call_s=call_s,
            **fields,
        )
        for node, column in seconds.items()
    )
    return Profile(graph=graph.name, sha256="", how="formula", entries=entries)


def problem_of(
    graph: Graph,
    cluster: Cluster,
    profile: Profile,
    metric: str = "sequential",
    *,
    objective: Objective | None = None,
    inputs: dict[str, str] | None = None,
    outputs: dict[str, str] | None = None,
    task: dict[str, object] | None = None,
    **fields: object,
) -> Problem:
    """One task; inputs and answers are at the cluster's source unless said otherwise."""
    made = Task(
        name=graph.name,
        graph=graph,
        profile=profile,
        inputs=inputs or {tensor.name: cluster.source for tensor in graph.inputs},
        outputs=outputs or dict.fromkeys(graph.outputs, cluster.source),
        **(task or {}),
    )
    return Problem(tasks=(made,), cluster=cluster, objective=objective or Objective(metric=metric), **fields)


def fleet(kinds: Sequence[float], *, layers: int = 48, memory: Sequence[int | None] | None = None) -> Problem:
    """Equal layers on devices with the given seconds per layer, links that cost nothing: least period."""
    graph = chain([1] * layers, weights=[1000] * layers, first=1)
    names = [f"n{i}" for i in range(len(kinds))]
    nodes = tuple(
        Node(name=name, flops_per_s=1e9, memory_bytes=memory[i] if memory else None) for i, name in enumerate(names)
    )
    links = tuple(Link(between=(a, b)) for i, a in enumerate(names) for b in names[i + 1 :])
    cluster = Cluster(name="fleet", nodes=nodes, links=links)
    seconds = {name: [kind] * layers for name, kind in zip(names, kinds, strict=True)}
    return problem_of(graph, cluster, profile_of(graph, seconds), "period")


def random_edges(rng: random.Random, size: int, shape: str, inputs: int) -> list[list[int]]:
    """What each operator reads, for a chain, a diamond of branches, or any DAG."""
    edges: list[list[int]] = []
    for i in range(size):
        if shape == "chain" or i == 0:
            edges.append([i - 1] if i else [-k - 1 for k in range(1 if shape == "chain" else inputs)])
        elif shape == "diamond":
            edges.append([0] if i < size - 1 else list(range(1, size - 1)) or [0])
        else:
            pool = [*range(max(0, i - 4), i), *(-k - 1 for k in range(inputs))]
            edges.append(sorted(rng.sample(pool, min(len(pool), rng.choice([1, 1, 2, 3]))), reverse=True))
    return edges


def random_graph(rng: random.Random, *, size: int, shape: str = "dag") -> Graph:
    """A graph with several readers per tensor, several inputs and several answers."""
    inputs = 1 if shape == "chain" else rng.choice([1, 1, 2])
    edges = random_edges(rng, size, shape, inputs)
    sizes = [rng.choice([1, 64, 256, 1024, 4096]) for _ in range(size)]
    read = {r for reads in edges for r in reads if r >= 0}
    dead_ends = [i for i in range(size) if i not in read]
    outputs = sorted({*dead_ends, *([rng.randrange(size)] if shape == "dag" and rng.random() < 0.3 else [])})
    return graph_of(
        edges,
        sizes,
        inputs=[rng.choice([256, 1024, 8192]) for _ in range(inputs)],
        weights=[rng.choice([0, 1000, 40_000]) for _ in range(size)],
        outputs=outputs,
        kinds=[rng.choice(["Conv", "Conv", "MatMul", "Relu", "Concat"]) for _ in range(size)],
        name=shape,
    )


def random_cluster(rng: random.Random, nodes: int, *, limited: bool = False, media: bool = False) -> Cluster:
    """Unlike nodes; links of unlike rates, some missing so that data are routed over a third node."""
    names = [f"n{i}" for i in range(nodes)]
    made = tuple(
        Node(
            name=name,
            flops_per_s=1e9,
            compute_w=rng.choice([0.5, 2.0, 10.0]),
            transmit_w=rng.choice([0.0, 1.0]),
            receive_w=rng.choice([0.0, 0.4]),
            compute_price_per_s=rng.choice([0.0, 1e-4, 3e-4]),
            transmit_price_per_s=rng.choice([0.0, 1e-4]),
            energy_price_per_j=rng.choice([0.0, 3e-8]),
            memory_bytes=rng.choice([60_000, 120_000, 10**6]) if limited else None,
            port_up_bytes_per_s=rng.choice([None, None, 2e6]),
        )
        for name in names
    )
    links = []
    for i, a in enumerate(names):
        for j, b in enumerate(names[i + 1 :], i + 1):
            if nodes > 2 and j != i + 1 and rng.random() < 0.3:
                continue
            links.append(
                Link(
                    between=(a, b),
                    up=Direction(bytes_per_s=rng.choice([2e5, 1e6, 1e7])),
                    down=Direction(bytes_per_s=rng.choice([2e5, 1e6, 1e7])),
                    latency_s=rng.choice([0.0, 1e-4, 2e-3]),
                    media=("air",) if media and rng.random() < 0.5 else (),
                )
            )
    shared = (Medium(name="air", bytes_per_s=1.5e6),) if media else ()
    return Cluster(name="random", nodes=made, links=tuple(links), media=shared)


def random_problem(
    seed: int, metric: str = "sequential", *, nodes: int = 2, size: int = 6, **options: object
) -> Problem:
    """A problem of one task.

    Args:
        seed: equal seeds give equal problems.
        metric: of the objective.
        nodes: how many, all of which compute unless `relay`.
        size: number of operators.
        options: shape, limited, media, call_s, relay, packed, spread.
    """
    rng = random.Random(f"{seed} {metric} {nodes} {size} {sorted(options.items())}")
    graph = random_graph(
        rng, size=size, shape=str(options.get("shape", rng.choice(["chain", "diamond", "dag", "dag"])))
    )
    cluster = random_cluster(rng, nodes, limited=bool(options.get("limited")), media=bool(options.get("media")))
    hosts = [node.name for node in cluster.nodes]
    if options.get("relay"):
        hosts.pop(rng.randrange(len(hosts)))
    slowness = {host: rng.choice([1.0, 3.0, 10.0]) for host in hosts}
    work = [rng.choice([0.0, 1e-4, 1e-3, 4e-3]) for _ in range(size)]
    seconds = {host: [w * slowness[host] * rng.uniform(0.5, 2.0) for w in work] for host in hosts}
    codecs = {"png": CodecCost(ratio=0.5, encode_s_per_byte=1e-9, decode_s_per_byte=2e-9)}
    profile = profile_of(
        graph, seconds, call_s=float(options.get("call_s", 0.0)), codecs=codecs if options.get("packed") else {}
    )
    spread = bool(options.get("spread"))
    place = [node.name for node in cluster.nodes] if spread else [cluster.source]
    return problem_of(
        graph,
        cluster,
        profile,
        metric,
        inputs={tensor.name: rng.choice(place) for tensor in graph.inputs},
        outputs={name: rng.choice(place) for name in graph.outputs},
        task={"input_codecs": {"png": 0.3}} if options.get("packed") else {},
    )
