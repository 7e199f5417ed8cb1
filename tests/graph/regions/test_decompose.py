"""A normalisation split over the axis that it normalises: partial statistics, together, and everyone's own part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from region_draw import case, noise, number
from region_harness import TOLERANCE, Case, cut_points, error, feed, largest, run, whole_of
from region_layers import channel_norm, layer_norm

from hocket.graph.regions import (
    Block,
    UnsupportedError,
    combine,
    contract_parts,
    contractions,
    decompose,
    part_boxes,
    rewrite,
    volume,
    whole,
)

steady = settings(max_examples=25, derandomize=True, deadline=None, database=None)


def softmax(draw: object) -> Case:
    shape = (2, 3, number(draw, 2, 6))  # type: ignore[arg-type]
    return case("Softmax", {"x": 9 * noise(draw, shape)}, attributes={"axis": number(draw, 1, 2)})  # type: ignore[arg-type]


STATISTICS = (".moments", ".mean", ".logs")


@pytest.mark.parametrize("make", [layer_norm, channel_norm, softmax])
@given(data=st.data())
@steady
def test_partial_statistics_normalise_as_the_whole_does(make: object, data: st.DataObject) -> None:
    one = whole_of(make(data.draw))  # type: ignore[operator]
    try:
        block = decompose(one.block, "y0")
    except UnsupportedError:
        assert one.case.opset < 21, "only the first GroupNormalization cannot be taken apart"
        return
    tensor = next(view.name for view in block.operators if view.name.endswith(STATISTICS))
    names = [view.name for view in block.operators]
    before, after = block.part(names[: names.index(tensor) + 1]), block.part(names[names.index(tensor) + 1 :])
    contraction = data.draw(st.sampled_from(contractions(before.operators[-1])))
    cuts = data.draw(cut_points(contraction.size))
    statistics = together(one.case, before, tensor, contraction.axis, cuts)
    reference = one.results["y0"]
    found = normalised(one.case, after, statistics, axis=reference.ndim - 1)
    assert error(found, reference, largest(reference)) <= TOLERANCE


def together(one: Case, block: Block, tensor: str, axis: str, cuts: list[int]) -> dict[str, np.ndarray]:
    """Partial statistics, put together."""
    everything = whole(block.shapes[tensor])
    parts = [each for each in contract_parts(block, tensor, axis, cuts) if each]
    values = {}
    for each in parts:
        piece = rewrite(block, {tensor: [everything]}, each)
        values |= run(piece.filled(lambda name: one.weights[name]), feed(piece, one.inputs))
    return run(combine(block, everything, parts), values)


def normalised(one: Case, block: Block, statistics: dict[str, np.ndarray], axis: int) -> np.ndarray:
    """What follows from the statistics, in two parts."""
    size = block.shapes["y0"][axis]
    known = dict(one.inputs) | statistics
    if "y0.groups" in block.inputs:
        known["y0.groups"] = one.inputs["x"].reshape(block.shapes["y0.groups"])
    pieces = []
    for box in part_boxes(block, "y0", axis, [size // 3]):
        if volume(box):
            piece = rewrite(block, {"y0": [box]})
            found = run(piece.filled(lambda name: one.weights[name]), feed(piece, known))
            pieces += found.values()
    return np.concatenate(pieces, axis)


def test_what_cannot_be_taken_apart_says_so() -> None:
    one = whole_of(case("Relu", {"x": np.ones((2, 3), np.float32)}))
    with pytest.raises(UnsupportedError) as refusal:
        decompose(one.block, "y0")
    assert str(refusal.value) == (
        "LayerNormalization, RMSNormalization, InstanceNormalization, GroupNormalization, Softmax can be taken apart,"
        " and 'y0' is Relu; leave it as it is"
    )
