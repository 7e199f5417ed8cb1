"""Makes hocket/zoo/models/*.onnx: the structure of well-known networks, without their weights.

Run once, where torch, torchvision, transformers, onnx, onnx-ir, onnxscript and onnxruntime are installed:

    python tools/make_zoo.py [NAME ...]

The networks are built with random parameters (all biases nonzero, batch-norm statistics not trivial), so that the
exporter has no reason to drop or merge any of them. Then every large floating-point weight loses its values: its
initializer keeps name, dims and type, with data_location EXTERNAL and the one entry location = "hocket:absent".
"""

from __future__ import annotations

import gc
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import torch
import torchvision.models as tv
import zoo_graph
import zoo_models as own
from torch import nn

MODELS = Path(__file__).resolve().parent.parent / "hocket" / "zoo" / "models"
ABSENT = "hocket:absent"
INLINE_BYTES = 1024
FEW_VALUES = 16  # a folded mask holds only a few distinct numbers; a random weight never does
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
COMPUTING = ("Conv", "Gemm", "MatMul", "Attention")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one network is built and exported, and the size that was published for it."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...] = (1, 3, 224, 224)
    opset: int = 20
    outputs: tuple[str, ...] = ("output",)
    tokens: int = 0  # size of the vocabulary when the input is token numbers
    parameters: float | None = None  # published count
    macs: float | None = None  # published multiply-accumulates


RECIPES: dict[str, Recipe] = {
    "toy_chain": Recipe(own.toy_chain, (1, 3, 32, 32)),
    "toy_dag": Recipe(own.ToyDag, (1, 3, 32, 32)),
    "mobilenet_v2": Recipe(tv.mobilenet_v2, parameters=3.50e6, macs=300.8e6),
    "inception_v3": Recipe(
        lambda: tv.inception_v3(aux_logits=False, init_weights=False), (1, 3, 299, 299), parameters=23.83e6, macs=5.71e9
    ),
    "resnet18": Recipe(tv.resnet18, parameters=11.69e6, macs=1.81e9),
    "resnet50": Recipe(tv.resnet50, parameters=25.56e6, macs=4.09e9),
    "vgg16": Recipe(tv.vgg16, parameters=138.36e6, macs=15.47e9),
    "alexnet": Recipe(tv.alexnet, parameters=61.10e6, macs=0.714e9),
    "nin": Recipe(own.nin, parameters=7.6e6),
    "tiny_yolov2": Recipe(own.tiny_yolov2, (1, 3, 416, 416), parameters=15.87e6, macs=3.49e9),
    "darknet53": Recipe(own.darknet53, (1, 3, 256, 256), parameters=41.6e6, macs=9.3e9),
    "mobilenet_v1": Recipe(own.mobilenet_v1, parameters=4.23e6, macs=0.569e9),
    "googlenet": Recipe(lambda: tv.googlenet(aux_logits=False, init_weights=False), parameters=6.62e6, macs=1.50e9),
    "squeezenet1_1": Recipe(tv.squeezenet1_1, parameters=1.24e6, macs=0.35e9),
    "densenet121": Recipe(own.densenet121, parameters=7.98e6, macs=2.83e9),
    "efficientnet_b0": Recipe(tv.efficientnet_b0, parameters=5.29e6, macs=0.39e9),
    "charcnn": Recipe(own.charcnn, (1, 70, 1014)),
    "vit_b_16": Recipe(tv.vit_b_16, opset=23, parameters=86.57e6, macs=17.56e9),
    "swin_t": Recipe(tv.swin_t, parameters=28.29e6, macs=4.49e9),
    "bert_base": Recipe(own.Bert, (1, 128), opset=23, tokens=30522, outputs=("states", "pooled"), parameters=109.48e6),
    "gpt2": Recipe(own.Gpt2, (1, 64), opset=23, tokens=50257, parameters=124.44e6),
    "vgg19": Recipe(tv.vgg19, parameters=143.67e6, macs=19.63e9),
    "resnet101": Recipe(tv.resnet101, parameters=44.55e6, macs=7.80e9),
    "lenet": Recipe(own.lenet, (1, 1, 32, 32), parameters=61_706),
}


def randomise(module: nn.Module, seed: int) -> None:
    """Give every parameter and statistic a random value of a sensible size."""
    maker = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            if name.endswith("running_var"):
                tensor.uniform_(0.8, 1.2, generator=maker)
            elif tensor[0].numel() > 1:
                tensor.normal_(0, math.sqrt(2 / tensor[0].numel()), generator=maker)
            else:
                tensor.normal_(1.0 if name.endswith("weight") else 0.0, 0.05, generator=maker)


