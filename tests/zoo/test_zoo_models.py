"""The zoo's files: structure without weights, every shape known, sizes as published."""

import ast
import math
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

FOLDER = Path(__file__).parents[2] / "hocket" / "zoo" / "models"
ABSENT = "hocket:absent"
SCOPES = "pkg.torch.onnx.name_scopes"
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)

# Operators, published parameters (millions).
SIZES: dict[str, tuple[int, float]] = {
    "alexnet": (20, 61.10),
    "bert_base": (319, 109.48),
    "charcnn": (21, 11.34),
    "darknet53": (130, 41.6),
    "densenet121": (430, 7.98),
    "efficientnet_b0": (239, 5.29),
    "googlenet": (139, 6.62),
    "gpt2": (318, 124.44),
    "inception_v3": (219, 23.83),
    "lenet": (12, 0.0617),
    "mobilenet_v1": (57, 4.23),
    "mobilenet_v2": (100, 3.50),
    "nin": (29, 7.6),
    "resnet101": (241, 44.55),
    "resnet18": (49, 11.69),
    "resnet50": (122, 25.56),
    "squeezenet1_1": (65, 1.24),
    "swin_t": (496, 28.29),
    "tiny_yolov2": (24, 15.87),
    "toy_chain": (19, 0.074),
    "toy_dag": (19, 0.036),
    "vgg16": (38, 138.36),
    "vgg19": (44, 143.67),
    "vit_b_16": (416, 86.57),
}
QUICK = ("toy_chain", "toy_dag", "lenet", "squeezenet1_1", "mobilenet_v2", "mobilenet_v1")

each = pytest.mark.parametrize("name", sorted(SIZES))


def load(name: str) -> onnx.ModelProto:
    return onnx.load(FOLDER / f"{name}.onnx", load_external_data=False)


def filled(model: onnx.ModelProto) -> onnx.ModelProto:
    maker = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            dims = tuple(tensor.dims)
            values = maker.standard_normal(dims, np.float32) * np.float32(math.sqrt(2 / math.prod(dims[1:])))
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return model


def run(name: str) -> list[np.ndarray]:
    model = filled(load(name))
    if model.ByteSize() < 1 << 30:
        onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    maker = np.random.default_rng(1)
    x = maker.standard_normal(source.shape).astype(np.float32) if source.type == "tensor(float)" else None
    return session.run(None, {source.name: maker.integers(0, 30522, source.shape) if x is None else x})


def test_every_file_is_listed_and_small() -> None:
    files = {path.stem: path.stat().st_size for path in FOLDER.glob("*.onnx")}
    assert sorted(files) == sorted(SIZES)
    assert sum(files.values()) < 4_000_000


@each
def test_large_weights_are_absent_and_all_else_is_there(name: str) -> None:
    for tensor in load(name).graph.initializer:
        size = math.prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            assert [(entry.key, entry.value) for entry in tensor.external_data] == [("location", ABSENT)]
            assert not tensor.raw_data
            assert tensor.data_type in FLOATS
            assert size > 1024
        else:
            assert len(tensor.raw_data) == size
            if tensor.data_type in FLOATS and size > 1024:  # a mask, not a weight
                assert np.unique(onnx.numpy_helper.to_array(tensor)).size <= 16


@each
def test_operators_and_parameters(name: str) -> None:
    graph = load(name).graph
    operators, parameters = SIZES[name]
    assert len(graph.node) == operators
    counted = [tensor for tensor in graph.initializer if tensor.data_type in FLOATS]
    counted = [tensor for tensor in counted if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.dims)]
    masks = [tensor for tensor in counted if len(tensor.raw_data) > 1024]
    found = sum(math.prod(tensor.dims) for tensor in counted) - sum(math.prod(tensor.dims) for tensor in masks)
    # Folding drops the batch norms' factors and the positions that are not used, and spreads Swin's bias tables.
    assert found / 1e6 == pytest.approx(parameters, rel=0.025)


@each
def test_every_shape_is_static(name: str) -> None:
    graph = load(name).graph
    values = {value.name: value for value in [*graph.input, *graph.output, *graph.value_info]}
    assert len(graph.input) == 1
    for node in graph.node:
        for output in filter(None, node.output):
            dims = values[output].type.tensor_type.shape.dim
            assert all(dim.dim_value > 0 for dim in dims), output
    assert next(iter(graph.input)).type.tensor_type.shape.dim[0].dim_value == 1


@each
def test_nothing_is_left_that_should_be_folded(name: str) -> None:
    model = load(name)
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        assert node.op_type not in ("BatchNormalization", "Shape", "Constant", "Identity", "Dropout")
        assert not constants.issuperset(filter(None, node.input))
    assert constants == {name for node in model.graph.node for name in node.input} & constants


@each
def test_only_module_paths_are_kept_of_the_metadata(name: str) -> None:
    model = load(name)
    assert not model.metadata_props
    assert not model.doc_string
    assert not model.functions
    paths = Counter()
    for node in model.graph.node:
        assert not node.doc_string
        for entry in node.metadata_props:
            assert entry.key == SCOPES
            module, _ = ast.literal_eval(entry.value)
            paths[module] += 1
    assert len(paths) > 3


def test_names_are_those_of_the_state_dict() -> None:
    names = {tensor.name for tensor in load("mobilenet_v2").graph.initializer}
    assert {"features.0.0.weight", "features.1.conv.0.0.weight", "features.17.conv.2.weight"} <= names
    assert {"classifier.1.weight", "classifier.1.bias"} <= names


def test_attention_is_one_operator() -> None:
    for name in ("vit_b_16", "bert_base", "gpt2"):
        model = load(name)
        assert model.opset_import[0].version == 23
        assert Counter(node.op_type for node in model.graph.node)["Attention"] == 12


def test_the_toy_dag_has_what_tests_need() -> None:
    graph = load("toy_dag").graph
    readers = Counter(name for node in graph.node for name in node.input)
    assert max(readers.values()) >= 3
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["Concat"] == 1
    assert kinds["Add"] == 1


@pytest.mark.parametrize("name", QUICK)
def test_small_models_run(name: str) -> None:
    for values in run(name):
        assert np.isfinite(values).all()
        assert values.std() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(SIZES) - set(QUICK)))
def test_large_models_run(name: str) -> None:
    for values in run(name):
        assert np.isfinite(values).all()
        assert values.std() > 0
