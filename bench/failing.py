"""What a live session does when nodes are killed and when it switches between plans, on real processes under load."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations

import numpy as np

from bench.table import Row
from hocket.cluster import Cluster, read_toml
from hocket.control.live.deploy import Live, deploy
from hocket.control.live.state import Rules
from hocket.cost import Problem, evaluate, problem_for
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.plan import Plan
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.plan.placement import plan_for
from hocket.solvers import Solution
from hocket.zoo.listing import model_path

KILLS = 200
SWITCHES = 200
MODEL = "mobilenet_v2"
_CALM_S, _AFTER_S = 20.0, 0.2


def rows() -> list[Row]:
    """All figures."""
    model = calibrated(load_model(model_path(MODEL)))
    return [*(row for nodes in (3, 5) for row in kills(model, nodes, KILLS)), *switches(model, SWITCHES)]


class Load:
    """Requests that keep a session busy, each answer compared with the whole model's."""

    def __init__(self, live: Live, model: Model, kinds: int = 4, pause_s: float = 0.0) -> None:
        self._live, self._pause_s = live, pause_s
        runner = Runner(model, whole(model))
        self._inputs = [random_inputs(model.graph, seed=seed) for seed in range(kinds)]
        self._expected = [runner.run(inputs) for inputs in self._inputs]
        self._stop = threading.Event()
        self.sent = self.wrong = 0
        self.answers: list[int] = []
        self.moments_s: list[float] = []
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def check(self, number: int, outputs: Mapping[str, np.ndarray]) -> None:
        """Count an answer that is not the whole model's."""
        for name, expected in self._expected[number % len(self._expected)].items():
            scale = float(np.abs(expected).max()) or 1.0
            self.wrong += float(np.abs(outputs[name] - expected).max()) > 1e-4 * scale

    def inputs(self, number: int) -> Mapping[str, np.ndarray]:
        """Of a request."""
        return self._inputs[number % len(self._inputs)]

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Requests come as long as this lasts."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        def requests() -> Iterator[Mapping[str, np.ndarray]]:
            while not self._stop.wait(self._pause_s):
                self.sent += 1
                yield self.inputs(self.sent - 1)

        try:
            for number, answer in enumerate(self._live.stream(requests())):
                self.check(number, answer.outputs)
                self.answers.append(answer.request)
                self.moments_s.append(time.monotonic())
        except Exception as error:  # noqa: BLE001 (border of the thread: it is a figure)
            self.failures.append(str(error))

    @property
    def lost(self) -> int:
        """Requests without an answer, once it has ended."""
        return self.sent - len(self.answers)

    @property
    def repeated(self) -> int:
        """Answers that came twice."""
        return len(self.answers) - len(set(self.answers))


def cluster_of(nodes: int) -> Cluster:
    """A weak source and others, all linked at 200 Mbit/s."""
    names = ["source", *(f"n{number}" for number in range(1, nodes))]
    slowdowns = [4.0, *([1.0] * (nodes - 1))]
    text = "".join(
        f'[[node]]\nname = "{name}"\nspeed = "{30 / slowdown} GFLOP/s"\nslowdown = {slowdown}\n'
        for name, slowdown in zip(names, slowdowns, strict=True)
    )
    text += "".join(
        f'[[link]]\nbetween = ["{a}", "{b}"]\nrate = "200 Mbit/s"\nlatency = "1 ms"\n'
        for a, b in combinations(names, 2)
    )
    return read_toml(f'format = "hocket.cluster/1"\nname = "failing"\n{text}')


def thirds(problem: Problem, nodes: Sequence[str]) -> Plan:
    """The first tenth of the operators on one node, then up to the half on another, the rest on a third."""
    graph = problem.task.graph
    count = len(graph.operators)
    places = [nodes[0] if i < count // 10 else nodes[1] if i < count // 2 else nodes[2] for i in range(count)]
    return plan_for(problem.task.name, graph, places)


def kills(model: Model, nodes: int, times: int) -> list[Row]:
    """Kill a random node that is not the source, again and again, under load."""
    problem = problem_for(model.graph, cluster_of(nodes))
    plan = thirds(problem, ["source", "n1", "n2"])
    solution = Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="chain_dp")
    chance = random.Random(nodes)
    delays_s: list[float] = []
    with deploy(solution, policy="static", rules=Rules(standby="ready"), models=model) as live:
        load = Load(live, model)
        with load.running():
            _settled(live, 20.0)
            for number in range(times):
                victim = f"n{chance.randrange(1, nodes)}"
                used = sorted(live.status().used - {"source"})
                if used and number % 2 == 0:  # half of them are nodes that the plan in force needs
                    victim = chance.choice(used)
                os.kill(live.fleet.process_id(victim), signal.SIGKILL)
                killed_s = time.monotonic()
                live.run(load.inputs(0))
                delays_s.append(time.monotonic() - killed_s)
                _start_again(live, victim)
                _settled(live, 2.0)
                print(f"  {number}: {victim} {delays_s[-1]:.3f} s", file=sys.stderr, flush=True)
    p50, p95 = np.quantile(delays_s, [0.5, 0.95])
    note = (
        f"{MODEL}, {nodes} nodes, {times} kills of a random node that is not the source, {load.sent} requests under"
        f" load, standby runs ready; p50 {p50:.2f} s, largest {max(delays_s):.2f} s"
    )
    bad = load.lost + load.repeated + load.wrong + len(load.failures)
    return [
        Row(f"kill -9, {nodes} nodes: requests lost, answered twice or wrongly", bad, "", "0", bad == 0,
            f"lost {load.lost}, twice {load.repeated}, wrong {load.wrong} {load.failures or ''}"),
        Row(f"kill -9, {nodes} nodes: first answer to a request sent after it, p95", float(p95), "s", "1 s",
            bool(p95 <= 1.0), note),
    ]  # fmt: skip


