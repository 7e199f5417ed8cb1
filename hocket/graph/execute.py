"""Running operators of a model here and now, whole and unshaped: the reference that every plan is compared with."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as _state

from hocket.errors import GraphError
from hocket.graph.graph import Graph
from hocket.graph.model import Model
from hocket.program import ABSENT

_ENGINE_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(kind for kind in vars(_state).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)


class Runner:
    """A sub-graph of a model in ONNX Runtime, its absent weights filled in.

    Args:
        model: gives the weights.
        proto: what to compute.
        threads: computing threads.
    """

    def __init__(self, model: Model, proto: onnx.ModelProto, *, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        absent = [init.name for init in proto.graph.initializer if _is_absent(init)]
        # ONNX Runtime may read these at any time, so they live as long as the session.
        self._values = [
            onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(model.weight(name))) for name in absent
        ]
        options.add_external_initializers(absent, self._values)
        data = proto.SerializeToString()
        try:
            self._session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
        except _ENGINE_ERRORS as error:
            raise GraphError(f"ONNX Runtime refuses the model ({_short(error)}); check it with onnx.checker") from None
        self._outputs = [value.name for value in proto.graph.output]

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Output name -> value."""
        try:
            results = self._session.run(self._outputs, dict(inputs))
        except _ENGINE_ERRORS as error:
            raise GraphError(f"ONNX Runtime fails on these inputs ({_short(error)}); give inputs that fit") from None
        return dict(zip(self._outputs, results, strict=True))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _is_absent(init: onnx.TensorProto) -> bool:
    return any(entry.key == "location" and entry.value == ABSENT for entry in init.external_data)


def random_inputs(graph: Graph, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Seeded inputs of the right types and shapes: normal for floats, small numbers for integers."""
    generator = np.random.default_rng(seed)
    inputs = {}
    for tensor in graph.inputs:
        dtype = np.dtype(tensor.dtype)
        if np.issubdtype(dtype, np.floating):
            inputs[tensor.name] = generator.standard_normal(tensor.shape).astype(dtype)
        elif dtype == np.bool_:
            inputs[tensor.name] = np.ones(tensor.shape, dtype)
        else:
            inputs[tensor.name] = generator.integers(0, 100, tensor.shape).astype(dtype)
    return inputs


def checked_inputs(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs, if they are those of the graph.

    Raises:
        GraphError: one is missing, unknown, or of another type or shape.
    """
    wanted = {tensor.name: tensor for tensor in graph.inputs}
    for name in inputs:
        if name not in wanted:
            raise GraphError(f"the model has no input {name!r}; its inputs are {', '.join(wanted)}")
    for name, tensor in wanted.items():
        if name not in inputs:
            raise GraphError(f"the input {name!r} is missing; give {tensor.dtype} {tensor.shape}")
        value = inputs[name]
        if value.dtype.name != tensor.dtype or value.shape != tensor.shape:
            raise GraphError(
                f"the input {name!r} is {tensor.dtype} {tensor.shape}, got {value.dtype.name} {value.shape}; convert it"
            )
    return {name: np.ascontiguousarray(value) for name, value in inputs.items()}
