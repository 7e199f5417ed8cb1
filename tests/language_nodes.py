"""Small language models on nodes that are threads of this process."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hocket.cluster import Cluster, read_toml
from hocket.control.live.state import Rules, Standby
from hocket.cost import Problem, evaluate
from hocket.language.config import PRESETS
from hocket.language.divided import dividable
from hocket.language.generate import generate
from hocket.language.language_model import LanguageModel
from hocket.language.live import LiveLanguageModel, open_language_model
from hocket.language.planning import language_problem, layer_of
from hocket.language.session import DecoderSession
from hocket.language.tokenizer import Tokenizer
from hocket.plan import Plan
from hocket.plan.build import build
from hocket.plan.lower import lower
from hocket.plan.placement import plan_for
from hocket.program import Program
from hocket.runtime.executable import Executable
from hocket.runtime.inproc import Network
from hocket.solvers import Solution

LAYERS = 3
CAPACITY = 48


def cluster_of(names: str, *, extra: str = "") -> Cluster:
    """Nodes named by letters, each pair linked."""
    nodes = "".join(f'[[node]]\nname = "{name}"\nspeed = "1 GFLOP/s"\n{extra}\n' for name in names)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    links = "".join(f'[[link]]\nbetween = ["{a}", "{b}"]\nrate = "1 Gbit/s"\n' for a, b in pairs)
    return read_toml(f'format = "hocket.cluster/1"\n{nodes}{links}')


def small(family: str, tokenizer: Tokenizer | None = None, *, precision: str = "float32") -> LanguageModel:
    """Three layers of random weights."""
    config = PRESETS[f"tiny_{family}"].replace(layers=LAYERS, precision=precision)
    made = LanguageModel(config).with_random_weights()
    return LanguageModel(config, made.weights, tokenizer)


def problem_of(model: LanguageModel, names: str) -> Problem:
    """Of a step of decoding."""
    return language_problem(model, cluster_of(names), capacity=CAPACITY)


def plan_by_layers(problem: Problem, places: Sequence[str]) -> Plan:
    """A plan from the node of the embedding, of each layer, and of the output."""
    graph = problem.task.graph
    chosen, behind = [], False
    for operator in graph.operators:
        layer = layer_of(operator.name)
        behind = behind or layer is not None
        chosen.append(places[layer + 1] if layer is not None else places[-1 if behind else 0])
    return plan_for(problem.task.name, graph, chosen)


def solution_of(problem: Problem, plan: Plan) -> Solution:
    return Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="chain_dp")


@contextmanager
def deployed(
    model: LanguageModel, places: Sequence[str], names: str, *, standby: Standby = "none", mirror_bytes: int = 0
) -> Iterator[LiveLanguageModel]:
    """The model on in-process nodes; the plan changes only when it has to."""
    problem = problem_of(model, names)
    with open_language_model(
        solution_of(problem, plan_by_layers(problem, places)),
        model,
        policy="static",
        rules=Rules(standby=standby, mirror_bytes=mirror_bytes),
        network=Network(),
    ) as live:
        yield live


def alone(model: LanguageModel, prompt: Sequence[int], most: int) -> list[int]:
    """The likeliest continuation by one node."""
    return list(generate(DecoderSession(model, capacity=CAPACITY), prompt, most=most))


def program_of(model: LanguageModel, places: Sequence[str]) -> Program:
    """The program of the model with its layers at these places."""
    problem = problem_of(model, "".join(sorted(set(places))))
    task, plan = problem.task, plan_by_layers(problem, places)
    return lower(task.graph, plan.entries[0], problem.cluster, task.inputs, task.outputs)


def executables_of(model: LanguageModel, places: Sequence[str]) -> list[Executable]:
    """The segments of the model with its layers at these places, in order, to be computed without nodes."""
    program = program_of(model, places)
    made = build(dividable(model, capacity=CAPACITY), program)
    tensors = {tensor.name: tensor for tensor in program.tensors}
    return [
        Executable(
            segment, artifact, made.weight, program.sites[0], tensors,
            tuple(state for state in program.states if state.segment == segment.id),
            tuple(counter for counter in program.counters if counter.segment == segment.id),
        )
        for segment, artifact in zip(program.segments, made.artifacts, strict=True)
    ]  # fmt: skip


def kept_bytes(live: LiveLanguageModel) -> int:
    """Bytes of all caches on the nodes, as they told last."""
    return sum(counters.get("state_bytes", 0) for counters in live.session.counters().values())


def nothing_kept(live: LiveLanguageModel) -> bool:
    """Whether all caches are given back; nodes tell it from time to time."""
    end_s = time.monotonic() + 20.0
    while kept_bytes(live) and time.monotonic() < end_s:
        time.sleep(0.05)
    return kept_bytes(live) == 0
