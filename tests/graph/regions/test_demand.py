"""What blocks need and cost, on figures that can be worked out by hand, and every refusal in full."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from region_draw import case, ints
from region_harness import Whole, feed, part, run, run_piece, whole_of

from hocket.errors import GraphError
from hocket.graph.onnx import load_model
from hocket.graph.regions import (
    Block,
    Box,
    Contract,
    UnsupportedError,
    block_of,
    combine,
    contract_parts,
    contractions,
    demand,
    granule,
    make_block,
    part_boxes,
    rewrite,
    whole,
)
from hocket.graph.regions.block import value_info


def block_from(text: str, shapes: dict[str, tuple[int, ...]], weights: str = "", **constants: np.ndarray) -> Block:
    """A block from nodes written as `output = Kind(input, ...)`, one a line."""
    nodes = []
    for line in text.strip().splitlines():
        made, _, call = line.strip().partition(" = ")
        kind, _, rest = call.partition("(")
        read, _, attributes = rest.rstrip(")").partition(";")
        given = {key.strip(): eval(value) for key, value in (pair.split("=") for pair in attributes.split("|") if pair)}
        inputs = [name.strip() for name in read.split(",")]
        nodes.append(onnx.helper.make_node(kind, inputs, made.split(", "), **given))
    sizes = shapes | {name: array.shape for name, array in constants.items()}
    return make_block(
        nodes,
        shapes=sizes,
        dtypes=dict.fromkeys(shapes, "float32") | {name: array.dtype.name for name, array in constants.items()},
        weights=[*weights.split(), *constants],
        constants=constants,
        opsets={"": 20},
    )


def two_convolutions() -> Block:
    return block_from(
        """
        a = Conv(x, w1, b1; pads=[1, 1, 1, 1])
        r = Relu(a)
        y = Conv(r, w2; pads=[1, 1, 1, 1])
        """,
        {"x": (1, 3, 16, 16), "w1": (8, 3, 3, 3), "b1": (8,), "a": (1, 8, 16, 16), "r": (1, 8, 16, 16),
         "w2": (4, 8, 3, 3), "y": (1, 4, 16, 16)},
        "w1 b1 w2",
    )  # fmt: skip


def test_the_halo_of_fused_rows_grows_by_one_at_each_convolution_and_stops_at_the_border() -> None:
    block = two_convolutions()
    assert demand(block, {"y": [((0, 1), (0, 4), (4, 8), (0, 16))]}).inputs == {
        "x": (((0, 1), (0, 3), (2, 10), (0, 16)),)
    }
    assert demand(block, {"y": [((0, 1), (0, 4), (0, 4), (0, 16))]}).inputs == {
        "x": (((0, 1), (0, 3), (0, 6), (0, 16)),)
    }


def test_work_is_counted_by_operator() -> None:
    found = demand(two_convolutions(), {"y": [((0, 1), (0, 4), (4, 8), (0, 16))]})
    assert found.work["y"].macs == 4 * 4 * 16 * 8 * 9
    assert found.work["a"].macs == 8 * 6 * 16 * 3 * 9
    assert (found.work["r"].flops, found.work["r"].elements) == (8 * 6 * 16, 8 * 6 * 16)
    assert found.flops == 2 * found.macs + 8 * 6 * 16
    assert found.weight_bytes == 4 * (8 * 3 * 9 + 8 + 4 * 8 * 9)


def test_a_contracted_split_of_the_second_convolution_shares_out_both_weights_and_repeats_nothing() -> None:
    block = two_convolutions()
    everything = {"y": [whole((1, 4, 16, 16))]}
    parts = [demand(block, everything, each) for each in contract_parts(block, "y", "channels", [1, 4]) if each]
    uncut = demand(block, everything)
    assert sum(each.macs for each in parts) == uncut.macs
    assert sum(each.weight_bytes for each in parts) == uncut.weight_bytes
    assert parts[0].weights["w1"] == (((0, 1), (0, 3), (0, 3), (0, 3)),)


def test_a_zero_share_needs_nothing_and_has_no_model() -> None:
    block = two_convolutions()
    empty = part_boxes(block, "y", 2, [0, 5])[0]
    found = demand(block, {"y": [empty]})
    assert (found.inputs, found.weights, found.work, found.macs) == ({}, {}, {}, 0)
    with pytest.raises(GraphError) as error:
        rewrite(block, {"y": [empty]})
    assert str(error.value) == (
        "a model computes something, and every wanted box is empty; leave out parts with no share"
    )


def test_the_first_part_with_a_share_owns_the_bias() -> None:
    block = two_convolutions()
    parts = contract_parts(block, "a", "channels", [0, 2])
    assert parts[0] is None
    assert [each.owner for each in parts if each] == [True, False]
    assert "b1" not in demand(block, {"a": [whole((1, 8, 16, 16))]}, parts[2]).weights


def test_far_boxes_of_one_tensor_stay_apart() -> None:
    """A cyclic shift (slice, slice, concat) of rows needs both ends, not the hull of everything."""
    block = block_from(
        """
        low = Slice(x, s3, s9, a0)
        top = Slice(x, s0, s3, a0)
        y = Concat(low, top; axis=0)
        """,
        {"x": (9, 4), "low": (6, 4), "top": (3, 4), "y": (9, 4)},
        s0=ints(0), s3=ints(3), s9=ints(9), a0=ints(0),
    )  # fmt: skip
    assert demand(block, {"y": [((4, 7), (0, 4))]}).inputs == {"x": (((0, 1), (0, 4)), ((7, 9), (0, 4)))}


def test_cutting_between_heads_is_free_and_the_dry_run_finds_their_width() -> None:
    block = block_from(
        """
        q = MatMul(x, wq)
        r = Reshape(q, shape)
        t = Transpose(r; perm=[1, 0, 2])
        s = Softmax(t)
        b = Transpose(s; perm=[1, 0, 2])
        m = Reshape(b, flat)
        y = MatMul(m, wo)
        """,
        {"x": (5, 12), "wq": (12, 24), "q": (5, 24), "r": (5, 4, 6), "t": (4, 5, 6), "s": (4, 5, 6), "b": (5, 4, 6),
         "m": (5, 24), "wo": (24, 12), "y": (5, 12)},
        "wq wo", shape=ints(5, 4, 6), flat=ints(5, 24),
    )  # fmt: skip
    assert granule(block, "y", "k") == 6
    assert granule(block, "y", 1) == 1


def test_an_operator_without_a_rule_is_computed_whole_and_said_so() -> None:
    block = block_from(
        """
        n = NonMaxSomething(x)
        y = Relu(n)
        """,
        {"x": (4, 4), "n": (4, 4), "y": (4, 4)},
    )
    found = demand(block, {"y": [((0, 1), (0, 4))]})
    assert found.inputs == {"x": (((0, 4), (0, 4)),)}
    assert found.refused == {"n": "NonMaxSomething has no rule"}


def test_only_what_is_wanted_is_computed() -> None:
    block = two_convolutions()
    assert set(demand(block, {"a": [whole((1, 8, 16, 16))]}).work) == {"a"}


def test_several_results_and_several_boxes_come_from_one_model() -> None:
    one = whole_of(case("Conv", {"x": np.ones((1, 2, 8, 8), np.float32)}, {"w": np.ones((3, 2, 3, 3), np.float32)}))
    boxes = [((0, 1), (0, 1), (0, 2), (0, 6)), ((0, 1), (2, 3), (4, 6), (1, 5))]
    piece = rewrite(one.block, {"y0": boxes})
    found = run(piece.filled(lambda name: one.case.weights[name]), feed(piece, one.case.inputs))
    assert set(found) == {"y0[0:1,0:1,0:2,0:6]", "y0[0:1,2:3,4:6,1:5]"}
    assert all(
        np.array_equal(array, part(one.results["y0"], box)) for array, box in zip(found.values(), boxes, strict=True)
    )


def test_weights_are_views_of_the_whole() -> None:
    one = _matmul()
    piece = rewrite(one.block, {"y0": [((0, 4), (2, 5))]})
    data = piece.slices(lambda name: one.case.weights[name])
    assert piece.weights == {"b[0:3,2:5]": ("b", ((0, 3), (2, 5)))}
    assert np.shares_memory(data["b[0:3,2:5]"], one.case.weights["b"])


def test_nodes_carry_the_name_of_their_operator() -> None:
    block = two_convolutions()
    boxes = [((0, 1), (0, 4), (0, 2), (0, 16)), ((0, 1), (0, 4), (12, 14), (0, 16))]
    names = [node.name for node in rewrite(block, {"y": boxes}).model.graph.node]
    assert names == ["a", "a#1", "r", "r#1", "y", "y#1"]


def _matmul() -> Whole:
    generator = np.random.default_rng(0)
    return whole_of(
        case(
            "MatMul",
            {"a": generator.standard_normal((4, 3)).astype(np.float32)},
            {"b": generator.standard_normal((3, 6)).astype(np.float32)},
        )
    )


REFUSALS = [
    (
        lambda block: demand(block, {"z": [((0, 1),)]}),
        "a block gives tensors that it makes, and 'z' is none of them; name one of its own",
    ),
    (
        lambda block: demand(block, {"y": [((0, 2), (0, 4), (0, 16), (0, 16))]}),
        "a box lies inside its tensor, and ((0, 2), (0, 4), (0, 16), (0, 16)) does not fit 'y' with shape"
        " (1, 4, 16, 16); cut it",
    ),
    (lambda block: part_boxes(block, "y", 4, [1]), "axes of 'y' are 0 to 3, got 4; name one of them"),
    (
        lambda block: part_boxes(block, "y", 2, [9, 3]),
        "cut points rise from 0 to 16, got [9, 3]; sort them and keep them on the axis",
    ),
    (
        lambda block: contract_parts(block, "y", "k", [1]),
        "Conv at 'y' contracts no axis 'k' that can be split (it has channels); name another",
    ),
    (
        lambda block: contract_parts(block, "r", "k", [1]),
        "Relu at 'r' contracts no axis 'k' that can be split (it has none); name another",
    ),
    (
        lambda block: contract_parts(block, "x", "k", [1]),
        "a contracted split is of a result of the block, and 'x' is none; name one",
    ),
    (
        lambda block: demand(
            block, {"a": [whole((1, 8, 16, 16))]}, Contract(tensor="a", axis="channels", interval=(2, 2), owner=True)
        ),
        "a part of axis 'channels' is a non-empty interval of [0, 3), got [2, 2); leave empty parts out and correct the"
        " others",
    ),
    (
        lambda block: demand(
            block,
            {"a": [whole((1, 8, 16, 16))], "r": [whole((1, 8, 16, 16))]},
            Contract(tensor="a", axis="channels", interval=(0, 2), owner=True),
        ),
        "partial sums must be added before they are read, and 'r' reads 'a' inside the block; end the block there",
    ),
    (
        lambda block: demand(
            block, {"a": [whole((1, 8, 16, 16))]}, Contract(tensor="y", axis="channels", interval=(0, 2), owner=True)
        ),
        "a contracted split is of a wanted tensor, and 'y' is not wanted; ask for it",
    ),
    (
        lambda block: combine(
            block, whole((1, 4, 16, 16)), [Contract(tensor="y", axis="channels", interval=(0, 2), owner=True)]
        ),
        "the parts of a contracted axis cover [0, 8) once, got [(0, 2)]; correct the cut points",
    ),
    (
        lambda block: combine(
            block, whole((1, 4, 16, 16)), [Contract(tensor="y", axis="channels", interval=(0, 8), owner=False)]
        ),
        "exactly one part of a contracted split adds the bias; set owner on the first of them",
    ),
    (
        lambda block: block.part(["q"]),
        "a block holds operators of its model, and 'q' is none; name it by its output",
    ),
]


@pytest.mark.parametrize(("ask", "message"), REFUSALS)
def test_refusals_say_the_rule_the_values_and_the_remedy(ask: object, message: str) -> None:
    block = two_convolutions()
    with pytest.raises(GraphError) as error:
        ask(block)  # type: ignore[operator]
    assert str(error.value) == message


def test_cut_points_respect_quantisation_blocks() -> None:
    weights = {"b": np.ones((4, 3, 8), np.uint8), "s": np.ones((4, 3), np.float32)}
    attributes = {"K": 48, "N": 4, "bits": 4, "block_size": 16}
    one = whole_of(
        case("com.microsoft.MatMulNBits", {"a": np.ones((2, 48), np.float32)}, weights, attributes=attributes)
    )
    assert [each.granule for each in contractions(one.block.operators[0])] == [16]
    part_of_k = Contract(tensor="y0", axis="k", interval=(0, 24), owner=True)
    with pytest.raises(UnsupportedError) as error:
        demand(one.block, {"y0": [whole((2, 4))]}, part_of_k)
    assert str(error.value) == "cut points of axis 'k' of 'y0' are multiples of 16, got [0, 24); round them"


def test_overlapping_boxes_of_partial_attention_come_from_one_model_if_they_agree_on_columns() -> None:
    one = _attention()
    rows: list[Box] = [((0, 1), (0, 2), (0, 3), (0, 4)), ((0, 1), (0, 2), (1, 5), (0, 4))]
    parts = [each for each in contract_parts(one.block, "y0", "keys", [2]) if each]
    for part_of_keys in parts:
        found = run_piece(one, {"y0": rows}, part_of_keys)
        assert [array.shape for array in found.values()] == [(1, 2, 3, 5), (1, 2, 4, 5)]
    columns: list[Box] = [((0, 1), (0, 2), (0, 3), (0, 3)), ((0, 1), (0, 2), (0, 3), (2, 4))]
    with pytest.raises(UnsupportedError) as error:
        rewrite(one.block, {"y0": columns}, parts[0])
    assert str(error.value) == (
        "partial results of 'y0' carry more in their last axis, and the boxes ((0, 1), (0, 2), (0, 3), (0, 4)) and"
        " ((0, 1), (0, 2), (0, 3), (0, 3)) overlap there; ask for them one by one"
    )


def _attention() -> Whole:
    generator = np.random.default_rng(0)
    inputs = {name: generator.standard_normal((1, 2, 5, 4)).astype(np.float32) for name in "qkv"}
    return whole_of(case("Attention", inputs, opset=23))


def test_a_weight_that_is_prepared_from_others_comes_with_its_readers_and_is_sliced_with_them() -> None:
    block = block_from(
        """
        turned = Transpose(w; perm=[1, 0])
        a = Relu(x)
        y = MatMul(a, turned)
        """,
        {"x": (4, 6), "a": (4, 6), "w": (8, 6), "turned": (6, 8), "y": (4, 8)},
        "w",
    )
    assert block.producer["y"] == 2
    last = block.part(["y"])
    assert [view.name for view in last.operators] == ["turned", "y"]
    assert (last.inputs, last.producer) == (("a",), {"turned": 0, "y": 1})
    found = demand(last, {"y": [((0, 4), (2, 5))]})
    assert found.weights == {"w": (((2, 5), (0, 6)),)}
    assert found.inputs == {"a": (((0, 4), (0, 6)),)}
    assert (found.work["turned"].flops, found.macs) == (0, 4 * 3 * 6)


def test_a_quantised_weight_of_a_file_is_sliced_before_it_is_dequantised(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    weights = {
        "w": generator.integers(-9, 9, (1200, 3000)).astype(np.int8),
        "s": generator.random(3000).astype(np.float32),
        "z": np.zeros(3000, np.int8),
    }
    nodes = [
        onnx.helper.make_node("DequantizeLinear", ["w", "s", "z"], ["f"], axis=1),
        onnx.helper.make_node("MatMul", ["x", "f"], ["y"]),
    ]
    inputs, outputs = [value_info("x", "float32", (2, 1200))], [value_info("y", "float32", (2, 3000))]
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = onnx.helper.make_graph(nodes, "quantised", inputs, outputs, initializers)
    whole_model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(whole_model, tmp_path / "quantised.onnx")
    model = load_model(tmp_path / "quantised.onnx")
    x = generator.standard_normal((2, 1200)).astype(np.float32)
    piece = rewrite(block_of(model), {"y": [((0, 2), (100, 180))]})
    assert piece.demand.weight_bytes <= 80 * (1200 + 4 + 1)
    found = run(piece.filled(model.weight), {"x": x})["y[0:2,100:180]"]
    assert np.allclose(found, run(whole_model, {"x": x})["y"][:, 100:180], rtol=1e-4, atol=1e-3)
