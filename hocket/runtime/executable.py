"""A segment that can be computed: its model in ONNX Runtime."""

import hashlib
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as _state

from hocket.errors import GraphError, NodeError
from hocket.program import Artifact, Counter, Port, Segment, Site, State, TensorInfo
from hocket.runtime.onnx_check import check_model

ORT_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(kind for kind in vars(_state).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)
"""All that ONNX Runtime raises."""


def open_model(
    model: bytes,
    weights: Mapping[str, np.ndarray],
    *,
    threads: int = 1,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    profile_prefix: str = "",
) -> tuple[ort.InferenceSession, list[ort.OrtValue]]:
    """Load a model whose absent initializers are given apart.

    Args:
        model: ONNX bytes.
        weights: name -> value of each absent initializer.
        threads: computing threads; ONNX Runtime uses the calling thread when it is one.
        providers: execution providers, in order.
        profile_prefix: where ONNX Runtime's profiler writes; empty = off.

    Returns:
        The session, and the weights' values, which must live as long as it.

    Raises:
        GraphError: ONNX Runtime refuses the model, or a weight is missing.
        NodeError: an execution provider is missing here.
    """
    missing = check_model(model) - weights.keys()
    if missing:
        raise GraphError(f"{len(missing)} absent weights are not given ({min(missing)!r} is one); give all of them")
    lacking = [provider for provider in providers if provider not in ort.get_available_providers()]
    if lacking:
        raise NodeError(
            f"execution provider {lacking[0]!r} is not here; use {', '.join(ort.get_available_providers())}"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that spin while they wait would take the cores of the other nodes on this host.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile_prefix:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array)) for array in weights.values()]
    if values:
        options.add_external_initializers(list(weights), values)
    try:
        return ort.InferenceSession(model, options, providers=list(providers)), values
    except ORT_ERRORS as error:
        raise GraphError(f"ONNX Runtime refuses the model ({_short(error)}); check it with onnx.checker") from None


class Executable:
    """One segment on this node."""

    def __init__(
        self,
        segment: Segment,
        artifact: Artifact,
        weight: Callable[[str], np.ndarray],
        site: Site,
        tensors: Mapping[str, TensorInfo],
        states: tuple[State, ...] = (),
        counters: tuple[Counter, ...] = (),
    ) -> None:
        found = hashlib.sha256(artifact.model).hexdigest()
        if found != artifact.sha256:
            raise GraphError(
                f"the model of {segment.id!r} has hash {found[:12]}, not {artifact.sha256[:12]}; send it again"
            )
        weights = {name: weight(sha256) for name, sha256 in artifact.weights.items()}
        self.segment, self.states, self.counters = segment, states, counters
        self.outputs = list(segment.outputs)
        if segment.gate is not None and segment.gate not in self.outputs:
            self.outputs.append(segment.gate)
        # A program may ask for a thousand threads; more than there are processors only take memory.
        threads = min(site.threads, os.cpu_count() or 1)
        self._session, self._values = open_model(artifact.model, weights, threads=threads, providers=site.providers)
        self._shapes = {port.label: (port_shape(port, tensors), tensors[port.tensor].dtype) for port in segment.inputs}
        self.expected_s = float("inf")
        """Seconds of the last run on zeros."""
        self._check_names()
        if segment.stacks:
            self._check_stacks(tensors)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the segment.

        Raises:
            NodeError: ONNX Runtime fails.
        """
        try:
            return dict(zip(self.outputs, self._session.run(self.outputs, inputs), strict=True))
        except ORT_ERRORS as error:
            raise NodeError(f"segment {self.segment.id!r} failed ({_short(error)}); check its inputs") from None

    @property
    def of_sequences(self) -> bool:
        """Whether it computes requests of sequences only."""
        return bool(self.states or self.counters)

    def binding(self) -> Any:
        """A binding of the session's inputs and outputs to memory."""
        return self._session.io_binding()

    def run_kept(self, inputs: Mapping[str, np.ndarray], binding: Any) -> dict[str, np.ndarray]:
        """Compute the segment with states that are bound already.

        Raises:
            NodeError: ONNX Runtime fails.
        """
        try:
            for name, array in inputs.items():
                binding.bind_cpu_input(name, np.ascontiguousarray(array))
            for name in self.outputs:
                binding.bind_output(name, "cpu")
            self._session.run_with_iobinding(binding)
            places = [*(state.present for state in self.states), *self.outputs]
            values = dict(zip(places, binding.get_outputs(), strict=True))
            found = {name: values[name].numpy() for name in self.outputs}
            for name in self.outputs:  # the binding stays, and would keep them
                binding.bind_output(name, "cpu")
            return found
        except ORT_ERRORS as error:
            raise NodeError(f"segment {self.segment.id!r} failed ({_short(error)}); check its inputs") from None

    def warm_up(self, times: int) -> None:
        """Run it on zeros, so that the first request finds memory and caches ready.

        Not where it keeps states: what it is given then has to fit them, and only a sequence knows.
        """
        if self.of_sequences:
            return
        zeros: dict[str, np.ndarray] = {name: np.zeros(shape, dtype) for name, (shape, dtype) in self._shapes.items()}
        for _ in range(times):
            start_s = time.monotonic()
            self.run(zeros)
            self.expected_s = time.monotonic() - start_s

    def _check_names(self) -> None:
        wanted = {each.name for each in self._session.get_inputs()}
        made = {each.name for each in self._session.get_outputs()}
        kept = {state.past for state in self.states} | {counter.name for counter in self.counters}
        if wanted != self._shapes.keys() | kept or not made.issuperset(
            [*self.outputs, *(state.present for state in self.states)]
        ):
            raise GraphError(
                f"the model of {self.segment.id!r} takes {sorted(wanted)} and makes {sorted(made)}, its segment takes"
                f" {sorted(self._shapes)} and makes {self.outputs}; build it again from the program"
            )

    def _check_stacks(self, tensors: Mapping[str, TensorInfo]) -> None:
        shapes = {name: shape for name, (shape, _) in self._shapes.items()}
        shapes |= {name: tensors[name].shape for name in self.outputs if name in tensors}
        shapes |= {state.past: state.shape for state in self.states}
        shapes |= {counter.name: counter.shape for counter in self.counters if counter.counts == "last"}
        wrong = next((name for name, shape in shapes.items() if shape[:1] != (1,)), None)
        if wrong is not None or self.segment.gate is not None:
            raise GraphError(
                f"segment {self.segment.id!r} stacks requests, and "
                + (f"axis 0 of {wrong!r} {list(shapes[wrong])} is not of length 1" if wrong else "each has a gate")
                + "; correct the program"
            )


def port_shape(port: Port, tensors: Mapping[str, TensorInfo]) -> tuple[int, ...]:
    """Shape of what a port gives to its segment."""
    if port.region is None:
        return tensors[port.tensor].shape
    return tuple(stop - start for start, stop in port.region)


def tensor_bytes(shape: Sequence[int], dtype: str) -> int:
    """Bytes of a tensor."""
    return math.prod(shape) * np.dtype(dtype).itemsize


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
