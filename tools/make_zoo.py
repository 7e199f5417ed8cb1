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
LARGEST_ERROR = 1e-3  # standard deviations of the output, over all rounding of a deep network
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


@dataclass(frozen=True, slots=True)
class Exported:
    """The exported model with all its values, and what the module itself says."""

    model: onnx.ModelProto
    parameters: int
    feed: dict[str, np.ndarray]
    expected: list[np.ndarray]


def export(recipe: Recipe) -> Exported:
    """Build, randomise, run and export the network."""
    torch.manual_seed(0)
    module = recipe.build().eval()
    randomise(module, seed=1)
    if recipe.tokens:
        example, name = torch.randint(recipe.tokens, recipe.shape), "tokens"
    else:
        example, name = torch.randn(recipe.shape), "input"
    with torch.no_grad():
        answer = module(example)
    program = torch.onnx.export(
        module, (example,), dynamo=True, opset_version=recipe.opset,
        input_names=[name], output_names=recipe.outputs, verbose=False,
    )  # fmt: skip
    return Exported(
        model=onnx_ir.to_proto(program.model),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        feed={name: example.numpy()},
        expected=[tensor.numpy() for tensor in (answer if isinstance(answer, tuple) else (answer,))],
    )


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


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Check the model and run it once on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        onnx.checker.check_model(path, full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)


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


def faults_of(model: onnx.ModelProto, exported: Exported, recipe: Recipe) -> list[str]:
    """What is not as it should be, the values still being in the model."""
    shapes = zoo_graph.shapes_of(model)
    faults = [f"{node.op_type} is left" for node in model.graph.node if node.op_type == "BatchNormalization"]
    made = [name for node in model.graph.node for name in node.output if name]
    faults += [f"no static shape for {name}" for name in made if not all(shapes.get(name, (0,)))]
    for found, expected in zip(run(model, exported.feed), exported.expected, strict=True):
        error = float(np.abs(found - expected).max() / expected.std())
        if not error < LARGEST_ERROR:
            faults.append(f"differs from the module by {error:.2g} standard deviations")
    pairs = (("parameters", exported.parameters, recipe.parameters), ("MACs", macs_of(model), recipe.macs))
    for what, count, published in pairs:
        if published and abs(count / published - 1) > 0.02:
            faults.append(f"{count:.4g} {what}, published {published:.4g}")
    return faults


def make(name: str, recipe: Recipe) -> str:
    """Write one model and return its line of the table."""
    exported = export(recipe)
    gc.collect()
    model = zoo_graph.simplify(exported.model)
    model.graph.name = name
    faults = faults_of(model, exported, recipe)
    strip(model)
    MODELS.mkdir(parents=True, exist_ok=True)
    path = MODELS / f"{name}.onnx"
    onnx.save(model, path)
    counts = f"{len(model.graph.node):6}{exported.parameters / 1e6:10.3f}{macs_of(model) / 1e6:12.1f}"
    return f"{name:16}{path.stat().st_size:10,}{counts}  {'; '.join(faults[:4])}"


def main(names: list[str]) -> None:
    """Make the named models, or all of them."""
    print(f"{'model':16}{'bytes':>10}{'ops':>6}{'M param':>10}{'MMAC':>12}  faults", flush=True)
    for name in names or RECIPES:
        print(make(name, RECIPES[name]), flush=True)
    total = sum(path.stat().st_size for path in MODELS.glob("*.onnx"))
    print(f"{'all':16}{total:10,}")


if __name__ == "__main__":
    main(sys.argv[1:])
