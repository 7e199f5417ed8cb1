"""`hocket serve`: what it refuses, and a server as its own process."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from graphs import graph_of, mesh, node, operator, problem_of, profile_of

from hocket.cli import main
from hocket.cost import evaluate
from hocket.errors import PlanError
from hocket.plan.placement import plan_for
from hocket.serve.opening import open_answerers
from hocket.solvers import Solution

HOME = Path(__file__).parent.parent.parent / "examples" / "home.toml"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["hocket", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 1
        return capsys.readouterr().err

    return run


def test_it_refuses_before_anything_is_started(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOCKET_API_KEYS", raising=False)
    plan = tmp_path / "absent.json"
    assert "has no API keys; give --api-key-file" in refused("serve", plan, "--host", "0.0.0.0")
    assert "cannot be read" in refused("serve", plan)
    assert "cannot be read" in refused("serve", plan, "--host", "0.0.0.0", "--open")
    assert "cannot be read" in refused("serve", plan, "--api-key-file", tmp_path / "keys")
    assert "the limit under_way is more than 0, got 0" in refused("serve", plan, "--under-way", 0)


def test_without_the_extra_it_names_it(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    assert "a server needs uvicorn, which this Python lacks; run pip install 'hocket[serve]'" in refused("serve", "x")


def test_one_name_for_several_tasks_is_refused() -> None:
    graph, cluster = graph_of(operator("a", "x")), mesh(node("n"))
    problem = problem_of(graph, cluster, profile_of(graph, {"n": {"a": 1.0}}))
    both = problem.replace(tasks=(problem.task, problem.task.replace(name="other")))
    plan = plan_for(problem.task.name, graph, ["n"])
    with (
        pytest.raises(PlanError, match="2 tasks have their own names, and 'mine' is one; leave it out"),
        open_answerers(Solution(problem=both, plan=plan, cost=evaluate(problem, plan)), "mine"),
    ):
        pass


# ------------------------------------------------------------ as a process


@contextmanager
def serving(plan: Path, *words: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A server process, and what it says of itself."""
    command = [sys.executable, "-m", "hocket", "serve", str(plan), "--port", "0", "--json", *map(str, words)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            text += line
        yield process, json.loads(text)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    words = ["solve", "zoo:toy_dag", str(HOME), "--objective", "period", "-o", str(path), "--json"]
    subprocess.run([sys.executable, "-m", "hocket", *words], check=True, capture_output=True)
    return path


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_plan_is_served_over_http_and_grpc_until_a_signal(plan: Path, number: signal.Signals) -> None:
    with serving(plan, "--grpc-port", 0, "--name", "toy") as (process, said):
        assert said["models"] == ["toy"]
        with httpx.Client(base_url=said["url"], timeout=30.0) as http:
            assert http.get("/readyz").status_code == 200
            (spec,) = http.get("/v2/models/toy").json()["inputs"]
            count = int(np.prod(spec["shape"]))
            asked = {"inputs": [{**spec, "data": [0.5] * count}]}
            whole = http.post("/v2/models/toy/infer", json=asked).json()["outputs"][0]
            assert whole["datatype"] == "FP32"
            triton = pytest.importorskip("tritonclient.grpc")
            client = triton.InferenceServerClient(said["grpc"])
            sent = triton.InferInput(spec["name"], spec["shape"], "FP32")
            sent.set_data_from_numpy(np.full(spec["shape"], 0.5, np.float32))
            found = client.infer("toy", [sent]).as_numpy(whole["name"])
            client.close()
            np.testing.assert_array_equal(found.ravel(), np.array(whole["data"], np.float32))
            # Some are under way when the signal comes: each is answered, or never was taken.
            outcomes: list[Any] = []
            threads = [threading.Thread(target=ask, args=(said["url"], asked, outcomes)) for _ in range(4)]
            for thread in threads:
                thread.start()
            process.send_signal(number)
            for thread in threads:
                thread.join()
            assert process.wait(30.0) == 0
            assert set(outcomes) <= {200, "not taken"}
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def ask(url: str, asked: dict[str, Any], outcomes: list[Any]) -> None:
    try:
        outcomes.append(httpx.post(f"{url}/v2/models/toy/infer", json=asked, timeout=30.0).status_code)
    except httpx.TransportError:
        outcomes.append("not taken")


@pytest.mark.cluster
def test_keys_of_the_environment_open_a_server_process(plan: Path) -> None:
    key = "k" * 24
    with serving(plan, "--host", "0.0.0.0", HOCKET_API_KEYS=key) as (_, said):
        url = said["url"].replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/v2").status_code == 401
        assert httpx.get(f"{url}/v2", headers={"authorization": f"Bearer {key}"}).status_code == 200
