"""How fast the exact solvers are, as ratios in one run.

    python -m bench.solvers

Rows: the two-node optimum of inception_v3 from graph to plan, and its cut against networkx on the same flow network;
the least period of 1000 blocks on 8 unlike nodes and on 16 nodes of 4 kinds, with memory limits; how near a bound the
period of large models is on a few nodes. Seconds are the median of several runs, or of the processor where one run
takes long.
"""

import importlib.util
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from bench.table import Row
from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, Problem, Task, problem_for
from hocket.graph import Graph, Operator, Tensor
from hocket.graph.onnx import load_model
from hocket.graph.topology import Unit
from hocket.profile import NodeProfile, Profile
from hocket.solvers import ChainDp, MinCut, solve
from hocket.solvers.additive import Additive, Costs
from hocket.solvers.flow import Arcs, source_side
from hocket.solvers.layout import Layout

MODEL = Path(__file__).parent.parent / "hocket" / "zoo" / "models" / "inception_v3.onnx"
LARGE = ("inception_v3", "resnet101", "efficientnet_b0", "bert_base", "densenet121", "swin_t")
RATES = (1.25e6, 1.25e7, 1.25e8)
RUNS = 15
SETTINGS = ((2e10, 1e6), (8e10, 1e6), (2e10, 5e6), (8e10, 5e6), (8e10, 1.25e8))
"""(speed of the edge, rate of the link): the first two are near break-even, where a flow is hard to find."""


def median_s(call: Callable[[], object], runs: int = RUNS) -> float:
    """Median seconds of a call; the first, which warms up, does not count."""
    call()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def two_nodes(bytes_per_s: float, edge_flops_per_s: float = 80e9) -> Cluster:
    """A phone and an edge server."""
    rate = Direction(bytes_per_s=bytes_per_s)
    return Cluster(
        name="two",
        nodes=(Node(name="phone", flops_per_s=8e9), Node(name="edge", flops_per_s=edge_flops_per_s)),
        links=(Link(between=("phone", "edge"), up=rate, down=rate, latency_s=3e-3),),
    )


def fresh(graph: Graph, cluster: Cluster) -> Problem:
    """A problem about a graph of which nothing has been worked out yet."""
    return problem_for(graph.replace(), cluster, objective=Objective(metric="sequential"))


def bench_cut(graph: Graph) -> Iterator[Row]:
    """Graph to plan, and the cut alone against networkx."""
    cluster = two_nodes(5e6)
    problems = iter([fresh(graph, cluster) for _ in range(2 * (RUNS + 1))])
    to_plan_s = median_s(lambda: MinCut()(next(problems)))
    solve_s = median_s(lambda: solve(next(problems), "min_cut"))
    yield Row("inception_v3, two nodes: graph to plan, judged", 1e3 * to_plan_s, "ms", "<= 10 ms", to_plan_s <= 0.01)
    yield Row("the same through solve(), with its candidates", 1e3 * solve_s, "ms", "", None)
    for edge_flops_per_s, bytes_per_s in SETTINGS:
        yield from against_networkx(graph, two_nodes(bytes_per_s, edge_flops_per_s), to_plan_s)


class _PerOperator(Layout):
    """Every operator on its own, as in the paper."""

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        return tuple(Unit(operators=(position,)) for position in range(len(self.graph.operators)))


def published(costs: Costs) -> Arcs:
    """The network of the paper with its repairs: a vertex per operator and per tensor, no way back."""
    arcs = Arcs(len(costs.of_units) + 2)
    for unit, (device, server) in enumerate(costs.of_units.tolist()):
        arcs.add(0, unit + 2, server)
        arcs.add(unit + 2, 1, device)
    for number, net in enumerate(costs.nets):
        maker = net.maker + 2 if net.maker >= 0 else 0
        vertex = arcs.vertex()
        arcs.add(maker, vertex, float(costs.of_nets[number, 0, 1]))
        for reader in net.readers:
            arcs.add(vertex, reader + 2, math.inf)
            if maker:
                arcs.add(reader + 2, maker, math.inf)
        if net.sinks and maker:
            arcs.add(0, maker, float(costs.of_nets[number, 1, 0]))
    return arcs


