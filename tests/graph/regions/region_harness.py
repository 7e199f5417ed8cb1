"""One operator, cut into pieces, against ONNX Runtime on the whole."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
from hypothesis import reject
from hypothesis import strategies as st
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, NotImplemented, RuntimeException

from hocket.graph.regions import Block, Box, Contract, Piece, combine, make_block, region_name, rewrite, volume
from hocket.graph.regions.block import onnx_type

TOLERANCE = 1e-5
PARTIAL_TOLERANCE = 1e-4
Arrays = dict[str, np.ndarray]


class Case(NamedTuple):
    """An operator with data."""

    kind: str
    inputs: Arrays
    """Activations."""
    weights: Arrays
    """Known by their sizes alone, unless they are in `known`."""
    order: tuple[str, ...]
    """Names of inputs and weights, as the operator reads them; "" = absent."""
    attributes: dict[str, Any]
    outputs: int = 1
    opset: int = 20
    known: frozenset[str] = frozenset()
    """Weights whose values rules may look into."""
    wanted: int = 0
    """The output that is tested."""


def run(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Run a model on one thread, without noise on stderr."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def model_of(case: Case) -> onnx.ModelProto:
    """The whole operator as a model."""
    domain, _, kind = case.kind.rpartition(".")
    names = [f"y{index}" for index in range(case.outputs)]
    node = onnx.helper.make_node(kind, case.order, names, domain=domain, name="y0", **case.attributes)
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx_type(array.dtype.name), array.shape)
        for name, array in case.inputs.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in names]
    weights = [onnx.numpy_helper.from_array(array, name) for name, array in case.weights.items()]
    graph = onnx.helper.make_graph([node], "whole", inputs, outputs, weights)
    imports = [onnx.helper.make_opsetid("", case.opset), onnx.helper.make_opsetid("com.microsoft", 1)]
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=10)


class Whole(NamedTuple):
    """A case that has run."""

    case: Case
    block: Block
    results: Arrays

    @property
    def tensor(self) -> str:
        """The output that is tested."""
        return f"y{self.case.wanted}"


def whole_of(case: Case) -> Whole:
    """Run the unsplit operator and make its block; refuse a test that would compare nothing."""
    model = model_of(case)
    try:
        results = run(model, case.inputs)
    except (RuntimeException, Fail, InvalidArgument, NotImplemented):
        reject()  # ONNX Runtime itself cannot compute the whole
    arrays = {**case.inputs, **case.weights, **results}
    reference = results[f"y{case.wanted}"]
    if reference.dtype != bool and not largest(reference):
        reject()  # an all-zero reference tests nothing
    block = make_block(
        model.graph.node,
        shapes={name: array.shape for name, array in arrays.items()},
        dtypes={name: array.dtype.name for name, array in arrays.items()},
        weights=case.weights,
        constants={name: case.weights[name] for name in case.known},
        opsets={"": case.opset, "com.microsoft": 1},
    )
    return Whole(case, block, results)


def part(array: np.ndarray, box: Box) -> np.ndarray:
    """A box of an array."""
    return array[tuple(slice(lo, hi) for lo, hi in box)]


def feed(piece: Piece, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The inputs of a piece, cut from whole tensors."""
    return {
        region_name(name, box, arrays[name].shape): np.array(part(arrays[name], box))
        for name, boxes in piece.demand.inputs.items()
        for box in boxes
    }


def run_piece(whole: Whole, wanted: Mapping[str, Sequence[Box]], contract: Contract | None = None) -> Arrays:
    """Rewrite and run a part."""
    piece = rewrite(whole.block, wanted, contract)
    model = piece.filled(lambda name: whole.case.weights[name])
    if whole.case.kind != "GroupNormalization":  # its first version is deprecated, and exports hold it
        onnx.checker.check_model(model)
    return run(model, feed(piece, whole.case.inputs))


def error(found: np.ndarray, expected: np.ndarray, scale: float) -> float:
    """Largest difference relative to the largest element of the whole result; infinite for another shape or type."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return np.inf
    if not np.issubdtype(expected.dtype, np.floating):
        return 0.0 if np.array_equal(found, expected) else np.inf
    a, b = found.astype(np.float64), expected.astype(np.float64)
    same = a == b  # infinities that stand for padding too
    return float(np.abs(np.where(same, 0, a) - np.where(same, 0, b)).max() / scale)


def largest(array: np.ndarray) -> float:
    """The largest finite element, 0 if there is none."""
    numbers = np.abs(array.astype(np.float64))
    return float(numbers[np.isfinite(numbers)].max(initial=0))


def box_error(whole: Whole, box: Box) -> float:
    """How far a box computed alone is from the same box of the whole."""
    reference = whole.results[whole.tensor]
    name = region_name(whole.tensor, box, reference.shape)
    found = run_piece(whole, {whole.tensor: [box]})[name]
    return error(found, part(reference, box), largest(reference))


def contract_error(whole: Whole, box: Box, parts: Sequence[Contract | None]) -> float:
    """How far partial results put together are from the whole."""
    some = [each for each in parts if each]
    values: Arrays = {}
    for each in some:
        values |= run_piece(whole, {whole.tensor: [box]}, each)
    found = run(combine(whole.block, box, some), values)
    reference = whole.results[whole.tensor]
    name = region_name(whole.tensor, box, reference.shape)
    return error(found[name], part(reference, box), largest(reference))


def intervals(size: int) -> st.SearchStrategy[tuple[int, int]]:
    """Whole, one wide, and any other interval of an axis."""
    ends = st.tuples(st.integers(0, size - 1), st.integers(1, size)).map(
        lambda pair: (min(pair[0], pair[1] - 1), max(pair[0] + 1, pair[1]))
    )
    one = st.integers(0, size - 1).map(lambda lo: (lo, lo + 1))
    return st.one_of(ends, ends, one, st.just((0, size)))


def boxes(shape: Sequence[int]) -> st.SearchStrategy[Box]:
    """Non-empty boxes of a tensor."""
    return st.tuples(*(intervals(size) for size in shape)).filter(lambda box: volume(box) > 0)


def cut_points(size: int, step: int = 1) -> st.SearchStrategy[list[int]]:
    """One to three cut points, uneven, zero shares included."""
    return st.lists(st.integers(0, size // step), min_size=1, max_size=3).map(
        lambda points: sorted(point * step for point in points)
    )
