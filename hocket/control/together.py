"""Running all tasks of a solution at once on one set of nodes: predicted, simulated and measured beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hocket.control.progress import Progress, silent
from hocket.control.run import Report, Spread, differences, load_planned
from hocket.control.run import run as run_one
from hocket.control.serving import Arrays, Stream, drive, streams_of
from hocket.control.sessions import Line, open_lines
from hocket.cost import Job, Problem, Task, durations, timeline
from hocket.cost.combine import costs_of
from hocket.cost.evaluate import parts_of, served
from hocket.errors import PlanError
from hocket.graph.execute import Runner, checked_inputs, random_inputs
from hocket.graph.model import Model
from hocket.nouns import Noun, Value
from hocket.plan.build import whole
from hocket.program import Span, Trace
from hocket.runtime.answers import Answer
from hocket.runtime.session import measured_trace
from hocket.solvers import Solution


class TaskFigures(Value, frozen=True):
    """One task of a run of several: what was predicted and simulated of it, and what was measured."""

    task: str
    rate_per_s: float
    """Of its Poisson arrivals; 0 = the next request came when the one before had its answer."""
    predicted_s: float
    """One request in an idle system, and the mean waiting where the problem has queues."""
    simulated_s: Spread
    """The requests of this run, with their arrivals, beside those of the other tasks."""
    measured_s: Spread
    """From the arrival of a request to its answer."""
    prediction_error: float
    """Median measured / predicted - 1."""
    simulation_error: float
    """Median measured / median simulated - 1."""
    throughput_per_s: float
    """Requests over the time from the first arrival to the last answer."""
    max_abs_error: float
    """Largest difference between an output and the whole model's, in the output's unit."""
    max_rel_error: float
    """The same / the largest magnitude of the whole model's output."""
    entries: int
    segments: int
    transfers: int


class SeveralFigures(Noun, frozen=True, tag="hocket.reports/1"):
    """What a run of several tasks at once predicted and measured."""

    tasks: tuple[TaskFigures, ...]
    seed: int
    """Of the arrivals."""
    emulated: bool
    """Whether a slowdown or a rate was imitated on one computer."""


class Computing(NamedTuple):
    """What one task computed on one node."""

    used_s: float
    """CPU time."""
    busy_s: float
    """How long that kept the node, or the task's share of it, busy."""


@dataclass(frozen=True)
class Reports:
    """The figures of all tasks, the answers of each by request and, if asked for, the trace of all."""

    figures: SeveralFigures
    answers: Mapping[str, Sequence[Answer]]
    computing: Mapping[str, Mapping[str, Computing]]
    """Task -> node -> what it computed there."""
    trace: Trace | None = None


def run(solution: Solution, **options: Any) -> Report | Reports:
    """Run a plan on its nodes and compare: with the prediction, and with the whole model's output.

    One task that one entry serves gives a `Report`, as `hocket.control.run.run` describes it, options included;
    otherwise all tasks run at once and give `Reports`, as `run_together` does.
    """
    return run_one(solution, **options) if is_single(solution) else run_together(solution, **options)


def is_single(solution: Solution) -> bool:
    """Whether there is one task that one entry serves."""
    return len(solution.problem.tasks) == 1 and len(solution.plan.entries) == 1


def run_together(
    solution: Solution,
    *,
    models: Mapping[str, Model] | None = None,
    inputs: Mapping[str, Arrays] | None = None,
    requests: int = 20,
    seed: int = 0,
    timeout_s: float = 30.0,
    trace: bool = False,
    progress: Progress = silent,
    **options: Any,
) -> Reports:
    """Run all tasks at once, each with its own arrivals and from its own source.

    A task with a rate has Poisson arrivals, one without has one request under way at a time. Where several entries
    serve a task its requests are dealt out to them by their weights.

    Args:
        solution: plan and problem.
        models: task -> its model; absent = loaded from the files that the tasks name.
        inputs: task -> inputs; absent = seeded random.
        requests: how many of each task.
        seed: of the arrivals.
        timeout_s: most seconds that an answer may take.
        trace: keep the spans in the answer.
        progress: told what is going on.
        options: as for `open_lines`.

    Raises:
        NodeError: a node cannot be reached, dies, or is late.
        PlanError: the plan cannot be run.
    """
    if requests < 1:
        raise PlanError(f"a run needs at least one request, got {requests}; ask for more")
    problem, plan = solution.problem, solution.plan
    tasks = served(problem, plan)
    if not tasks:
        raise PlanError("the plan refuses every task, so there is nothing to run; serve one of them")
    progress("loading", 0, 1)
    models = models or _loaded(tasks)
    feeds = {task.name: _feeds(models[task.name], (inputs or {}).get(task.name)) for task in tasks}
    expected = {name: Runner(models[name], whole(models[name])).run(arrays) for name, arrays in feeds.items()}
    with open_lines(problem, plan, models, timeout_s=timeout_s, progress=progress, **options) as (fleet, lines):
        streams = streams_of(tasks, lines, feeds, requests, seed)
        drive(streams, fleet, progress)
        spans = [span for stream in streams for span in stream.spans()]
        computing = {stream.task.name: _computing(stream) for stream in streams}
        clock_error_s = max(line.session.clock_error_s for line in lines)
        emulated = fleet.emulated and any(map(_imitates, lines))
    predicted = {name: cost.latency_s if cost.sojourn_s is None else cost.sojourn_s
                 for name, cost in costs_of(problem, parts_of(problem, plan)).items()}  # fmt: skip
    simulated = _simulated(problem, streams, spans)
    figures = [
        _figures(stream, predicted[name], simulated[name], _requests(spans, name), expected[name])
        for stream in streams
        for name in (stream.task.name,)
    ]
    return Reports(
        figures=SeveralFigures(tasks=tuple(figures), seed=seed, emulated=emulated),
        answers={stream.task.name: stream.in_order() for stream in streams},
        computing=computing,
        trace=measured_trace(tasks[0].name, spans, clock_error_s) if trace else None,
    )


