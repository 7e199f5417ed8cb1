"""A program run here and now: its artifacts in ONNX Runtime, its mailboxes as the nodes keep them, no wires."""

from collections import deque

import numpy as np
import onnxruntime

from hocket.graph.model import Model
from hocket.plan.build import build
from hocket.program import INPUT, Program
from hocket.runtime.mailbox import Mailboxes, source_regions


def run_program(model: Model, program: Program, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answers of one request, by tensor; every segment sees only what its ports take out of what arrived."""
    built = build(model, program)
    sessions = {}
    kept = []  # ONNX Runtime reads these as long as it runs
    for artifact in built.artifacts:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        values = [
            onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(built.weight(h)))
            for h in artifact.weights.values()
        ]
        kept.append(values)
        options.add_external_initializers(list(artifact.weights), values)
        sessions[artifact.segment] = onnxruntime.InferenceSession(artifact.model, options, ["CPUExecutionProvider"])
    boxes = {node: Mailboxes(program, node) for node in program.nodes()}
    regions = source_regions(program)
    answers: dict[str, np.ndarray] = {}
    queue: deque[tuple[str, str, str, np.ndarray]] = deque()

    def deliver(node: str, source: str, tensor: str, array: np.ndarray) -> None:
        for binding in program.outputs:
            if (binding.node, binding.source, binding.tensor) == (node, source, tensor):
                answers[tensor] = array
        for transfer in program.transfers:
            if (transfer.path[0], transfer.source, transfer.tensor) == (node, source, tensor):
                part = array
                if transfer.region is not None:
                    held = regions.get((source, tensor)) or tuple((0, n) for n in array.shape)
                    part = array[
                        tuple(
                            slice(lo - base, hi - base)
                            for (lo, hi), (base, _) in zip(transfer.region, held, strict=True)
                        )
                    ]
                queue.append((transfer.path[-1], transfer.id, tensor, part))
        for fire in boxes[node].put(0, source, tensor, array, 0.0):
            assert fire.inputs is not None
            segment = fire.segment
            results = sessions[segment.id].run(list(segment.outputs), fire.inputs)
            for name, value in zip(segment.outputs, results, strict=True):
                queue.append((node, segment.id, name, value))

    for binding in program.inputs:
        queue.append((binding.node, INPUT, binding.tensor, inputs[binding.tensor]))
    while queue:
        deliver(*queue.popleft())
    assert not any(box.pending() for box in boxes.values()), "something waits for what never comes"
    return answers


def worst_error(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    """Largest difference / largest magnitude over all answers."""
    worst = 0.0
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        size = float(np.abs(value).max())
        assert 0 < size < np.inf
        worst = max(worst, float(np.abs(found[name] - value).max()) / size)
    return worst
