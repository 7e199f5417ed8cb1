"""A model without one of its blocks."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import hocket
from hocket.errors import GraphError
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.variants.skip import skip
from hocket.zoo.listing import model_path


@pytest.fixture(scope="module")
def model() -> Model:
    return calibrated(hocket.load_model(model_path("resnet18")))


def block_of(model: Model) -> list[str]:
    """The operators of a residual block that keeps its shape, between two sums."""
    graph = model.graph
    sums = [operator for operator in graph.operators if operator.kind == "Add"]
    for first, second in pairwise(sums):
        names = [o.name for o in graph.operators]
        inside = names[names.index(first.name) + 2 : names.index(second.name) + 2]
        if graph.tensor[first.name].shape == graph.tensor[second.name].shape and len(inside) < 8:
            return inside
    raise AssertionError("no such block")


def test_a_skipped_block_is_gone_and_the_rest_computes_on(model: Model, tmp_path: Path) -> None:
    block = block_of(model)
    short = skip(model, block, tmp_path / "short.onnx")
    assert len(short.graph.operators) == len(model.graph.operators) - len(block)
    assert [tensor.name for tensor in short.graph.inputs] == [tensor.name for tensor in model.graph.inputs]
    assert short.graph.outputs == model.graph.outputs
    inputs = random_inputs(model.graph)
    long_answer = Runner(model, whole(model)).run(inputs)
    for name, array in Runner(short, whole(short)).run(inputs).items():
        assert array.shape == long_answer[name].shape
        assert np.isfinite(array).all()
        assert not np.allclose(array, long_answer[name])


def test_what_changes_the_shape_or_ends_the_model_is_not_skipped(model: Model, tmp_path: Path) -> None:
    first, last = model.graph.operators[0].name, model.graph.operators[-1].name
    with pytest.raises(GraphError, match="what is skipped keeps the shape"):
        skip(model, [first], tmp_path / "x.onnx")
    with pytest.raises(GraphError, match="choose a block with a way around it"):
        skip(model, [last], tmp_path / "x.onnx")
    with pytest.raises(GraphError, match="name existing ones"):
        skip(model, ["nonsense"], tmp_path / "x.onnx")
