"""Predicted against measured over links that the kernel shapes: two namespaces, nothing emulated by hocket.

Needs Linux, root and iproute2; elsewhere there is no row. The namespaces are this benchmark's own and are removed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import Row

MODELS = ("mobilenet_v2", "resnet18", "resnet50", "googlenet", "inception_v3", "squeezenet1_1")
RATES_MBIT = (50, 200)
PAYLOAD = 1448 / 1514
"""TCP payload bytes per byte that the shaper counts."""
FIRST, SECOND = "hocket-a", "hocket-b"
ADDRESSES = {"first": (FIRST, "10.231.7.1"), "second": (SECOND, "10.231.7.2")}


def rows() -> list[Row]:
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("tc") or not shutil.which("ip"):
        return []
    errors: list[float] = []
    notes: list[str] = []
    with _namespaces():
        for rate in RATES_MBIT:
            _shape(rate)
            with ExitStack() as stack:
                for name in ADDRESSES:
                    stack.enter_context(_node(name))
                command = ["ip", "netns", "exec", FIRST, sys.executable, "-m", "bench.shaped", str(rate)]
                printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
            for name, error in json.loads(printed):
                errors.append(error)
                notes.append(f"{name} {rate} Mbit/s {error:+.1%}")
    sizes = np.abs(errors)
    return [
        Row("latency prediction error over kernel-shaped links, median", 100 * float(np.median(sizes)), "%",
            "<= 10 %", bool(np.median(sizes) <= 0.10),
            "two namespaces, veth, tbf with a burst of 16 kB, no emulation, one thread, 15 requests one at a time"),
        Row("the same, 90th percentile", 100 * float(np.quantile(sizes, 0.9)), "%", "<= 20 %",
            bool(np.quantile(sizes, 0.9) <= 0.20), "; ".join(notes)),
    ]  # fmt: skip


def inside(rate_mbit: float) -> list[tuple[str, float]]:
    """Run in the first namespace: plan, run and compare every model."""
    from bench.cutting import balanced
    from hocket.cluster import read_toml
    from hocket.control.measure import measure
    from hocket.control.run import run
    from hocket.cost import evaluate, problem_for
    from hocket.graph.onnx import load_model
    from hocket.plan.calibrate import calibrated
    from hocket.solvers import Solution
    from hocket.zoo import model_path

    nodes = "".join(
        f'[[node]]\nname = "{name}"\nspeed = "20 GFLOP/s"\naddress = "tcp://{address}:7000"\n'
        for name, (_, address) in ADDRESSES.items()
    )
    link = f'[[link]]\nbetween = ["first", "second"]\nrate = "{rate_mbit * PAYLOAD:.3f} Mbit/s"\nlatency = "0.2 ms"\n'
    cluster = read_toml(f'format = "hocket.cluster/1"\nname = "shaped"\n{nodes}{link}')
    found = []
    for name in MODELS:
        model = calibrated(load_model(model_path(name)))
        profile = measure(model, cluster, repeats=11, plaintext=True)
        problem = problem_for(model.graph, cluster, profile=profile)
        plan, _ = balanced(problem)
        solution = Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="given")
        figures = run(solution, model=model, requests=15, plaintext=True).figures
        found.append((name, figures.prediction_error))
    return found


@contextmanager
def _namespaces() -> Iterator[None]:
    _ip("netns", "add", FIRST)
    try:
        _ip("netns", "add", SECOND)
        _ip("link", "add", "hka", "netns", FIRST, "type", "veth", "peer", "name", "hkb", "netns", SECOND)
        for (space, address), device in zip(ADDRESSES.values(), ("hka", "hkb"), strict=True):
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", device)
            _ip("-n", space, "link", "set", device, "up")
            _ip("-n", space, "link", "set", "lo", "up")
        yield
    finally:
        for space in (FIRST, SECOND):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def _shape(rate_mbit: float) -> None:
    """A token bucket on both ends; segmentation offload off, or it would see 64 kB packets."""
    for space, device in ((FIRST, "hka"), (SECOND, "hkb")):
        if shutil.which("ethtool"):
            off = ["ethtool", "-K", device, "tso", "off", "gso", "off"]
            subprocess.run(["ip", "netns", "exec", space, *off], capture_output=True, check=False)
        shaper = f"root tbf rate {rate_mbit}mbit burst 16kb latency 400ms".split()
        subprocess.run(["ip", "netns", "exec", space, "tc", "qdisc", "replace", "dev", device, *shaper], check=True)


@contextmanager
def _node(name: str) -> Iterator[None]:
    space, address = ADDRESSES[name]
    command = ["ip", "netns", "exec", space, sys.executable, "-m", "hocket.runtime", "--name", name, "--plaintext",
               "--listen", f"tcp://{address}:7000"]  # fmt: skip
    process: subprocess.Popen[Any] = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
    try:
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError(f"node {name!r} did not start")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


if __name__ == "__main__":
    print(json.dumps(inside(float(sys.argv[1]))))
