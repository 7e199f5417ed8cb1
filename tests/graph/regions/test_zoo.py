"""Blocks of real models, split on every axis of their result and on the contracted one, against the whole block."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from region_harness import PARTIAL_TOLERANCE, TOLERANCE, Arrays, error, feed, largest, run

from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.graph.regions import (
    Block,
    block_of,
    combine,
    contract_parts,
    contractions,
    demand,
    granule,
    part_boxes,
    region_name,
    rewrite,
    volume,
    whole,
)
from hocket.graph.regions.block import value_info
from hocket.graph.regions.cuts import parts

FOLDER = Path(__file__).parents[3] / "hocket" / "zoo" / "models"
MODELS = sorted(path.stem for path in FOLDER.glob("*.onnx"))
SHARES = ((1, 2), (3, 0, 4), (0, 1, 2, 4, 3))
"""2, 3 and 5 uneven parts, some without a share."""


class Zoo(NamedTuple):
    """A zoo model and its block."""

    model: Model
    block: Block


@lru_cache(maxsize=2)
def zoo(name: str) -> Zoo:
    """Read a zoo model."""
    model = load_model(FOLDER / f"{name}.onnx")
    return Zoo(model, block_of(model))


def weight(model: Model) -> Callable[[str], np.ndarray]:
    """Its random weights, made once each."""
    return lru_cache(maxsize=None)(model.weight)


def reference(
    model: Model, block: Block, tensor: str, weights: Callable[[str], np.ndarray], inputs: Arrays
) -> np.ndarray:
    """The unsplit block in ONNX Runtime."""
    constants = {node.output[0]: node for node in model.constants.values()}
    nodes = [model.nodes.get(view.name, constants.get(view.name)) for view in block.operators]
    used = {name for view in block.operators for name in view.inputs if name in block.weights}
    graph = onnx.helper.make_graph(
        nodes,
        "reference",
        [value_info(name, block.dtypes[name], block.shapes[name]) for name in block.inputs],
        [value_info(tensor, block.dtypes[tensor], block.shapes[tensor])],
        [onnx.numpy_helper.from_array(weights(name), name) for name in sorted(used)],
    )
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in block.opsets.items()]
    return run(onnx.helper.make_model(graph, opset_imports=imports, ir_version=block.ir_version), inputs)[tensor]


def noise(block: Block) -> Arrays:
    """Inputs of about unit size; indices stay small."""
    generator = np.random.default_rng(3)
    inputs = {}
    for name in block.inputs:
        dtype = np.dtype(block.dtypes[name])
        shape = block.shapes[name]
        real = np.issubdtype(dtype, np.floating)
        inputs[name] = (generator.standard_normal(shape) if real else generator.integers(0, 2, shape)).astype(dtype)
    return inputs


def cuts(shares: Sequence[int], size: int) -> list[int]:
    """Cut points in proportion to shares."""
    ends = np.cumsum(shares)[:-1] / sum(shares) * size
    return [round(float(end)) for end in ends]


def chunks(model: Model, block: Block, length: int) -> Iterator[Block]:
    """Runs of operators, each ending in one that computes something."""
    names = [view.name for view in block.operators]
    start = 0
    while start < len(names):
        yield block.part(names[start : start + length])
        start += length


def check_block(model: Model, block: Block, shares: Sequence[Sequence[int]]) -> list[float]:
    """Split the last result of a block every way; returns the errors."""
    tensor = block.operators[-1].name
    weights, inputs = weight(model), noise(block)
    expected = reference(model, block, tensor, weights, inputs)
    scale = largest(expected)
    assert expected.dtype == bool or scale > 0, "an all-zero reference tests nothing"
    errors = []
    for axis, size in enumerate(expected.shape):
        for share in shares if size > 1 else ():
            boxes = [box for box in part_boxes(block, tensor, axis, cuts(share, size)) if volume(box)]
            pieces = []
            for box in boxes:
                piece = rewrite(block, {tensor: [box]})
                found = run(piece.filled(weights), feed(piece, inputs))
                pieces.append(found[region_name(tensor, box, expected.shape)])
            errors.append(error(np.concatenate(pieces, axis), expected, scale))
            assert errors[-1] <= TOLERANCE, (tensor, axis, share)
    errors += contracted_errors(block, tensor, shares, weights, inputs, expected)
    return errors


def contracted_errors(
    block: Block,
    tensor: str,
    shares: Sequence[Sequence[int]],
    weights: Callable[[str], np.ndarray],
    inputs: Arrays,
    expected: np.ndarray,
) -> list[float]:
    """Split the contracted axes of the last operator."""
    everything, errors = whole(expected.shape), []
    scale = largest(expected)
    for contraction in contractions(block.operators[-1]):
        for share in shares if contraction.size > 1 else ():
            points = cuts(share, contraction.size // contraction.granule)
            found = contract_parts(block, tensor, contraction.axis, [point * contraction.granule for point in points])
            values: Arrays = {}
            for each in filter(None, found):
                piece = rewrite(block, {tensor: [everything]}, each)
                values |= run(piece.filled(weights), feed(piece, inputs))
            total = run(combine(block, everything, [each for each in found if each]), values)[tensor]
            errors.append(error(total, expected, scale))
            assert errors[-1] <= PARTIAL_TOLERANCE, (tensor, contraction.axis, share)
    return errors


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [("toy_chain", 0, 16), ("toy_dag", 0, 15), ("toy_dag", 2, 17), ("resnet18", 17, 8), ("mobilenet_v2", 30, 9),
     ("densenet121", 40, 12), ("swin_t", 24, 14), ("efficientnet_b0", 24, 12)],
)  # fmt: skip
def test_blocks_split_every_way_equal_the_whole(name: str, first: int, count: int) -> None:
    if name not in MODELS:
        pytest.skip(f"{name} is not in the zoo")
    model, block = zoo(name)
    names = [view.name for view in block.operators]
    assert check_block(model, block.part(names[first : first + count]), SHARES[2:])


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("length", [7, 18])
def test_every_block_of_the_zoo_split_every_way_equals_the_whole(name: str, length: int) -> None:
    model, block = zoo(name)
    for chunk in chunks(model, block, length):
        check_block(model, chunk, SHARES)


def test_fused_rows_of_resnet18_repeat_as_much_as_is_known() -> None:
    """Redundant work of fused row tiles from the input to the end of a stage, two and four tiles."""
    block = zoo("resnet18").block
    known = {"relu_4": (1.07, 1.22), "relu_8": (1.22, 1.65), "relu_12": (1.54, 2.48), "relu_16": (1.85, 3.37)}
    for tensor, expected in known.items():
        run_up = block.span(block.operators[0].name, tensor)
        size, uncut = block.shapes[tensor][2], parts(run_up, tensor, 2, [])[0].macs
        for count, factor in zip((2, 4), expected, strict=True):
            found = parts(run_up, tensor, 2, [size * step // count for step in range(1, count)])
            assert sum(each.macs for each in found) / uncut == pytest.approx(factor, abs=0.06)


def test_heads_of_bert_are_free_cuts_with_their_share_of_the_weights() -> None:
    block = zoo("bert_base").block
    kinds = [view.kind for view in block.operators]
    first = kinds.index("LayerNormalization") + 1
    last = kinds.index("MatMul", kinds.index("Attention"))
    run_up, tensor = block.span(block.operators[first].name, block.operators[last].name), block.operators[last].name
    uncut = parts(run_up, tensor, "k", [])[0]
    found = parts(run_up, tensor, "k", [128, 320])
    assert [each.macs / uncut.macs for each in found] == pytest.approx([2 / 12, 3 / 12, 7 / 12])
    assert [each.weight_bytes / uncut.weight_bytes for each in found] == pytest.approx([2 / 12, 3 / 12, 7 / 12])
    inside = parts(run_up, tensor, "k", [110, 329])
    assert sum(each.macs for each in inside) / uncut.macs == pytest.approx(1.128, abs=0.001)
    assert granule(run_up, tensor, "k") == 64


@pytest.mark.parametrize("name", MODELS)
def test_every_operator_of_the_zoo_has_a_rule_that_counts_as_the_importer_does(name: str) -> None:
    model, block = zoo(name)
    wanted = {tensor: [whole(block.shapes[tensor])] for tensor in model.graph.outputs}
    found = demand(block, wanted)
    assert found.refused == {}
    for operator in model.graph.operators:
        if operator.kind != "Attention":  # causal attention counts the keys that are visible
            alone = block.part([operator.name])
            outputs = {tensor: [whole(block.shapes[tensor])] for tensor in operator.outputs}
            work = demand(alone, outputs).work[operator.name]
            assert (operator.name, work.macs) == (operator.name, operator.macs)
            assert (operator.name, 2 * work.macs + work.flops) == (operator.name, operator.flops)