def against_networkx(graph: Graph, cluster: Cluster, to_plan_s: float) -> Iterator[Row]:
    """networkx.minimum_cut against our cut of the same network, and against all of graph to plan."""
    rate, speed = cluster.links[0].up.bytes_per_s or 0.0, cluster.nodes[1].flops_per_s
    where = f"{speed / 1e9:.0f} GFLOP/s behind {rate * 8e-6:.0f} Mbit/s"
    if importlib.util.find_spec("networkx") is None:
        return
    import networkx as nx

    problem = fresh(graph, cluster)
    costs = Additive(_PerOperator(problem, problem.task), {"sequential": 1.0}).costs
    arcs, most = published(costs), min(costs.value([node] * len(costs.of_units)) for node in (0, 1))
    triples = list(zip(arcs.tails, arcs.heads, arcs.capacities, strict=True))
    made = nx.DiGraph()
    for tail, head, capacity in triples:
        before = made.edges[tail, head]["capacity"] if made.has_edge(tail, head) else 0.0
        made.add_edge(tail, head, capacity=before + capacity)
    ours_s = median_s(lambda: source_side(arcs, 0, 1, most))
    theirs_s = median_s(lambda: nx.minimum_cut(made, 0, 1), runs=5)
    side = source_side(arcs, 0, 1, most)
    ours = sum(capacity for tail, head, capacity in triples if side[tail] and not side[head])
    value = nx.minimum_cut_value(made, 0, 1)
    same = "same value" if abs(ours - value) <= 1e-9 * value else f"OTHER VALUE {ours} {value}"
    yield Row(
        f"networkx.minimum_cut / our cut, the paper's network of 219 operators, {where}",
        theirs_s / ours_s,
        "x",
        ">= 30",
        theirs_s / ours_s >= 30,
        f"{theirs_s * 1e3:.1f} / {ours_s * 1e3:.2f} ms, {same}; against graph to plan {theirs_s / to_plan_s:.1f} x",
    )


