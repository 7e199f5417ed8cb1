"""Two small models of known work, run on a node through the code path that serves: a product and a copy."""

import hashlib
import time
from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper

from hocket.program import INPUT, Artifact, Binding, Port, Program, Segment, Site, TensorInfo
from hocket.runtime.session import Session

_SQUARE = 768
_COPIED_BYTES = 64 << 20
_COPIES = 4
_FEWEST = 5
_WHILE_S = 1.0
_WORK = {"product": 2.0 * _SQUARE**3, "copy": (1.0 + 2 * _COPIES) * _COPIED_BYTES}
"""FLOPs of the product; bytes that the copy writes once, then reads and writes again."""


def work_program(site: Site) -> tuple[Program, list[Artifact]]:
    """A program whose two segments are both on one node; one number goes in and two come out."""
    models = {"product": _product(), "copy": _copy()}
    tensors = ("x", *models)
    program = Program(
        name="probe",
        sites=(site,),
        wires=(),
        resources=(),
        tensors=tuple(TensorInfo(name=name, dtype="float32", shape=(1, 1)) for name in tensors),
        segments=tuple(
            Segment(
                id=name,
                node=site.name,
                operators=(name,),
                inputs=(Port(tensor="x", sources=(INPUT,)),),
                outputs=(name,),
            )
            for name in models
        ),
        transfers=(),
        inputs=(Binding(tensor="x", node=site.name),),
        outputs=tuple(Binding(tensor=name, node=site.name, source=name) for name in models),
    )
    artifacts = [
        Artifact(segment=name, sha256=hashlib.sha256(data).hexdigest(), model=data, weights={})
        for name, data in models.items()
    ]
    return program, artifacts


def work_speed(session: Session) -> dict[str, float]:
    """Run the work in a session of its program; `flops_per_s` and `bytes_per_s` of its node.

    The fastest run counts, as in `measure_speed`, so that what else the host does counts least.
    """
    runs, end_s = 0, time.monotonic() + _WHILE_S
    while runs < _FEWEST or time.monotonic() < end_s:
        session.run({"x": np.full((1, 1), 0.5, np.float32)})
        runs += 1
    best_s: dict[str, float] = {}
    for span in session.trace().spans:
        if span.kind == "compute":
            best_s[span.id] = min(best_s.get(span.id, float("inf")), span.stop_s - span.start_s)
    rate = {name: work / best_s[name] for name, work in _WORK.items()}
    return {"flops_per_s": rate["product"], "bytes_per_s": rate["copy"]}


def _product() -> bytes:
    # Nothing is constant, or ONNX Runtime would compute it while it loads the model.
    nodes = [
        helper.make_node("Expand", ["x", "shape"], ["square"]),
        helper.make_node("MatMul", ["square", "square"], ["result"]),
    ]
    return _model("product", nodes, (_SQUARE, _SQUARE))


def _copy() -> bytes:
    names = ["filled", *(f"negated{number}" for number in range(1, _COPIES)), "result"]
    nodes = [helper.make_node("Expand", ["x", "shape"], ["filled"])]
    nodes += [helper.make_node("Neg", [source], [target]) for source, target in pairwise(names)]
    return _model("copy", nodes, (1, _COPIED_BYTES // 4))


def _model(name: str, nodes: list[onnx.NodeProto], shape: tuple[int, int]) -> bytes:
    """Operators from x to a large result, of which one number leaves, so that nothing is sent."""
    corner = [("first", [0, 0]), ("last", [1, 1])]
    constants = [
        helper.make_tensor(key, TensorProto.INT64, [2], list(value)) for key, value in [("shape", shape), *corner]
    ]
    nodes = [*nodes, helper.make_node("Slice", ["result", "first", "last"], [name])]
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, (1, 1)) for end in ("x", name)]
    graph = helper.make_graph(nodes, name, ends[:1], ends[1:], constants)
    data: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()
    return data
