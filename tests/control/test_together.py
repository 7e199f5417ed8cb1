"""Several tasks at once on one set of nodes: their answers, their order, their arrivals, and how a run ends."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ending import ended

from hocket.cluster import Cluster, read_toml
from hocket.control.run import Report
from hocket.control.together import Reports, run, run_together
from hocket.cost import Problem, evaluate, problem_for, simulate
from hocket.errors import NodeError, PlanError
from hocket.graph.onnx import load_model
from hocket.plan import Plan
from hocket.plan.placement import entry_for
from hocket.program import Trace
from hocket.runtime.inproc import Network
from hocket.solvers import Solution
from hocket.zoo import model_path

SPLIT = "aaabbccbaabbccaabca"
PEERS = {"one": "aaaaaabbbbbbbcccccc", "two": "bbbbbbaaaaaaabbbbbb"}


def three(slowdown: float = 1.0) -> Cluster:
    nodes = "".join(
        f'[[node]]\nname = "{name}"\nspeed = "20 GFLOP/s"\nslowdown = {float(slowdown)}\n' for name in "abc"
    )
    links = "".join(
        f'[[link]]\nbetween = ["{one}", "{other}"]\nrate = "200 Mbit/s"\nlatency = "1 ms"\n'
        for one, other in ("ab", "bc")
    )
    return read_toml(f'format = "hocket.cluster/1"\n{nodes}{links}')


def several(
    placed: dict[str, list[str]],
    *,
    rates: dict[str, float] | None = None,
    shares: dict[str, dict[str, float]] | None = None,
    weights: tuple[float, ...] = (1.0, 1.0),
    slowdown: float = 1.0,
) -> Solution:
    """Tasks of the toy model, each from the node of its first letter, with one entry for each of its placements."""
    graph, cluster = load_model(model_path("toy_dag")).graph, three(slowdown)
    tasks, entries = [], []
    for name, placements in placed.items():
        rate = (rates or {}).get(name, 0.0)
        made = problem_for(graph, cluster, source=placements[0][0], name=name, rate_per_s=rate).task
        tasks.append(made)
        for places, weight in zip(placements, weights, strict=False):
            entry = entry_for(name, graph, list(places))
            entries.append(entry.replace(weight=weight, shares=(shares or {}).get(name, {})))
    problem, plan = Problem(tasks=tuple(tasks), cluster=cluster), Plan(entries=tuple(entries))
    return Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="given")


def inside(solution: Solution, **options: Any) -> Reports:
    """Run with threads for nodes."""
    return run_together(solution, network=Network(), timeout_s=10.0, **options)


def test_peers_serve_each_other_at_once_and_answer_as_the_whole_model() -> None:
    reports = inside(several({name: [places] for name, places in PEERS.items()}), requests=6, trace=True)
    assert [task.task for task in reports.figures.tasks] == ["one", "two"]
    for task in reports.figures.tasks:
        assert task.max_rel_error < 1e-5
        assert task.measured_s.n == task.simulated_s.n == 6
        assert 0 < task.simulated_s.p50 <= task.simulated_s.p90
        assert task.prediction_error == task.measured_s.p50 / task.predicted_s - 1
        assert task.throughput_per_s > 0
        assert (task.entries, task.rate_per_s) == (1, 0.0)
    assert reports.figures.emulated
    assert type(reports.figures).from_json(reports.figures.to_json()) == reports.figures
    assert isinstance(reports.trace, Trace)
    requests = {(span.id, span.request) for span in reports.trace.spans if span.kind == "request"}
    assert requests == {(name, number) for name in PEERS for number in range(6)}
    assert {span.node for span in reports.trace.spans if span.kind == "compute" and span.id.startswith("two/")} == {
        "a",
        "b",
    }


@pytest.mark.parametrize("rate", [0.0, 150.0])
def test_requests_are_dealt_to_the_entries_by_weight_and_answered_in_order(rate: float) -> None:
    solution = several({"t": [SPLIT, "a" * 19]}, rates={"t": rate}, weights=(1.0, 3.0))
    reports = run(solution, requests=12, trace=True, network=Network())
    assert isinstance(reports, Reports)
    (task,) = reports.figures.tasks
    assert (task.entries, task.measured_s.n) == (2, 12)
    assert task.max_rel_error < 1e-5
    assert reports.trace is not None
    away = {span.request for span in reports.trace.spans if span.kind == "compute" and span.node == "b"}
    assert len(away) == 3
    requests = sorted((span.request, span.start_s) for span in reports.trace.spans if span.kind == "request")
    assert [request for request, _ in requests] == list(range(12))
    if not rate:  # one at a time, whichever entry serves it
        assert sorted(start for _, start in requests) == [start for _, start in requests]
    assert [answer.request for answer in reports.answers["t"]] == list(range(12))


def test_arrivals_are_those_of_the_simulator() -> None:
    solution = several({"one": ["a" * 19], "two": ["b" * 19]}, rates={"one": 80.0, "two": 60.0})
    reports = inside(solution, requests=8, seed=3, trace=True)
    simulated = simulate(solution.problem, solution.plan, requests=8, seed=3, trace=True).trace
    assert reports.trace is not None
    assert simulated is not None

    def gaps(trace: Trace, name: str) -> np.ndarray:
        spans = [span for span in trace.spans if span.kind == "request" and span.id == name]
        return np.diff([span.start_s for span in sorted(spans, key=lambda span: span.request)])

    for name in ("one", "two"):
        assert gaps(reports.trace, name) == pytest.approx(gaps(simulated, name), abs=0.02)


def test_one_entry_alone_is_a_single_run() -> None:
    with pytest.raises(PlanError, match=r"^a run needs at least one request, got 0; ask for more$"):
        run(several({"t": [SPLIT]}), requests=0)
    with pytest.raises(PlanError, match=r"^a run needs at least one request, got 0; ask for more$"):
        run(several({"t": [SPLIT, SPLIT]}), requests=0)


def test_a_plan_that_refuses_all_is_not_run() -> None:
    solution = several({"t": [SPLIT]})
    problem = solution.problem.replace(tasks=(solution.problem.task.replace(refusal_cost=1.0),))
    with pytest.raises(
        PlanError, match=r"^the plan refuses every task, so there is nothing to run; serve one of them$"
    ):
        run_together(solution.replace(problem=problem, plan=Plan(entries=())))


def quiet(before: int) -> bool:
    """Whether the threads of a run have ended, soon."""
    deadline_s = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return threading.active_count() == before


def test_an_interrupt_ends_all() -> None:
    before = threading.active_count()

    def interrupt(what: str, done: int, of: int) -> None:
        if what == "measuring" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inside(several({n: [p] for n, p in PEERS.items()}, rates={"two": 5.0}), requests=1000, progress=interrupt)
    assert quiet(before)


def test_a_node_that_ends_is_one_error_and_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()

    def stop(what: str, done: int, of: int) -> None:
        if what == "measuring" and done:
            for thread in threading.enumerate():
                if thread.name == "hocket-b":
                    thread._target.__self__.stop()  # type: ignore[attr-defined]

    with pytest.raises(NodeError, match=r"^node 'b' (has ended|is not connected or has closed)"):
        inside(several({n: [p] for n, p in PEERS.items()}), requests=100_000, progress=stop)
    assert quiet(before)


# ------------------------------------------------------------ real processes


@pytest.mark.cluster
def test_tasks_with_shares_run_as_simulated_on_processes() -> None:
    shares = {"one": {"b": 0.5}, "two": {"b": 0.25}}
    placed = {"one": ["aaaaaabbbbbbbbbbbbb"], "two": ["ccccccbbbbbbbbbbbbb"]}
    reports = run(several(placed, shares=shares, slowdown=8.0), requests=5, trace=True)
    assert isinstance(reports, Reports)
    assert reports.figures.emulated
    assert all(task.max_rel_error < 1e-5 for task in reports.figures.tasks)
    assert reports.trace is not None
    busy: dict[str, list[float]] = {name: [] for name in placed}
    for span in reports.trace.spans:
        if span.kind == "compute" and span.node == "b":
            busy[span.id.partition("/")[0]].append(span.stop_s - span.start_s)
    assert float(np.median(busy["two"])) > 1.3 * float(np.median(busy["one"]))


@pytest.mark.cluster
def test_a_single_run_is_a_report_as_ever() -> None:
    assert isinstance(run(several({"t": [SPLIT]}), requests=1), Report)


SCRIPT = """
import sys
sys.path[:0] = [{here!r}, {tests!r}, {root!r}]
from test_together import PEERS, several
from hocket.control.together import run
if __name__ == "__main__":
    def tell(what, done, of):
        if what == "measuring" and done:
            print("measuring", flush=True)
    run(several({{name: [places] for name, places in PEERS.items()}}, rates={{"two": 20.0}}), requests=100000,
        progress=tell)
"""


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_a_run_of_several_tasks_ends_its_nodes_end(number: int) -> None:
    here = Path(__file__).parent
    script = SCRIPT.format(here=str(here), tests=str(here.parent), root=str(here.parent.parent))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"measuring\n"
        listing = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in listing.splitlines()[1:]]
        pids = [int(pid) for pid, parent in rows if int(parent) == process.pid]
        assert len(pids) == 3
        ended(process, number)
    deadline_s = time.monotonic() + 6
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return not re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (ProcessLookupError, FileNotFoundError):
        return False
