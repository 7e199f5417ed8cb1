"""Operators that compute every element from the elements at the same place."""

from hocket.graph.regions.box import Box, volume, whole
from hocket.graph.regions.rule import Context, UnsupportedError
from hocket.graph.regions.steps import broadcast, cut, only_output

KINDS = (
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd", "BitwiseNot",
    "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div", "Elu", "Equal", "Erf",
    "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "IsInf", "IsNaN", "LeakyRelu",
    "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow",
    "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt",
    "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor", "com.microsoft.FastGelu",
    "com.microsoft.Gelu", "com.microsoft.QuickGelu",
)  # fmt: skip
FREE = {"Cast", "CastLike"}
PER_ELEMENT = {"Gelu": 8, "com.microsoft.Gelu": 8, "com.microsoft.FastGelu": 8, "com.microsoft.QuickGelu": 8}


def elementwise(at: Context, box: Box) -> str:
    """The same interval on every axis, [0, 1) where an input is broadcast."""
    op = at.op
    inputs = [
        at.get(index, box if shape == op.output_shapes[0] else broadcast(box, shape)) if op.has(index) else ""
        for index, shape in enumerate(op.shapes)
    ]
    flops = 0 if op.kind in FREE else volume(box) * PER_ELEMENT.get(op.kind, 1)
    return at.emit(op.kind, *inputs, attributes=op.attributes, flops=flops)


def identity(at: Context, box: Box) -> str:
    """The same box; nothing is computed."""
    op = at.op
    only_output(at)
    if op.kind == "Dropout" and op.has(2) and (2 not in op.constants or bool(op.constants[2])):
        raise UnsupportedError(f"a Dropout in training mode is random, and {op.name!r} is one; export for inference")
    return at.get(0, box)


def quantise(at: Context, box: Box) -> str:
    """The same interval; scale and zero point whole, or by channel or block."""
    op = at.op
    rank = len(op.output_shapes[0])
    axis = op.axis(1, rank)
    block = int(op.attributes.get("block_size", 0))
    if block and (box[axis][0] % block or (box[axis][1] % block and box[axis][1] != op.output_shapes[0][axis])):
        raise UnsupportedError(
            f"a box covers whole quantisation blocks of {block}, and {box[axis]} of {op.name!r} does not; round it"
        )
    inputs = [at.get(0, box)]
    for index in (1, 2):
        inputs.append(at.get(index, _parameters(op.shapes[index], box, axis, block)) if op.has(index) else "")
    return at.emit(op.kind, *inputs, attributes=op.attributes, flops=volume(box))


def _parameters(shape: tuple[int, ...], box: Box, axis: int, block: int) -> Box:
    """The box of a scale or zero point."""
    if not shape or shape == (1,):
        return tuple((0, length) for length in shape)
    if block:
        return tuple((lo // block, -(-hi // block)) if at == axis else (lo, hi) for at, (lo, hi) in enumerate(box))
    return (box[axis],)


def dynamic_quantise(at: Context, box: Box) -> str:
    """Everything: the scale is that of the whole tensor."""
    op = at.op
    everything = whole(op.shapes[0])
    value = at.get(0, everything)
    outputs = at.emit(op.kind, value, flops=volume(everything), outputs=3, pick=at.output)
    if at.output:
        return outputs
    return cut(at, outputs, everything, box)
