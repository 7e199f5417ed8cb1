"""Commands that run something on nodes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hocket import view
from hocket.cli.common import (
    CandidatesOption,
    ClusterArgument,
    Context,
    Json,
    PlanArgument,
    PrecisionOption,
    Shapes,
    parse_shapes,
    print_json,
    progress_bar,
    read_model,
    read_solution,
)
from hocket.cluster import load_cluster
from hocket.control.demo import demo as run_demo
from hocket.control.inputs import read_inputs
from hocket.control.measure import measure as measure_model
from hocket.control.run import Report, load_for
from hocket.control.together import SeveralFigures, is_single
from hocket.control.together import run as run_solution
from hocket.errors import FormatError, PlanError
from hocket.graph.model import Model
from hocket.language.divided import USUAL_CANDIDATES, dividable
from hocket.language.live import is_language_model, read_language_model
from hocket.language.planning import usual_capacity


def measure(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An ONNX file, zoo:NAME, or a language model as in `generate`.")
    ],
    cluster: ClusterArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Write the profile here.")],
    shape: Shapes = None,
    repeats: Annotated[int, typer.Option(help="Calls that the medians are taken of.")] = 15,
    context: Context = None,
    precision: PrecisionOption = "float32",
    candidates: CandidatesOption = USUAL_CANDIDATES,
    tokens: Annotated[int, typer.Option(help="New ones in a step of a language model; 1 = decoding.", min=1)] = 1,
    keys: Annotated[Path | None, typer.Option(help="Our secret key file, for join tokens.")] = None,
    plaintext: Annotated[bool, typer.Option(help="Allow unencrypted links to other machines.")] = False,
    json: Json = False,
) -> None:
    """Measure every operator of a model on every node of a cluster."""
    with progress_bar(quiet=json) as tell:
        profile = measure_model(
            _model_of(model, shape, context, precision, tokens, candidates),
            load_cluster(cluster),
            repeats=repeats,
            progress=tell,
            keys=keys,
            plaintext=plaintext,
        )
    profile.save(output)
    rows = [
        {
            "node": entry.node,
            "total_s": sum(entry.seconds.values()),
            "call_s": entry.call_s,
            "scale": entry.kernel_scale,
        }
        for entry in profile.entries
    ]
    if json:
        print_json({"profile": str(output), "nodes": rows})
    else:
        view.print_table(f"{profile.graph}: seconds of the whole model", rows)


def _model_of(
    name: str, shape: list[str] | None, context: int | None, precision: str, tokens: int, candidates: int
) -> Model:
    """A model of the zoo or of a file; of a language model, a step."""
    if not is_language_model(name):
        if (context, tokens, precision, candidates) != (None, 1, "float32", USUAL_CANDIDATES):
            raise FormatError(
                f"--context, --tokens, --precision and --candidates are for language models, and {name!r} is read as"
                " another; leave them out"
            )
        return read_model(name, parse_shapes(shape))
    if shape:
        raise FormatError("the shapes of a language model follow from --tokens and --context; leave --shape out")
    language = read_language_model(name, precision)
    capacity = context or usual_capacity(language.config)
    return dividable(language, capacity=capacity, tokens=tokens, candidates=candidates)


def run(
    plan: PlanArgument,
    input: Annotated[Path | None, typer.Option(help=".npy or .npz with the inputs, or a picture.")] = None,
    requests: Annotated[int, typer.Option(help="How many requests are measured.")] = 20,
    timeout: Annotated[float, typer.Option(help="Most seconds that an answer may take.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Of the arrivals, where several tasks have rates.")] = 0,
    trace: Annotated[Path | None, typer.Option(help="Write the measured trace here.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Our secret key file, for join tokens.")] = None,
    plaintext: Annotated[bool, typer.Option(help="Allow unencrypted links to other machines.")] = False,
    problem: Annotated[Path | None, typer.Option(help="The problem, where PLAN is a plan alone.")] = None,
    json: Json = False,
) -> None:
    """Run a plan on its nodes: predicted beside measured, distributed beside whole; several tasks all at once."""
    solution = read_solution(plan, problem)
    with progress_bar(quiet=json) as tell:
        options: dict[str, Any] = {
            "requests": requests,
            "timeout_s": timeout,
            "trace": trace is not None,
            "progress": tell,
            "keys": keys,
            "plaintext": plaintext,
        }
        if is_single(solution):
            options["model"] = load_for(solution)
            options["inputs"] = read_inputs(options["model"].graph, input) if input else None
        elif input is not None:
            raise PlanError(
                "inputs are read for a plan that one entry serves, and this one has"
                f" {len(solution.plan.entries)}; leave --input out"
            )
        else:
            options["seed"] = seed
        report = run_solution(solution, **options)
    if trace and report.trace:
        report.trace.save(trace)
    if json:
        print_json(report.figures)
    elif isinstance(report, Report):
        view.print_report(report.figures)
    else:
        view.print_table(f"{requests} requests of each task, all at once", task_rows(report.figures))


def task_rows(figures: SeveralFigures) -> list[dict[str, Any]]:
    """A row for each task of a run."""
    return [
        {
            "task": task.task,
            "rate": f"{task.rate_per_s:.3g} /s" if task.rate_per_s else "",
            "predicted_s": task.predicted_s,
            "simulated_s": task.simulated_s.p50,
            "measured_s": task.measured_s.p50,
            "p90_s": task.measured_s.p90,
            "error": task.prediction_error,
            "throughput_per_s": task.throughput_per_s,
            "difference": task.max_rel_error,
        }
        for task in figures.tasks
    ]


def demo(
    requests: Annotated[int, typer.Option(help="How many requests each plan is measured with.")] = 5,
    json: Json = False,
) -> None:
    """MobileNetV2 looks at a cat over a phone, an edge box and a cloud server."""
    with progress_bar(quiet=json) as tell:
        result: dict[str, Any] = run_demo(requests=requests, progress=tell)
    if json:
        print_json(result)
    else:
        view.print_demo(result)


COMMANDS = (measure, run, demo)