def export(recipe: Recipe) -> tuple[onnx.ModelProto, int]:
    """The exported model with all its values, and the number of parameters of the module."""
    torch.manual_seed(0)
    module = recipe.build().eval()
    randomise(module, seed=1)
    count = sum(parameter.numel() for parameter in module.parameters())
    if recipe.tokens:
        example, name = torch.randint(recipe.tokens, recipe.shape), "tokens"
    else:
        example, name = torch.randn(recipe.shape), "input"
    program = torch.onnx.export(
        module, (example,), dynamo=True, opset_version=recipe.opset,
        input_names=[name], output_names=recipe.outputs, verbose=False,
    )  # fmt: skip
    return onnx_ir.to_proto(program.model), count


def is_weight(tensor: onnx.TensorProto) -> bool:
    """Whether the values can be left out: a large float tensor that is not a folded mask."""
    if tensor.data_type not in FLOATS or len(tensor.raw_data) <= INLINE_BYTES:
        return False
    return np.unique(onnx.numpy_helper.to_array(tensor)).size > FEW_VALUES


def strip(model: onnx.ModelProto) -> None:
    """Take the values out of every weight, in place."""
    for tensor in filter(is_weight, model.graph.initializer):
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=ABSENT)


def fill(model: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """A copy whose absent weights are random."""
    maker = np.random.default_rng(seed)
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for tensor in whole.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            dims = tuple(tensor.dims)
            scale = math.sqrt(2 / max(1, math.prod(dims[1:])))
            values = (maker.standard_normal(dims) * scale).astype(
                onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            )
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return whole


def run(model: onnx.ModelProto, recipe: Recipe) -> list[np.ndarray]:
    """Check the filled model and run it once on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(fill(model), path)
        onnx.checker.check_model(path, full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    maker = np.random.default_rng(0)
    if recipe.tokens:
        feed: np.ndarray = maker.integers(0, recipe.tokens, recipe.shape)
    else:
        feed = maker.standard_normal(recipe.shape).astype(np.float32)
    return session.run(None, {session.get_inputs()[0].name: feed})


def macs_of(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of convolutions, matrix products and attention."""
    shapes = zoo_graph.shapes_of(model)
    total = 0
    for node in model.graph.node:
        if node.op_type not in COMPUTING:
            continue
        first, second, target = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
        if node.op_type == "Conv":
            depth = math.prod(second[1:])
        elif node.op_type == "Attention":  # queries x keys, then weights x values, over all heads
            depth = 2 * second[-2]
        else:
            depth = first[-1]
        total += math.prod(target) * depth
    return total


def make(name: str, recipe: Recipe) -> str:
    """Write one model and return its line of the table."""
    model, count = export(recipe)
    gc.collect()
    model = zoo_graph.simplify(model)
    model.graph.name = name
    strip(model)
    outputs = run(model, recipe)
    shapes = zoo_graph.shapes_of(model)
    faults = [f"{node.op_type} is left" for node in model.graph.node if node.op_type == "BatchNormalization"]
    faults += [f"no static shape for {out}" for node in model.graph.node for out in node.output
               if out and not (out in shapes and all(shapes[out]))]  # fmt: skip
    faults += [f"output {i} is not finite" for i, values in enumerate(outputs) if not np.isfinite(values).all()]
    macs = macs_of(model)
    for what, found, published in (("parameters", count, recipe.parameters), ("MACs", macs, recipe.macs)):
        if published and abs(found / published - 1) > 0.02:
            faults.append(f"{found:.4g} {what}, published {published:.4g}")
    MODELS.mkdir(parents=True, exist_ok=True)
    path = MODELS / f"{name}.onnx"
    onnx.save(model, path)
    nodes = len(model.graph.node)
    return f"{name:16}{path.stat().st_size:10,}{nodes:6}{count / 1e6:10.3f}{macs / 1e6:12.1f}  {'; '.join(faults[:4])}"


def main(names: list[str]) -> None:
    """Make the named models, or all of them."""
    print(f"{'model':16}{'bytes':>10}{'ops':>6}{'M param':>10}{'MMAC':>12}  faults", flush=True)
    for name in names or RECIPES:
        print(make(name, RECIPES[name]), flush=True)
    total = sum(path.stat().st_size for path in MODELS.glob("*.onnx"))
    print(f"{'all':16}{total:10,}")


if __name__ == "__main__":
    main(sys.argv[1:])