def switches(model: Model, times: int) -> list[Row]:
    """Switch between two plans again and again, under load; and the same by stopping, loading and going on."""
    problem = problem_for(model.graph, cluster_of(3))
    plans = [thirds(problem, ["source", *others]) for others in (("n1", "n2"), ("n2", "n1"))]
    gaps: dict[str, list[float]] = {}
    rows = []
    for pause, count in ((False, times), (True, times // 10)):
        rules = Rules(standby="none", pause=pause)
        solution = Solution(problem=problem, plan=plans[0], cost=evaluate(problem, plans[0]), solver="chain_dp")
        with deploy(solution, models=model, policy="static", rules=rules) as live:
            load = Load(live, model)
            with load.running():
                live.run(load.inputs(0))
                began_s = time.monotonic()
                time.sleep(_CALM_S)
                between = [(began_s, time.monotonic())]
                windows = []
                for number in range(count):
                    start_s = time.monotonic()
                    live.switch(plans[(number + 1) % 2]).result()
                    time.sleep(_AFTER_S)
                    windows.append((start_s, time.monotonic()))
        kind = "pause" if pause else "switch"
        gaps[kind] = [_longest_gap_s(load.moments_s, *window) for window in windows]
        width_s = float(np.median([stop_s - start_s for start_s, stop_s in windows]))
        calm = np.arange(between[0][0], between[0][1] - width_s, width_s / 4)
        gaps[f"{kind} calm"] = [_longest_gap_s(load.moments_s, start_s, start_s + width_s) for start_s in calm]
        bad = load.lost + load.repeated + load.wrong + len(load.failures)
        rows.append((kind, bad, load))
    return [*_switch_rows(rows, gaps, times)]


def _switch_rows(found: list[tuple[str, int, Load]], gaps: dict[str, list[float]], times: int) -> Iterator[Row]:
    for kind, bad, load in found:
        note = f"{len(gaps[kind])} switches between two plans over 3 nodes, {load.sent} requests {load.failures or ''}"
        yield Row(f"{kind}: requests lost, answered twice or wrongly", bad, "", "0", bad == 0, note)
    p99 = {kind: float(np.quantile(values, 0.99)) for kind, values in gaps.items()}
    more_s = p99["switch"] - p99["switch calm"]
    yield Row(
        "longest gap between answers around a switch, p99, beyond an equal time without one", 1e3 * more_s, "ms",
        "20 ms", more_s <= 0.02,
        f"{MODEL}, {times} switches under load, weights sent once and kept; p99 {1e3 * p99['switch']:.0f} ms"
        f" against {1e3 * p99['switch calm']:.0f} ms, medians {1e3 * np.median(gaps['switch']):.0f} and"
        f" {1e3 * np.median(gaps['switch calm']):.0f} ms",
    )  # fmt: skip
    yield Row("the same by pausing, loading and going on (baseline), median gap", 1e3 * float(np.median(gaps["pause"])),
              "ms", "", None, f"{len(gaps['pause'])} switches")  # fmt: skip


def _longest_gap_s(moments_s: Sequence[float], start_s: float, stop_s: float) -> float:
    """The longest time without an answer that overlaps a window."""
    inside = [moment_s for moment_s in moments_s if moment_s <= stop_s]
    after = [moment_s for moment_s in moments_s if moment_s > stop_s][:1]
    times = np.array([*inside, *after])
    steps = np.diff(times)
    return float(steps[times[1:] > start_s].max(initial=0.0))


def _start_again(live: Live, node: str) -> None:
    while node not in live.fleet.ended():
        time.sleep(0.01)
    live.fleet.start_again(node)


def _settled(live: Live, most_s: float) -> None:
    """Wait until all nodes are up and spare runs are ready."""
    until_s = time.monotonic() + most_s
    while time.monotonic() < until_s and not live.status().calm:
        time.sleep(0.05)
