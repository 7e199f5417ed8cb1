"""Measuring: how long a model's operators take, how fast a node computes, how fast a link is. Plain values only."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from hocket.program import State
from hocket.runtime.executable import open_model
from hocket.runtime.pacer import Pacer

if TYPE_CHECKING:
    from hocket.runtime.session import Session

PAUSE_S = 0.02
"""Between runs: a node in service is not in a hot loop, and a processor that has slept is slower."""
_WARM_UPS = 2
_KERNEL = "_kernel_time"
_SQUARE = 768
_COPIED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class OperatorTimes:
    """What a model takes on this node, in seconds, emulated slowness included."""

    kernel_s: Mapping[str, float]
    """By name of the node in the model as ONNX Runtime has optimised it; they add up to `whole_s`."""
    whole_s: float
    """One run of the whole model without the profiler."""
    scale: float
    """`whole_s` / sum of the kernel times as the profiler saw them: what they were multiplied by."""


def measure_operators(
    model: bytes,
    weights: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray],
    *,
    states: Sequence[State] = (),
    threads: int = 1,
    repeats: int = 15,
    slowdown: float = 1.0,
) -> OperatorTimes:
    """Measure a model's operators with ONNX Runtime's own profiler.

    The profiler reports one event per kernel, named after its node. Where ONNX Runtime has fused several nodes, the
    one kernel that is left bears the name of one of them (sometimes with something added, such as `_nchwc`) and has
    all the time; a node that was folded away has no event. So each event counts once and the names are a subset of
    the model's node names, up to additions: whoever maps them to operators gives the others 0.

    Args:
        model: ONNX bytes whose large initializers are absent.
        weights: name -> value of these.
        inputs: name -> value.
        states: buffers that the model reads and writes in place, as on a node; they hold zeros.
        threads: computing threads.
        repeats: runs that medians are taken of.
        slowdown: as in a site.
    """
    whole_s = _whole_s(model, weights, inputs, states, threads, repeats, slowdown)
    with tempfile.TemporaryDirectory(prefix="hocket-") as folder:
        prefix = str(Path(folder) / "kernels")
        session, values = open_model(model, weights, threads=threads, profile_prefix=prefix)
        run = _runner(session, inputs, states)
        for _ in range(_WARM_UPS + repeats):
            run()
            time.sleep(PAUSE_S)
        events = json.loads(Path(session.end_profiling()).read_text())
        del run, session, values
    kernel_s = _kernel_s(events, _WARM_UPS + repeats)
    total_s = sum(kernel_s.values())
    scale = whole_s / total_s if total_s > 0 else 1.0
    return OperatorTimes({name: seconds * scale for name, seconds in kernel_s.items()}, whole_s, scale)


def _whole_s(
    model: bytes,
    weights: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray],
    states: Sequence[State],
    threads: int,
    repeats: int,
    slowdown: float,
) -> float:
    """Median seconds of the whole model, run and paced as a node does it."""
    session, values = open_model(model, weights, threads=threads)
    run = _runner(session, inputs, states)
    pacer = Pacer(slowdown, threads=threads)
    times = []
    for _ in range(_WARM_UPS + repeats):
        start_s, since_s = time.monotonic(), pacer.now_s()
        run()
        pacer.pause(start_s, since_s)
        times.append(time.monotonic() - start_s)
        time.sleep(PAUSE_S)
    del run, session, values
    return median(times[_WARM_UPS:])


def _runner(session: Any, inputs: Mapping[str, np.ndarray], states: Sequence[State]) -> Callable[[], object]:
    """One run of a model; where it keeps states, past and present are the same memory."""
    names = [output.name for output in session.get_outputs()]
    if not states:
        return lambda: session.run(names, dict(inputs))
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_cpu_input(name, array)
    for state in states:
        buffer = ort.OrtValue.ortvalue_from_shape_and_type(state.shape, np.dtype(state.dtype))
        buffer.update_inplace(np.zeros(state.shape, state.dtype))
        binding.bind_ortvalue_input(state.past, buffer)
        binding.bind_ortvalue_output(state.present, buffer)
    for name in set(names) - {state.present for state in states}:
        binding.bind_output(name, "cpu")
    return lambda: session.run_with_iobinding(binding)


def _kernel_s(events: list[dict[str, object]], runs: int) -> dict[str, float]:
    """Median seconds of each kernel in one run."""
    times: dict[str, list[float]] = {}
    for event in events:
        name, duration = str(event.get("name", "")), event.get("dur")
        if event.get("cat") == "Node" and name.endswith(_KERNEL) and isinstance(duration, int | float):
            times.setdefault(name.removesuffix(_KERNEL), []).append(1e-6 * duration)
    # A node inside a loop runs several times in one run: its share of a run is what counts.
    return {name: median(found) * len(found) / runs for name, found in times.items()}


def measure_speed(*, seconds: float = 1.0) -> dict[str, float]:
    """How fast this node is, for the formula profile.

    Args:
        seconds: about how long to measure.

    Returns:
        `flops_per_s` of a float32 matrix product in ONNX Runtime at one thread, two operations per multiply-add, and
        `bytes_per_s` of memory, read and written, while copying.
    """
    return {"flops_per_s": _flops_per_s(seconds / 2), "bytes_per_s": _memory_bytes_per_s(seconds / 2)}


def _flops_per_s(seconds: float) -> float:
    session, values = open_model(_product_model(_SQUARE), {})
    square = np.full((_SQUARE, _SQUARE), 0.5, np.float32)
    best_s = _best_s(lambda: session.run(["c"], {"a": square, "b": square}), seconds)
    del values
    return 2.0 * _SQUARE**3 / best_s


def _memory_bytes_per_s(seconds: float) -> float:
    source = np.ones(_COPIED_BYTES, np.uint8)
    target = np.empty_like(source)
    return 2.0 * _COPIED_BYTES / _best_s(lambda: np.copyto(target, source), seconds)


def _best_s(work: Callable[[], object], seconds: float) -> float:
    """The fastest of as many runs as fit, so that what else the host does counts least."""
    work()
    best_s, end_s = float("inf"), time.monotonic() + seconds
    while time.monotonic() < end_s:
        start_s = time.perf_counter()
        work()
        best_s = min(best_s, time.perf_counter() - start_s)
    return best_s


def _product_model(size: int) -> bytes:
    """ONNX bytes of c = a x b, square; written by hand because a node has no `onnx` package."""

    def field(number: int, content: bytes | str | int) -> bytes:
        if isinstance(content, int):
            return _varint(number << 3) + _varint(content)
        data = content.encode() if isinstance(content, str) else content
        return _varint(number << 3 | 2) + _varint(len(data)) + data

    shape = field(1, field(1, size)) * 2
    tensor_type = field(1, field(1, 1) + field(2, shape))  # element type 1 = float32
    values = {name: field(1, name) + field(2, tensor_type) for name in "abc"}
    node = field(1, "a") + field(1, "b") + field(2, "c") + field(3, "c") + field(4, "MatMul")
    graph = (
        field(1, node) + field(2, "product") + field(11, values["a"]) + field(11, values["b"]) + field(12, values["c"])
    )
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def measure_link(
    session: "Session", source: str, target: str, *, nbytes: int = 1 << 20, repeats: int = 7
) -> dict[str, float]:
    """Rate and latency from one node of a session to another, from timed messages; emulation included.

    Returns:
        `latency_s`, one way, of an empty message; `bytes_per_s` from what larger ones take longer;
        `clock_error_s`, how far the one-way times may be off.
    """
    session.probe(source, target, nbytes)  # opens the connection
    small_s = median(session.probe(source, target, 0) for _ in range(repeats))
    large_s = median(session.probe(source, target, nbytes) for _ in range(repeats))
    rate = nbytes / max(large_s - small_s, 1e-9)
    return {"latency_s": small_s, "bytes_per_s": rate, "clock_error_s": session.clock_error_s}
