"""Matrices as integers by blocks, by ONNX Runtime's own quantiser."""

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from hocket.language.quantise import quantise, widen


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("outputs", "inputs", "block"), [(24, 64, 32), (7, 96, 32), (5, 80, 16), (3, 33, 16)])
def test_numbers_come_back_within_half_a_step(bits: int, outputs: int, inputs: int, block: int) -> None:
    matrix = np.random.default_rng(0).standard_normal((outputs, inputs)).astype(np.float32)
    parts = quantise(matrix, bits, block)
    assert parts["packed"].shape == (outputs, -(-inputs // block), block * bits // 8)
    wide = widen(parts, bits, inputs)
    for start in range(0, inputs, block):
        piece = matrix[:, start : start + block]
        step = (piece.max(1).clip(0) - piece.min(1).clip(None, 0)) / (2**bits - 1)
        # The zero is rounded too, so numbers at the ends of a block may be off by a whole step.
        assert (np.abs(piece - wide[:, start : start + block]) <= 1.01 * step[:, None]).all()
    assert np.sqrt(np.square(matrix - wide).mean()) <= 1.3 / (2**bits - 1)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_product_is_that_of_the_numbers_that_come_back(bits: int) -> None:
    generator = np.random.default_rng(1)
    matrix = generator.standard_normal((24, 64)).astype(np.float32)
    x = generator.standard_normal((3, 64)).astype(np.float32)
    parts = quantise(matrix, bits, 32)
    node = helper.make_node(
        "MatMulNBits", ["x", *parts], ["y"], domain="com.microsoft", K=64, N=24, bits=bits, block_size=32
    )
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 24])],
        [onnx.numpy_helper.from_array(value, name) for name, value in parts.items()],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    assert np.abs(found - x @ widen(parts, bits, 64).T).max() <= 1e-4


def test_rounding_leaves_the_logging_of_the_process_alone() -> None:
    code = "import logging, numpy, hocket.language.quantise as q; q.quantise(numpy.ones((32, 32), 'float32'), 4, 32)\n"
    code += "print(logging.getLogger().level == logging.WARNING, logging.getLogger().handlers)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "True []\n"
