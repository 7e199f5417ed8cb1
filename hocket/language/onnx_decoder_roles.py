"""Which constant of an exported decoder is which weight.

Exporters name things differently, so three texts are asked: the module that PyTorch's exporter notes beside a node
(`model.layers.0.self_attn.q_proj`), the name of the node (`/model/layers.0/self_attn/q_proj/MatMul`) and the name of
the constant (`model.layers.0.attn.qkv_proj.MatMul.weight`). A bias belongs to the product that it is added to.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import onnx_ir as ir

from hocket.language.onnx_decoder_constants import Constant, constant_of, rounded_of, rounded_table_of

PACKED = "packed"
"""Queries, keys and values in one product, in this order."""
_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "attn.q_proj": "query",
        "attn.k_proj": "key",
        "attn.v_proj": "value",
        "attn.qkv_proj": PACKED,
        "attn.c_attn": PACKED,
        "attn.o_proj": "output",
        "attn.c_proj": "output",
        "mlp.gate_proj": "gate",
        "mlp.up_proj": "up",
        "mlp.c_fc": "up",
        "mlp.down_proj": "down",
        "mlp.c_proj": "down",
        "input_layernorm": "attention_norm",
        "ln_1": "attention_norm",
        "post_attention_layernorm": "mlp_norm",
        "ln_2": "mlp_norm",
    }
)
"""Module of a layer -> part of a block."""
_WHOLE: Mapping[str, str] = MappingProxyType(
    {
        "embed_tokens": "token_embedding",
        "wte": "token_embedding",
        "wpe": "position_embedding",
        "norm": "norm",
        "final_norm_layernorm": "norm",
        "ln_f": "norm",
        "lm_head": "head",
    }
)
"""Module outside of the layers -> operator."""
_PRODUCTS = ("MatMul", "Gemm", "MatMulNBits")
_NORMS: Mapping[str, int] = MappingProxyType(
    {
        "LayerNormalization": 1,
        "RMSNormalization": 1,
        "SimplifiedLayerNormalization": 1,
        "SkipLayerNormalization": 2,
        "SkipSimplifiedLayerNormalization": 2,
    }
)
"""Operator -> which input is the scale; a shift follows it."""
_MOST_DIGITS = 6


def role_of(text: str) -> str:
    """The operator of our decoder that a module's path means, or "".

    >>> role_of("/model/layers.0/self_attn/q_proj/MatMul")
    'block.0.query'
    >>> role_of("transformer.h.11.ln_2.weight")
    'block.11.mlp_norm'
    >>> role_of("model.layers.2.final_norm_layernorm.weight")  # some count the last normalisation as a layer
    'norm'
    >>> role_of("onnx::MatMul_733")
    ''
    """
    words = text.replace("/", ".").replace("self_attn", "attn").split(".")
    for place, word in enumerate(words[:-2]):
        number = words[place + 1]
        if word in ("layers", "h") and number.isdecimal() and len(number) <= _MOST_DIGITS:
            rest = words[place + 2 :]
            part = _PARTS.get(".".join(rest[:2])) or _PARTS.get(rest[0])
            return f"block.{int(number)}.{part}" if part else _WHOLE.get(rest[0], "")
    return next((_WHOLE[word] for word in words if word in _WHOLE), "")


def find_weights(graph: ir.Graph) -> dict[str, Constant]:
    """Constants by the weight that they are.

    Args:
        graph: an exported decoder.

    Returns:
        Operator of our decoder -> its matrix [outputs, inputs] or table; `operator.weight` and `operator.bias` -> a
        scale or a bias. `block.i.packed` stands for queries, keys and values in one.
    """
    found: dict[str, Constant] = {}
    products: dict[ir.Value, str] = {}
    for node in graph:
        for name, constant in (*_of_product(node, products), *_of_table(node), *_of_norm(node)):
            found.setdefault(name, constant)
    for node in graph:
        for name, constant in _of_sum(node, products):
            found.setdefault(name, constant)
    return found


def _role(node: ir.Node, constant: Constant) -> str:
    scopes = node.metadata_props.get("pkg.torch.onnx.name_scopes", "").strip("[]").split(",")
    texts = (*(scope.strip(" '\"") for scope in reversed(scopes)), node.name or "", constant.name)
    return next(filter(None, map(role_of, texts)), "")


def _of_product(node: ir.Node, products: dict[ir.Value, str]) -> Iterator[tuple[str, Constant]]:
    if node.op_type not in _PRODUCTS or len(node.inputs) < 2:
        return
    if node.op_type == "MatMulNBits":
        matrix = rounded_of(node)
    else:
        matrix = constant_of(node.inputs[1])
        turned = node.op_type == "Gemm" and node.attributes.get_int("transB", 0) == 1
        if matrix is not None and not turned:
            matrix = matrix.transposed()  # with the outputs as rows
    role = _role(node, matrix) if matrix is not None else ""
    if matrix is None or not role:
        return
    products[node.outputs[0]] = role
    yield role, matrix
    if node.op_type == "Gemm" and len(node.inputs) > 2:
        yield from _bias(role, node.inputs[2:3])


def _of_table(node: ir.Node) -> Iterator[tuple[str, Constant]]:
    table = None
    if node.op_type == "Gather" and node.inputs:
        table = constant_of(node.inputs[0])
    elif node.op_type == "GatherBlockQuantized":
        table = rounded_table_of(node)
    if table is None or len(table.shape) != 2:
        return
    role = _role(node, table)
    if role == "position_embedding":
        yield f"{role}.weight", table
    elif role in ("token_embedding", "head"):  # a tied table may have the name of the last product
        yield "token_embedding", table


def _of_norm(node: ir.Node) -> Iterator[tuple[str, Constant]]:
    first = _NORMS.get(node.op_type)
    vectors = list(_vectors(node.inputs if first is None else node.inputs[first : first + 2]))
    if not vectors or (first is None and node.op_type not in ("Mul", "Add")):
        return
    role = _role(node, vectors[0])
    if role.rpartition(".")[2] not in ("norm", "attention_norm", "mlp_norm"):
        return
    suffixes = ("bias",) if node.op_type == "Add" else ("weight", "bias")
    yield from ((f"{role}.{suffix}", vector) for suffix, vector in zip(suffixes, vectors, strict=False))


def _of_sum(node: ir.Node, products: Mapping[ir.Value, str]) -> Iterator[tuple[str, Constant]]:
    if node.op_type != "Add":
        return
    for value in node.inputs:
        made = value
        while made is not None and made not in products and (producer := made.producer()) is not None:
            if producer.op_type not in ("Reshape", "Identity", "Cast"):
                break
            made = producer.inputs[0]
        if made in products:
            yield from _bias(products[made], node.inputs)


def _bias(role: str, values: Iterable[ir.Value | None]) -> Iterator[tuple[str, Constant]]:
    yield from ((f"{role}.bias", vector) for vector in _vectors(values))


def _vectors(values: Iterable[ir.Value | None]) -> Iterator[Constant]:
    """Constants along one axis; numbers alone are not among them."""
    for value in values:
        constant = constant_of(value)
        if constant is not None and len(constant.shape) == 1 and constant.shape[0] > 1:
            yield constant
