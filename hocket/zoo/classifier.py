"""A real model made of a zoo file and pinned weights: MobileNetV2 that takes a picture as a camera gives it."""

from pathlib import Path

import numpy as np
import onnx

from hocket.errors import AssetError
from hocket.nouns import write_whole
from hocket.program import ABSENT
from hocket.zoo.assets import cache_folder, fetch
from hocket.zoo.listing import model_path
from hocket.zoo.preprocess import MEAN, RESIZED, SIDE, STD
from hocket.zoo.pth import read_pth
from hocket.zoo.weights import mobilenet_v2_weights

INPUT = "picture"
CROP = "crop"


def classifier_path(height: int, width: int) -> Path:
    """The ONNX file of MobileNetV2 with ImageNet weights, made in the user's cache on first use.

    Its input is `picture`, 1 x height x width x 3 uint8, as a camera gives it. Scaling to 256 pixels, the crop of 224
    and the normalisation are operators of the model, so that they can be placed like any others.

    Raises:
        AssetError: the weights cannot be had.
    """
    target = cache_folder() / f"mobilenet_v2_imagenet_{height}x{width}.onnx"
    if not target.is_file():
        model = onnx.load(model_path("mobilenet_v2"), load_external_data=False)
        _fill(model, mobilenet_v2_weights(read_pth(fetch("mobilenet_v2_weights"))))
        _take_pictures(model.graph, height, width)
        onnx.checker.check_model(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, model.SerializeToString())
    return target


def _fill(model: onnx.ModelProto, weights: dict[str, np.ndarray]) -> None:
    for initializer in model.graph.initializer:
        if initializer.name in weights:
            initializer.CopyFrom(onnx.numpy_helper.from_array(weights[initializer.name], initializer.name))
    left = [init.name for init in model.graph.initializer if any(e.value == ABSENT for e in init.external_data)]
    if left:
        raise AssetError(f"the pinned weights lack {left[0]!r} and {len(left) - 1} more; clear the cache and try again")


def _take_pictures(graph: onnx.GraphProto, height: int, width: int) -> None:
    """Put scaling, crop, (x / 255 - mean) / deviation and the change of layout in front."""
    first = graph.input[0].name
    rows, columns = (RESIZED * length // min(height, width) for length in (height, width))
    top, left = round((rows - SIDE) / 2), round((columns - SIDE) / 2)
    constants = {
        "picture_sizes": np.array([1, 3, rows, columns]),
        "crop_start": np.array([top, left]),
        "crop_stop": np.array([top + SIDE, left + SIDE]),
        "crop_axes": np.array([2, 3]),
        "byte_least": np.array(0, np.float32),
        "byte_most": np.array(255, np.float32),
        "picture_scale": (1 / (255 * np.array(STD))).astype(np.float32).reshape(3, 1, 1),
        "picture_shift": (np.array(MEAN) / np.array(STD)).astype(np.float32).reshape(3, 1, 1),
    }
    make = onnx.helper.make_node
    to_float, to_byte = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
    nodes = [
        make("Transpose", [INPUT], ["planes"], perm=[0, 3, 1, 2]),
        make("Cast", ["planes"], ["planes_float"], to=to_float),
        make("Resize", ["planes_float", "", "", "picture_sizes"], ["scaled"], mode="linear", antialias=1),
        make("Slice", ["scaled", "crop_start", "crop_stop", "crop_axes"], ["cropped"]),
        make("Round", ["cropped"], ["cropped_round"]),
        make("Clip", ["cropped_round", "byte_least", "byte_most"], ["cropped_clipped"]),
        make("Cast", ["cropped_clipped"], [CROP], to=to_byte),
        make("Cast", [CROP], ["crop_float"], to=to_float),
        make("Mul", ["crop_float", "picture_scale"], ["crop_scaled"]),
        make("Sub", ["crop_scaled", "picture_shift"], [first]),
    ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info(INPUT, to_byte, [1, height, width, 3]))
