"""Language models over several nodes: speed of one text and of several, predictions, killed nodes, a large plan."""

import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise

import numpy as np

from bench.table import Row
from hocket.cluster import Cluster, read_toml
from hocket.control.live.state import Rules
from hocket.control.measure import measure
from hocket.cost import Objective, Problem, evaluate
from hocket.graph.model import Model
from hocket.language.config import PRESETS
from hocket.language.divided import dividable
from hocket.language.generate import Reader, generate
from hocket.language.language_model import LanguageModel
from hocket.language.live import LiveLanguageModel, open_language_model
from hocket.language.planning import language_problem, layer_of
from hocket.language.session import DecoderSession
from hocket.plan import Plan
from hocket.plan.placement import plan_for
from hocket.solvers import Solution, solve

MODEL = "smollm2_135m"
CAPACITY, TOKENS, PAIRS, KILLS, TEXTS = 256, 24, 7, 50, 4
LONG = 800
PROMPT = [11, 500, 33, 7, 900, 61, 2, 42]
_CALM_S = 60.0


def rows() -> list[Row]:
    """All figures."""
    model = LanguageModel(PRESETS[MODEL]).with_random_weights()
    divided = dividable(model, capacity=CAPACITY)
    alone = DecoderSession(model, capacity=CAPACITY)
    expected = _text(alone)
    problem = language_problem(divided.graph, three_nodes(), capacity=CAPACITY)
    plans = {count: even(problem, "abc"[:count]) for count in (1, 2, 3)}
    with _live(problem, plans[2], model, divided, Rules(standby="none", keep=8)) as live:
        made = [*speeds(live, alone, plans), together(live, plans[2]), predictions(live, alone, divided, problem)]
    with _live(problem, plans[3], model, divided, Rules(standby="ready")) as live:
        made += kills(live, expected)
    return [*made, *long_texts(model), *large()]


def three_nodes() -> Cluster:
    """Three equal nodes of one thread each, with nothing emulated between them."""
    nodes = "".join(f'[[node]]\nname = "{name}"\nspeed = "20 GFLOP/s"\n' for name in "abc")
    links = "".join(
        f'[[link]]\nbetween = ["{a}", "{b}"]\nrate = "unlimited"\n' for a, b in (("a", "b"), ("b", "c"), ("a", "c"))
    )
    return read_toml(f'format = "hocket.cluster/1"\nname = "three"\n{nodes}{links}')


def speeds(live: LiveLanguageModel, alone: DecoderSession, plans: dict[int, Plan]) -> list[Row]:
    """Tokens per second of one text over several nodes against one node, and of that against no node at all."""
    ratios: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for pair in range(PAIRS):
        for count, found in ratios.items():
            base = plans[1] if count > 1 else None
            places = [base, plans[count]]
            times = [_at_s(live, alone, plan) for plan in (places if pair % 2 else reversed(places))]
            one, several = times if pair % 2 else reversed(times)
            found.append(one / several)
    note = f"{MODEL}, float32, random weights, 1 thread each, {PAIRS} alternating pairs of {TOKENS} tokens"
    value = statistics.median(ratios[1])
    return [
        *(_speed(count, statistics.median(ratios[count]), note) for count in (2, 3)),
        Row("tokens/s of one text, 1 node / the model in the client's process", value, "x", "", None, note),
    ]


def _speed(count: int, value: float, note: str) -> Row:
    return Row(f"tokens/s of one text, {count} nodes / 1 node", value, "x", ">= 0.9", value >= 0.9, note)


def _at_s(live: LiveLanguageModel, alone: DecoderSession, plan: Plan | None) -> float:
    """Seconds per token with a plan; None = no node."""
    if plan is None:
        return _alone_s(alone)
    live.session.switch(plan).result(_CALM_S)
    return _token_s(live)


