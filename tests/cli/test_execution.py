"""Commands that run nodes, as real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

HOME = Path(__file__).parent.parent.parent / "examples" / "home.toml"
RUN_KEYS = {"predicted_s", "measured_s", "prediction_error", "throughput_per_s", "max_abs_error", "max_rel_error"}
pytestmark = pytest.mark.cluster


@pytest.fixture
def spread(hocket: Callable, tmp_path: Path) -> Path:
    """A plan that uses more than one node."""
    path = tmp_path / "plan.json"
    assert hocket("solve", "zoo:resnet18", HOME, "--objective", "period", "-o", path, "--json").code == 0
    return path


def nodes_running() -> set[str]:
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return {line for line in listing.splitlines() if "hocket.runtime" in line and "ps -eo" not in line}


def test_run_prints_predicted_beside_measured_and_the_output_is_the_whole_models(
    hocket: Callable, spread: Path
) -> None:
    ran = hocket("run", spread, "--requests", 3, "--json")
    data = json.loads(ran.out)
    assert ran.code == 0
    assert data.keys() >= RUN_KEYS
    assert data["measured_s"]["n"] == 3
    assert data["max_rel_error"] < 1e-5


def test_run_takes_inputs_from_a_file_and_writes_a_trace(hocket: Callable, spread: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 3, 224, 224), np.float32))
    ran = hocket("run", spread, "--input", tmp_path / "x.npy", "--trace", tmp_path / "t.json", "--requests", 2)
    assert ran.code == 0, ran.err
    assert json.loads((tmp_path / "t.json").read_text())["judge"] == "measured"
    np.save(tmp_path / "y.npy", np.ones((2, 2), np.float32))
    ran = hocket("run", spread, "--input", tmp_path / "y.npy")
    assert ran.code == 1
    assert "the input 'input' is float32 (1, 3, 224, 224), got float32 (2, 2); convert it" in ran.err


def test_measure_solve_run_is_one_chain(hocket: Callable, tmp_path: Path) -> None:
    profile, plan = tmp_path / "p.json", tmp_path / "s.json"
    assert hocket("measure", "zoo:toy_dag", HOME, "-o", profile, "--repeats", 3, "--json").code == 0
    assert hocket("solve", "zoo:toy_dag", HOME, "--profile", profile, "-o", plan, "--json").code == 0
    ran = hocket("run", plan, "--requests", 2, "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["max_rel_error"] < 1e-5


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupted_run_leaves_no_node_behind(spread: Path) -> None:
    before = nodes_running()  # of somebody else on this computer
    command = [sys.executable, "-m", "hocket", "run", str(spread), "--requests", "100000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
    limit = time.monotonic() + 60
    while not nodes_running() - before and time.monotonic() < limit:
        time.sleep(0.1)
    own = nodes_running() - before
    assert own
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (130, -signal.SIGINT)  # shells call both 130
    assert b"Traceback" not in err
    while nodes_running() & own and time.monotonic() < limit:
        time.sleep(0.1)
    assert not nodes_running() & own


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_while_it_is_still_loading_is_one_line() -> None:
    process = subprocess.Popen([sys.executable, "-m", "hocket", "zoo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert b"Traceback" not in err


def test_an_interrupt_where_nothing_can_be_raised_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    from hocket.cli import _unraisable

    class Freed:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "unraisablehook", _unraisable)
    freed = Freed()
    with pytest.raises(KeyboardInterrupt):
        del freed
        time.sleep(5)


def test_a_node_that_cannot_be_reached_is_one_sentence(hocket: Callable, tmp_path: Path) -> None:
    cluster = tmp_path / "away.toml"
    cluster.write_text(
        'format = "hocket.cluster/1"\n[[node]]\nname = "here"\nspeed = "1 GFLOP/s"\n'
        '[[node]]\nname = "away"\nspeed = "1 TFLOP/s"\naddress = "tcp://127.0.0.1:9"\n'
        '[[link]]\nbetween = ["here", "away"]\nrate = "unlimited"\n'
    )
    plan = tmp_path / "s.json"
    assert hocket("solve", "zoo:toy_dag", cluster, "-o", plan, "--json").code == 0
    ran = hocket("run", plan, "--timeout", 2)
    assert ran.code == 1
    assert "'away'" in ran.err
    assert len(ran.err.strip().splitlines()) == 1
