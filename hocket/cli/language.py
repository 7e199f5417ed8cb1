"""Commands for language models: continuing a text over several nodes, and plans for other systems."""

import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from hocket.cli.common import Json, PlanArgument, console, parse_objective, print_json, read_solution
from hocket.cluster import load_cluster
from hocket.errors import FormatError, PlanError
from hocket.language.exports import export as export_plan
from hocket.language.exports import with_whole_layers
from hocket.language.generate import generate as generate_tokens
from hocket.language.language_model import LanguageModel
from hocket.language.live import open_language_model, read_language_model
from hocket.language.planning import language_problem
from hocket.language.sampling import Sampling
from hocket.profile import Profile
from hocket.serve.backend import Message
from hocket.serve.text import Detokenizer
from hocket.solvers import Solution
from hocket.solvers import solve as solve_problem

_INTERRUPTED = 130
_PLANNING_S = 10.0


def generate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A GGUF file, a Hugging Face folder, or a preset.")],
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
    context: Annotated[int | None, typer.Option(help="Most tokens of the text; absent = 2048 or the model's.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the solution here.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Our secret key file, for join tokens.")] = None,
    plaintext: Annotated[bool, typer.Option(help="Allow unencrypted links to other machines.")] = False,
    json: Json = False,
) -> None:
    """Continue a text with a language model that is divided over nodes."""
    if not 0 < top_p <= 1:
        raise FormatError(f"top-p is more than 0 and at most 1, got {top_p:g}; give another")
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    try:
        language = read_language_model(model)
        tokens = _tokens(language, prompt, system, raw=raw)
        solution = _planned(language, where, solver, objective, profile, context)
        if output:
            solution.save(output)
        options: dict[str, Any] = {"keys": keys, "plaintext": plaintext, "time_limit_s": _PLANNING_S}
        _write(language, solution, tokens, sampling, max_tokens, json, options)
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
    model: LanguageModel, where: Path, solver: str, objective: str, profile: Path | None, context: int | None
) -> Solution:
    """The solution that is given, or one for the cluster that is."""
    if where.suffix == ".json":
        return read_solution(where)
    capacity = context if context is not None else min(2048, model.config.context)
    problem = language_problem(
        model,
        load_cluster(where),
        capacity=capacity,
        objective=parse_objective(objective, None, None),
        profile=Profile.load(profile) if profile else None,
    )
    return solve_problem(problem, solver, time_limit_s=_PLANNING_S)


class _Figures(NamedTuple):
    """What generating took."""

    prompt_tokens: int
    tokens: int
    first_s: float
    token_s: float
    """Median of all but the first; 0 = there was one only."""
    predicted_s: float
    replays: int


def _write(
    model: LanguageModel, solution: Solution, tokens: list[int], sampling: Sampling, most: int, json: bool,
    options: dict[str, Any],
) -> None:  # fmt: skip
    """Print the continuation as it comes, and how fast it came."""
    pieces: list[str] = []
    with open_language_model(solution, model, **options) as live, live.reader() as reader:
        room = live.capacity - len(tokens) + 1
        if room < 1:
            raise PlanError(
                f"the context has room for {live.capacity} tokens, and the prompt has {len(tokens)}; shorten it or give"
                " --context"
            )
        ends = model.tokenizer.ends if model.tokenizer else ()
        given = generate_tokens(reader, tokens, sampling, most=min(most, room), ends=ends)
        times: list[float] = [time.perf_counter()]
        for piece in _texts(model, _timed(given, times)):
            pieces.append(piece)
            if not json:
                print(piece, end="", flush=True)
        replays = reader.replays
    took = [after - before for before, after in itertools.pairwise(times)]
    figures = _Figures(
        prompt_tokens=len(tokens),
        tokens=len(took),
        first_s=took[0] if took else 0.0,
        token_s=statistics.median(took[1:]) if len(took) > 1 else 0.0,
        predicted_s=solution.cost.latency_s,
        replays=replays,
    )
    if json:
        print_json({"text": "".join(pieces), **figures._asdict(), "full": len(took) == room < most})
    else:
        print(flush=True)
        _tell(figures, full=len(took) == room < most)


def _timed(tokens: Iterator[int], times: list[float]) -> Iterator[int]:
    for token in tokens:
        times.append(time.perf_counter())
        yield token


def _texts(model: LanguageModel, tokens: Iterator[int]) -> Iterator[str]:
    """What each token adds to the text."""
    if model.tokenizer is None:
        for token in tokens:
            yield f"{token} "
        return
    text = Detokenizer(model.tokenizer.decode)
    for token in tokens:
        yield text.push(token)
    yield text.flush()


def _tell(figures: _Figures, *, full: bool) -> None:
    def rate(seconds: float) -> str:
        return f"{1 / seconds:.3g} tokens/s" if seconds > 0 else "no rate"

    if full:
        print("hocket: the context is full; give a larger --context", file=sys.stderr)
    console.print(
        f"{figures.tokens} tokens, {rate(figures.token_s)} measured, {rate(figures.predicted_s)} predicted;"
        f" the prompt of {figures.prompt_tokens} tokens took {figures.first_s:.3g} s"
        + (f"; read again {figures.replays} times" if figures.replays else ""),
        soft_wrap=True, markup=False, highlight=False,
    )  # fmt: skip


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
