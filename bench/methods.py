"""The library of methods: which cards have a solver, and whether each keeps the contract on random instances."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bench.table import Row
from hocket.cost import Problem
from hocket.errors import InfeasibleError, RefusedError
from hocket.graph import Graph
from hocket.solvers import SOLVERS, ContractError, Solver, check_solver, solve, table_of
from hocket.solvers.exact import SOLVERS as EXACT
from hocket.solvers.registry import GENERAL
from hocket.solvers.stop import MaxIterations
from hocket.variants import decouple

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "solvers" / "games")]  # the seeded problems of the tests

from game_problems import cells  # noqa: E402
from many_problems import class_of  # noqa: E402
from problems import random_problem  # noqa: E402
from split_problems import split_problem  # noqa: E402
from transformers_small import divided_problems, transformer  # noqa: E402

CARDS = [
    "neurosurgeon",
    "edgent",
    "loadpart",
    "task_migration",
    "dnnsplit",
    "hsms_adp",
    "dads",
    "throughput_max",
    "cic",
    "dds",
    "gan_defense",
    "mdpo",
    "ocdst",
    "pipeedge",
    "hpipe",
    "edgeshard",
    "jointdnn",
    "adamec",
    "aofl",
    "pipeline_coinfer",
    "jalad",
    "iao",
    "mjoa_mu",
    "fan_edgecloud",
    "mv_jramp",
    "jpdra",
    "ddpra",
    "coedge",
    "vcg_auction",
    "camera_coalition",
    "dina",
    "dia",
    "gafpd",
    "ucl",
    "na_ga",
    "hcea",
    "eosdnn",
    "cpo_sa3_fmtr",
    "aspm",
    "robustdice",
    "continuer",
    "job_schedule",
    "pdd",
    "modnn",
    "mednn",
    "deepthings_ftp",
    "d3_vsm",
    "edgeflow",
    "pmp",
    "repurpose",
    "voltage",
    "megatron",
    "pope_scaling",
    "hepti",
    "detransformer",
    "feltin_throughput",
    "miao_adaptive",
    "autodice_explore",
    "placement_partition",
    "fan_iiot",
]
"""What does not learn and needs no moving world."""
RULES = [
    "exo",
    "petals",
    "halda",
    "halda_paper",
    "accelerate",
    "distributed_llama",
    "llama_cpp_layer",
    "llama_cpp_tensor",
]
INSTANCES = 200
LEAST = 30
CHEAPER: dict[str, dict[str, Any]] = {
    "joint_split": {"judgements": 4, "kept": 4, "others": False},
    "ga": {"population": 8, "generations": 4},
    "nsga2": {"population": 8, "generations": 4},
    "epsilon": {"points": 2},
    "cp_sat": {"effort": 0.5, "most_rounds": 3},
}
"""Options of solvers that would take minutes: the contract does not depend on how long one searches."""
METRICS = ("sequential", "latency", "period", "energy", "price")


def rows() -> list[Row]:
    found = table_of(SOLVERS.values())
    known = {card.strip() for row in found for card in row["cards"].split(",")} | set(SOLVERS)
    missing = [card for card in (*CARDS, *RULES) if card not in known]
    covered = len(CARDS) + len(RULES) - len(missing)
    note = f"missing: {', '.join(missing)}" if missing else f"{len(SOLVERS)} solvers in all"
    return [
        Row("cards and rules covered by a solver", covered, f"of {len(CARDS) + len(RULES)}", "all", not missing, note),
        *_contracts(),
        *_large(),
    ]  # fmt: skip


def _contracts() -> list[Row]:
    """Every solver on 200 instances of the class that it accepts most of, each in a process."""
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(_contract, SOLVERS))
    failed = [f"{name}: {error}" for name, _, error in found if error]
    few = [name for name, accepted, error in found if accepted < LEAST and not error]
    passed = [f"{name} {accepted}" for name, accepted, error in found if not error]
    return [
        Row(f"solvers that keep the contract on {INSTANCES} random instances", len(passed), f"of {len(SOLVERS)}", "all",
            not failed, "; ".join(failed) or ("instances accepted: " + ", ".join(passed))),
        Row(f"solvers that accept at least {LEAST} of {INSTANCES} instances of a class", len(passed) - len(few),
            f"of {len(SOLVERS)}", "all", not few and not failed, ", ".join(few)),
    ]  # fmt: skip


def _contract(name: str) -> tuple[str, int, str]:
    """A solver, how many instances it accepted, and which promise it does not keep."""
    solver, start = SOLVERS[name](**CHEAPER.get(name, {})), time.process_time()
    title, problems = max(_classes(name), key=lambda found: _taken(solver, found[1]))
    try:
        accepted = check_solver(solver, (problems(number) for number in range(INSTANCES)), iterations=3)
    except ContractError as error:
        print(f"  {name}, {title}: {error}", flush=True)
        return name, 0, str(error)
    print(f"  {name}: {accepted} of {INSTANCES} {title}, {time.process_time() - start:.0f} s", flush=True)
    return name, accepted, ""


def _taken(solver: Solver, problems: Callable[[int], Problem]) -> int:
    """How many of the first ten instances of a class a solver has a plan for."""
    taken = 0
    for number in range(10):
        problem = problems(number)
        if solver.refuses(problem) is None:
            with suppress(RefusedError, InfeasibleError):
                solver(problem, seed=0, stop=MaxIterations(3))
                taken += 1
    return taken


def _classes(name: str) -> Iterator[tuple[str, Callable[[int], Problem]]]:
    """Classes of problems with what they are called: instance by number."""
    yield "graphs", _placed
    if name in {solver.name for solver in GENERAL}:
        return
    one, many = class_of(INSTANCES), class_of(INSTANCES, many=True)
    yield "many-to-one", lambda n: one[n]
    yield "many-to-many", lambda n: many[n]
    yield "cells", lambda n: cells(n, devices=3, servers=2, clocks=n % 2 == 0, deadline_s=1.0)
    if name in {solver.name for solver in EXACT}:
        return  # of models from files they would take minutes
    yield "models", split_problem
    layers = divided_problems(INSTANCES)
    yield "Transformers", lambda n: layers[n]
    yield "Transformers in little memory", lambda n: _roomy(layers[n])
    if name == "detransformer":
        graphs = _decoupled()
        yield "decoupled Transformers", lambda n: split_problem(n, METRICS[n % 5], models=graphs)


def _placed(number: int) -> Problem:
    """Random graphs on two or three nodes: chains or not, with and without limits, media, codecs and calls."""
    return random_problem(
        number, METRICS[number % 5], nodes=2 + number % 2, size=4 + (number % 5 == 0), limited=number % 3 == 0,
        spread=number % 4 == 0, packed=number % 5 == 0, media=number % 6 == 0,
        call_s=2e-4 if number % 4 == 1 else 0.0, **({"shape": "chain"} if number % 3 == 1 else {}),
    )  # fmt: skip


def _roomy(problem: Problem) -> Problem:
    """The problem where each node has room for four times the weights, some for more."""
    most = 4 * problem.task.graph.weight_bytes
    nodes = tuple(node.replace(memory_bytes=most * (1 + place % 3)) for place, node in enumerate(problem.cluster.nodes))
    return problem.replace(cluster=problem.cluster.replace(nodes=nodes))


@cache
def _decoupled() -> list[Graph]:
    """Small Transformers whose layers are groups that meet every second layer."""
    folder = Path(mkdtemp())
    return [
        decouple(transformer(style, layers=3), folder / f"{style}.onnx", groups=3, every=2).graph
        for style in ("vit", "bert", "gpt")
    ]


def _large() -> list[Row]:
    found = []
    for seed in (1, 2):
        problem = class_of(1, sizes=(100,))[0] if seed == 1 else class_of(2, sizes=(100,))[1]
        start = time.perf_counter()
        solution = solve(problem, "cut_and_share")
        seconds, gap = time.perf_counter() - start, float(solution.notes["gap_with_shares"])
        found.append(Row(f"many-to-one, 100 devices, seed {seed}: time to plan", seconds, "s", "<= 5", seconds <= 5,
                         f"gap to a proven bound {gap:.2%} (target 1 %)"))  # fmt: skip
    problem = cells(seed=1, devices=1000, servers=50, hears=4, speed_up=40.0)
    start = time.perf_counter()
    solution = solve(problem, "many_to_many")
    seconds, gap = time.perf_counter() - start, float(solution.notes["gap"])
    offload = int(solution.notes["offloading"]) / 1000
    met = seconds <= 60 and gap <= 0.05 and offload >= 0.6
    found.append(Row("many-to-many, 1000 devices, 50 servers: time to plan", seconds, "s", "<= 60", met,
                     f"mean latency, cells(seed=1, hears=4, speed_up=40); gap {gap:.2%} (target 5 %),"
                     f" {offload:.0%} of the devices offload (target 60 %)"))  # fmt: skip
    return found
