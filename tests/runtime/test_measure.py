import numpy as np
import tiny
from onnx import helper

from hocket.runtime import measure


def test_kernels_add_up_to_the_whole_and_bear_the_names_of_nodes(monkeypatch) -> None:
    monkeypatch.setattr(measure, "PAUSE_S", 0.0)
    weight = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["u"], name="u"),
        helper.make_node("Softmax", ["u"], ["v"], name="v"),
        helper.make_node("MatMul", ["v", "w"], ["y"], name="y"),
    ]
    data = tiny.model(nodes, {"x": (64, 256)}, {"y": (64, 256)}, initializers=[tiny.absent("w", weight)])
    x = {"x": np.ones((64, 256), np.float32)}
    times = measure.measure_operators(data, {"w": weight}, x, repeats=5)
    assert set(times.kernel_s) == {"u", "v", "y"}
    assert np.isclose(sum(times.kernel_s.values()), times.whole_s) and times.scale > 0
    slow = measure.measure_operators(data, {"w": weight}, x, repeats=5, slowdown=30.0)
    assert slow.whole_s > 5 * times.whole_s


def test_a_loop_counts_all_its_turns_per_run() -> None:
    events = [{"cat": "Node", "name": "n_kernel_time", "dur": 10} for _ in range(6)] + [
        {"cat": "Session", "name": "x", "dur": 5}
    ]
    assert np.isclose(measure._kernel_s(events, runs=2)["n"], 3e-5)


def test_a_node_has_a_speed() -> None:
    speed = measure.measure_speed(seconds=0.05)
    assert speed["flops_per_s"] > 1e8 and speed["bytes_per_s"] > 1e8
