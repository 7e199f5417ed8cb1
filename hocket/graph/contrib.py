"""Operators of ONNX Runtime's own domain that `onnx` does not know: their attributes, and the shapes of their results.

Once told, `onnx` infers shapes through them as through any other operator (onnxruntime's docs/ContribOperators.md).
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import onnx

_ONE_AT_A_TIME = threading.Lock()  # a second registration of the same operator is an error
DOMAIN = "com.microsoft"
_FLOATS = ("epsilon", "scale", "softcap", "alpha", "mask_filter_value", "q_norm_epsilon", "k_norm_epsilon",
           "qk_norm_epsilon")  # fmt: skip
_TEXTS = ("k_quant_type", "v_quant_type")
_ALL = [
    f"tensor({name})"
    for name in ("float", "float16", "bfloat16", "double", "int8", "uint8", "int16", "int32", "int64", "bool")
]


class _Kind(NamedTuple):
    infer: Callable[[Any], None]
    inputs: int
    outputs: int
    attributes: str
    """Their names; integers unless they are listed above."""


def register() -> None:
    """Tell `onnx` the operators that it lacks; nothing if it knows them already."""
    with _ONE_AT_A_TIME:
        for name, kind in _KINDS.items():
            if not onnx.defs.has(name, DOMAIN):
                onnx.defs.register_schema(_schema(name, kind))


def _schema(name: str, kind: _Kind) -> Any:
    types = onnx.defs.OpSchema
    every = types.FormalParameterOption.Optional

    def parameters(letter: str, count: int) -> list[Any]:
        return [types.FormalParameter(f"{letter}{i}", f"{letter}{i}", param_option=every) for i in range(count)]

    def attribute(name: str) -> Any:
        kind = types.AttrType.FLOAT if name in _FLOATS else types.AttrType.INT
        return types.Attribute(name, types.AttrType.STRING if name in _TEXTS else kind, required=False)

    inputs, outputs = parameters("X", kind.inputs), parameters("Y", kind.outputs)
    schema = types(
        name,
        DOMAIN,
        1,
        inputs=inputs,
        outputs=outputs,
        type_constraints=[(each.name, _ALL, "") for each in [*inputs, *outputs]],
        attributes=[attribute(each) for each in kind.attributes.split()],
    )
    schema.set_type_and_shape_inference_function(kind.infer)
    return schema


def _like_first(context: Any) -> None:
    """The result is like the first input; so is the sum that goes with a normalisation."""
    for output in {0, context.get_num_outputs() - 1}:
        context.set_output_type(output, context.get_input_type(0))


def _block_matmul(context: Any) -> None:
    """All axes of the first input but the last, then N."""
    made = onnx.TypeProto()
    made.CopyFrom(context.get_input_type(0))
    shape = made.tensor_type.shape
    if shape.dim:
        shape.dim[-1].Clear()
        shape.dim[-1].dim_value = context.get_attribute("N").i
    context.set_output_type(0, made)


def _group_attention(context: Any) -> None:
    """The result is like the queries; present keys and values are like past ones (buffers of a fixed capacity)."""
    query = context.get_input_type(0)
    made = onnx.TypeProto()
    made.CopyFrom(query)
    dims = made.tensor_type.shape.dim
    packed = context.get_num_inputs() < 2 or not context.has_input(1)
    if packed and len(dims) == 3 and dims[2].dim_value:
        heads, kept = context.get_attribute("num_heads").i, context.get_attribute("kv_num_heads").i
        dims[2].dim_value = dims[2].dim_value // (heads + 2 * kept) * heads
    context.set_output_type(0, made)
    for output, past in ((1, 3), (2, 4)):
        if output < context.get_num_outputs() and past < context.get_num_inputs() and context.has_input(past):
            context.set_output_type(output, context.get_input_type(past))


_KINDS: Mapping[str, _Kind] = {
    "GroupQueryAttention": _Kind(
        _group_attention, 17, 4,
        "num_heads kv_num_heads scale softcap do_rotary rotary_interleaved local_window_size causal smooth_softmax"
        " qk_output kv_cache_bit_width k_quant_type v_quant_type q_norm_epsilon k_norm_epsilon qk_norm_epsilon"
        " sliding_window_cache",
    ),
    "MatMulNBits": _Kind(_block_matmul, 6, 1, "K N bits block_size accuracy_level weight_prepacked"),
    "RotaryEmbedding": _Kind(
        _like_first, 4, 1, "interleaved num_heads rotary_embedding_dim is_packed_batching scale"
    ),
    "SkipSimplifiedLayerNormalization": _Kind(_like_first, 4, 4, "epsilon"),
    "SkipLayerNormalization": _Kind(_like_first, 5, 4, "epsilon"),
    "QuickGelu": _Kind(_like_first, 1, 1, "alpha"),
    "FastGelu": _Kind(_like_first, 2, 1, ""),
    "Gelu": _Kind(_like_first, 1, 1, ""),
    "BiasGelu": _Kind(_like_first, 2, 1, ""),
}  # fmt: skip
"""The operators that language models are exported with."""
