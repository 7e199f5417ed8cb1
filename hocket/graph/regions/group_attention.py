"""GroupQueryAttention of ONNX Runtime: rotation, caches and causal attention in one operator."""

from typing import NamedTuple

from hocket.graph.regions.box import Box, Interval, whole
from hocket.graph.regions.rule import Context, OperatorView, UnsupportedError
from hocket.graph.regions.steps import by_units, cut

QUERY, KEY, VALUE, PAST_KEY, PAST_VALUE, LAST, TOTAL, COSINES, SINES = range(9)


class _Sizes(NamedTuple):
    kept: int
    """Key-value heads."""
    shared: int
    """Query heads for each of them."""
    width: int
    """Of a head."""
    rows: int
    capacity: int
    """Of the caches; 0 without any."""


def _sizes(op: OperatorView) -> _Sizes:
    heads, kept = int(op.attributes["num_heads"]), int(op.attributes["kv_num_heads"])
    query = op.shapes[QUERY]
    capacity = op.shapes[PAST_KEY][2] if op.has(PAST_KEY) else 0
    return _Sizes(kept, heads // kept, query[2] // heads, query[1], capacity)


def group_attention(at: Context, box: Box) -> str:
    """Whole heads with their key-value heads and caches (computed whole and cut); all rows, or those of a batch."""
    op = at.op
    if not op.has(KEY) or len(op.inputs) > SINES + 1 or at.output > 2:
        raise UnsupportedError(
            f"packed queries, biases and scores of {op.kind} have no rule, and {op.name!r} has some; keep it whole"
        )
    sizes = _sizes(op)
    if at.output:
        batch, own = box[:2]
        held = batch, own, (0, op.output_shapes[at.output][2]), (0, sizes.width)
        heads = own[0] * sizes.shared, own[1] * sizes.shared
        return cut(at, _written(at, batch, heads, own, sizes), held, box)
    if op.has(PAST_KEY):
        return _result(at, box, sizes)
    return by_units(at, box, 2, sizes.width * sizes.shared, lambda piece: _result(at, piece, sizes))


def _result(at: Context, box: Box, sizes: _Sizes) -> str:
    """Some heads of one key-value head, or all heads of several: one operator, for it keeps the caches."""
    batch, _, columns = box
    heads = columns[0] // sizes.width, -(-columns[1] // sizes.width)
    own = heads[0] // sizes.shared, -(-heads[1] // sizes.shared)
    if own[1] - own[0] > 1:
        heads = own[0] * sizes.shared, own[1] * sizes.shared
    held = batch, (0, sizes.rows), (heads[0] * sizes.width, heads[1] * sizes.width)
    return cut(at, _written(at, batch, heads, own, sizes), held, box)


def _written(at: Context, batch: Interval, heads: Interval, own: Interval, sizes: _Sizes) -> str:
    """The operator for some heads; all of its results are written at once, whichever is asked for."""
    op, width = at.op, sizes.width
    rows = (0, sizes.rows)
    past = batch, own, (0, sizes.capacity), (0, width)
    inputs = [
        at.get(QUERY, (batch, rows, (heads[0] * width, heads[1] * width))),
        *(at.get(index, (batch, rows, (own[0] * width, own[1] * width))) for index in (KEY, VALUE)),
        *(at.get(index, past) for index in (PAST_KEY, PAST_VALUE)),
        at.get(LAST, (batch,)),
        *(at.get(index, whole(op.shapes[index])) for index in (TOTAL, COSINES, SINES) if op.has(index)),
    ]
    attributes = dict(op.attributes) | {"num_heads": heads[1] - heads[0], "kv_num_heads": own[1] - own[0]}
    keys = max(sizes.capacity, sizes.rows)
    work = 2 * (batch[1] - batch[0]) * (heads[1] - heads[0]) * sizes.rows * keys * width
    # The caches are written along with the result, whose work it is.
    macs = 0 if at.output else work
    return at.emit(op.kind, *inputs, attributes=attributes, macs=macs, outputs=3, pick=at.output)
