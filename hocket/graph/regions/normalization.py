"""Normalisations."""

from hocket.graph.regions.box import Box, Interval, volume, whole, with_axis
from hocket.graph.regions.rule import Context, UnsupportedError
from hocket.graph.regions.steps import cut, only_output

PER_ELEMENT = {
    "LayerNormalization": 8,
    "RMSNormalization": 5,
    "BatchNormalization": 2,
    "InstanceNormalization": 8,
    "GroupNormalization": 8,
    "LRN": 8,
    "MeanVarianceNormalization": 1,
}


def batch_normalization(at: Context, box: Box) -> str:
    """The same box; the parameters by channel."""
    op = at.op
    only_output(at)
    if op.attributes.get("training_mode", 0):
        raise UnsupportedError(f"statistics of a batch have no rule, and {op.name!r} is in training mode")
    channel = box[1] if len(box) > 1 else (0, 1)
    inputs = [at.get(0, box), *(at.get(index, (channel,)) for index in range(1, 5))]
    return at.emit(op.kind, *inputs, attributes=op.attributes, flops=volume(box) * PER_ELEMENT[op.kind])


def layer_normalization(at: Context, box: Box) -> str:
    """The normalised axes whole, computed whole and cut; scale and bias whole."""
    op = at.op
    only_output(at)
    axis = op.axis(-1, len(box))
    read = (*box[:axis], *whole(op.shapes[0][axis:]))
    inputs = [at.get(0, read)]
    for index in (1, 2):
        if op.has(index):
            inputs.append(at.get(index, _aligned(op.shapes[index], read)))
    value = at.emit(op.kind, *inputs, attributes=op.attributes, flops=volume(read) * PER_ELEMENT[op.kind])
    return cut(at, value, read, box)


def _aligned(shape: tuple[int, ...], read: Box) -> Box:
    """Scale or bias, right-aligned with the input."""
    tail = read[len(read) - len(shape) :]
    return tuple((0, 1) if length == 1 else interval for length, interval in zip(shape, tail, strict=True))


def instance_normalization(at: Context, box: Box) -> str:
    """All of space, computed whole and cut; the same channels of everything."""
    op = at.op
    read = (*box[:2], *whole(op.shapes[0][2:]))
    inputs = [at.get(0, read), at.get(1, (box[1],)), at.get(2, (box[1],))]
    value = at.emit(op.kind, *inputs, attributes=op.attributes, flops=volume(read) * PER_ELEMENT[op.kind])
    return cut(at, value, read, box)


def group_normalization(at: Context, box: Box) -> str:
    """The touched groups of channels with all of space, computed whole and cut; their scale and bias."""
    op = at.op
    channels, groups = op.shapes[0][1], int(op.attributes["num_groups"])
    size = channels // groups
    first, last = box[1][0] // size, -(-box[1][1] // size)
    touched: Interval = (first * size, last * size)
    read = (box[0], touched, *whole(op.shapes[0][2:]))
    by_group = op.opset < 21  # before operator set 21 scale and bias are one number for each group
    side: Interval = (first, last) if by_group else touched
    attributes = dict(op.attributes) | {"num_groups": last - first}
    inputs = [at.get(0, read), at.get(1, (side,)), at.get(2, (side,))]
    value = at.emit(op.kind, *inputs, attributes=attributes, flops=volume(read) * PER_ELEMENT[op.kind])
    return cut(at, value, read, box)


def local_response(at: Context, box: Box) -> str:
    """The channels that the window reaches, computed whole and cut; the same interval elsewhere."""
    op = at.op
    size, channels = int(op.attributes["size"]), op.shapes[0][1]
    lo, hi = box[1]
    read = with_axis(box, 1, (max(lo - (size - 1) // 2, 0), min(hi + size // 2, channels)))
    value = at.emit(op.kind, at.get(0, read), attributes=op.attributes, flops=volume(box) * PER_ELEMENT[op.kind])
    return cut(at, value, read, box)


def mean_variance(at: Context, box: Box) -> str:
    """The normalised axes whole, computed whole and cut; the same interval on the others."""
    op = at.op
    read = box
    for axis in op.attributes.get("axes", [0, 2, 3]):
        read = with_axis(read, axis % len(box), (0, op.shapes[0][axis]))
    value = at.emit(op.kind, at.get(0, read), attributes=op.attributes, flops=volume(read))
    return cut(at, value, read, box)
