"""Commands for language models: continuing a text over several nodes, and plans for other systems."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hocket.cli.common import (
    CandidatesOption,
    Context,
    Json,
    LanguageArgument,
    MirrorOption,
    PlanArgument,
    PrecisionOption,
    console,
    parse_objective,
    print_json,
    progress_bar,
    read_solution,
)
from hocket.cli.writing import write
from hocket.cluster import load_cluster
from hocket.control.live.state import Rules
from hocket.control.measure import measure as measure_model
from hocket.control.progress import Progress
from hocket.errors import FormatError
from hocket.language.divided import USUAL_CANDIDATES, dividable
from hocket.language.exports import export as export_plan
from hocket.language.exports import with_whole_layers
from hocket.language.language_model import LanguageModel
from hocket.language.live import read_language_model
from hocket.language.planning import capacity_of, language_problem, usual_capacity
from hocket.language.sampling import Sampling
from hocket.profile import Profile
from hocket.serve.backend import Message
from hocket.solvers import Solution
from hocket.solvers import solve as solve_problem
from hocket.units import parse

_INTERRUPTED = 130
_PLANNING_S = 10.0
_REPEATS = 7
"""Measured before a text is written, for which somebody waits."""


def generate(
    model: LanguageArgument,
    where: Annotated[Path, typer.Argument(metavar="CLUSTER_OR_PLAN", help="A cluster file, or a solution.")],
    prompt: Annotated[str, typer.Option(help="The text; of a preset, which has no tokenizer, numbers of tokens.")],
    max_tokens: Annotated[int, typer.Option(help="Most tokens of the continuation.", min=1)] = 128,
    temperature: Annotated[float, typer.Option(help="0 = always the likeliest token.", min=0.0)] = 0.0,
    top_k: Annotated[int, typer.Option(help="Only so many of the likeliest; 0 = all.", min=0)] = 0,
    top_p: Annotated[float, typer.Option(help="Only the likeliest with this probability together.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="The same text for the same seed.", min=0)] = None,
    system: Annotated[str, typer.Option(help="What the model is told before the conversation.")] = "",
    raw: Annotated[bool, typer.Option("--raw", help="Continue the prompt; no conversation.")] = False,
    solver: Annotated[str, typer.Option(help="That plans, where a cluster is given.")] = "auto",
    objective: Annotated[str, typer.Option(help="latency (of a token), period (of many texts), ...")] = "latency",
    profile: Annotated[Path | None, typer.Option(help="A profile; without one FLOPs / speed is used.")] = None,
    divide: Annotated[
        bool, typer.Option("--divide", help="Let solvers divide operators too, which takes fast links.")
    ] = False,
    measure: Annotated[bool, typer.Option("--measure", help="Measure the model on the nodes before planning.")] = False,
    context: Context = None,
    precision: PrecisionOption = "float32",
    candidates: CandidatesOption = USUAL_CANDIDATES,
    mirror: MirrorOption = "0",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the solution here.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Our secret key file, for join tokens.")] = None,
    plaintext: Annotated[bool, typer.Option(help="Allow unencrypted links to other machines.")] = False,
    json: Json = False,
) -> None:
    """Continue a text with a language model that is divided over nodes."""
    if not 0 < top_p <= 1:
        raise FormatError(f"top-p is more than 0 and at most 1, got {top_p:g}; give another")
    mirrored = round(parse(mirror, "bytes"))
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    reach: dict[str, Any] = {"keys": keys, "plaintext": plaintext}
    try:
        with progress_bar(quiet=json) as tell:
            tell("reading the model", 0, 1)
            language = read_language_model(model, precision)
            tell("reading the model", 1, 1)
            tokens = _tokens(language, prompt, system, raw=raw)
            known = Profile.load(profile) if profile else None
            solution = _planned(
                language, where, solver, objective, known, context, candidates, divide, tell, reach if measure else None
            )
        if output:
            solution.save(output)
        options = {**reach, "time_limit_s": _PLANNING_S, "rules": Rules(mirror_bytes=mirrored)}
        write(language, solution, tokens, sampling, max_tokens, json, options)
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None


def _tokens(model: LanguageModel, prompt: str, system: str, *, raw: bool) -> list[int]:
    """The prompt as the model reads it."""
    if not prompt.strip():
        raise FormatError("a text begins with something, and the prompt is empty; give --prompt some words")
    tokenizer = model.tokenizer
    if tokenizer is None:
        words = prompt.replace(",", " ").split()
        if not all(word.isdecimal() and len(word) < 9 for word in words):
            raise FormatError(
                f"{model.config.name!r} has no tokenizer, so its prompt is numbers of tokens, got {prompt!r}; write"
                " --prompt '5 80 33'"
            )
        return [int(word) for word in words]
    if raw or not tokenizer.chat_template:
        return tokenizer.encode(f"{system}\n{prompt}" if system else prompt)
    turns = [Message("system", system)] if system else []
    return tokenizer.encode_chat([*turns, Message("user", prompt)])


def _planned(
    model: LanguageModel,
    where: Path,
    solver: str,
    objective: str,
    profile: Profile | None,
    context: int | None,
    candidates: int,
    divide: bool,
    tell: Progress,
    measuring: dict[str, Any] | None,
) -> Solution:
    """The solution that is given, or one for the cluster that is, measured before where it is said how to reach it."""
    if measuring is not None and (profile is not None or where.suffix == ".json"):
        raise FormatError(
            "--measure makes the profile that a plan is made from, and a profile or a solution is given already; leave"
            " one of them out"
        )
    if where.suffix == ".json":
        return read_solution(where)
    cluster = load_cluster(where)
    divided = dividable(model, capacity=context or _capacity(model, profile), candidates=candidates)
    if measuring is not None:
        profile = measure_model(divided, cluster, repeats=_REPEATS, progress=tell, **measuring)
    tell("planning", 0, 1)
    problem = language_problem(
        divided.graph,
        cluster,
        capacity=capacity_of(divided.graph),
        objective=parse_objective(objective, None, None),
        profile=profile,
        divided=divide,
    )
    return solve_problem(problem, solver, time_limit_s=_PLANNING_S)


def _capacity(model: LanguageModel, profile: Profile | None) -> int:
    """That which was measured, if any was."""
    usual = usual_capacity(model.config)
    return profile.entries[0].bindings.get("capacity", usual) if profile and profile.entries else usual


def export(
    plan: PlanArgument,
    to: Annotated[str, typer.Option(help="accelerate, llama.cpp, vllm or prima.")],
    whole_layers: Annotated[bool, typer.Option("--whole-layers", help="Move cuts to borders of layers.")] = False,
    json: Json = False,
) -> None:
    """Write the plan of a language model as another system takes it."""
    solution = read_solution(plan)
    made = export_plan(with_whole_layers(solution) if whole_layers else solution, to)
    if json:
        print_json({"to": to, "text": made.text, "nodes": made.nodes, **made.data})
        return
    print(made.text)
    order = ", ".join(f"{number} = {node}" for number, node in enumerate(made.nodes))
    console.print(f"devices: {order}", soft_wrap=True, markup=False, highlight=False)


COMMANDS = (generate, export)
