"""Predicted against resident memory of nodes: what a plan says that a node holds, and what its process grew by."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from bench.table import Row
from hocket.cluster import Cluster, Direction, Link, Node
from hocket.control.sessions import open_session
from hocket.cost import evaluate, problem_for
from hocket.graph import Graph
from hocket.graph.execute import random_inputs
from hocket.graph.onnx import load_model
from hocket.graph.topology import blocks
from hocket.plan.calibrate import calibrated
from hocket.plan.placement import plan_for
from hocket.zoo import model_path

MODELS = ("resnet50", "vgg16")
NODES = ("first", "second")
REQUESTS = 5
TARGET = 0.15
CAUSE = (
    "ONNX Runtime keeps a copy of the weights in its own layout beside the node's store, which the prediction does not"
    " count, nor activations inside a segment"
)


class Held(NamedTuple):
    """Bytes of one node under one model."""

    model: str
    node: str
    predicted: int
    grown: int

    @property
    def error(self) -> float:
        """Grown / predicted - 1."""
        return self.grown / self.predicted - 1


def rows() -> list[Row]:
    """The worst node of each model; nothing where processes do not tell their memory."""
    if not Path("/proc/self/status").exists():
        return []
    return [_row(model, held(model)) for model in MODELS]


def _row(model: str, found: list[Held]) -> Row:
    worst = max(found, key=lambda each: abs(each.error))
    note = "; ".join(f"{h.node}: {h.predicted / 1e6:.0f} MB predicted, {h.grown / 1e6:.0f} MB grown" for h in found)
    met = abs(worst.error) <= TARGET
    figure = f"{model}: resident growth / predicted memory - 1, worse node"
    return Row(figure, 100 * worst.error, "%", "within 15 %", met, note if met else f"{note}; {CAUSE}")


def held(name: str) -> list[Held]:
    """Run a model on two fresh nodes, each with about half of the weights."""
    model = calibrated(load_model(model_path(name)))
    with _nodes() as ready:
        nodes = tuple(Node(name=node, flops_per_s=2e10, address=str(ready[node]["address"])) for node in NODES)
        fast = Direction(bytes_per_s=1e9)
        cluster = Cluster(name="two", nodes=nodes, links=(Link(between=NODES, up=fast, down=fast),))
        problem = problem_for(model.graph, cluster)
        plan = plan_for(model.graph.name, model.graph, _halves(model.graph))
        before = {node: _resident_bytes(ready[node]["pid"]) for node in NODES}
        with open_session(problem, plan, model) as session:
            for _ in range(REQUESTS):
                session.run(random_inputs(model.graph))
            after = {node: _resident_bytes(ready[node]["pid"]) for node in NODES}
    predicted = evaluate(problem, plan).memory_bytes
    return [Held(name, node, predicted[node], after[node] - before[node]) for node in NODES]


def _halves(graph: Graph) -> list[str]:
    """The block border where about half of the weights are behind."""
    sums = list(accumulate(operator.weight_bytes for operator in graph.operators))
    starts = [block.operators[0] for block in blocks(graph)][1:]
    border = min(starts, key=lambda start: abs(sums[start - 1] - sums[-1] / 2))
    return [NODES[0]] * border + [NODES[1]] * (len(graph.operators) - border)


@contextmanager
def _nodes() -> Iterator[dict[str, dict[str, object]]]:
    """Fresh nodes that run already; they end with their standard input."""
    command = [sys.executable, "-m", "hocket.runtime", "--owned", "--name"]
    children = {
        node: subprocess.Popen([*command, node], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for node in NODES
    }
    try:
        yield {node: json.loads(child.stdout.readline()) for node, child in children.items() if child.stdout}
    finally:
        for child in children.values():
            child.communicate()


def _resident_bytes(pid: object) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


if __name__ == "__main__":
    for row in rows():
        print(row)
