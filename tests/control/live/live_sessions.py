"""What tests of live sessions share: a cluster, plans, and what the whole model would answer."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from hocket.cost import Problem, evaluate
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.plan import Plan
from hocket.plan.build import whole
from hocket.plan.placement import plan_for
from hocket.solvers import Solution

CLUSTER = """
format = "hocket.cluster/1"
[[node]]
name = "a"
speed = "2 GFLOP/s"
[[node]]
name = "b"
speed = "20 GFLOP/s"
[[node]]
name = "c"
speed = "15 GFLOP/s"
""" + "".join(f'[[link]]\nbetween = ["{one}", "{other}"]\nrate = "2 Gbit/s"\n' for one, other in ("ab", "ac", "bc"))


def cut(problem: Problem, *nodes: str) -> Plan:
    """The operators in equal runs on some nodes."""
    graph = problem.task.graph
    count = len(graph.operators)
    return plan_for(problem.task.name, graph, [nodes[i * len(nodes) // count] for i in range(count)])


def solution_of(problem: Problem, plan: Plan) -> Solution:
    return Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="chain_dp")


def until(holds: Callable[[], bool], most_s: float = 20.0) -> None:
    """Wait until something holds."""
    end_s = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come to be in time"
        time.sleep(0.01)


class Expected:
    """Inputs and what the whole model makes of them."""

    def __init__(self, model: Model, kinds: int = 3) -> None:
        runner = Runner(model, whole(model))
        self.inputs = [random_inputs(model.graph, seed=seed) for seed in range(kinds)]
        self.outputs = [runner.run(inputs) for inputs in self.inputs]

    def check(self, number: int, outputs: Mapping[str, np.ndarray]) -> None:
        for name, expected in self.outputs[number % len(self.outputs)].items():
            np.testing.assert_allclose(outputs[name], expected, rtol=1e-4, atol=1e-5)