def together(live: LiveLanguageModel, plan: Plan) -> Row:
    """Tokens per second of several texts at once, against one text at a time on the same nodes."""
    live.session.switch(plan).result(_CALM_S)
    ratios = []
    for _ in range(PAIRS):
        start = time.perf_counter()
        _text_of(live)
        single_s = time.perf_counter() - start
        threads = [threading.Thread(target=_text_of, args=(live,)) for _ in range(TEXTS)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ratios.append(TEXTS * single_s / (time.perf_counter() - start))
    value = statistics.median(ratios)
    note = f"{MODEL}, 2 nodes, {PAIRS} pairs of {TOKENS} tokens each"
    return Row(f"tokens/s, {TEXTS} texts at once / 1 text", value, "x", ">= 1.6", value >= 1.6, note)


def predictions(live: LiveLanguageModel, alone: DecoderSession, divided: Model, problem: Problem) -> Row:
    """Predicted against measured seconds per token, for plans with other cuts."""
    before_s = _alone_s(alone)
    profile = measure(divided, problem.cluster, kept=len(PROMPT) + TOKENS // 2)
    then_s = statistics.mean((before_s, _alone_s(alone)))
    known = problem.replace(tasks=(problem.task.replace(profile=profile),))
    errors = []
    for places in ("a", "ab", "aab", "abb", "abc", "aabc"):
        plan = even(problem, places)
        live.session.switch(plan).result(_CALM_S)
        _text_of(live)
        measured, now = [], []
        for _ in range(PAIRS):
            measured.append(_token_s(live))
            now.append(_alone_s(alone))
        # How fast this computer is changes with the minutes; what is predicted is the plan.
        predicted_s = evaluate(known, plan).latency_s * statistics.median(now) / then_s
        errors.append(predicted_s / statistics.median(measured) - 1)
    value = statistics.median(abs(error) for error in errors)
    each = ", ".join(f"{100 * error:+.1f}%" for error in errors)
    return Row(
        "error of predicted time per output token", 100 * value, "%", "<= 12 %", value <= 0.12,
        f"median of {len(errors)} plans, profile of `hocket measure`, scaled to the speed of the moment; {each}",
    )  # fmt: skip


def kills(live: LiveLanguageModel, expected: list[int]) -> list[Row]:
    """One of three nodes is killed at a random token: the text, and the longest wait for a token."""
    choose, same, stalls = random.Random(1), 0, []
    _calm(live)
    for _ in range(KILLS):
        victim, at = choose.choice("bc"), choose.randrange(1, TOKENS - 1)
        found, waits, last = [], [], time.perf_counter()
        with live.reader() as reader:
            for number, token in enumerate(generate(reader, PROMPT, most=TOKENS)):
                waits.append(time.perf_counter() - last)
                found.append(token)
                if number == at:
                    os.kill(live.fleet.process_id(victim), signal.SIGKILL)
                last = time.perf_counter()
        same += found == expected
        stalls.append(max(waits))
        _mend(live, victim)
    note = f"{MODEL}, 3 nodes, {KILLS} kills at random tokens, runs for each loss kept ready"
    return [
        Row("texts that a killed node does not change", 100 * same / KILLS, "%", "100 %", same == KILLS, note),
        Row("longest wait for a token", max(stalls), "s", "<= 2 s", max(stalls) <= 2, note),
    ]


def long_texts(model: LanguageModel) -> list[Row]:
    """The wait for a token after a kill late in a text, with copies of the caches and without."""
    divided = dividable(model, capacity=LONG + TOKENS)
    problem = language_problem(divided.graph, three_nodes(), capacity=LONG + TOKENS)
    prompt = [int(token) for token in np.random.default_rng(1).integers(1, model.config.vocabulary, LONG)]
    alone = DecoderSession(model, capacity=LONG + TOKENS)
    expected = list(generate(alone, prompt, most=TOKENS))
    waits: dict[int, list[float]] = {}
    same = 0
    for mirror_bytes in (0, 1 << 30):
        rules = Rules(standby="ready", mirror_bytes=mirror_bytes)
        with _live(problem, even(problem, "abc"), model, divided, rules) as live:
            _calm(live)
            for victim in "bcbcb":
                text, wait_s = _wait_after_kill(live, prompt, victim)
                waits.setdefault(mirror_bytes, []).append(wait_s)
                same += text == expected
                _mend(live, victim)
    read, brought = (statistics.median(found) for found in waits.values())
    note = (
        f"{MODEL}, 3 nodes, {LONG} tokens before it, 5 kills each, medians: read again {read:.2f} s, caches brought"
        f" {brought:.2f} s; {same} of 10 texts the same"
    )
    return [Row("wait for a token after a kill: read again / caches brought", read / brought, "x", "", None, note)]


def _wait_after_kill(live: LiveLanguageModel, prompt: list[int], victim: str) -> tuple[list[int], float]:
    """A text during which a node is killed, and how long the next token took."""
    found, wait_s, killed_s = [], 0.0, 0.0
    with live.reader() as reader:
        for number, token in enumerate(generate(reader, prompt, most=TOKENS)):
            if killed_s and not wait_s:
                wait_s = time.perf_counter() - killed_s
            found.append(token)
            if number == TOKENS // 2:
                os.kill(live.fleet.process_id(victim), signal.SIGKILL)
                killed_s = time.perf_counter()
    return found, wait_s


def _mend(live: LiveLanguageModel, victim: str) -> None:
    while victim not in live.fleet.ended():
        time.sleep(0.01)
    live.fleet.start_again(victim)
    _calm(live)


def large() -> list[Row]:
    """LLaMA-2 70B with weights of four bits over eight unlike devices."""
    rooms, speeds_ = (8, 8, 10, 10, 12, 16, 24, 64), (100, 120, 150, 200, 250, 300, 400, 600)
    nodes = "".join(
        f'[[node]]\nname = "n{i}"\nspeed = "{speed} GFLOP/s"\nmemory = "{room} GB"\n'
        for i, (room, speed) in enumerate(zip(rooms, speeds_, strict=True))
    )
    links = "".join(f'[[link]]\nbetween = ["n{a}", "n{b}"]\nrate = "10 Gbit/s"\n' for a in range(8) for b in range(a))
    cluster = read_toml(f'format = "hocket.cluster/1"\n{nodes}{links}')
    config = PRESETS["llama2_70b"].replace(precision="int4")
    problem = language_problem(config, cluster, capacity=2048, objective=Objective(metric="period"))
    solution = solve(problem, "chain_dp")
    gap = 1.0 if solution.gap is None else solution.gap
    note = f"int4, 2048 tokens of cache, chain_dp, period; no plan with {solution.optimal_over} is better"
    return [
        Row("time to plan LLaMA-2 70B", solution.solve_s, "s", "<= 10 s", solution.solve_s <= 10, note),
        Row("gap to the bound of all plans", 100 * gap, "%", "<= 1 %", gap <= 0.01, note),
    ]


def even(problem: Problem, places: Sequence[str]) -> Plan:
    """Layers in equal runs; the embedding on the first of the nodes, the scores where the last layer is."""
    graph = problem.task.graph
    layers = [layer_of(operator.name) for operator in graph.operators]
    count = max(layer for layer in layers if layer is not None) + 1
    node = [places[layer * len(places) // count] for layer in range(count)]
    first = next(number for number, layer in enumerate(layers) if layer is not None)
    chosen = [
        node[layer] if layer is not None else places[0] if number < first else node[-1]
        for number, layer in enumerate(layers)
    ]
    return plan_for(problem.task.name, graph, chosen)


def _live(
    problem: Problem, plan: Plan, model: LanguageModel, divided: Model, rules: Rules
) -> AbstractContextManager[LiveLanguageModel]:
    solution = Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="chain_dp")
    return open_language_model(solution, model, divided=divided, policy="static", rules=rules, emulate=False)


def _text(session: DecoderSession) -> list[int]:
    session.rewind()
    return list(generate(session, PROMPT, most=TOKENS))


def _text_of(live: LiveLanguageModel) -> list[int]:
    with live.reader() as reader:
        return list(generate(reader, PROMPT, most=TOKENS))


def _alone_s(session: DecoderSession) -> float:
    session.rewind()
    return _median_s(_times(session))


def _token_s(live: LiveLanguageModel) -> float:
    with live.reader() as reader:
        return _median_s(_times(reader))


def _times(reader: Reader) -> list[float]:
    times = [time.perf_counter()]
    for _ in generate(reader, PROMPT, most=TOKENS):
        times.append(time.perf_counter())
    return times


def _median_s(times: Sequence[float]) -> float:
    """Of one token after the first."""
    return statistics.median(after - before for before, after in pairwise(times[1:]))


def _calm(live: LiveLanguageModel) -> None:
    end_s = time.monotonic() + _CALM_S
    while not live.session.status().calm and time.monotonic() < end_s:
        time.sleep(0.02)