def long_chain(blocks: int, counts: Sequence[int], seed: int) -> Problem:
    """A chain of unlike blocks on nodes of some kinds, all of which together can hold about the model.

    Args:
        blocks: how many.
        counts: how many nodes there are of each kind; those of a kind are equal in all.
        seed: of sizes, work, paces, rates and memory.
    """
    rng = random.Random(seed)
    kind = [number for number, count in enumerate(counts) for _ in range(count)]
    names = [f"n{number}" for number in range(len(kind))]
    sizes = [rng.randrange(1, 100_000) for _ in range(blocks + 1)]
    tensors = tuple(Tensor(name=f"t{number}", dtype="float32", shape=(size,)) for number, size in enumerate(sizes))
    operators = tuple(
        Operator(name=f"t{b + 1}", kind="Conv", inputs=(f"t{b}",), outputs=(f"t{b + 1}",), weights=(f"w{b}",))
        for b in range(blocks)
    )
    weights = {f"w{number}": rng.randrange(1000, 100_000) for number in range(blocks)}
    graph = Graph(
        name="chain", inputs=tensors[:1], outputs=(tensors[-1].name,), operators=operators, tensors=tensors,
        weights=weights,
    )  # fmt: skip
    work = [rng.uniform(1e-4, 4e-3) for _ in range(blocks)]
    pace = [rng.uniform(0.3, 3.0) for _ in counts]
    pairs = list(zip(operators, work, strict=True))
    seconds = [{op.name: w * p * rng.uniform(0.7, 1.4) for op, w in pairs} for p in pace]
    rates = {
        ends: rng.choice([1e7, 2e7, 1e8])
        for a in range(len(counts)) for b in range(a + 1, len(counts)) for ends in ((a, b), (b, a))
    }  # fmt: skip
    memory = [rng.randrange(40_000_000 // len(names), 120_000_000 // len(names)) for _ in counts]
    rates |= {(a, a): rng.choice([1e7, 2e7, 1e8]) for a in range(len(counts))}
    links = tuple(
        Link(
            between=(names[a], names[b]),
            up=Direction(bytes_per_s=rates[kind[a], kind[b]]),
            down=Direction(bytes_per_s=rates[kind[b], kind[a]]),
            latency_s=1e-3,
        )
        for a in range(len(names))
        for b in range(a + 1, len(names))
    )
    cluster = Cluster(
        name="kinds",
        nodes=tuple(
            Node(name=name, flops_per_s=1e9, memory_bytes=memory[each]) for name, each in zip(names, kind, strict=True)
        ),
        links=links,
    )
    entries = tuple(NodeProfile(node=name, seconds=seconds[each]) for name, each in zip(names, kind, strict=True))
    profile = Profile(graph="chain", sha256="", how="formula", entries=entries)
    task = Task(name="chain", graph=graph, profile=profile, inputs={"t0": "n0"}, outputs={tensors[-1].name: "n0"})
    return Problem(tasks=(task,), cluster=cluster, objective=Objective(metric="period"))


def bench_chain() -> Iterator[Row]:
    """Least period of a long chain: unlike nodes, and more nodes in few kinds."""
    for counts, what, most_s in (((1,) * 8, "8 unlike nodes", 1.0), ((4,) * 4, "16 nodes of 4 kinds", 2.0)):
        for seed in (1, 2, 3):
            problem = long_chain(1000, counts, seed)
            seconds = median_s(lambda problem=problem: ChainDp()(problem), runs=3)
            over = ChainDp()(problem).over
            yield Row(
                f"chain_dp, 1000 blocks, {what}, memory limits, seed {seed}",
                seconds,
                "s",
                f"<= {most_s:g} s",
                seconds <= most_s and over == "stages",
                f"optimal over {over}",
            )


def few_nodes(nodes: int, bytes_per_s: float) -> Cluster:
    """Two or three unlike nodes, each with a link to each other one."""
    names, rate = [f"n{number}" for number in range(nodes)], Direction(bytes_per_s=bytes_per_s)
    return Cluster(
        name="few",
        nodes=tuple(Node(name=name, flops_per_s=flops) for name, flops in zip(names, (8e9, 4e10, 2e10), strict=False)),
        links=tuple(
            Link(between=(a, b), up=rate, down=rate, latency_s=1e-3)
            for number, a in enumerate(names)
            for b in names[number + 1 :]
        ),
    )


def bench_period() -> Iterator[Row]:
    """The period of large models of the zoo: how near a bound a plan of whole operators is, and after how long."""
    for name in LARGE:
        graph = load_model(MODEL.with_name(f"{name}.onnx")).graph
        for nodes in (2, 3):
            gaps, seconds = [], []
            for bytes_per_s in RATES:
                problem = problem_for(
                    graph.replace(), few_nodes(nodes, bytes_per_s), objective=Objective(metric="period")
                )
                begin = time.process_time()
                solution = solve(problem, "auto", divide=False)
                seconds.append(time.process_time() - begin)
                gaps.append(solution.gap or 0.0)
            met = max(gaps) <= 0.01 and max(seconds) <= 5
            each = ", ".join(f"{gap:.2%} in {took:.1f} s" for gap, took in zip(gaps, seconds, strict=True))
            yield Row(
                f"{name}, {len(graph.operators)} operators, period on {nodes} nodes: largest proven gap",
                100 * max(gaps), "%", "<= 1 % within 5 s", met,
                f"auto, whole operators, links of 10, 100 and 1000 Mbit/s: {each} of processor time",
            )  # fmt: skip


def rows() -> list[Row]:
    """All of it."""
    return [*bench_cut(load_model(MODEL).graph), *bench_chain(), *bench_period()]
