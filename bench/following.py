"""Following a moving world: policies on recorded links in simulated time.

Traces are read from `HOCKET_TRACES` (folders `sabre_4g`: 4G, downlink; `solis_wifi/traces`: Wi-Fi, uplink); where that
is not set there are synthetic ones of a similar kind. Parameters of the policies were chosen on the traces of even
position; the figures are of the others.
"""

import math
import os
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import hocket
from bench.table import Row
from hocket.cluster import Cluster, Direction, Link, Node, RateTrace
from hocket.cluster.trace_files import read_trace
from hocket.control.live.deploy import Live
from hocket.control.live.facts import World
from hocket.control.live.policy import policy_of
from hocket.control.live.rehearse import candidates, latencies, rehearse
from hocket.control.live.state import Rules
from hocket.control.live.thinking import Manner, think
from hocket.control.measure import measure
from hocket.cost import Problem, evaluate
from hocket.graph.execute import random_inputs
from hocket.graph.model import Model
from hocket.plan import Plan
from hocket.plan.calibrate import calibrated
from hocket.solvers import Solution
from hocket.zoo.listing import model_path

MODELS = ("alexnet", "resnet18", "mobilenet_v2", "googlenet")
POLICIES = ("table", "replan")
MANNER = Manner("chain_dp")
STATED = 20e6 / 8
"""Bytes per second that the cluster states, whatever the trace: the planner does not know what will come."""
REQUESTS = 60
RULES = Rules(standby="none", quiet_s=1.0)
"""A way over which nothing goes is looked at every second, with 64 kB."""
SAMPLE, SLOWDOWN, SCAN = "mobilenet_v2", 40.0, Manner("linear_scan")
MOVING = 1.02
"""A trace moves enough where the best single plan is so much worse than the best plan at every moment."""


class Followed(NamedTuple):
    """One trace with one model: mean latencies in seconds."""

    best_s: float
    """Of the best plan at every moment."""
    single_s: tuple[float, ...]
    """Of each plan alone."""
    policies_s: dict[str, float]

    @property
    def fixed(self) -> float:
        """The best single plan, chosen in hindsight for this trace, over the best plan at every moment."""
        return min(self.single_s) / self.best_s


def rows() -> list[Row]:
    """All figures."""
    traces, kind = recorded()
    by_model = [[followed(problem, plans, trace) for trace in traces[1::2]] for problem, plans in planned()]
    note = (
        f"{kind}; {len(traces[1::2])} traces, {len(MODELS)} models ({', '.join(MODELS)}), {REQUESTS} requests, one a s"
    )
    found = [each for of_model in by_model for each in of_model]
    figures = [row for policy in POLICIES for row in (*_figures(policy, found, note), _deployed(policy, by_model))]
    return [*figures, sampled(traces[1:6:2])]


def sampled(traces: Sequence[RateTrace]) -> Row:
    """A minute of some traces live, on emulated links, against the same minutes rehearsed."""
    model = calibrated(hocket.load_model(model_path(SAMPLE)))
    described = two(Direction(bytes_per_s=STATED))
    phone, edge = described.nodes
    cluster = described.replace(nodes=(phone.replace(slowdown=SLOWDOWN), edge))
    profile = measure(model, cluster, repeats=7)
    pairs = []
    for trace in traces:
        real = cluster.replace(links=two(Direction(trace=trace)).links)
        problem = hocket.problem_for(model.graph, real, profile=profile)
        pairs.append(_minute(problem, model))
    lived_s, foreseen_s = map(sum, zip(*pairs, strict=True))
    value = lived_s / foreseen_s
    each = ", ".join(f"{one / other:.2f}" for one, other in pairs)
    note = (
        f"{SAMPLE}, policy table, {REQUESTS} requests on each of {len(pairs)} traces, one a s, phone {SLOWDOWN:g} times"
        f" slower than the host; each trace: {each}"
    )
    return Row("mean latency live / rehearsed", value, "x", "0.9 to 1.1", 0.9 <= value <= 1.1, note)


def _minute(problem: Problem, model: Model) -> tuple[float, float]:
    """Mean latency of a minute live, and rehearsed."""
    first = think(problem, SCAN, "best", World(), None).found[0][0]
    arrivals_s = [1.5 + second for second in range(REQUESTS)]
    foreseen = rehearse(problem, first, policy_of("table"), arrivals_s, manner=SCAN, rules=RULES, known=problem)
    solution = Solution(problem=problem, plan=first, cost=evaluate(problem, first), solver=SCAN.solver)
    with hocket.deploy(solution, models=model, policy="table", rules=RULES) as live:
        found_s = _lived(live, random_inputs(model.graph), arrivals_s)
    return statistics.fmean(found_s), foreseen.mean_s


def _lived(live: Live, inputs: Mapping[str, np.ndarray], arrivals_s: Sequence[float]) -> list[float]:
    """Latency of each request, the trace beginning now."""
    live.wait()
    origin_s = time.monotonic()
    live.fleet.restart_links()
    futures = []
    for arrival_s in arrivals_s:
        time.sleep(max(origin_s + arrival_s - time.monotonic(), 0.0))
        futures.append(live.submit(inputs))
    return [future.result(60.0).latency_s for future in futures]


