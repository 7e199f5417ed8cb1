"""What watching and encryption cost on the way of a request, and what a million broken frames do to a node."""

import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.runtime import chain, no_weights
from bench.table import Row
from hocket.runtime.crew import Crew
from hocket.runtime.fleet import Fleet
from hocket.runtime.happenings import Came, Prepared
from hocket.runtime.keys import Keys, save_keys
from hocket.runtime.session import Session

ROUNDS, REQUESTS, FRAMES = 15, 200, 1_000_000
_PING_S, _WATCH_S = 0.1, 0.5  # as a live session does


def rows() -> list[Row]:
    """All figures."""
    return [watching(), *encrypting(), *fuzzing()]


def watching() -> Row:
    """Latency of a hop while the nodes are pinged, watched and counted as a live session does, less that without."""
    shape = (1, 256)
    program, artifacts = chain("aba", shape)
    by_node = {
        node: [each for each in artifacts if each.segment in {s.id for s in program.at(node)}]
        for node in program.nodes()
    }
    ground = program.replace(segments=(), transfers=(), inputs=(), outputs=(), tensors=(), window=1)
    inputs = {"x0": np.zeros(shape, np.float32)}
    added = []
    with Fleet(program.sites, emulate=False) as fleet:
        crew = Crew(fleet, ground)
        try:
            crew.prepare((0, 0), program, by_node, no_weights)
            while not any(isinstance(each, Prepared) for each in crew.receive(1.0)):
                pass
            numbers = itertools.count()
            for _ in range(ROUNDS):
                plain, watched = (_median_s(crew, inputs, numbers, watch=watch) for watch in (False, True))
                added.append(1e6 * (watched - plain) / 2)
        finally:
            crew.close()
    value = statistics.median(added)
    note = f"1 kB, two processes, {ROUNDS} pairs of {REQUESTS} requests over two hops, quartiles {_quartiles(added)}"
    return Row("watching: added latency of a hop", value, "us", "<= 30", value <= 30, note)


def _median_s(crew: Crew, inputs: dict[str, np.ndarray], numbers: "itertools.count[int]", *, watch: bool) -> float:
    found = []
    next_ping_s = next_watch_s = time.monotonic()
    for _ in range(REQUESTS):
        now_s = time.monotonic()
        if watch and now_s >= next_ping_s:
            next_ping_s = now_s + _PING_S
            crew.ping()
        if watch and now_s >= next_watch_s:
            next_watch_s = now_s + _WATCH_S
            crew.watch()
            crew.count()
        crew.start((0, 0), next(numbers), inputs)
        came = None
        while came is None:
            came = next((each for each in crew.receive(1.0) if isinstance(each, Came)), None)
        found.append(came.answer.latency_s)
    return statistics.median(found)


def encrypting() -> list[Row]:
    """A hop with CURVE, less one without, for a small and a large tensor."""
    rows = []
    for nbytes, name in ((1 << 10, "1 kB"), (4 << 20, "4 MB")):
        program, artifacts = chain("aba", (1, nbytes // 4))
        x = {"x0": np.zeros((1, nbytes // 4), np.float32)}
        added = []
        with _nodes(encrypted=False) as (plain, _), _nodes(encrypted=True) as (curve, keys):
            near = Session(program, artifacts, no_weights, addresses=plain, emulate=False)
            far = Session(program, artifacts, no_weights, addresses=curve, keys=keys, emulate=False)
            with near as one, far as two:
                times = REQUESTS if nbytes < 1 << 20 else 5
                for _ in range(ROUNDS):
                    pair = [statistics.median(each.run(x).latency_s for _ in range(times)) for each in (one, two)]
                    added.append((pair[1] - pair[0]) / 2)
        value, most_s = statistics.median(added), 200e-6 + nbytes / 0.5e9
        note = f"two processes, {ROUNDS} pairs of {times}, quartiles {_quartiles([1e6 * each for each in added])} us"
        rows.append(
            Row(f"CURVE: added latency of a hop with {name}", 1e6 * value, "us", f"<= {1e6 * most_s:.0f}",
                value <= most_s, note)
        )  # fmt: skip
    return rows


def fuzzing() -> list[Row]:
    """A million changed frames through the decoder and through a node."""
    rows = []
    for target in ("decoder", "node"):
        command = [sys.executable, "-m", "tests.runtime.fuzz", "--frames", str(FRAMES), "--target", target]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        report = json.loads(said.splitlines()[-1])
        faults = sum(report["faults"].values())
        rows.append(Row(f"fuzzing the {target}: faults in {FRAMES} frames", faults, "", "0", faults == 0, f"{report}"))
    return rows


@contextlib.contextmanager
def _nodes(*, encrypted: bool) -> Iterator[tuple[dict[str, str], Keys | None]]:
    """Two node processes, with or without keys: how they are reached, and our own keys."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        mine = save_keys(folder, "me") if encrypted else None
        for node in "ab" if encrypted else "":
            save_keys(folder, node)
        addresses = {}
        for node in "ab":
            command = [sys.executable, "-m", "hocket.runtime", "--name", node, "--listen", "tcp://127.0.0.1:0"]
            if encrypted:
                command += ["--keys", str(folder), "--allow", str(folder)]
            child = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(child.kill)
            told = json.loads(child.stdout.readline()) if child.stdout is not None else {}
            addresses[node] = told.get("join") or told["address"]
        yield addresses, mine


def _quartiles(values: list[float]) -> str:
    low, high = np.quantile(values, [0.25, 0.75])
    return f"{low:.3g} to {high:.3g}"
