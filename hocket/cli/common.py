"""What the commands share: reading their arguments, progress on stderr, one JSON object on stdout."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from hocket.cost import Objective, Problem, evaluate, read_problem
from hocket.errors import FormatError, PlanError
from hocket.graph import Graph
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.plan import Plan
from hocket.plan.check import check
from hocket.reading import load
from hocket.solvers import Solution
from hocket.units import DIMENSIONS, parse
from hocket.zoo import model_path

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Shapes = Annotated[
    list[str] | None, typer.Option("--shape", help="Shape of an input: input=1,3,224,224. May be repeated.")
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="An ONNX file, or zoo:NAME.")]
LanguageArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A GGUF file, a folder of Hugging Face or with an ONNX export, smollm2_135m_instruct, or a preset.",
    ),
]
Context = Annotated[int | None, typer.Option(help="Most tokens of a text; absent = 2048 or the model's.", min=1)]
PrecisionOption = Annotated[
    str, typer.Option("--precision", help="Of a language model's matrices: float32, float16, int8 or int4.")
]
CandidatesOption = Annotated[
    int, typer.Option("--candidates", help="The next token is one of so many likeliest; 0 = any.", min=0)
]
MirrorOption = Annotated[
    str, typer.Option("--mirror", help="Room for copies of the nodes' caches, such as '500 MB'; 0 = none.")
]
ClusterArgument = Annotated[Path, typer.Argument(metavar="CLUSTER", help="A cluster file (TOML or JSON).")]
PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN", help="A solution that `hocket solve -o` wrote.")]

console = Console(stderr=True)


def print_json(data: Any) -> None:
    """One JSON object on stdout; infinite numbers become null."""
    print(json.dumps(_plain(msgspec.to_builtins(data)), indent=1))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def parse_shapes(texts: Sequence[str] | None) -> dict[str, tuple[int, ...]]:
    """`["input=1,3,224,224"]` -> {"input": (1, 3, 224, 224)}."""
    shapes = {}
    for text in texts or []:
        name, equals, sizes = text.rpartition("=")
        numbers = [size.strip() for size in sizes.split(",") if size.strip()]
        if not equals or not name or not all(number.isdigit() and len(number) < 10 for number in numbers):
            raise FormatError(f"a shape is written input=1,3,224,224, got {text!r}; write it so")
        shapes[name] = tuple(int(number) for number in numbers)
    return shapes


def read_model(name: str | Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Model:
    """Load an ONNX file or a model of the zoo."""
    text = str(name)
    path = model_path(text.removeprefix("zoo:")) if text.startswith("zoo:") else Path(text)
    return load_model(path, shapes=shapes)


def read_graph(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Graph:
    """The graph alone, as problem files need it."""
    return read_model(path, shapes).graph


def read_solution(path: Path, problem: Path | None = None) -> Solution:
    """A solution file; or a plan file, which needs a problem beside it."""
    noun = load(path)
    if isinstance(noun, Solution):
        check_plan(noun.problem, noun.plan)
        return noun
    if isinstance(noun, Plan):
        if problem is None:
            raise FormatError(f"{path} is a plan without its problem; give the problem with --problem")
        given = read_problem_file(problem)
        check_plan(given, noun)
        return Solution(problem=given, plan=noun, cost=evaluate(given, noun), solver="given")
    raise FormatError(f"{path} holds a {type(noun).__name__.lower()}; give a solution or a plan")


def check_plan(problem: Problem, plan: Plan) -> None:
    """Refuse a plan that does not fit its problem, with every fault on a line of its own.

    Raises:
        PlanError: C1 is broken.
    """
    tasks = problem.tasks
    faults = check(
        plan,
        {task.name: task.graph for task in tasks},
        problem.cluster,
        inputs={task.name: task.inputs for task in tasks},
        outputs={task.name: task.outputs for task in tasks},
        refusable=[task.name for task in tasks if task.refusal_cost is not None],
    )
    if faults:
        raise PlanError("\n".join(faults))


def read_problem_file(path: Path) -> Problem:
    """A problem as TOML or JSON."""
    return Problem.load(path) if path.suffix == ".json" else read_problem(path, read_graph)


_LIMIT_UNITS = {"latency": "seconds", "sequential": "seconds", "period": "seconds", "energy": "joules", "price": "usd"}


def parse_objective(metric: str, weights: str | None, limits: Sequence[str] | None) -> Objective:
    """The objective of `--objective`, `--weights latency=1,energy=.5` and `--limit latency=100ms`."""
    named = dict(_pair(part, "--weights latency=1,energy=0.5") for part in (weights or "").split(",") if part)
    found = {}
    for text in limits or []:
        key, value = _pair(text, "--limit latency=100ms")
        dimension = _LIMIT_UNITS.get(key)
        found[key] = parse(value, dimension) if dimension in DIMENSIONS else _number(value, "--limit reliability=0.99")
    values = {
        "metric": metric,
        "weights": {key: _number(value, "--weights latency=1,energy=0.5") for key, value in named.items()},
        "limits": found,
    }
    if metric == "weighted" and not named:
        raise FormatError("the objective 'weighted' needs weights, got none; give --weights latency=1,energy=0.5")
    try:
        return msgspec.convert(values, Objective)
    except msgspec.ValidationError:
        choices = "latency, sequential, period, energy, price or weighted"
        raise FormatError(f"an objective is {choices}, got {metric!r}; choose one of them") from None


def _pair(text: str, example: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise FormatError(f"an option like {text!r} has a name and a value; write it like {example}")
    return key.strip(), value.strip()


def _number(text: str, example: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise FormatError(f"{text!r} is not a number; write it like {example}") from None
    if not math.isfinite(number) or number < 0:
        raise FormatError(f"a number is finite and not negative, got {text!r}; write it like {example}")
    return number


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Any]:
    """A progress bar on stderr; gives the function that long verbs tell how far they are."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()) as bar:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done, total=of)

        yield tell
