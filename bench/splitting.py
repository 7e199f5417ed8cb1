"""Operators divided over nodes: measured gain, methods against each other, predicted against measured."""

import time

import numpy as np

from bench.setup import port_nodes
from bench.table import Row
from hocket.control.measure import measure
from hocket.control.run import run
from hocket.cost import Problem, evaluate, problem_for
from hocket.cost.work import weight_bytes
from hocket.errors import HocketError
from hocket.graph import Graph
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.graph.topology import blocks
from hocket.plan import Entry, Plan, Run, Split
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.program import Segment
from hocket.solvers import SOLVERS, Solution, solve
from hocket.solvers.fixed import fixed_plans
from hocket.zoo import model_path

EQUAL = (6.0, 6.0, 6.0, 6.0)
UNLIKE = (16.0, 16.0, 8.0, 4.0)
"""1 : 1 : 2 : 4."""
REQUESTS = 5
NODES = ("n0", "n1", "n2", "n3")


def rows() -> list[Row]:
    return [*_equal_nodes(), *_methods(), *_prediction(), *_transformer(), *_weights(), *_planning()]


def read_model(name: str) -> Model:
    return calibrated(load_model(model_path(name)))


def measured_problem(model: Model, slowdowns: tuple[float, ...], rate: str) -> Problem:
    """A problem with a profile of these minutes; source and sink are the first node."""
    cluster = port_nodes(slowdowns, rate)
    different = tuple(dict.fromkeys(slowdowns))  # equal nodes are processes of one computer: one of them is measured
    measured = measure(model, port_nodes(different, rate), repeats=5)
    entries = dict(zip(different, measured.entries, strict=True))
    own = [entries[slowdown].replace(node=name) for slowdown, name in zip(slowdowns, NODES, strict=False)]
    return problem_for(model.graph, cluster, profile=measured.replace(entries=tuple(own)))


def best_alone(problem: Problem) -> Solution:
    """The best plan that computes everything on one node."""
    solution = solve(problem, "local")
    plans = [(evaluate(problem, plan), plan) for plan in fixed_plans(problem).values()]
    cost, plan = min(plans, key=lambda found: found[0].value)
    return solution.replace(plan=plan, cost=cost)


def run_measured(solution: Solution, model: Model) -> tuple[float, float]:
    """Median seconds, and predicted against them."""
    figures = run(solution, model=model, requests=REQUESTS).figures
    if figures.max_rel_error > 1e-4:
        raise RuntimeError(f"{model.graph.name}: divided and whole differ by {figures.max_rel_error:.2g}")
    return figures.measured_s.p50, figures.prediction_error


def _equal_nodes() -> list[Row]:
    model = read_model("vgg16")
    problem = measured_problem(model, EQUAL, "1 Gbit/s")
    solution, alone = solve(problem, "joint_split"), best_alone(problem)
    (split_s, error), (one_s, _) = run_measured(solution, model), run_measured(alone, model)
    gain, possible = one_s / split_s, alone.cost.value / (solution.bound or solution.cost.value)
    how = f"slowdown 6 each, ports of 1 Gbit/s, one thread, {REQUESTS} requests; {one_s:.3f} / {split_s:.3f} s"
    return [
        Row("vgg16 over 4 equal nodes: one node / divided, measured", gain, "x", ">= 2.8", gain >= 2.8, how),
        Row("the same / what the lower bound allows", gain / possible, "", ">= 0.9", gain / possible >= 0.9,
            f"at most {possible:.2f}; predicted {alone.cost.value / solution.cost.value:.2f}, error {error:+.1%}"),
    ]  # fmt: skip


def _methods() -> list[Row]:
    found = []
    for name in ("tiny_yolov2", "darknet53"):
        model = read_model(name)
        problem = measured_problem(model, UNLIKE, "300 Mbit/s")
        ours = solve(problem, "joint_split")
        others = []
        for method in ("deepthings_ftp", "aofl", "coedge", "modnn"):
            if method in SOLVERS:
                try:
                    others.append(solve(problem, method))
                except HocketError:
                    continue
        best = min(others, key=lambda solution: solution.cost.value)
        (ours_s, error), (best_s, _) = run_measured(ours, model), run_measured(best, model)
        values = ", ".join(f"{solution.solver} {solution.cost.value:.3f}" for solution in others)
        found.append(
            Row(f"{name} over 4 unlike nodes: best of four published methods / joint_split, measured",
                best_s / ours_s, "x", ">= 1.15", best_s / ours_s >= 1.15,
                f"1 : 1 : 2 : 4, ports of 300 Mbit/s; {best.solver} {best_s:.3f} s, ours {ours_s:.3f} s"
                f" (predicted {values}, ours {ours.cost.value:.3f}, bound {ours.bound:.3f}; error {error:+.1%})")
        )  # fmt: skip
    return found


