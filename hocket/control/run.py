"""Running a solution on its nodes: predicted beside measured, distributed beside whole."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hocket.control.progress import Progress, silent
from hocket.control.sessions import open_session
from hocket.cost import evaluate
from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.graph.execute import Runner, checked_inputs, random_inputs
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.nouns import Noun, Value
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.program import Site, Trace
from hocket.solvers import Solution


class Spread(Value, frozen=True):
    """Median and 90th percentile of some measured seconds, and how many there were."""

    p50: float
    p90: float
    n: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        """The spread of some seconds.

        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(p50=2.0, p90=2.8, n=3)
        """
        return cls(p50=float(np.median(seconds)), p90=float(np.quantile(seconds, 0.9)), n=len(seconds))


class Figures(Noun, frozen=True, tag="hocket.report/1"):
    """What a run predicted and what it measured."""

    predicted_s: float
    """Latency of one request in an idle system."""
    measured_s: Spread
    """Latency of the requests that were sent one at a time."""
    prediction_error: float
    """Median measured / predicted - 1."""
    predicted_period_s: float
    throughput_per_s: float
    """Requests per second with as many under way as the program's window."""
    max_abs_error: float
    """Largest difference between an output and the whole model's, in the output's unit."""
    max_rel_error: float
    """The same / the largest magnitude of the whole model's output."""
    emulated: bool
    """Whether a slowdown or a rate was imitated on one computer."""
    segments: int
    transfers: int
    crowding: float = 0.0
    """Processors that the emulated nodes of this computer may want at once / processors that it has; above 0.8 the
    nodes disturb each other, and what was measured is not the emulated cluster's."""


@dataclass(frozen=True)
class Report:
    """The figures of a run, with the last answer and, if asked for, the trace."""

    figures: Figures
    answer: Mapping[str, np.ndarray]
    trace: Trace | None = None


def load_for(solution: Solution) -> Model:
    """Load the model that a solution of one task was made for, with random weights where it has none.

    Raises:
        PlanError: the file is not the one that was planned.
    """
    return load_planned(solution.problem.task.graph)


def load_planned(graph: Graph) -> Model:
    """Load the model that was planned as a graph, with random weights where it has none.

    Raises:
        PlanError: the graph has no file, or it is not the one that was planned.
    """
    if graph.source is None:
        raise PlanError(f"the plan of {graph.name!r} names no model file; plan again from a file")
    model = load_model(graph.source.path, shapes={tensor.name: tensor.shape for tensor in graph.inputs})
    found = model.graph.source.sha256 if model.graph.source else ""
    if found != graph.source.sha256:
        raise PlanError(
            f"the plan is for the model {graph.source.sha256[:12]}, and {graph.source.path} is now {found[:12]};"
            " plan again"
        )
    return calibrated(model)


def run(
    solution: Solution,
    *,
    model: Model | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
    requests: int = 20,
    timeout_s: float = 30.0,
    trace: bool = False,
    progress: Progress = silent,
    **options: Any,
) -> Report:
    """Run a plan on its nodes and compare: with the prediction, and with the whole model's output.

    Local node processes are started where the cluster's addresses are loopback, and always stopped.

    Args:
        solution: plan and problem; one task.
        model: absent = loaded from the file that the solution names.
        inputs: absent = seeded random.
        requests: how many are measured one at a time, and again all together.
        timeout_s: most seconds that any answer may take.
        trace: keep the spans in the answer.
        progress: told what is going on.
        options: passed to the runtime's session.

    Raises:
        NodeError: a node cannot be reached, dies, or is late.
        PlanError: the plan cannot be run.
    """
    if requests < 1:
        raise PlanError(f"a run needs at least one request, got {requests}; ask for more")
    progress("loading", 0, 1)
    model = model or load_for(solution)
    feeds = checked_inputs(model.graph, inputs) if inputs else random_inputs(model.graph)
    expected = Runner(model, whole(model)).run(feeds)
    with open_session(
        solution.problem, solution.plan, model, timeout_s=timeout_s, progress=progress, **options
    ) as session:
        answers = []
        for done in range(requests):
            answers.append(session.run(feeds))
            progress("measuring", done + 1, requests)
        latencies = [answer.latency_s for answer in answers]
        start = time.perf_counter()
        streamed = list(session.stream(feeds for _ in range(requests)))
        elapsed = time.perf_counter() - start
        spans = session.trace() if trace else None
        program = session.program
    results = [answer.outputs for answer in (*answers, *streamed)]
    absolute, relative = differences(expected, results)
    cost = evaluate(solution.problem, solution.plan)
    measured = Spread.of(latencies)
    sites = {site.name: site for site in program.sites}
    figures = Figures(
        predicted_s=cost.latency_s,
        measured_s=measured,
        prediction_error=measured.p50 / cost.latency_s - 1 if cost.latency_s else 0.0,
        predicted_period_s=cost.period_s,
        throughput_per_s=len(streamed) / elapsed,
        max_abs_error=absolute,
        max_rel_error=relative,
        emulated=session.emulated
        and (bool(program.transfers) or any(sites[node].slowdown > 1 for node in program.nodes())),
        segments=len(program.segments),
        transfers=len(program.transfers),
        crowding=crowding([sites[node] for node in {segment.node for segment in program.segments}])
        if session.emulated
        else 0.0,
    )
    return Report(figures=figures, answer=results[-1], trace=spans)


def crowding(sites: Sequence[Site]) -> float:
    """Processors that nodes here may want at once / processors here: a node that is slowed down s times wants 1/s.

    >>> crowding([Site(name="a", slowdown=4.0)]) < crowding([Site(name="a"), Site(name="b")])
    True
    """
    return sum(site.threads / site.slowdown for site in sites) / (os.cpu_count() or 1)


def differences(expected: Mapping[str, np.ndarray], results: Sequence[Mapping[str, np.ndarray]]) -> tuple[float, float]:
    """Largest absolute difference, and largest difference / largest magnitude, over all outputs and answers."""
    absolute = relative = 0.0
    for name, whole_output in expected.items():
        reference = whole_output.astype(np.float64)
        size = float(np.abs(reference).max(initial=0.0)) or 1.0
        for result in results:
            difference = float(np.abs(result[name].astype(np.float64) - reference).max(initial=0.0))
            absolute, relative = max(absolute, difference), max(relative, difference / size)
    return absolute, relative
