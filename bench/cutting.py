"""What cutting costs and streaming gains, with nothing emulated: two node processes, one thread each."""

import time
from collections.abc import Sequence

import numpy as np

from bench.setup import two_nodes
from bench.table import Row
from hocket.control.measure import measure
from hocket.control.sessions import open_session
from hocket.cost import Problem, problem_for
from hocket.graph import topology
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.plan import Plan
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.plan.placement import plan_for
from hocket.runtime.session import Session
from hocket.zoo import model_path

PAIRS = 7
CPUS = {"first": 0, "second": 1}
"""Pinned: left alone, two busy processes now and then share one processor for seconds."""
STREAMED = 20


def rows() -> list[Row]:
    return [row for name in ("mobilenet_v2", "resnet50", "bert_base") for row in _rows(name)]


def _rows(name: str) -> list[Row]:
    model = calibrated(load_model(model_path(name)))
    problem = problem_for(model.graph, two_nodes(), profile=measure(model, two_nodes(), repeats=9))
    plan, share = balanced(problem)
    latency = _latency_ratios(problem, plan, model) if name != "bert_base" else []
    gains = _streaming_gains(problem, plan, model)
    target = 0.93 / share
    found = [
        Row(f"{name}: streaming over two nodes / one node", float(np.median(gains)), "x", f">= {target:.2f}",
            bool(np.median(gains) >= target),
            f"largest stage {share:.3f} of the work, so at most {1 / share:.2f}; {STREAMED} requests,"
            f" {len(gains)} pairs, quartiles {_quartiles(gains)}"),
    ]  # fmt: skip
    if latency:
        ratios = [two / one for two, one in latency]
        found.append(
            Row(f"{name}: cut in two / whole in ONNX Runtime, latency", float(np.median(ratios)), "x", "<= 1.10",
                bool(np.median(ratios) <= 1.10),
                f"two hops included; {len(ratios)} pairs, quartiles {_quartiles(ratios)},"
                f" whole {1e3 * float(np.median([one for _, one in latency])):.1f} ms"),
        )  # fmt: skip
    return found


def balanced(problem: Problem) -> tuple[Plan, float]:
    """The cut between blocks whose larger half is least, and that half's share of the time."""
    graph = problem.task.graph
    seconds = problem.task.profile.at("first").seconds
    total = sum(seconds.values())
    best, place = 1.0, 0
    for block in topology.blocks(graph)[1:]:
        start = block.operators[0]
        half = sum(seconds[operator.name] for operator in graph.operators[:start]) / total
        if max(half, 1 - half) < best:
            best, place = max(half, 1 - half), start
    nodes = ["first"] * place + ["second"] * (len(graph.operators) - place)
    return plan_for(problem.task.name, graph, nodes), best


def _latency_ratios(problem: Problem, plan: Plan, model: Model) -> list[tuple[float, float]]:
    """(cut, whole) seconds in alternating pairs, each the median of five."""
    feeds = random_inputs(model.graph)
    runner = Runner(model, whole(model))
    found = []
    with open_session(problem, plan, model, cpus=CPUS) as session:
        for _ in range(PAIRS + 1):
            cut = float(np.median([session.run(feeds).latency_s for _ in range(5)]))
            found.append((cut, _median_s(runner, feeds)))
    return found[1:]


def _median_s(runner: Runner, feeds: dict[str, np.ndarray]) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        runner.run(feeds)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def _streaming_gains(problem: Problem, plan: Plan, model: Model) -> list[float]:
    graph = model.graph
    alone = plan_for(problem.task.name, graph, ["first"] * len(graph.operators))
    gains = []
    with open_session(problem, plan, model, cpus=CPUS) as two, open_session(problem, alone, model, cpus=CPUS) as one:
        for _ in range(PAIRS):
            gains.append(stream_s(one, model, STREAMED) / stream_s(two, model, STREAMED))
    return gains


def stream_s(session: Session, model: Model, count: int) -> float:
    """Seconds from the first of some requests to the last answer, here, where the requests come from."""
    feeds = random_inputs(model.graph)
    start = time.perf_counter()
    for _ in session.stream(feeds for _ in range(count)):
        pass
    return time.perf_counter() - start


def _quartiles(values: Sequence[float]) -> str:
    low, high = np.quantile(values, (0.25, 0.75))
    return f"{low:.3f} - {high:.3f}"