def _deployed(policy: str, by_model: Sequence[Sequence[Followed]]) -> Row:
    """Against one plan for each model that stays whatever trace comes."""
    ratios = []
    for found in by_model:
        fixed_s = min(map(sum, zip(*(each.single_s for each in found), strict=True)))
        ratios.append(sum(each.policies_s[policy] for each in found) / fixed_s)
    value = statistics.geometric_mean(ratios)
    note = (
        "sum of the latencies on all traces; the plan is the best for them together, chosen in hindsight; by model "
        + ", ".join(f"{name} {ratio:.2f}" for name, ratio in zip(MODELS, ratios, strict=True))
    )
    return Row(f"{policy}: mean latency / best single plan for all traces", value, "x", "< 1", value < 1, note)


def _figures(policy: str, found: Sequence[Followed], note: str) -> Iterator[Row]:
    ratios = [each.policies_s[policy] / each.best_s for each in found]
    mean = statistics.geometric_mean(ratios)
    above = sum(ratio > 1.15 for ratio in ratios)
    yield Row(f"{policy}: mean latency / best plan at every moment", mean, "x", "<= 1.15", mean <= 1.15,
              f"geometric mean, {above} of {len(ratios)} above 1.15, worst {max(ratios):.2f}; {note}")  # fmt: skip
    moving = [each for each in found if each.fixed > MOVING]
    gains = [each.policies_s[policy] / min(each.single_s) for each in moving] or [math.nan]
    value = statistics.geometric_mean(gains)
    worse = statistics.fmean(each.fixed for each in moving) - 1 if moving else 0.0
    note = (
        f"geometric mean of {len(gains)} where that plan is over {100 * MOVING - 100:.0f} % worse than the best at"
        f" every moment (on average {100 * worse:.0f} %); {sum(gain < 1 for gain in gains)} below 1"
    )
    yield Row(
        f"{policy}: mean latency / best single plan of each trace, where rates move",
        value,
        "x",
        "< 1",
        value < 1,
        note,
    )


def recorded() -> tuple[list[RateTrace], str]:
    """Traces, and what they are."""
    folder = os.environ.get("HOCKET_TRACES")
    if not folder:
        return [synthetic(seed) for seed in range(40)], "synthetic traces, seeds 0 to 39"
    mobile = sorted(Path(folder, "sabre_4g").glob("*.json"))
    wifi = sorted(Path(folder, "solis_wifi", "traces").glob("*.txt"))
    kind = f"{len(mobile)} Belgian 4G logs (downlink), {len(wifi)} Wi-Fi logs (uplink), every second one"
    return [read_trace(path) for path in (*mobile, *wifi)], kind


def synthetic(seed: int) -> RateTrace:
    """200 s of a link that changes its state now and then, with noise: what recorded ones look like."""
    draw = random.Random(seed)
    steps, mean = [], math.exp(draw.uniform(math.log(6e5), math.log(8e6)))
    state = mean
    for second in range(200):
        if draw.random() < 1 / 25:
            state = mean * math.exp(draw.gauss(0.0, 0.7))
        dip = 0.05 if draw.random() < 0.02 else 1.0
        steps.append((float(second), state * dip * math.exp(draw.gauss(0.0, 0.2))))
    return RateTrace(steps=tuple(steps), length_s=200.0)


def two(way: Direction) -> Cluster:
    """A phone and an edge server, between which some ten Mbit/s are worth more than the phone's processor."""
    nodes = (Node(name="phone", flops_per_s=8e9), Node(name="edge", flops_per_s=80e9))
    return Cluster(name="two", nodes=nodes, links=(Link(between=("phone", "edge"), up=way, down=way, latency_s=0.005),))


def planned() -> Iterator[tuple[Problem, list[Plan]]]:
    """Each model's problem as it is described, and its best plans over all rates."""
    for name in MODELS:
        problem = hocket.problem_for(hocket.load_model(model_path(name)).graph, two(Direction(bytes_per_s=STATED)))
        yield problem, candidates(problem, MANNER, [2.0 ** (power / 2) for power in range(-9, 9)])


def followed(problem: Problem, plans: Sequence[Plan], trace: RateTrace) -> Followed:
    """One trace with one model."""
    real = problem.replace(cluster=two(Direction(trace=trace)))
    arrivals_s = [1.5 + second for second in range(REQUESTS)]
    alone = [latencies(real, plan, arrivals_s) for plan in plans]
    best_s = statistics.fmean(map(min, *alone)) if len(alone) > 1 else statistics.fmean(alone[0])
    first = think(problem, MANNER, "best", World(), None).found[0][0]
    means = {
        name: rehearse(real, first, policy_of(name), arrivals_s, manner=MANNER, rules=RULES, known=problem).mean_s
        for name in POLICIES
    }
    return Followed(best_s, tuple(map(statistics.fmean, alone)), means)
