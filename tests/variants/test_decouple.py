"""Decoupled layers: with one group the function stays; with more its error is measured, and it is not 0."""

from pathlib import Path

import pytest
from graphs import zoo_model
from transformers_small import STYLES, transformer

from hocket.errors import GraphError
from hocket.graph.execute import random_inputs
from hocket.graph.model import Model
from hocket.variants import decouple, measured_error


def errors(model: Model, path: Path, groups: int, every: int) -> list[float]:
    variant = decouple(model, path / "variant.onnx", groups=groups, every=every)
    return list(measured_error(model, variant, random_inputs(model.graph, seed=3)).values())


@pytest.mark.parametrize("style", STYLES)
def test_one_group_leaves_the_function_and_two_do_not(style: str, tmp_path: Path) -> None:
    model = transformer(style, layers=3)
    assert max(errors(model, tmp_path, groups=1, every=2)) < 1e-5
    assert max(errors(model, tmp_path, groups=2, every=1)) == 0  # all layers are kept
    assert 1e-3 < min(errors(model, tmp_path, groups=2, every=2)) < 0.5
    assert 1e-3 < min(errors(model, tmp_path, groups=4, every=5)) < 0.5  # none is kept


def test_sub_blocks_hold_slices_of_the_weights(tmp_path: Path) -> None:
    model = transformer("bert", layers=2)
    variant = decouple(model, tmp_path / "variant.onnx", groups=4, every=2)
    small = sorted(size for name, size in variant.graph.weights.items() if "@" in name and size > 1000)
    # Of the decoupled layer each of four streams has a quarter: of Q, K, V, O (32 x 32), and twice of 32 x 64.
    assert small == sorted([32 * 8 * 4] * 16 + [32 * 16 * 4] * 8)
    # The original has them once, and the biases and norms that each stream needs come from it.
    assert variant.graph.macs == model.graph.macs


def test_what_cannot_be_decoupled_is_said(tmp_path: Path) -> None:
    with pytest.raises(GraphError) as caught:
        decouple(zoo_model("charcnn"), tmp_path / "variant.onnx", groups=2, every=2)
    assert str(caught.value) == "'charcnn' has no Transformer layers to decouple; give a Transformer"
    model = transformer("bert")
    with pytest.raises(GraphError) as caught:
        decouple(model, tmp_path / "variant.onnx", groups=5, every=2)
    assert str(caught.value) == (
        f"a layer has between 1 and as many sub-blocks as heads, 4 in {model.graph.name!r}, got 5; correct groups"
    )
    with pytest.raises(GraphError, match="one of every 1 or more layers is kept, got 0; correct every"):
        decouple(model, tmp_path / "variant.onnx", groups=2, every=0)
