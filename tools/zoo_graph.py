"""Tidies an exported graph: folds what is constant, drops what does nothing, keeps names and shapes that help."""

from __future__ import annotations

import ast
from collections import Counter

import onnx
import onnxruntime
from onnx import numpy_helper

SCOPES = "pkg.torch.onnx.name_scopes"
LARGE = 1024  # bytes; smaller initializers keep their names


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """All the steps, in order; the model must still have its values."""
    clean(model)
    join_tied_weight(model)
    fold_constants(model)
    drop_idle(model)
    rename_folded(model)
    drop_unused(model)
    return infer(model)


def clean(model: onnx.ModelProto) -> None:
    """Drop everything that only says how the export went; keep each node's module path."""
    model.doc_string, model.graph.doc_string = "", ""
    model.producer_name, model.producer_version = "", ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for thing in [*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer]:
        thing.doc_string = ""
        del thing.metadata_props[:]
    for node in model.graph.node:
        scopes = [entry.value for entry in node.metadata_props if entry.key == SCOPES]
        node.doc_string = ""
        del node.metadata_props[:]
        if scopes:
            node.metadata_props.add(key=SCOPES, value=repr(reduced(ast.literal_eval(scopes[0]), node)))


def reduced(scopes: list[str], node: onnx.NodeProto) -> list[str]:
    """Of the list of enclosing scopes only the innermost module and the operation itself.

    A convolution that took up a batch norm was given the batch norm's path; its weight tells its own.
    """
    module, operation = scopes[-2:] if len(scopes) > 1 else ("", scopes[-1])
    if node.op_type == "Conv" and node.input[1].endswith(".weight"):
        module = node.input[1].removesuffix(".weight")
    return [module, operation]


def scope_of(node: onnx.NodeProto) -> str:
    """The module path of a node that `clean` has seen."""
    return ast.literal_eval(node.metadata_props[0].value)[0] if node.metadata_props else ""


def constants_of(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The initializers by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def join_tied_weight(model: onnx.ModelProto) -> None:
    """MatMul(x, Transpose(weight)) of two-dimensional x becomes one Gemm, so that a tied weight is there once."""
    constants = constants_of(model)
    turned = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Transpose" and node.input[0] in constants and len(constants[node.input[0]].dims) == 2
    }
    shapes = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.value_info}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in turned and shapes[node.input[0]] == 2:
            node.op_type, node.input[1] = "Gemm", turned[node.input[1]]
            node.attribute.append(onnx.helper.make_attribute("transB", 1))
    drop_unread(model)


def drop_unread(model: onnx.ModelProto) -> None:
    """Drop nodes whose results nobody reads."""
    needed = {value.name for value in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    replace_nodes(model, kept[::-1])


def replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Put these nodes in place of the graph's."""
    copies = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del model.graph.node[:]
    model.graph.node.extend(copies)


def fold_constants(model: onnx.ModelProto) -> None:
    """Evaluate every node that depends on no input, and keep only the results that others read."""
    known = set(constants_of(model)) | {""}
    constant, rest = [], []
    for node in model.graph.node:
        if known.issuperset(node.input):
            constant.append(node)
            known.update(node.output)
        else:
            rest.append(node)
    made = {name for node in constant for name in node.output}
    wanted = sorted(made.intersection(name for node in rest for name in node.input))
    if not wanted:
        return
    part = onnx.helper.make_graph(
        constant, "constants", [], [onnx.ValueInfoProto(name=name) for name in wanted], model.graph.initializer
    )
    small = onnx.helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(small.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for name, values in zip(wanted, session.run(None, {}), strict=True):
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    replace_nodes(model, rest)
    share_equal(model, wanted)


def share_equal(model: onnx.ModelProto, names: list[str]) -> None:
    """Let equal folded constants be one initializer (Swin's masks repeat in every block of a stage)."""
    constants, first, chosen = constants_of(model), {}, {}
    for name in names:
        tensor = constants[name]
        chosen[name] = first.setdefault((tuple(tensor.dims), tensor.data_type, tensor.raw_data), name)
    rename_inputs(model, chosen)


def rename_inputs(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Let every node read names[x] where it read x."""
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)


def drop_idle(model: onnx.ModelProto) -> None:
    """Drop reshapes to the same shape and paddings by nothing, where the result is not the model's."""
    constants, shapes = constants_of(model), shapes_of(model)
    final = {value.name for value in model.graph.output}
    kept, instead = [], {}
    for node in model.graph.node:
        source = instead.get(node.input[0], node.input[0]) if node.input else ""
        same = node.op_type == "Reshape" and shapes.get(source) == shapes.get(node.output[0])
        if node.op_type == "Pad" and node.input[1] in constants:
            same = not numpy_helper.to_array(constants[node.input[1]]).any()
        if same and node.output[0] not in final:
            instead[node.output[0]] = source
        else:
            kept.append(node)
    replace_nodes(model, kept)
    rename_inputs(model, instead)


def rename_folded(model: onnx.ModelProto) -> None:
    """Name large folded constants (val_12) after the first module that reads them."""
    constants, used, names = constants_of(model), Counter(), {}
    for node in model.graph.node:
        for name in node.input:
            if name not in constants or "." in name or name in names or len(constants[name].raw_data) <= LARGE:
                continue
            kind = "weight_transposed" if node.op_type == "MatMul" else "folded"
            base = f"{scope_of(node)}.{kind}".lstrip(".")
            used[base] += 1
            names[name] = base if used[base] == 1 else f"{base}_{used[base]}"
    rename_inputs(model, names)
    for name, new in names.items():
        constants[name].name = new


def drop_unused(model: onnx.ModelProto) -> None:
    """Drop initializers and shapes of tensors that are not in the graph any more."""
    read = {name for node in model.graph.node for name in node.input}
    made = {name for node in model.graph.node for name in node.output}
    for index in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[index].name not in read:
            del model.graph.initializer[index]
    for index in reversed(range(len(model.graph.value_info))):
        if model.graph.value_info[index].name not in made:
            del model.graph.value_info[index]


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fill in shapes that the exporter left out."""
    known = shapes_of(model)
    if all(name in known for node in model.graph.node for name in node.output if name):
        return model
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    drop_unused(model)
    return model


def shapes_of(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Every tensor's static shape; a symbolic dimension would come out as 0."""
    graph = model.graph
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in [*graph.input, *graph.output, *graph.value_info]
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
