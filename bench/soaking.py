"""Half an hour of load and random faults: is anything lost, does memory grow? `python -m bench soaking [minutes]`."""

import os
import random
import signal
import sys
import time
from pathlib import Path

from bench.failing import Load, cluster_of, thirds
from bench.table import Row
from hocket.control.live.deploy import Live, deploy
from hocket.control.live.state import Rules
from hocket.cost import evaluate, problem_for
from hocket.graph.onnx import load_model
from hocket.plan.calibrate import calibrated
from hocket.solvers import Solution
from hocket.zoo.listing import model_path

MINUTES = 30.0
NODES = 4
MODEL = "mobilenet_v2"
_PAUSE_S = 0.15  # between requests, so that the computer is not the limit
_PARTS = 6


def rows(minutes: float = MINUTES) -> list[Row]:
    """All figures."""
    model = calibrated(load_model(model_path(MODEL)))
    problem = problem_for(model.graph, cluster_of(NODES))
    plan = thirds(problem, ["source", "n1", "n2"])
    solution = Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="chain_dp")
    faults: dict[str, int] = {}
    chance = random.Random(1)
    with deploy(solution, models=model, policy="replan", rules=Rules(standby="weights")) as live:
        load = Load(live, model, pause_s=_PAUSE_S)
        with load.running():
            begun_s = time.monotonic()
            seen: list[list[dict[str, int]]] = [[] for _ in range(_PARTS)]
            while (part := int(_PARTS * (time.monotonic() - begun_s) / (60 * minutes))) < _PARTS:
                kind = _fault(live, chance)
                faults[kind] = faults.get(kind, 0) + 1
                _calm(live)
                seen[part].append(_resident(live))
        status = live.status()
    # The first part is warming up. What a process holds depends on the plan in force, so the least of many looks tells
    # what never goes away.
    early, late = ({name: min(look[name] for look in looks) for name in looks[0]} for looks in (seen[1], seen[-1]))
    most = {name: max(look[name] for looks in seen for look in looks) for name in early}
    grown = {name: late[name] / early[name] - 1 for name in early}
    worst = max(grown, key=lambda name: abs(grown[name]))
    bad = load.lost + load.repeated + load.wrong + len(load.failures)
    counts = ", ".join(f"{count} x {kind}" for kind, count in sorted(faults.items()))
    note = f"{MODEL} over {NODES} nodes, policy replan, {load.sent} requests, {status.counts}; {counts}"
    looks = f"the least of {len(seen[1])} and {len(seen[-1])} looks after a fault was mended"
    ages = f"second against last sixth of {minutes:g} minutes, {looks}; " + ", ".join(
        f"{name} {early[name] / 1e6:.0f} to {late[name] / 1e6:.0f} MB (at most {most[name] / 1e6:.0f})"
        for name in grown
    )
    return [
        Row("soak with random faults: requests lost, answered twice or wrongly", bad, "", "0", bad == 0,
            f"{note} {load.failures or ''}"),
        Row("soak: memory of a process that changed most", 100 * grown[worst], "%", "within 5 %",
            abs(grown[worst]) <= 0.05, ages),
    ]  # fmt: skip


def _fault(live: Live, chance: random.Random) -> str:
    """Do something to a node that is not the source, and undo it; the name of what was done."""
    victim = f"n{chance.randrange(1, NODES)}"
    kind = chance.choice(("kill", "hang", "short hang", "calm", "calm"))
    if kind == "kill":
        os.kill(live.fleet.process_id(victim), signal.SIGKILL)
        time.sleep(chance.uniform(0.5, 4.0))
        while victim not in live.fleet.ended():
            time.sleep(0.01)
        live.fleet.start_again(victim)
    elif kind != "calm":
        process = live.fleet.process_id(victim)
        os.kill(process, signal.SIGSTOP)
        time.sleep(chance.uniform(0.1, 0.5) if kind == "short hang" else chance.uniform(2.0, 6.0))
        os.kill(process, signal.SIGCONT)
    time.sleep(chance.uniform(3.0, 12.0))
    return kind


def _calm(live: Live) -> None:
    until_s = time.monotonic() + 60.0
    while time.monotonic() < until_s and not live.status().calm:
        time.sleep(0.2)


def _resident(live: Live) -> dict[str, int]:
    """Resident bytes of this process and of the source's node: those that live from beginning to end."""
    pages = {"session": os.getpid(), "source": live.fleet.process_id("source")}
    size = os.sysconf("SC_PAGE_SIZE")
    return {name: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * size for name, pid in pages.items()}


if __name__ == "__main__":
    for row in rows(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES):
        print(row)
