"""LSTM, GRU and RNN.

Every step needs the whole hidden state of the step before, so the hidden axis cannot be divided; directions and
batches can, and steps that are not needed are left out.
"""

from hocket.graph.regions.box import Box, Interval, whole
from hocket.graph.regions.rule import Context, OperatorView, UnsupportedError
from hocket.graph.regions.steps import cut

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
ACTIVATIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}


def recurrent(at: Context, box: Box) -> str:
    """The steps up to the last (from the first, backwards); own directions and batches; the hidden axis whole, cut."""
    op = at.op
    if op.attributes.get("layout", 0) or op.has(4):
        raise UnsupportedError(f"batch-first layout and lengths by sequence have no rule, and {op.name!r} has one")
    length, _, width = op.shapes[0]
    directions, _, hidden = op.shapes[2]
    if at.output == 0:
        steps, own, batch, _ = box
    else:
        (own, batch, _), steps = box, (0, length)
    read, direction = _steps(op, own, steps, length, at.output)
    inputs = [at.get(0, (read, batch, (0, width)))]
    for index in range(1, len(op.inputs)):
        inputs.append(_parameter(at, index, own, batch))
    attributes = _attributes(op, own, direction, directions)
    count = (read[1] - read[0]) * (batch[1] - batch[0]) * (own[1] - own[0])
    macs = count * GATES[op.kind] * hidden * (width + hidden)
    outputs = 3 if op.kind == "LSTM" else 2
    value = at.emit(op.kind, *inputs, attributes=attributes, macs=macs, outputs=outputs, pick=at.output)
    held: Box = (own, batch, (0, hidden))
    return cut(at, value, (read, *held) if at.output == 0 else held, box)


def _steps(op: OperatorView, own: Interval, steps: Interval, length: int, output: int) -> tuple[Interval, str]:
    """The steps to compute, and the direction that is left."""
    direction = str(op.attributes.get("direction", "forward"))
    if direction == "bidirectional" and own[1] - own[0] == 1:
        direction = "reverse" if own[0] else "forward"
    if output or direction == "bidirectional":
        return (0, length), direction
    return ((0, steps[1]) if direction == "forward" else (steps[0], length)), direction


def _parameter(at: Context, index: int, own: Interval, batch: Interval) -> str:
    """Weights by direction; initial states by direction and batch."""
    if not at.op.has(index):
        return ""
    shape = at.op.shapes[index]
    if index in (5, 6):
        return at.get(index, (own, batch, (0, shape[2])))
    return at.get(index, (own, *whole(shape[1:])))


def _attributes(op: OperatorView, own: Interval, direction: str, directions: int) -> dict[str, object]:
    attributes = dict(op.attributes) | {"direction": direction}
    for name in ("activations", "activation_alpha", "activation_beta"):
        if name not in attributes or own[1] - own[0] == directions:
            continue
        if name != "activations":
            raise UnsupportedError(f"{name} by direction has no rule, and {op.name!r} has it; keep it whole")
        count = ACTIVATIONS[op.kind]
        attributes[name] = list(attributes[name])[own[0] * count : own[1] * count]
    return attributes
