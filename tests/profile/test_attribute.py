"""From kernel times to operators: each kernel once, folded and fused operators with their neighbours."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from graphs import graph_of, operator, random_graph, zoo_model

from hocket.errors import ProfileError
from hocket.graph import Graph
from hocket.graph.execute import random_inputs
from hocket.graph.topology import is_folded
from hocket.plan.build import whole
from hocket.profile import Profile, attribute_kernels, measured_profile
from hocket.profile.attribute import owner


@dataclass(frozen=True)
class Taken:
    """What a measurement gives."""

    kernel_s: dict[str, float]
    whole_s: float
    call_s: float = 0.0
    threads: int = 1
    host: str = "test"
    extra: dict[str, float] = field(default_factory=dict)


def chain() -> Graph:
    """conv, relu, add with the input, conv."""
    return graph_of(
        operator("c1", "x", flops=3000.0),
        operator("r1", "c1", kind="Relu", flops=1000.0),
        operator("a1", "r1", "x", kind="Add", flops=1000.0),
        operator("c2", "a1", flops=6000.0),
    )


def test_plain_names_are_taken_as_they_are_and_scaled_to_the_whole() -> None:
    seconds, scale = attribute_kernels(chain(), {"c1": 1.0, "a1": 1.0, "c2": 2.0}, 8.0)
    assert seconds == {"c1": 2.0, "r1": 0.0, "a1": 2.0, "c2": 4.0}
    assert scale == 2.0


def test_a_folded_operator_gives_its_kernel_to_its_producer() -> None:
    seconds, _ = attribute_kernels(chain(), {"c1": 1.0, "r1": 0.5, "a1": 1.0, "c2": 2.0}, 4.5)
    assert seconds == {"c1": 1.5, "r1": 0.0, "a1": 1.0, "c2": 2.0}
    seconds, _ = attribute_kernels(chain(), {"r1_nchwc": 1.0, "a1": 1.0, "c2_nchwc": 2.0}, 4.0)
    assert seconds == {"c1": 1.0, "r1": 0.0, "a1": 1.0, "c2": 2.0}


def test_a_fused_operator_shares_the_kernel_by_work() -> None:
    # conv + relu + add became one kernel that bears the name of the add.
    seconds, _ = attribute_kernels(chain(), {"a1_nchwc": 4.0, "c2": 2.0}, 6.0)
    assert seconds == {"c1": 3.0, "r1": 0.0, "a1": 1.0, "c2": 2.0}


def test_a_kernel_with_a_made_up_name_goes_to_vanished_operators_of_its_kind() -> None:
    seconds, _ = attribute_kernels(chain(), {"c1": 1.0, "SkipAdd_token_7": 1.0, "c2": 2.0}, 4.0)
    assert seconds == {"c1": 1.0, "r1": 0.0, "a1": 1.0, "c2": 2.0}


def test_what_belongs_to_nobody_is_spread_over_all() -> None:
    seconds, scale = attribute_kernels(chain(), {"c1": 1.0, "a1": 1.0, "c2": 2.0, "ReorderOutput_token_3": 4.0}, 8.0)
    assert seconds == {"c1": 2.0, "r1": 0.0, "a1": 2.0, "c2": 4.0}
    assert scale == 1.0


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        ("c1", "c1"), ("c1_nchwc", "c1"), ("c1/MatMulAddFusion", "c1"), ("c1/a/b", "c1"), ("fused c1", "c1"),
        ("c1_token_12", "c1"), ("c1/LayerNormFusion/_token_4", "c1"), ("c11", None), ("ReorderInput", None), ("", None),
    ],
)  # fmt: skip
def test_owners(kernel: str, name: str | None) -> None:
    assert owner(chain(), kernel) == name


def test_names_with_slashes_lose_them_only_as_far_as_needed() -> None:
    graph = graph_of(operator("/a/Conv_output_0", "x"), operator("/a/Conv", "/a/Conv_output_0"))
    assert owner(graph, "/a/Conv_output_0/Fusion") == "/a/Conv_output_0"
    assert owner(graph, "/a/Conv/Fusion") == "/a/Conv"


@pytest.mark.parametrize(
    ("kernels", "whole_s", "sentence"),
    [
        ({"q": 1.0}, 1.0, "kernels bear the names of operators, and none of 1 belongs to 'hand'; measure the model that"
         " hocket wrote"),
        ({}, 1.0, "kernels bear the names of operators, and none of 0 belongs to 'hand'; measure the model that hocket"
         " wrote"),
        ({"c1": -1.0}, 1.0, "a time is a finite number >= 0 s, and that of 'c1' is -1.0; measure again"),
        ({"c1": float("nan")}, 1.0, "a time is a finite number >= 0 s, and that of 'c1' is nan; measure again"),
        ({"c1": 1.0}, float("inf"), "a time is a finite number >= 0 s, and that of 'the whole model' is inf; measure"
         " again"),
        ({"c1": 1.0}, 0.0, "a model takes more than 0 s, and the whole model took none; measure with more repeats"),
    ],
)  # fmt: skip
def test_times_that_are_none(kernels: dict[str, float], whole_s: float, sentence: str) -> None:
    with pytest.raises(ProfileError) as caught:
        attribute_kernels(chain(), kernels, whole_s)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("seed", range(30))
def test_the_sum_is_the_whole_whatever_vanished(seed: int) -> None:
    graph = random_graph(seed, 20)
    generator = np.random.default_rng(seed)
    names = [row.name for row in graph.operators if generator.random() < 0.6] or [graph.operators[0].name]
    kernels = {str(name): float(generator.random()) + 0.01 for name in names} | {"ReorderInput": 0.1}
    seconds, _ = attribute_kernels(graph, kernels, 3.0)
    assert sum(seconds.values()) == pytest.approx(3.0)
    assert all(seconds[row.name] == 0 for position, row in enumerate(graph.operators) if is_folded(graph, position))
    assert list(seconds) == [row.name for row in graph.operators]


def test_a_profile_of_several_nodes() -> None:
    taken = {
        "a": Taken({"c1": 1.0, "a1": 1.0, "c2": 2.0}, whole_s=5.0, call_s=1.0),
        "b": Taken({"c1": 2.0, "a1": 2.0, "c2": 4.0}, whole_s=4.0, threads=2),
    }
    profile = measured_profile(chain(), taken, version="0.1")
    assert profile.how == "measured"
    assert [entry.node for entry in profile.entries] == ["a", "b"]
    assert profile.at("a").seconds == {"c1": 1.0, "r1": 0.0, "a1": 1.0, "c2": 2.0}
    assert (profile.at("a").kernel_scale, profile.at("a").call_s) == (1.0, 1.0)
    assert (profile.at("b").kernel_scale, profile.at("b").threads, profile.at("b").host) == (0.5, 2, "test")
    assert Profile.from_json(profile.to_json()) == profile
    with pytest.raises(ProfileError) as caught:
        measured_profile(chain(), {})
    assert str(caught.value) == "a measured profile needs at least one node, got none; measure one"


def kernels_of(name: str, folder: Path) -> dict[str, float]:
    """Kernel times of a model of the zoo as ONNX Runtime's own profiler writes them."""
    model = zoo_model(name)
    proto = whole(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "kernels")
    absent = [init.name for init in proto.graph.initializer if init.external_data]
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(model.weight(n))) for n in absent]
    options.add_external_initializers(absent, values)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
    session.run(None, random_inputs(model.graph))
    kernels: dict[str, float] = {}
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            node = event["name"].removesuffix("_kernel_time")
            kernels[node] = kernels.get(node, 0.0) + event["dur"] * 1e-6
    return kernels


@pytest.mark.parametrize("name", ["toy_dag", "mobilenet_v2", "googlenet"])
def test_kernels_of_onnx_runtime_find_their_operators(name: str, tmp_path: Path) -> None:
    graph = zoo_model(name).graph
    kernels = kernels_of(name, tmp_path)
    # What belongs to nobody: a change of memory layout before or after a convolution.
    assert all("Reorder" in kernel for kernel in kernels if owner(graph, kernel) is None)
    seconds, scale = attribute_kernels(graph, kernels, 1.0)
    assert sum(seconds.values()) == pytest.approx(1.0)
    assert scale == pytest.approx(1 / sum(kernels.values()))
    convolutions = [row.name for row in graph.operators if row.kind == "Conv"]
    assert all(seconds[row] > 0 for row in convolutions)


def test_a_transformer_keeps_its_time_in_its_products(tmp_path: Path) -> None:
    graph = zoo_model("bert_base").graph
    seconds, _ = attribute_kernels(graph, kernels_of("bert_base", tmp_path), 1.0)
    products = [row.name for row in graph.operators if row.kind in ("MatMul", "Gemm", "Attention")]
    assert sum(seconds[row] for row in products) > 0.5
