"""A live session behind the server's protocol, on nodes that are threads."""

from collections.abc import Iterator

import numpy as np
import pytest
from stubs import served, until

import hocket
from hocket.cluster import read_toml
from hocket.control.live.deploy import Live, deploy
from hocket.control.live.state import Rules
from hocket.cost import evaluate, problem_for
from hocket.errors import FormatError, LateError
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.plan.build import whole
from hocket.plan.placement import plan_for
from hocket.runtime.inproc import Network
from hocket.serve.live import LiveAnswerer
from hocket.solvers import Solution
from hocket.zoo.listing import model_path

httpx = pytest.importorskip("httpx")

CLUSTER = 'format = "hocket.cluster/1"\n' + "".join(
    f'[[node]]\nname = "{name}"\nspeed = "10 GFLOP/s"\n' for name in "ab"
) + '[[link]]\nbetween = ["a", "b"]\nrate = "1 Gbit/s"\n'  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Model:
    return hocket.load_model(model_path("toy_chain"))


@pytest.fixture(scope="module")
def live(model: Model) -> Iterator[Live]:
    problem = problem_for(model.graph, read_toml(CLUSTER))
    count = len(model.graph.operators)
    plan = plan_for(problem.task.name, model.graph, ["a"] * (count // 2) + ["b"] * (count - count // 2))
    solution = Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="chain_dp")
    with deploy(solution, models=model, policy="static", rules=Rules(standby="none"), network=Network()) as session:
        yield session


def test_answers_are_those_of_the_whole_model(live: Live, model: Model) -> None:
    answerer = LiveAnswerer("toy", live.session)
    assert answerer.ready()
    assert [spec.name for spec in answerer.inputs] == [tensor.name for tensor in model.graph.inputs]
    inputs = random_inputs(model.graph)
    expected = Runner(model, whole(model)).run(inputs)
    for name, array in answerer.submit(inputs).result(20).outputs.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5)


def test_what_is_wrong_is_refused_at_once_and_what_is_late_later(live: Live, model: Model) -> None:
    answerer = LiveAnswerer("toy", live.session)
    with pytest.raises(FormatError, match="the program takes"):
        answerer.submit({"nonsense": np.zeros(1)})
    with pytest.raises(LateError, match="allow it more time"):
        answerer.submit(random_inputs(model.graph), deadline_s=1e-6).result(20)


def test_a_future_that_is_cancelled_takes_its_request_back(live: Live, model: Model) -> None:
    answerer = LiveAnswerer("toy", live.session)
    inputs = random_inputs(model.graph)
    futures = [answerer.submit(inputs) for _ in range(200)]
    cancelled = [future.cancel() for future in futures[100:]]
    assert any(cancelled)
    for future in futures[:100]:
        future.result(20)
    until(lambda: live.status().waiting == live.status().under_way == 0)


def test_over_http_the_same_answer_comes(live: Live, model: Model) -> None:
    inputs = random_inputs(model.graph)
    name, array = next(iter(inputs.items()))
    body = {"inputs": [{"name": name, "datatype": "FP32", "shape": list(array.shape), "data": array.ravel().tolist()}]}
    with served([LiveAnswerer("toy", live.session)]) as found:
        answer = httpx.post(f"{found.url}/v2/models/toy/infer", json=body, timeout=20).json()
    expected = Runner(model, whole(model)).run(inputs)
    for output in answer["outputs"]:
        np.testing.assert_allclose(output["data"], expected[output["name"]].ravel(), rtol=1e-4, atol=1e-5)
