"""The five architectures of the survey as real processes: predicted against measured for each task, and shares kept.

Every node is a process that is slowed down, so that together they ask for less than the two cores of a small computer.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bench.table import Row
from hocket.cluster import Cluster
from hocket.cluster.architectures import many_to_many, many_to_one, one_to_many, one_to_one, peer_to_peer
from hocket.control.measure import measure
from hocket.control.together import Reports, run_together
from hocket.cost import Problem, evaluate, problem_for
from hocket.graph import topology
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.plan import Entry, Plan
from hocket.plan.calibrate import calibrated
from hocket.plan.placement import entry_for
from hocket.profile import Profile
from hocket.solvers import Solution
from hocket.zoo import model_path

DEVICE, SERVER = 12.0, 5.0
"""Slowdowns: at most eight nodes are busy at once, and ask for 6 / 12 + 2 / 5 of a core."""
REQUESTS = 9
MODELS = ("squeezenet1_1", "mobilenet_v2")


class Case(NamedTuple):
    """An architecture, and for each task its source, model, rate, what it uses in order, and its shares."""

    cluster: Cluster
    tasks: Sequence[tuple[str, str, float, Sequence[str], Mapping[str, float]]]


def rows() -> list[Row]:
    models = {name: calibrated(load_model(model_path(name))) for name in MODELS}
    found, kept = [], []
    for name, case in cases().items():
        reports, solution = _run(case, models)
        found.append(_row(name, case, reports))
        kept += _kept(reports, solution)
    worst = float(np.max(np.abs(kept)))
    notes = ", ".join(f"{error:+.1%}" for error in kept)
    shares = Row(
        "shares kept: CPU seconds / seconds of computing, against share / slowdown, worst", 100 * worst, "%", "<= 5 %",
        worst <= 0.05, f"{len(kept)} tasks: {notes}",
    )  # fmt: skip
    return [*found, shares]


def cases() -> dict[str, Case]:
    """The five architectures: shares where devices meet at servers, turns among peers."""
    small, large = MODELS
    uneven = (0.3, 0.2, 0.2, 0.1, 0.1, 0.1)
    cell = dict.fromkeys(("cell",), 1 / 6)
    sources = [f"device{number}" for number in range(1, 7)]
    both = (0.5, 0.3, 0.2)
    return {
        "one-to-one": Case(one_to_one(), [("device", large, 0.0, ("device", "server"), {})]),
        "many-to-one": Case(
            many_to_one(6),
            [
                (source, small, 0.0, (source, "server"), {"server": share, **cell})
                for source, share in zip(sources, uneven, strict=True)
            ],
        ),
        "one-to-many": Case(
            one_to_many(3), [("device", large, 1.5, ("device", "server1", "server2", "server3"), {})]
        ),
        "many-to-many": Case(
            many_to_many(6, 2),
            [
                (source, small, 0.0, (source, f"server{1 + number // 3}"),
                 {f"server{1 + number // 3}": both[number % 3], f"cell{1 + number // 3}": 1 / 3})
                for number, source in enumerate(sources)
            ],
        ),
        "peer-to-peer": Case(
            peer_to_peer(4),
            [
                (f"device{number}", MODELS[number % 2], 0.5, (f"device{number}", f"device{number % 4 + 1}"), {})
                for number in range(1, 5)
            ],
        ),
    }  # fmt: skip


def _run(case: Case, models: Mapping[str, Model]) -> tuple[Reports, Solution]:
    cluster = case.cluster.replace(
        nodes=tuple(
            node.replace(slowdown=SERVER if node.name.startswith("server") else DEVICE) for node in case.cluster.nodes
        )
    )
    used = {model for _, model, _, _, _ in case.tasks}
    profiles = {name: _profile(models[name], cluster) for name in used}
    tasks, entries = [], []
    for source, model, rate, path, shares in case.tasks:
        graph, profile = models[model].graph, profiles[model]
        name = f"{model}@{source}"
        tasks.append(problem_for(graph, cluster, profile=profile, source=source, name=name, rate_per_s=rate).task)
        entries.append(_pipeline(name, models[model], path, profile).replace(shares=dict(shares)))
    problem, plan = Problem(tasks=tuple(tasks), cluster=cluster), Plan(entries=tuple(entries))
    solution = Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="given")
    by_task = {task.name: models[model] for task, (_, model, _, _, _) in zip(tasks, case.tasks, strict=True)}
    return run_together(solution, models=by_task, requests=REQUESTS, trace=True, timeout_s=120.0), solution


def _profile(model: Model, cluster: Cluster) -> Profile:
    """Measured on one node of each slowdown, and the same for all nodes like it."""
    alike = {node.slowdown: node for node in reversed(cluster.nodes)}
    some = Cluster(name="some", nodes=tuple(alike.values()))
    profile = measure(model, some, repeats=9)
    entries = (profile.at(alike[node.slowdown].name).replace(node=node.name) for node in cluster.nodes)
    return profile.replace(entries=tuple(entries))


def _pipeline(name: str, model: Model, path: Sequence[str], profile: Profile) -> Entry:
    """The chain of blocks in as many runs as the path has nodes, cut where their times come nearest to equal."""
    graph, seconds = model.graph, profile.at(path[0]).seconds
    done = np.cumsum([seconds[operator.name] for operator in graph.operators])
    starts = [block.operators[0] for block in topology.blocks(graph)][1:]
    cuts = [
        min(starts, key=lambda start: abs(done[start - 1] - done[-1] * part / len(path)))
        for part in range(1, len(path))
    ]
    places = [path[bisect_right(cuts, position)] for position in range(len(graph.operators))]
    return entry_for(name, graph, places)


def _row(name: str, case: Case, reports: Reports) -> Row:
    """Against the prediction where tasks have shares or the system to themselves, else against the simulation."""
    alone = len(case.tasks) == 1 or all(shares for _, _, _, _, shares in case.tasks)
    tasks = reports.figures.tasks
    errors = [task.prediction_error if alone and not task.rate_per_s else task.simulation_error for task in tasks]
    size = float(np.median(np.abs(errors)))
    against = "simulated" if any(task.rate_per_s for task in tasks) or not alone else "predicted"
    wrong = max(task.max_rel_error for task in tasks)
    notes = "; ".join(
        f"{task.task} {error:+.1%}, p50 {1e3 * task.measured_s.p50:.0f} ms"
        for task, error in zip(tasks, errors, strict=True)
    )
    return Row(
        f"{name}: latency, measured against {against}, median of {len(tasks)} tasks", 100 * size, "%", "<= 15 %",
        size <= 0.15,
        f"{len(case.cluster.nodes)} processes, {REQUESTS} requests each; {notes}; outputs within {wrong:.0e}",
    )  # fmt: skip


def _kept(reports: Reports, solution: Solution) -> list[float]:
    """How far CPU seconds / seconds on a server are from share / slowdown, for each task with a share of one."""
    found = []
    for entry in solution.plan.entries:
        for node, share in entry.shares.items():
            if node.startswith("server"):
                used_s, busy_s = reports.computing[entry.task][node]
                found.append(used_s / busy_s / (share / SERVER) - 1)
    return found
