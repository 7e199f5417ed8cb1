"""Attention and rotary embedding as one operator (operator set 23)."""

from typing import NamedTuple

import numpy as np

from hocket.graph.regions.box import Box, Interval, extent, whole
from hocket.graph.regions.rule import Context, OperatorView, UnsupportedError
from hocket.graph.regions.steps import broadcast, by_units, cut, join, reshape

QUERY, KEY, VALUE, MASK, PAST_KEY, PAST_VALUE = range(6)


class Heads(NamedTuple):
    """The sizes of an attention."""

    flat: bool
    """Heads are merged into the last axis: (batch, length, heads * width) rather than (batch, heads, length, width)."""
    query: int
    """Query heads."""
    shared: int
    """Query heads for each key-value head."""
    width: int
    """Of queries and keys."""
    value_width: int
    rows: int
    past: int
    keys: int
    """Past ones included."""


def heads_of(op: OperatorView) -> Heads:
    """Read the sizes of an attention from its shapes."""
    query, key, value = (op.shapes[index] for index in (QUERY, KEY, VALUE))
    past = op.shapes[PAST_KEY][2] if op.has(PAST_KEY) else 0
    if len(query) == 4:
        return Heads(False, query[1], query[1] // key[1], query[3], value[3], query[2], past, past + key[2])
    count = int(op.attributes["q_num_heads"])
    kept = int(op.attributes["kv_num_heads"])
    return Heads(True, count, count // kept, query[2] // count, value[2] // kept, query[1], past, past + key[1])


def attention(at: Context, box: Box) -> str:
    """Query rows; whole heads with their key-value heads, or columns of one; keys whole, or up to the last row's."""
    op = at.op
    if at.output in (1, 2):
        return _present(at, box)
    if at.output > 2 or op.has(6):
        raise UnsupportedError(f"scores as a result and padded lengths have no rule, and {op.name!r} has one of them")
    heads = heads_of(op)
    axis = 2 if heads.flat else 1
    unit = heads.value_width if heads.flat else 1

    def by_heads(piece: Box) -> str:
        return by_units(at, piece, axis, unit * heads.shared, lambda run: _one_run(at, run, heads))

    # Inside one head its columns, else whole heads; then inside one key-value head its queries, else whole ones.
    return by_units(at, box, axis, unit, by_heads)


def _one_run(at: Context, box: Box, heads: Heads) -> str:
    """Heads of one key-value head, all heads of several, or columns of one head."""
    op = at.op
    if heads.flat:
        batch, rows, columns = box
        unit = heads.value_width
        own = (columns[0] // unit, -(-columns[1] // unit))
        inside = (0, unit) if own[1] - own[0] > 1 else (columns[0] - own[0] * unit, columns[1] - own[0] * unit)
    else:
        batch, own, rows, inside = box
    shared = (own[0] // heads.shared, -(-own[1] // heads.shared))
    keys = _visible(op, rows, heads)
    past = (0, min(keys, heads.past))
    new = (0, max(keys - heads.past, 0))
    if new[1] == 0 or (heads.past and past[1] < heads.past):
        new, past, keys = (0, heads.keys - heads.past), (0, heads.past), heads.keys
    query = at.get(QUERY, _side(batch, own, rows, heads.width, (0, heads.width), heads))
    key = at.get(KEY, _side(batch, shared, new, heads.width, (0, heads.width), heads))
    value = at.get(VALUE, _side(batch, shared, new, heads.value_width, inside, heads))
    mask, causal = _mask(at, batch, own, rows, keys, heads)
    inputs = [query, key, value, mask]
    if heads.past:
        inputs.append(at.get(PAST_KEY, (batch, shared, past, (0, heads.width))))
        inputs.append(at.get(PAST_VALUE, (batch, shared, past, inside)))
    while not inputs[-1]:
        inputs.pop()
    attributes = dict(op.attributes) | {"is_causal": int(causal)}
    if heads.flat:
        attributes |= {"q_num_heads": own[1] - own[0], "kv_num_heads": shared[1] - shared[0]}
    count = (batch[1] - batch[0]) * (own[1] - own[0]) * (rows[1] - rows[0])
    macs = count * keys * (heads.width + inside[1] - inside[0])
    outputs = 3 if heads.past else 1
    return at.emit(op.kind, *inputs, attributes=attributes, macs=macs, outputs=outputs)


def _visible(op: OperatorView, rows: Interval, heads: Heads) -> int:
    """Keys that the rows may look at: up to the last row's own if they are causal."""
    return min(rows[1] + heads.past, heads.keys) if op.attributes.get("is_causal", 0) else heads.keys


def _side(batch: Interval, own: Interval, rows: Interval, width: int, inside: Interval, heads: Heads) -> Box:
    """The box of queries, keys or values."""
    if not heads.flat:
        return batch, own, rows, inside
    start = own[0] * width
    columns = (start, own[1] * width) if inside == (0, width) else (start + inside[0], start + inside[1])
    return batch, rows, columns


def _mask(at: Context, batch: Interval, own: Interval, rows: Interval, keys: int, heads: Heads) -> tuple[str, bool]:
    """The box of the mask, and whether the causal attribute still says the truth.

    The attribute counts rows from the first it is given: rows that begin later need their mask spelled out.
    """
    op = at.op
    mask = ""
    if op.has(MASK):
        shape = op.shapes[MASK]
        if shape[-1] not in (1, heads.keys):
            raise UnsupportedError(f"a mask shorter than the keys has no rule, and that of {op.name!r} is; pad it")
        mask = at.get(MASK, broadcast((batch, own, rows, (0, keys)), shape))
    causal = bool(op.attributes.get("is_causal", 0))
    if not causal or rows[0] == 0:
        return mask, causal
    below = np.arange(keys)[None, :] <= np.arange(rows[0], rows[1])[:, None] + heads.past
    allowed = at.constant(below)
    if not mask:
        return allowed, False
    if op.dtypes[MASK] == "bool":
        return at.emit("And", mask, allowed), False
    return at.emit("Where", allowed, mask, at.constant(np.array(-np.inf, op.dtypes[MASK]))), False


def _present(at: Context, box: Box) -> str:
    """Past and new keys (or values), one behind the other."""
    heads = heads_of(at.op)
    new, old = (KEY, PAST_KEY) if at.output == 1 else (VALUE, PAST_VALUE)
    batch, own, (lo, hi), columns = box
    parts = []
    if lo < heads.past:
        parts.append(at.get(old, (batch, own, (lo, min(hi, heads.past)), columns)))
    if hi > heads.past:
        rows = (max(lo - heads.past, 0), hi - heads.past)
        width = heads.width if at.output == 1 else heads.value_width
        value = at.get(new, _side(batch, own, rows, width, (0, width), heads))
        if heads.flat:
            value = reshape(at, value, (*extent((batch, rows, own)), width))
            value = at.emit("Transpose", value, attributes={"perm": [0, 2, 1, 3]})
        parts.append(cut(at, value, (batch, own, rows, (0, width)), (batch, own, rows, columns)))
    return join(at, parts, 2)


def rotary(at: Context, box: Box) -> str:
    """The same batch, heads and positions, whole heads (computed whole and cut); sine and cosine by position."""
    op = at.op
    shape = op.shapes[0]
    read, attributes = box, dict(op.attributes)
    if len(shape) == 3:
        width = shape[2] // int(op.attributes["num_heads"])
        first, last = box[2][0] // width, -(-box[2][1] // width)
        batch, rows, read = box[0], box[1], (*box[:2], (first * width, last * width))
        attributes["num_heads"] = last - first
    else:
        batch, rows, read = box[0], box[2], (*box[:3], (0, shape[3]))
    inputs = [at.get(0, read)]
    for index in (1, 2):
        known = op.shapes[index]
        inputs.append(at.get(index, whole(known) if op.has(3) else (batch, rows, (0, known[2]))))
    if op.has(3):
        inputs.append(at.get(3, (batch, rows)))
    value = at.emit(op.kind, *inputs, attributes=attributes, flops=int(np.prod(extent(read))))
    return cut(at, value, read, box)
