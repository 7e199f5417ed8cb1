"""What a message between two nodes of this computer costs besides its wire: packing, waking up, unpacking."""

import hashlib
from statistics import median

import numpy as np
from onnx import TensorProto, helper

from hocket.program import INPUT, Artifact, Binding, Port, Program, Segment, Site, TensorInfo, Transfer, Wire
from hocket.runtime.session import Session

_ELEMENTS = 256
_REPEATS = 60


def measured_message_s() -> float:
    """Seconds of one small message between two node processes here, over a link that takes no time.

    A tensor goes to the second node and comes back; what the second node computes is its own time in the trace.
    """
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Neg", ["x"], ["y"])],
            "hop",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (_ELEMENTS,))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, (_ELEMENTS,))],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    ).SerializeToString()
    artifact = Artifact(segment="there", sha256=hashlib.sha256(model).hexdigest(), model=model, weights={})
    with Session(_program(), [artifact], _nothing, emulate=False) as session:
        latencies = [session.run({"x": np.ones(_ELEMENTS, np.float32)}).latency_s for _ in range(_REPEATS)]
        computing = median(span.stop_s - span.start_s for span in session.trace().spans if span.kind == "compute")
    return max(median(latencies) - computing, 0.0) / 2


def _program() -> Program:
    nodes = ("here", "far")
    return Program(
        name="hop",
        sites=tuple(Site(name=name) for name in nodes),
        wires=(Wire(source="here", target="far"), Wire(source="far", target="here")),
        resources=(),
        tensors=tuple(TensorInfo(name=name, dtype="float32", shape=(_ELEMENTS,)) for name in "xy"),
        segments=(
            Segment(
                id="there", node="far", operators=("y",), inputs=(Port(tensor="x", sources=("x>far",)),), outputs=("y",)
            ),
        ),
        transfers=(
            Transfer(id="x>far", tensor="x", source=INPUT, path=("here", "far"), nbytes=4 * _ELEMENTS),
            Transfer(id="y>here", tensor="y", source="there", path=("far", "here"), nbytes=4 * _ELEMENTS),
        ),
        inputs=(Binding(tensor="x", node="here"),),
        outputs=(Binding(tensor="y", node="here", source="y>here"),),
    )


def _nothing(sha256: str) -> np.ndarray:
    raise KeyError(sha256)  # its model has no weights
