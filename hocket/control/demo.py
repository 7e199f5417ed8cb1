"""MobileNetV2 with ImageNet weights looks at a cat over three emulated devices."""

from typing import Any

from hocket.cluster import Cluster, read_toml
from hocket.control.measure import measure
from hocket.control.progress import Progress, silent
from hocket.control.run import Report, run
from hocket.cost import Objective, problem_for
from hocket.graph.onnx import load_model
from hocket.solvers import Solution, solve
from hocket.zoo.assets import class_names, fetch
from hocket.zoo.classifier import INPUT, classifier_path
from hocket.zoo.preprocess import picture_pixels, top_classes

_CLUSTER = """
format = "hocket.cluster/1"
name = "{name}"

[[node]]
name = "phone"
speed = "10 GFLOP/s"
slowdown = 10.0
compute_power = "2 W"
transmit_power = "1.5 W"

[[node]]
name = "edge"
speed = "35 GFLOP/s"
slowdown = 2.0
compute_power = "15 W"
transmit_power = "3 W"

[[node]]
name = "cloud"
speed = "70 GFLOP/s"
slowdown = 1.0
compute_power = "80 W"
transmit_power = "5 W"

[[link]]
between = ["phone", "edge"]
rate = "{radio}"
latency = "2 ms"

[[link]]
between = ["edge", "cloud"]
rate = "{uplink}"
latency = "8 ms"
"""
SETTINGS = {
    "good links": {"radio": "36 Mbit/s", "uplink": "100 Mbit/s"},
    "weak links": {"radio": "2 Mbit/s", "uplink": "5 Mbit/s"},
}
SOURCE = "phone"
LOSSLESS = "raw+zlib"


def demo(*, requests: int = 5, progress: Progress = silent) -> dict[str, Any]:
    """Plan and run a picture classifier over a phone, an edge box and a cloud server.

    With good links every obvious candidate and the plan are run and measured; with weak ones staying on the phone wins,
    and hocket says so.

    Args:
        requests: how many each candidate is measured with.
        progress: told what is going on.

    Returns:
        `candidates` (name, predicted_s, measured_s, top1, label), `chosen`, the `prediction_error` of the chosen plan,
        the `max_abs_error` of its output, its `stages`; without measurements the same under `weak_links`. `stream`
        is another plan, for pictures in a row: what runs where, and pictures per second as predicted, as measured, and
        of the best single device.

    Raises:
        AssetError: weights or picture cannot be had.
        NodeError: a node failed.
    """
    progress("fetching weights and picture", 0, 1)
    picture = picture_pixels(fetch("cat"))
    model = load_model(classifier_path(*picture.shape[1:3]))
    inputs = {INPUT: picture}
    names = class_names()
    progress("fetching weights and picture", 1, 1)
    good, weak = (_cluster(name) for name in SETTINGS)
    profile = measure(model, good, inputs=inputs, codecs=(LOSSLESS,), progress=progress)
    ratio = profile.at(SOURCE).codecs[LOSSLESS].ratio
    problems = [
        problem_for(model.graph, cluster, profile=profile, source=SOURCE, input_codecs={LOSSLESS: ratio})
        for cluster in (good, weak)
    ]
    chosen, staying = (solve(problem) for problem in problems)
    rows, reports = [], {}
    obvious = _obvious(chosen)
    plans = {**obvious, chosen.solver: chosen}
    for number, (name, solution) in enumerate(plans.items()):
        progress("running plans", number, len(plans))
        reports[name] = run(solution, model=model, inputs=inputs, requests=requests)
        rows.append(_row(name, reports[name], names))
    progress("running plans", len(plans), len(plans))
    report = reports[chosen.solver]
    streaming = solve(problems[0].replace(objective=Objective(metric="period")))
    stream = run(streaming, model=model, inputs=inputs, requests=4 * requests).figures
    return {
        "picture": "cat",
        "candidates": rows,
        "chosen": chosen.solver,
        "stages": _stages(chosen),
        "crossings": chosen.crossings(),
        "bound_s": chosen.bound,
        "prediction_error": report.figures.prediction_error,
        "max_abs_error": report.figures.max_abs_error,
        "stream": {
            "stages": _stages(streaming),
            "predicted_per_s": 1 / stream.predicted_period_s,
            "measured_per_s": stream.throughput_per_s,
            "best_single_per_s": max(reports[name].figures.throughput_per_s for name in obvious),
        },
        "weak_links": {
            "candidates": staying.candidates,
            "chosen": sorted({stage["node"] for stage in staying.stages()}),
            "predicted_s": staying.cost.latency_s,
        },
    }


def _cluster(name: str) -> Cluster:
    return read_toml(_CLUSTER.format(name=name.replace(" ", "_"), **SETTINGS[name]))


def _obvious(solution: Solution) -> dict[str, Solution]:
    """All on one node, for every node."""
    nodes = [node.name for node in solution.problem.cluster.nodes]
    found = {"local": solve(solution.problem, "local")}
    return found | {f"remote:{node}": solve(solution.problem, "remote", node=node) for node in nodes if node != SOURCE}


def _stages(solution: Solution) -> list[dict[str, Any]]:
    """What runs where, with the number of operators instead of their names."""
    return [{"node": stage["node"], "operators": len(stage["operators"])} for stage in solution.stages()]


def _row(name: str, report: Report, names: tuple[str, ...]) -> dict[str, Any]:
    index, share = top_classes(report.answer["output"], 1)[0]
    return {
        "name": name,
        "predicted_s": report.figures.predicted_s,
        "measured_s": report.figures.measured_s.p50,
        "top1": index,
        "label": names[index],
        "probability": share,
    }
