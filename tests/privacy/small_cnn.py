"""A small convolutional network that is trained to tell drawings apart, as an ONNX file; it needs PyTorch."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hocket.privacy.pictures import KINDS, drawings

SIDE = 16
CUTS = ("relu_1", "relu_2", "relu_3", "relu_4", "logits")
"""Its tensors from the first convolution to the answer."""


def trained(path: Path, *, steps: int = 400, count: int = 2000) -> Path:
    """Train it on drawings and write it down.

    Args:
        path: of the file.
        steps: of 64 drawings each.
        count: how many drawings.
    """
    import torch

    nn = torch.nn
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 32), nn.ReLU(),
            nn.Linear(32, len(KINDS)),
        )  # fmt: skip
        pictures, kinds = drawings(count, (1, SIDE, SIDE), seed=100)
        x, y = torch.from_numpy(pictures), torch.from_numpy(kinds)
        optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
        for step in range(steps):
            rows = np.random.default_rng(step).integers(0, count, 64)
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimiser.step()
    onnx.save(_onnx({name: value.numpy() for name, value in network.state_dict().items()}), str(path))
    return path


def _onnx(state: dict[str, np.ndarray]) -> onnx.ModelProto:
    def conv(number: int, layer: int, source: str, stride: int) -> list[Any]:
        weights = [f"{layer}.weight", f"{layer}.bias"]
        made = helper.make_node("Conv", [source, *weights], [f"conv_{number}"], pads=[1] * 4, strides=[stride] * 2)
        return [made, helper.make_node("Relu", [f"conv_{number}"], [f"relu_{number}"])]

    nodes = [
        *conv(1, 0, "image", 1), *conv(2, 2, "relu_1", 2), *conv(3, 4, "relu_2", 2),
        helper.make_node("Flatten", ["relu_3"], ["flat"]),
        helper.make_node("Gemm", ["flat", "7.weight", "7.bias"], ["hidden"], transB=1),
        helper.make_node("Relu", ["hidden"], ["relu_4"]),
        helper.make_node("Gemm", ["relu_4", "9.weight", "9.bias"], ["logits"], transB=1),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "drawings",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(KINDS)])],
        [numpy_helper.from_array(value, name) for name, value in state.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
