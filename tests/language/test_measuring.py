"""Measuring language models on nodes: which step, where it stands, and what its profile is good for."""

import re
from collections.abc import Mapping

import numpy as np
import pytest
from language_nodes import CAPACITY, LAYERS, cluster_of, small

from hocket.control import measure as measuring
from hocket.control.measure import NodeTimes, measure
from hocket.control.steps import counted, measured_step, opening
from hocket.cost import evaluate
from hocket.errors import GraphError, ProfileError
from hocket.graph.onnx import load_model
from hocket.language.divided import dividable
from hocket.language.language_model import LanguageModel
from hocket.language.planning import language_problem
from hocket.plan.placement import plan_for
from hocket.profile import Profile
from hocket.runtime import measure as runtime_measure
from hocket.runtime.inproc import Network
from hocket.runtime.session import Session
from hocket.runtime.wire import Step
from hocket.zoo import model_path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to sleep between runs where times are not compared."""
    monkeypatch.setattr(measuring, "PAUSE_S", 0.0)
    monkeypatch.setattr(runtime_measure, "PAUSE_S", 0.0)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[NodeTimes]:
    """What was measured on each node."""
    found: list[NodeTimes] = []
    original = measuring._node_times

    def recorded(*given: object) -> NodeTimes:
        found.append(original(*given))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(measuring, "_node_times", recorded)
    return found


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Step | None]]:
    """The length and the place of every request."""
    sent: list[tuple[int, Step | None]] = []
    original = Session.run

    def run(self: Session, inputs: Mapping[str, np.ndarray], *, step: Step | None = None) -> object:
        sent.append((inputs["tokens"].shape[1], step))
        return original(self, inputs, step=step)

    monkeypatch.setattr(Session, "run", run)
    return sent


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("tokens", [1, 16])
def test_the_whole_is_the_sum_of_its_operators(family: str, tokens: int, taken: list[NodeTimes]) -> None:
    model = dividable(small(family), capacity=CAPACITY, tokens=tokens)
    profile = measure(model, cluster_of("ab"), repeats=3, network=Network())
    assert profile.how == "measured"
    assert profile.sha256 == model.graph.source.sha256
    for entry, times in zip(profile.entries, taken, strict=True):
        assert sum(entry.seconds.values()) + entry.call_s == pytest.approx(times.whole_s)
        assert entry.seconds.keys() == {operator.name for operator in model.graph.operators}
        product = "down" if family == "llama" else "down.product"
        assert all(entry.seconds[f"block.{layer}.{product}"] > 0 for layer in range(LAYERS))
        assert all(entry.seconds[f"block.{layer}.attention"] > 0 for layer in range(LAYERS))
        assert entry.bindings["sequence"] == tokens
        assert entry.bindings["kept"] == (CAPACITY - tokens) // 2


def test_one_node_is_predicted_to_take_what_it_took(taken: list[NodeTimes]) -> None:
    model, cluster = dividable(small("llama"), capacity=CAPACITY), cluster_of("a")
    profile = measure(model, cluster, repeats=3, network=Network())
    problem = language_problem(model.graph, cluster, capacity=CAPACITY, profile=profile)
    plan = plan_for(problem.task.name, model.graph, ["a"] * len(model.graph.operators))
    assert evaluate(problem, plan).latency_s == pytest.approx(taken[0].whole_s, rel=1e-6)


def test_the_step_is_measured_where_it_was_said(steps: list[tuple[int, Step | None]]) -> None:
    model = dividable(small("gpt2"), capacity=CAPACITY, tokens=4)
    measure(model, cluster_of("a"), repeats=1, kept=20, network=Network())
    assert steps[:3] == [(4, Step(1, 0, 24)), (4, Step(1, 20, 24)), (4, Step(1, 20, 24))]
    assert steps[3:] == steps[:3]  # the whole, then the pieces


def test_models_without_weights_are_measured_too() -> None:
    model = dividable(LanguageModel(small("llama").config), capacity=CAPACITY)
    profile = measure(model, cluster_of("a"), repeats=1, network=Network())
    assert profile.sha256 == dividable(small("llama"), capacity=CAPACITY).graph.source.sha256


@pytest.mark.parametrize(("tokens", "kept"), [(1, 23), (16, 16), (48, 0)])
def test_half_of_the_room_is_filled_unless_said_otherwise(tokens: int, kept: int) -> None:
    graph = dividable(small("llama"), capacity=CAPACITY, tokens=tokens).graph
    step = measured_step(graph)
    assert step == Step(1, kept, kept + tokens)
    assert opening(step) == Step(1, 0, kept + tokens)
    assert {name: value.tolist() for name, value in counted(graph, step).items()} == {
        "last_position": [kept + tokens - 1],
        "total_length": [kept + tokens],
    }


def test_what_cannot_be_measured_is_refused() -> None:
    model = dividable(small("llama"), capacity=CAPACITY, tokens=4)
    told = "have room for 48 positions, and 4 new ones behind 45 are to be measured"
    with pytest.raises(GraphError, match=told):
        measure(model, cluster_of("a"), kept=45, network=Network())
    with pytest.raises(GraphError, match=re.escape("'tokens' of 'tiny_llama' has shape (1, 4), not (1, 5)")):
        measure(model, cluster_of("a"), inputs={"tokens": np.zeros((1, 5), np.int64)}, network=Network())
    alone = load_model(model_path("toy_dag"))
    with pytest.raises(GraphError, match="'toy_dag' keeps nothing between requests, and 3 positions shall be"):
        measure(alone, cluster_of("a"), kept=3, network=Network())


def test_a_profile_is_of_one_step_of_one_model() -> None:
    cluster = cluster_of("a")

    def profile_of(family: str, tokens: int) -> Profile:
        graph = dividable(small(family), capacity=CAPACITY, tokens=tokens).graph
        made = language_problem(graph, cluster, capacity=CAPACITY).task.profile
        entries = tuple(entry.replace(bindings=graph.bindings) for entry in made.entries)
        return made.replace(how="measured", entries=entries)

    model = small("llama")
    right = profile_of("llama", 1)
    assert language_problem(model, cluster, capacity=CAPACITY, profile=right).task.profile == right
    cases = {
        "(sequence 16, not 1); give each profile with its model": (profile_of("llama", 16), CAPACITY),
        "(capacity 48, not 40); give each profile with its model": (right, 40),
        "that of 'tiny_gpt2' is of": (profile_of("gpt2", 1), CAPACITY),
    }
    for told, (wrong, capacity) in cases.items():
        with pytest.raises(ProfileError, match=re.escape(told)):
            language_problem(model, cluster, capacity=capacity, profile=wrong)
