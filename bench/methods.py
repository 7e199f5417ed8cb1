"""The library of methods: which cards have a solver, and whether each keeps the contract on random instances."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.table import Row
from hocket.cost import Problem
from hocket.solvers import SOLVERS, ContractError, Solver, check_solver, solve, table_of
from hocket.solvers.registry import GENERAL

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "solvers" / "games")]  # the seeded problems of the tests

from game_problems import cells  # noqa: E402
from many_problems import class_of  # noqa: E402
from problems import random_problem  # noqa: E402
from split_problems import split_problem  # noqa: E402
from transformers_small import divided_problems  # noqa: E402

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
    """Every solver on 200 instances of the class that accepts most."""
    passed, failed, few = [], [], []
    for name, kind in SOLVERS.items():
        try:
            accepted, of = max((_accepted(kind(), problems) for problems in _classes(name)), default=(0, 0))
        except ContractError as error:
            failed.append(f"{name}: {error}")
            continue
        passed.append(f"{name} {accepted}")
        if accepted < 30:
            few.append(name)
        print(f"  {name}: {accepted} of {of}", flush=True)
    return [
        Row("solvers that keep the contract on 200 random instances", len(passed), f"of {len(SOLVERS)}", "all",
            not failed, "; ".join(failed) or ("instances accepted: " + ", ".join(passed))),
        Row("solvers that accept at least 30 of 200 instances of a class", len(SOLVERS) - len(few),
            f"of {len(SOLVERS)}", "all", not few, ", ".join(few)),
    ]  # fmt: skip


def _accepted(solver: Solver, problems: Callable[[int], Problem]) -> tuple[int, int]:
    """Instances accepted of 200; a class of which none of the first 10 is, is not the solver's."""
    first = [problems(number) for number in range(10)]
    if all(solver.refuses(problem) is not None for problem in first):
        return 0, 10
    return check_solver(solver, (problems(number) for number in range(INSTANCES)), iterations=3), INSTANCES


def _classes(name: str) -> Iterator[Callable[[int], Problem]]:
    yield lambda n: random_problem(
        n, METRICS[n % 5], nodes=2 + n % 2, size=4 + (n % 5 == 0), limited=n % 3 == 0, spread=n % 4 == 0,
        packed=n % 5 == 0, media=n % 6 == 0, call_s=2e-4 if n % 4 == 1 else 0.0,
        **({"shape": "chain"} if n % 3 == 1 else {}),
    )  # fmt: skip
    if name not in {solver.name for solver in GENERAL}:
        one, many = class_of(INSTANCES), class_of(INSTANCES, many=True)
        yield lambda n: one[n]
        yield lambda n: many[n]
        yield lambda n: cells(n, devices=3, servers=2, clocks=n % 2 == 0, deadline_s=1.0)
        yield split_problem
        layers = divided_problems(INSTANCES)
        yield lambda n: layers[n]


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
