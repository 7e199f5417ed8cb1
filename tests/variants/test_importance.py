"""Channels in another order: the same answers, the important ones first, the rest dealt out evenly."""

import numpy as np
import pytest
from graphs import mesh, node, zoo_model

from hocket.cost import problem_for
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.solvers.robust import Robustdice
from hocket.solvers.robust.robustdice import band_sizes
from hocket.variants import by_importance
from hocket.variants.importance import dealt


def answer(model: Model) -> np.ndarray:
    inputs = random_inputs(model.graph, seed=3)
    return Runner(model, whole(model)).run(inputs)[model.graph.outputs[0]]


@pytest.mark.parametrize("name", [
    "toy_chain", "toy_dag", "lenet", "charcnn", "resnet18", "mobilenet_v2", "squeezenet1_1", "efficientnet_b0",
])  # fmt: skip
def test_the_function_stays(name: str) -> None:
    model = calibrated(zoo_model(name))
    ordered = by_importance(model, lambda channels: band_sizes((2.0, 1.0, 1.0), channels, 0.25))
    assert any(not np.array_equal(ordered.weight(w), model.weight(w)) for w in model.graph.weights)
    assert ordered.graph.body == model.graph.body
    wanted = answer(model)
    assert np.abs(answer(ordered) - wanted).max() <= 1e-5 * np.abs(wanted).max()


def importance(model: Model, operator: str) -> np.ndarray:
    weight = model.weight(model.nodes[operator].input[1])
    return np.abs(weight).reshape(len(weight), -1).sum(axis=1)


def test_the_first_channels_are_the_most_important_and_groups_are_alike() -> None:
    model = zoo_model("toy_chain")
    ordered = by_importance(model, lambda channels: band_sizes((1.0, 1.0), channels, 0.25))
    convolutions = [each.name for each in model.graph.operators if each.kind == "Conv"]
    assert len(convolutions) == 8
    for name in convolutions:
        before, after = importance(model, name), importance(ordered, name)
        assert sorted(before) == pytest.approx(sorted(after))
        common = len(after) // 4
        half = (len(after) - common) // 2
        first, second = after[common : common + half], after[common + half :]
        assert after[:common].min() >= after[common:].max() - 1e-6
        # There and back, two groups differ by less than the most and the least important that are dealt.
        dealt_out = after[common:]
        assert abs(first.sum() - second.sum()) <= dealt_out.max() - dealt_out.min()


def test_groups_are_the_bands_of_the_plan() -> None:
    model = zoo_model("toy_chain")
    problem = problem_for(model.graph, mesh(node("a", 2e9), node("b", 1e9), bytes_per_s=1e9))
    split = Robustdice(replicated=0.25)(problem).plan.entries[0].where[0].on
    ordered = by_importance(model, lambda channels: band_sizes((2.0, 1.0), channels, 0.25))
    parts = np.split(importance(ordered, model.graph.operators[0].name), split.cuts)
    # Within a band they were dealt out from the most important to the least.
    assert all((np.diff(part) <= 1e-6).all() for part in parts)


def test_channels_are_dealt_there_and_back() -> None:
    assert dealt([9, 8, 7, 6, 5, 4], (0, 3, 3)) == [0, 3, 4, 1, 2, 5]
    assert dealt([4, 5, 6, 7, 8, 9], (3, 1, 2)) == [5, 4, 3, 1, 2, 0]
    assert dealt([1, 2, 3], (3, 0, 0)) == [2, 1, 0]


def test_answers_keep_their_order() -> None:
    model = zoo_model("lenet")
    ordered = by_importance(model, lambda channels: (0, channels))
    last = model.nodes[model.graph.outputs[0]]
    assert np.array_equal(ordered.weight(last.input[2]), model.weight(last.input[2]))
