"""Reliability: predicted, counted over simulated failures, and counted over processes that are really stopped."""

import itertools
import os
import signal
import time
from collections.abc import Mapping, Set

import numpy as np
from scipy.stats import binom

from bench.table import Row
from hocket.cluster import read_toml
from hocket.cost import evaluate, problem_for
from hocket.graph.execute import random_inputs
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.plan import Plan
from hocket.plan.build import build
from hocket.plan.calibrate import calibrated
from hocket.plan.placement import plan_for
from hocket.plan.plan import Copies, Run
from hocket.program import INPUT, Program
from hocket.runtime.crew import Crew
from hocket.runtime.fleet import Fleet
from hocket.runtime.happenings import Came, Happening, Prepared
from hocket.solvers import Solution
from hocket.zoo.listing import model_path

SIMULATED, LIVE = 10_000, 200
FAILURE = {"a": 0.0, "b": 0.2, "c": 0.15, "d": 0.1}
_MOST_S = 0.5  # an answer that has not come by then never comes: a whole request takes some milliseconds


def rows() -> list[Row]:
    """All figures."""
    model = calibrated(load_model(model_path("toy_chain")))
    names = sorted(FAILURE)
    nodes = "".join(
        f'[[node]]\nname = "{name}"\nspeed = "20 GFLOP/s"\nfailure_probability = {chance}\n'
        for name, chance in FAILURE.items()
    )
    links = "".join(
        f'[[link]]\nbetween = ["{one}", "{other}"]\nrate = "unlimited"\n'
        for one, other in itertools.combinations(names, 2)
    )
    problem = problem_for(model.graph, read_toml(f'format = "hocket.cluster/1"\n{nodes}{links}'))
    plan = _raced(problem.task.name, model)
    solution = Solution(problem=problem, plan=plan, cost=evaluate(problem, plan))
    program = solution.programs()[0]
    predicted = solution.cost.reliability
    chance = np.random.default_rng(0)
    simulated = sum(_answers(program, _failed(chance)) for _ in range(SIMULATED))
    live = _live(program, model, chance)
    found = []
    for what, count, of in (("simulated failures", simulated, SIMULATED), ("stopped processes", live, LIVE)):
        low, high = binom.interval(0.99, of, predicted)
        note = f"predicted {predicted:.4f}; {count} of {of} requests answered, 99 % interval {low:.0f} to {high:.0f}"
        found.append(
            Row(f"reliability over {what}", 100 * count / of, "%", "99 % interval", bool(low <= count <= high),
                f"two copies that race, then one node; failure probabilities {FAILURE}; {note}")
        )  # fmt: skip
    return found


def _raced(task: str, model: Model) -> Plan:
    """The first third on a, the second on b and c at once (the first answer counts), the last on d."""
    graph = model.graph
    count = len(graph.operators)
    whole = plan_for(task, graph, ["a" if i < count // 3 else "b" if i < 2 * count // 3 else "d" for i in range(count)])
    entry = whole.entries[0]
    runs = tuple(
        Run(operators=run.operators, on=Copies(nodes=("b", "c"), mode="race")) if run.on == "b" else run
        for run in entry.where
    )
    return whole.replace(entries=(entry.replace(where=runs),))


def _failed(chance: np.random.Generator) -> set[str]:
    return {node for node, probability in FAILURE.items() if chance.random() < probability}


def _answers(program: Program, failed: Set[str]) -> bool:
    """Whether a request is answered although some nodes compute and relay nothing: the firing rule, and no formula."""
    there: set[tuple[str, str]] = set()
    for binding in program.inputs:
        if binding.node not in failed:
            there.add((INPUT, binding.tensor))
    changed = True
    while changed:
        before = len(there)
        for transfer in program.transfers:
            if (transfer.source, transfer.tensor) in there and not failed.intersection(transfer.path):
                there.add((transfer.id, transfer.tensor))
        for segment in program.segments:
            ready = all(
                (all if port.take == "all" else any)((source, port.tensor) in there for source in port.sources)
                for port in segment.inputs
            )
            if ready and segment.node not in failed:
                there.update((segment.id, tensor) for tensor in segment.outputs)
        changed = len(there) > before
    return all(
        any((each.source, each.tensor) in there for each in program.outputs if each.tensor == tensor)
        for tensor in {binding.tensor for binding in program.outputs}
    )


def _live(program: Program, model: Model, chance: np.random.Generator) -> int:
    """Requests to processes of which some are stopped; how many are answered."""
    built = build(model, program)
    artifacts: dict[str, list[object]] = {}
    for segment in program.segments:
        artifacts.setdefault(segment.node, []).append(
            next(each for each in built.artifacts if each.segment == segment.id)
        )
    ground = program.replace(segments=(), transfers=(), inputs=(), outputs=(), tensors=(), window=1)
    answered = 0
    with Fleet(program.sites) as fleet:
        crew = Crew(fleet, ground)
        try:
            crew.prepare((0, 0), program, artifacts, built.weight)  # type: ignore[arg-type]
            _wait(crew, Prepared, 60.0)
            inputs: Mapping[str, np.ndarray] = random_inputs(model.graph)
            for number in range(LIVE):
                stopped = [fleet.process_id(node) for node in _failed(chance)]
                for process in stopped:
                    os.kill(process, signal.SIGSTOP)
                crew.start((0, 0), number, inputs)
                answered += _wait(crew, Came, _MOST_S)
                crew.drop((0, 0), [number])
                for process in stopped:
                    os.kill(process, signal.SIGCONT)
        finally:
            crew.close()
    return answered


def _wait(crew: Crew, kind: type[Happening], most_s: float) -> bool:
    until_s = time.monotonic() + most_s
    while (left_s := until_s - time.monotonic()) > 0:
        if any(isinstance(happening, kind) for happening in crew.receive(left_s)):
            return True
    return False
