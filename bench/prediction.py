"""Predicted against measured latency: pipelines over three unlike emulated nodes."""

import numpy as np

from bench.setup import RATES, three_nodes
from bench.table import Row
from hocket.control.measure import measure
from hocket.control.run import run
from hocket.cost import Objective, problem_for
from hocket.graph.onnx import load_model
from hocket.plan.calibrate import calibrated
from hocket.solvers import solve
from hocket.zoo import model_path

MODELS = ("mobilenet_v2", "resnet18", "resnet50", "googlenet", "inception_v3", "squeezenet1_1")


def rows() -> list[Row]:
    errors, notes = [], []
    for name in MODELS:
        model = calibrated(load_model(model_path(name)))
        # Profiles in the same minutes as the runs: the speed of a shared machine drifts.
        profile = measure(model, three_nodes(RATES[0]), repeats=11)
        for rate in RATES:
            problem = problem_for(model.graph, three_nodes(rate), profile=profile, objective=Objective(metric="period"))
            solution = solve(problem)
            figures = run(solution, model=model, requests=11).figures
            nodes = len({stage["node"] for stage in solution.stages()})
            errors.append(figures.prediction_error)
            notes.append(f"{name} {rate}: {nodes} nodes {figures.prediction_error:+.1%}")
    sizes = np.abs(errors)
    how = "period-optimal plans, slowdowns 2, 1.5, 1, one thread, 11 requests each, one at a time"
    return [
        Row("latency prediction error, median of 18", 100 * float(np.median(sizes)), "%", "<= 10 %",
            bool(np.median(sizes) <= 0.10), how),
        Row("the same, 90th percentile", 100 * float(np.quantile(sizes, 0.9)), "%", "<= 20 %",
            bool(np.quantile(sizes, 0.9) <= 0.20), "; ".join(notes)),
    ]  # fmt: skip