def _loaded(tasks: Sequence[Task]) -> dict[str, Model]:
    """The model of each task; one that several tasks share is loaded once."""
    found: list[tuple[Task, Model]] = []
    for task in tasks:
        known = next((model for other, model in found if other.graph == task.graph), None)
        found.append((task, known or load_planned(task.graph)))
    return {task.name: model for task, model in found}


def _feeds(model: Model, inputs: Arrays | None) -> dict[str, np.ndarray]:
    return checked_inputs(model.graph, inputs) if inputs else random_inputs(model.graph)


def _imitates(line: Line) -> bool:
    program = line.session.program
    slowdown = {site.name: site.slowdown for site in program.sites}
    return bool(program.transfers) or any(slowdown[node] > 1 for node in program.nodes())


def _requests(spans: Sequence[Span], name: str) -> list[Span]:
    """The requests of a task, in order."""
    found = (span for span in spans if span.kind == "request" and span.id == name)
    return sorted(found, key=lambda span: span.request)


def _computing(stream: Stream) -> dict[str, Computing]:
    """What a task computed on each node, all its entries together."""
    found: dict[str, Computing] = {}
    for line in stream.lines:
        for node, counters in line.session.counters().items():
            used_s, busy_s = found.get(node, Computing(0.0, 0.0))
            found[node] = Computing(used_s + counters["used_us"] / 1e6, busy_s + counters["busy_us"] / 1e6)
    return found


def _simulated(problem: Problem, streams: Sequence[Stream], spans: Sequence[Span]) -> dict[str, Spread]:
    """The same requests with the same arrivals through the timeline."""
    begin_s = min(span.start_s for span in spans if span.kind == "request")
    jobs = []
    for stream in streams:
        arrived_s = [span.start_s - begin_s for span in _requests(spans, stream.task.name)]
        for position, line in enumerate(stream.lines):
            mine, program = stream.of_line(position), line.session.program
            jobs.append(
                Job(
                    program,
                    durations(problem, stream.task, program, line.entry),
                    [arrived_s[request] for request in mine],
                    mine,
                    line.lanes,
                )
            )
    ended = timeline(jobs)
    return {
        stream.task.name: Spread.of([span.stop_s - span.start_s for span in _requests(ended, stream.task.name)])
        for stream in streams
    }


def _figures(
    stream: Stream, predicted_s: float, simulated: Spread, requests: Sequence[Span], expected: Arrays
) -> TaskFigures:
    answers = stream.in_order()
    measured = Spread.of([answer.sojourn_s for answer in answers])
    absolute, relative = differences(expected, [answer.outputs for answer in answers])
    programs = [line.session.program for line in stream.lines]
    return TaskFigures(
        task=stream.task.name,
        rate_per_s=stream.task.rate_per_s,
        predicted_s=predicted_s,
        simulated_s=simulated,
        measured_s=measured,
        prediction_error=measured.p50 / predicted_s - 1 if predicted_s else 0.0,
        simulation_error=measured.p50 / simulated.p50 - 1 if simulated.p50 else 0.0,
        throughput_per_s=len(answers) / (max(span.stop_s for span in requests) - requests[0].start_s),
        max_abs_error=absolute,
        max_rel_error=relative,
        entries=len(stream.lines),
        segments=sum(len(program.segments) for program in programs),
        transfers=sum(len(program.transfers) for program in programs),
    )
