"""Writing the continuation of a text as it comes, and how fast it came beside how fast it was predicted to."""

import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from hocket.cli.common import console, print_json, progress_bar
from hocket.errors import PlanError
from hocket.language.generate import generate
from hocket.language.language_model import LanguageModel
from hocket.language.live import open_language_model
from hocket.language.sampling import Sampling
from hocket.serve.text import Detokenizer
from hocket.solvers import Solution

_KINDS = {
    "formula": "by formula (--measure tells more)",
    "measured": "from a measured profile",
    "predicted": "from a predicted profile",
}


class Figures(NamedTuple):
    """What generating took."""

    prompt_tokens: int
    tokens: int
    first_s: float
    token_s: float
    """Median of all but the first; 0 = there was one only."""
    predicted_s: float
    predicted_by: str
    """How the profile came about: `formula`, `measured` or `predicted`."""
    replays: int
    revivals: int


def write(
    model: LanguageModel, solution: Solution, tokens: list[int], sampling: Sampling, most: int, json: bool,
    options: dict[str, Any],
) -> None:  # fmt: skip
    """Print the continuation as it comes, and how fast it came."""
    pieces: list[str] = []
    with ExitStack() as stack:
        with progress_bar(quiet=json) as tell:
            tell("starting nodes", 0, 1)
            live = stack.enter_context(open_language_model(solution, model, **options))
            reader = stack.enter_context(live.reader())
        room = live.capacity - len(tokens) + 1
        if room < 1:
            raise PlanError(
                f"the context has room for {live.capacity} tokens, and the prompt has {len(tokens)}; shorten it or give"
                " --context"
            )
        ends = model.tokenizer.ends if model.tokenizer else ()
        given = generate(reader, tokens, sampling, most=min(most, room), ends=ends)
        times: list[float] = [time.perf_counter()]
        for piece in _texts(model, _timed(given, times)):
            pieces.append(piece)
            if not json:
                print(piece, end="", flush=True)
        replays, revivals = reader.replays, reader.revivals
    took = [after - before for before, after in itertools.pairwise(times)]
    figures = Figures(
        prompt_tokens=len(tokens),
        tokens=len(took),
        first_s=took[0] if took else 0.0,
        token_s=statistics.median(took[1:]) if len(took) > 1 else 0.0,
        predicted_s=solution.cost.latency_s,
        predicted_by=solution.problem.task.profile.how,
        replays=replays,
        revivals=revivals,
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


def _tell(figures: Figures, *, full: bool) -> None:
    def rate(seconds: float) -> str:
        return f"{1 / seconds:.3g} tokens/s" if seconds > 0 else "no rate"

    if full:
        print("hocket: the context is full; give a larger --context", file=sys.stderr)
    console.print(
        f"{figures.tokens} tokens, {rate(figures.token_s)} measured, {rate(figures.predicted_s)} predicted"
        f" {_KINDS[figures.predicted_by]};"
        f" the prompt of {figures.prompt_tokens} tokens took {figures.first_s:.3g} s"
        + (f"; read again {figures.replays} times" if figures.replays else "")
        + (f"; caches brought to other nodes {figures.revivals} times" if figures.revivals else ""),
        soft_wrap=True, markup=False, highlight=False,
    )  # fmt: skip
