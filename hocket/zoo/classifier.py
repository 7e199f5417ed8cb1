"""A real model made of a zoo file and pinned weights: MobileNetV2 that takes a picture as a camera gives it."""

from pathlib import Path

import numpy as np
import onnx

from hocket.errors import AssetError
from hocket.nouns import write_whole
from hocket.program import ABSENT
from hocket.zoo.assets import cache_folder, fetch
from hocket.zoo.listing import model_path
from hocket.zoo.preprocess import MEAN, SIDE, STD
from hocket.zoo.pth import read_pth
from hocket.zoo.weights import mobilenet_v2_weights

FILE = "mobilenet_v2_imagenet.onnx"
INPUT = "picture"


def classifier_path() -> Path:
    """The ONNX file of MobileNetV2 with ImageNet weights, made in the user's cache on first use.

    Its input is `picture`, 1 x 224 x 224 x 3 uint8: scaling and normalisation are operators of the model, so that what
    would travel to a server is what the camera gives, not four times as many bytes of floats.

    Raises:
        AssetError: the weights cannot be had.
    """
    target = cache_folder() / FILE
    if not target.is_file():
        model = onnx.load(model_path("mobilenet_v2"), load_external_data=False)
        _fill(model, mobilenet_v2_weights(read_pth(fetch("mobilenet_v2_weights"))))
        _take_pictures(model)
        onnx.checker.check_model(model)
        write_whole(target, model.SerializeToString())
    return target


def _fill(model: onnx.ModelProto, weights: dict[str, np.ndarray]) -> None:
    for initializer in model.graph.initializer:
        if initializer.name in weights:
            initializer.CopyFrom(onnx.numpy_helper.from_array(weights[initializer.name], initializer.name))
    left = [init.name for init in model.graph.initializer if any(e.value == ABSENT for e in init.external_data)]
    if left:
        raise AssetError(f"the pinned weights lack {left[0]!r} and {len(left) - 1} more; clear the cache and try again")


def _take_pictures(model: onnx.ModelProto) -> None:
    """Put (x / 255 - mean) / deviation and the change of layout in front."""
    graph = model.graph
    first = graph.input[0].name
    scale = (1 / (255 * np.array(STD))).astype(np.float32)
    shift = (np.array(MEAN) / np.array(STD)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Cast", [INPUT], ["picture_float"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Mul", ["picture_float", "picture_scale"], ["picture_scaled"]),
        onnx.helper.make_node("Sub", ["picture_scaled", "picture_shift"], ["picture_normal"]),
        onnx.helper.make_node("Transpose", ["picture_normal"], [first], perm=[0, 3, 1, 2]),
    ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    graph.initializer.append(onnx.numpy_helper.from_array(scale, "picture_scale"))
    graph.initializer.append(onnx.numpy_helper.from_array(shift, "picture_shift"))
    kept = [value for value in graph.value_info if value.name != first]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, [1, SIDE, SIDE, 3]))
