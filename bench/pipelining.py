"""Two stages in two processes against `torch.distributed.pipelining` (GPipe over gloo), items per second.

Both sides have the same operators, the same cut and one thread on a processor of its own for each stage; an item is one
request here and one micro-batch there. `HOCKET_TORCH_PYTHON` names a Python that has torch (`pip install torch` in a
virtual environment of its own); absent = this one.
"""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.cutting import CPUS, stream_s
from bench.peers import Peer, has, pairs_of, row, skipped
from bench.setup import two_nodes
from bench.table import Row
from hocket.control.sessions import open_session
from hocket.cost import problem_for
from hocket.graph import Graph
from hocket.graph.onnx import load_model
from hocket.plan import Plan
from hocket.plan.calibrate import calibrated
from hocket.plan.placement import plan_for
from hocket.zoo import model_path

ITEMS, PAIRS = 32, 7
TOLERANCE = 1e-4
"""Of the piped PyTorch model against the whole one."""


class Case(NamedTuple):
    """A model of the zoo that PyTorch has too."""

    model: str
    last: str
    """The last operator of the first stage."""
    crossing: tuple[int, ...]
    """Shape of what goes to the second stage, float32."""
    target: float
    cut: str


CASES = (
    Case("bert_base", "layer_norm_12", (1, 128, 768), 1.0, "cut after layer 6 of 12"),
    Case(
        "resnet50",
        "relu_21",
        (1, 512, 28, 28),
        1.3,
        "cut after stage 2 of 4, normalisation folded on both sides, torch with channels last",
    ),
)


def rows() -> list[Row]:
    """A row for each model."""
    python = os.environ.get("HOCKET_TORCH_PYTHON", sys.executable)
    return [_row(case, python, PAIRS) for case in CASES]


def _row(case: Case, python: str, pairs: int) -> Row:
    figure = f"{case.model}: items/s of two stages / torch.distributed.pipelining"
    if not has(python, "torch.distributed.pipelining"):
        return skipped(figure, case.target, f"{python} has no torch; name a Python that has in HOCKET_TORCH_PYTHON")
    model = calibrated(load_model(model_path(case.model)))
    problem = problem_for(model.graph, two_nodes())
    plan = _plan(case, problem.task.name, model.graph)
    with open_session(problem, plan, model, cpus=CPUS) as session, _stages(case.model, python) as stages:
        stream_s(session, model, ITEMS)
        version = _check(stages)
        rates = pairs_of(lambda: ITEMS / stream_s(session, model, ITEMS), lambda: ITEMS / _theirs(stages), pairs)
    note = f"{case.cut}, {ITEMS} items, 1 thread each, loopback, nothing emulated; torch {version}, ScheduleGPipe, gloo"
    return row(figure, rates, case.target, "items/s", note)


def _plan(case: Case, task: str, graph: Graph) -> Plan:
    """The first stage ends with the operator that the case names."""
    first = graph.index[case.last] + 1
    shape = graph.tensor[case.last].shape
    if shape != case.crossing:
        raise RuntimeError(f"{case.model} has {shape} behind {case.last}, not {case.crossing}: the cuts differ")
    return plan_for(task, graph, ["first"] * first + ["second"] * (len(graph.operators) - first))


@contextmanager
def _stages(model: str, python: str) -> Iterator[list[Peer]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        arguments = [str(ITEMS), str(Path(folder) / "rendezvous")]
        # Left alone, gloo takes the network card that the computer's name leads to.
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        environment = {"GLOO_SOCKET_IFNAME": loopback}
        yield [
            stack.enter_context(Peer(python, "pipelining_torch.py", [model, str(rank), *arguments], cpu, environment))
            for rank, cpu in enumerate(CPUS.values())
        ]


def _check(stages: list[Peer]) -> str:
    """Wait until they are warm; the version of torch."""
    told = [stage.answer() for stage in stages]
    worst = max(each["difference"] for each in told)
    if not worst <= TOLERANCE:
        raise RuntimeError(f"the two PyTorch stages differ from the whole model by {worst:.2g}: not the same work")
    return str(told[0]["torch"])


def _theirs(stages: list[Peer]) -> float:
    """Seconds of one step, at the last stage, from the moment when both were ready."""
    for stage in stages:
        stage.tell()
    return float([stage.answer() for stage in stages][-1]["seconds"])
