"""Models and weights from the network: what is refused, what is kept."""

import contextlib

import numpy as np
import onnx
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from hocket.errors import FormatError, GraphError, NodeError
from hocket.program import INPUT, Site, tensor_hash
from hocket.runtime.executable import Executable, open_model
from hocket.runtime.onnx_check import check_model
from hocket.runtime.weights import WeightStore

WEIGHT = np.arange(16, dtype=np.float32).reshape(4, 4)


def product(location: str | None = None) -> bytes:
    tensor = tiny.absent("w", WEIGHT)
    if location is not None:
        tensor.external_data[0].value = location
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="y")
    return tiny.model([node], {"x": (1, 4)}, {"y": (1, 4)}, initializers=[tensor])


def test_absent_weights_are_given_apart() -> None:
    data = product()
    assert check_model(data) == {"w"}
    session, _values = open_model(data, {"w": WEIGHT})
    x = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ WEIGHT)
    with pytest.raises(GraphError, match=r"1 absent weights are not given \('w' is one\); give all of them"):
        open_model(data, {})


@pytest.mark.parametrize("location", ["/etc/passwd", "../weights.bin", "", "hocket:absent2"])
def test_data_in_files_are_refused(location: str) -> None:
    with pytest.raises(GraphError, match=r"initializer 'w' refers to .*; absent data are at 'hocket:absent' only"):
        check_model(product(location))


def test_data_in_files_are_found_in_attributes_and_subgraphs() -> None:
    evil = tiny.absent("w", WEIGHT)
    evil.external_data[0].value = "/etc/passwd"
    constant = helper.make_node("Constant", [], ["c"], value=evil)
    inner = helper.make_graph([constant], "inner", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [4, 4])])
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    for node in (constant, branch):
        with pytest.raises(GraphError, match=r"/etc/passwd"):
            check_model(tiny.model([node], {"x": ()}, {"y": (4, 4)}))


def test_foreign_operators_and_functions_are_refused() -> None:
    node = helper.make_node("Evil", ["x"], ["y"], domain="my.library")
    with pytest.raises(GraphError, match=r"operators of domain 'my.library' are not run from the network"):
        check_model(tiny.model([node], {"x": (1,)}, {"y": (1,)}))
    with pytest.raises(GraphError, match=r"operators of domain 'other'"):
        check_model(tiny.model([], {"x": (1,)}, {}, extra_domain="other"))
    proto = onnx.load_from_string(product())
    proto.functions.append(helper.make_function("", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], []))
    with pytest.raises(GraphError, match=r"has no functions of its own; inline them first"):
        check_model(proto.SerializeToString())


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_random_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(GraphError):
        check_model(data)


@given(st.integers(0, 10**6), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_damaged_models_never_name_a_file(place: int, value: int) -> None:
    data = bytearray(product())
    data[place % len(data)] = value
    with contextlib.suppress(GraphError):
        open_model(bytes(data), {"w": WEIGHT})


def test_a_segment_has_to_fit_its_model() -> None:
    own = tiny.segment("s", "a", [tiny.port("x", INPUT)], ["z"])
    model = tiny.artifact("s", product(), {"w": WEIGHT})
    tensors = {tensor.name: tensor for tensor in tiny.infos("x", "z")}
    with pytest.raises(
        GraphError,
        match=r"the model of 's' takes \['x'\] and makes \['y'\], its segment takes \['x'\] and makes \['z'\]",
    ):
        Executable(own, model, lambda sha256: WEIGHT, Site(name="a"), tensors)
    with pytest.raises(GraphError, match=r"the model of 's' has hash"):
        Executable(own, model.replace(sha256="0" * 64), lambda sha256: WEIGHT, Site(name="a"), tensors)


def test_a_weight_comes_in_pieces_and_is_checked() -> None:
    store, name = WeightStore(), tensor_hash(WEIGHT)
    data = memoryview(WEIGHT.tobytes())
    assert store.lacking((name,)) == (name,)
    store.piece(name, "float32", (4, 4), 0, data[:40])
    store.piece(name, "float32", (4, 4), 40, data[40:])
    np.testing.assert_array_equal(store.get(name), WEIGHT)
    assert store.lacking((name,)) == () and store.nbytes == 64


def test_pieces_that_do_not_fit_are_refused() -> None:
    store, name = WeightStore(), tensor_hash(WEIGHT)
    with pytest.raises(FormatError, match=r"a piece of 4 bytes at 8 does not continue weight"):
        store.piece(name, "float32", (4, 4), 8, memoryview(bytes(4)))
    with pytest.raises(FormatError, match=r"a piece of 65 bytes at 0 does not continue"):
        store.piece(name, "float32", (4, 4), 0, memoryview(bytes(65)))
    with pytest.raises(FormatError, match=r"a weight has hash .* and was announced as"):
        store.piece(name, "float32", (4, 4), 0, memoryview(bytes(64)))
    with pytest.raises(FormatError, match=r"has type 'object'; weights have plain numpy types"):
        store.piece(name, "object", (4, 4), 0, memoryview(b""))
    assert store.nbytes == 0


def test_memory_is_limited_and_spares_make_room() -> None:
    store = WeightStore(most_bytes=100)
    for number in range(3):
        array = np.full(16, number, np.float32)
        store.piece(tensor_hash(array), "float32", (16,), 0, memoryview(array.tobytes()))
    assert store.nbytes == 64
    store.use("p", (tensor_hash(array),))
    with pytest.raises(NodeError, match=r"a weight of 64 bytes does not fit beside 64 of 100; raise --memory-limit"):
        store.piece("0" * 64, "float32", (16,), 0, memoryview(b""))
    store.release("p")
    store.piece(tensor_hash(WEIGHT), "float32", (4, 4), 0, memoryview(WEIGHT.tobytes()))


def test_an_empty_weight_is_a_weight() -> None:
    store, array = WeightStore(), np.zeros((0, 3), np.float32)
    store.piece(tensor_hash(array), "float32", (0, 3), 0, memoryview(b""))
    assert store.get(tensor_hash(array)).shape == (0, 3)
