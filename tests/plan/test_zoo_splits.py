"""Every model of the zoo, split on every axis that it has into 2, 3 and 5 uneven parts: the answer stays."""

import random
from functools import cache

import numpy as np
import pytest
from graphs import mesh, node, zoo_model
from running import run_program, worst_error

from hocket.graph import Graph
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.graph.regions import slicer_of
from hocket.graph.topology import blocks
from hocket.plan import Entry, Run, Split
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.zoo import NAMES

NODES = ["a", "b", "c", "d", "e"]
CLUSTER = mesh(*(node(name) for name in NODES))


@cache
def reference(name: str) -> tuple[Model, dict[str, np.ndarray], dict[str, np.ndarray]]:
    model = calibrated(zoo_model(name))
    inputs = random_inputs(model.graph, seed=1)
    return model, inputs, Runner(model, whole(model)).run(inputs)


def uneven(rng: random.Random, length: int, parts: int, step: int = 1) -> tuple[int, ...]:
    """Cut points, a part without a share among them now and then."""
    return tuple(sorted(rng.randrange(0, length + 1, step) for _ in range(parts - 1)))


def split_everywhere(graph: Graph, axis: int | str, parts: int, rng: random.Random) -> list[Run]:
    """Each block of the chain split on an axis of its result where it has it; each heavy product on its inner axis."""
    runs, home = [], NODES[0]
    for block in blocks(graph):
        names = [graph.operators[position].name for position in block.operators]
        shape = graph.tensor[names[-1]].shape
        on: object = home
        if axis == "contract":
            known = slicer_of(graph).contraction(names[-1])
            if len(known) == 1 and len(block.outputs) == 1:
                cuts = uneven(rng, known[0].size, parts, known[0].granule)
                on = Split(axis="contract", parts=tuple(NODES[:parts]), cuts=cuts)
        elif isinstance(axis, int) and axis < len(shape) and shape[axis] > 1 and len(block.outputs) == 1:
            on = Split(axis=axis, parts=tuple(NODES[:parts]), cuts=uneven(rng, shape[axis], parts),
                       border=rng.choice(["recompute", "exchange"]))  # fmt: skip
        runs.append(Run(operators=f"{names[0]}..{names[-1]}", on=on))
    return runs


@pytest.mark.slow
@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_every_model_on_every_axis(name: str, parts: int) -> None:
    model, inputs, expected = reference(name)
    graph = model.graph
    for axis in (1, 2, 3, "contract"):
        runs = split_everywhere(graph, axis, parts, random.Random(f"{name} {axis} {parts}"))
        if all(isinstance(run.on, str) for run in runs):
            continue
        ends = {tensor.name: "a" for tensor in graph.inputs}, dict.fromkeys(graph.outputs, "a")
        program = lower(graph, Entry(task="t", where=tuple(runs)), CLUSTER, *ends)
        most = 1e-4 if axis == "contract" else 1e-5
        assert worst_error(run_program(model, program, inputs), expected) <= most, axis
