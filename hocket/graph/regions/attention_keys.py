"""Attention over a part of the keys: each part gives its result and the log of its sum of weights."""

import numpy as np

from hocket.graph.regions.attention import KEY, MASK, QUERY, VALUE, heads_of
from hocket.graph.regions.box import Box, volume
from hocket.graph.regions.rule import Context, Contraction, OperatorView
from hocket.graph.regions.steps import broadcast


def attention_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """Keys, where heads are an axis of their own and share none: results weighted by the log of their sums."""
    heads = heads_of(op)
    plain = not heads.flat and heads.shared == 1 and not heads.past and len(op.outputs) == 1 and not op.has(6)
    if not plain or op.attributes.get("is_causal", 0) or op.attributes.get("softcap", 0):
        return ()
    return (Contraction(axis="keys", size=heads.keys, combine="softmax", packed=1),)


def partial_attention(at: Context, box: Box) -> str:
    """The result over some of the keys, and behind it in the last axis the log of the sum of weights."""
    op = at.op
    batch, own, rows, columns = box
    heads = heads_of(op)
    keys = at.span("keys", heads.keys)
    scale = float(op.attributes.get("scale", heads.width**-0.5))
    scores = (batch, own, rows, keys)
    query = at.get(QUERY, (batch, own, rows, (0, heads.width)))
    key = at.get(KEY, (batch, own, keys, (0, heads.width)))
    value = at.get(VALUE, (batch, own, keys, columns))
    turned = at.emit("Transpose", key, attributes={"perm": [0, 1, 3, 2]})
    query = at.emit("Mul", query, at.constant(np.array(scale, op.dtypes[QUERY])))
    weights = at.emit("MatMul", query, turned, macs=volume(scores) * heads.width)
    weights = _masked(at, weights, scores)
    total = at.emit("ReduceLogSumExp", weights, at.constant(np.array([-1], np.int64)), flops=volume(scores))
    shares = at.emit("Softmax", weights, attributes={"axis": -1})
    result = at.emit("MatMul", shares, value, macs=volume(scores) * (columns[1] - columns[0]))
    return at.emit("Concat", result, total, attributes={"axis": 3})


def _masked(at: Context, weights: str, scores: Box) -> str:
    """Scores with the mask added. They stay finite: a part may hold nothing but masked keys."""
    op = at.op
    if not op.has(MASK):
        return weights
    least = at.constant(np.array(np.finfo(op.dtypes[QUERY]).min / 2, op.dtypes[QUERY]))
    mask = at.get(MASK, broadcast(scores, op.shapes[MASK]))
    if op.dtypes[MASK] == "bool":
        return at.emit("Where", mask, weights, least)
    return at.emit("Max", at.emit("Add", weights, mask), least)