def _prediction() -> list[Row]:
    errors, notes = [], []
    for name in ("resnet50", "googlenet", "inception_v3"):
        model = read_model(name)
        problem = measured_problem(model, (4.0, 4.0, 3.0), "1 Gbit/s")
        solution = solve(problem, "joint_split")
        _, error = run_measured(solution, model)
        errors.append(error)
        notes.append(f"{name} {error:+.1%} ({solution.notes.get('found_by', '')})")
    median = float(np.median(np.abs(errors)))
    return [Row("divided over 3 nodes: latency prediction error, median of 3", 100 * median, "%", "<= 12 %",
                median <= 0.12, "; ".join(notes))]  # fmt: skip


def _transformer() -> list[Row]:
    model, found = read_model("bert_base"), []
    for slowdowns in ((8.0, 4.0), (8.0, 6.0, 4.0)):
        problem = measured_problem(model, slowdowns, "300 Mbit/s")
        solution, alone = solve(problem, "joint_split"), best_alone(problem)
        (split_s, error), (one_s, _) = run_measured(solution, model), run_measured(alone, model)
        gain, predicted = one_s / split_s, alone.cost.value / solution.cost.value
        found.append(
            Row(f"bert_base, 128 tokens, {len(slowdowns)} unlike nodes: best single node / divided, measured",
                gain, "x", "> 1 where predicted", gain > 1 or predicted <= 1,
                f"slowdowns {slowdowns}, ports of 300 Mbit/s; predicted {predicted:.2f}, error {error:+.1%}")
        )  # fmt: skip
    return found


def _weights() -> list[Row]:
    """Weights that nodes hold beyond their share, where weights are divided."""
    worst, notes = 0.0, []
    for name in ("vgg16", "bert_base"):
        problem = problem_for(load_model(model_path(name)).graph, port_nodes(UNLIKE, "1 Gbit/s"))
        graph = problem.task.graph
        plan = _channels(graph) if name == "vgg16" else solve(problem, "megatron").plan
        program = lower(graph, plan.entries[0], problem.cluster, problem.task.inputs, problem.task.outputs)
        divided = {segment.id for segment in program.segments if segment.parts}
        whole = weight_bytes(
            graph, [Segment(id="all", node="", operators=tuple(graph.operator), inputs=(), outputs=())]
        )
        for node, share in zip(NODES, (1, 1, 2, 4), strict=True):
            own = [segment for segment in program.segments if segment.node == node and segment.id in divided]
            held = weight_bytes(graph, own) / whole
            worst = max(worst, held - share / 8)
            notes.append(f"{name} {node} {held:.3f} for {share / 8:.3f}")
    return [Row("weights held beyond the share of a node, largest", 100 * worst, "points", "<= 5",
                worst <= 0.05, "channels of vgg16, heads and neurons of bert_base; " + "; ".join(notes))]  # fmt: skip


def _channels(graph: Graph) -> Plan:
    """Every block of a chain divided by channels, neurons, 1 : 1 : 2 : 4."""
    runs = []
    for block in blocks(graph):
        names = [graph.operators[position].name for position in block.operators]
        split = Split(axis=1, parts=NODES, weights=(1, 1, 2, 4))
        runs.append(Run(operators=f"{names[0]}..{names[-1]}", on=split))
    return Plan(entries=(Entry(task=graph.name, where=tuple(runs)),))


def _planning() -> list[Row]:
    found = []
    for name in ("inception_v3", "bert_base"):
        graph = load_model(model_path(name)).graph
        problem = problem_for(graph, port_nodes(UNLIKE, "300 Mbit/s"))
        start = time.perf_counter()
        solution = solve(problem, "joint_split")
        seconds = time.perf_counter() - start
        found.append(Row(f"joint_split on {name}, 4 nodes: time to plan", seconds, "s", "<= 5", seconds <= 5,
                         f"gap to the lower bound {solution.gap:.1%}"))  # fmt: skip
    return found
