"""Plans in the words of other systems, and what those cannot do."""

import bisect
import json
from collections.abc import Sequence

import numpy as np
import pytest
from language_nodes import LAYERS, plan_by_layers, problem_of, small, solution_of

from hocket.errors import FormatError, PlanError
from hocket.language.exports import export, layers_of_plan, with_whole_layers
from hocket.plan import Plan
from hocket.plan.placement import placement, plan_for
from hocket.solvers import Solution


def solved(places: Sequence[str], family: str = "llama") -> Solution:
    problem = problem_of(small(family), "abc")
    return solution_of(problem, plan_by_layers(problem, places))


def with_moved(solution: Solution, operator: str, node: str) -> Plan:
    graph = solution.problem.task.graph
    places = placement(graph, solution.plan.entries[0])
    places[graph.index[operator]] = node
    return plan_for(solution.problem.task.name, graph, places)


def test_layers_are_read_from_a_plan() -> None:
    plan = layers_of_plan(solved("aabbc"))
    assert (plan.embedding, plan.stages, plan.head) == ("a", (("a", 1), ("b", 2)), "c")


@pytest.mark.parametrize(
    ("family", "first", "layer", "last"),
    [
        ("llama", "model.embed_tokens", "model.layers.1", "model.norm"),
        ("gpt2", "transformer.wte", "transformer.h.1", "transformer.ln_f"),
    ],
)
def test_accelerate_gets_a_device_for_every_module(family: str, first: str, layer: str, last: str) -> None:
    made = export(solved("cabba", family), "accelerate")
    devices = json.loads(made.text)
    assert made.nodes == ("c", "a", "b")
    assert (devices[first], devices[layer], devices[last], devices["lm_head"]) == (0, 2, 1, 1)
    assert len([name for name in devices if name.startswith(layer[:-1])]) == LAYERS


def test_llama_cpp_puts_layers_where_the_plan_does() -> None:
    made = export(solved("aabcc"), "llama.cpp")
    assert made.text == "--split-mode layer --n-gpu-layers 4 --tensor-split 1,1,2"
    # Its rule: layer i goes to the first device whose share of the sum is above i / layers, in single precision.
    split = np.array(made.data["tensor_split"], np.float32)
    shares = np.cumsum(split, dtype=np.float32) / split.sum()
    found = [made.nodes[bisect.bisect_right(list(shares), np.float32(i) / np.float32(4))] for i in range(4)]
    assert found == ["a", "b", "c", "c"]


def test_vllm_gets_the_layers_of_each_rank() -> None:
    made = export(solved("aaabb"), "vllm")
    assert made.text.startswith("VLLM_PP_LAYER_PARTITION=2,1 ")
    assert made.text.endswith("--pipeline-parallel-size 2")


def test_prima_gets_windows_and_may_go_round_several_times() -> None:
    made = export(solved("aaaba"), "prima")
    assert made.text == "--world 2 -lw 2,1"
    problem = problem_of(small("llama"), "ab")
    assert problem.task.graph.buffers  # caches are of the layers, so a round costs no more memory
    with pytest.raises(PlanError, match="the same layers in every round, and the plan goes a 1, b 1, a 1"):
        export(solved("aabaa"), "prima")
    whole = export(solved("aaaaa"), "prima")
    assert (whole.text, whole.data["rounds"]) == ("--world 1 -lw 3", 1)


@pytest.mark.parametrize(
    ("to", "places", "telling"),
    [
        ("vllm", "aabab", "one run of layers, and 'a' has 2"),
        ("llama.cpp", "aabab", "one run of layers, and 'a' has 2"),
        ("llama.cpp", "aabba", "on 'a' and the last layer on 'b'"),
        ("vllm", "caabb", "the embedding on a rank at that end"),
        ("vllm", "aabba", "the output on a rank at that end"),
        ("prima", "aabbb", "on one device"),
    ],
)
def test_what_a_system_cannot_do_is_refused(to: str, places: str, telling: str) -> None:
    with pytest.raises(PlanError, match=telling) as told:
        export(solved(places), to)
    assert "\n" not in str(told.value)


def test_layers_that_are_cut_inside_are_refused_or_made_whole() -> None:
    solution = solved("aaabb")
    cut = solution_of(solution.problem, with_moved(solution, "block.1.up", "b"))
    with pytest.raises(PlanError, match="layer 1 is on both 'a' and 'b'"):
        export(cut, "accelerate")
    whole = with_whole_layers(cut)
    assert layers_of_plan(whole) == layers_of_plan(solution)
    assert whole.cost == solution.cost
    outside = solution_of(solution.problem, with_moved(solution, "norm", "a"))
    with pytest.raises(PlanError, match="the output is on both 'a' and 'b'"):
        export(outside, "vllm")


def test_making_layers_whole_keeps_constraints() -> None:
    solution = solved("aaabb")
    cut = solution_of(solution.problem, with_moved(solution, "block.1.up", "b"))
    most = solution.cost.memory_bytes["a"] - 1
    nodes = tuple(
        node.replace(memory_bytes=most) if node.name == "a" else node for node in solution.problem.cluster.nodes
    )
    tight = solution.problem.replace(cluster=solution.problem.cluster.replace(nodes=nodes))
    with pytest.raises(PlanError, match=r"with whole layers .*C6"):
        with_whole_layers(solution_of(tight, cut.plan))


def test_unknown_systems_are_refused() -> None:
    with pytest.raises(FormatError, match=r"accelerate, llama\.cpp, vllm, prima, got 'exo'"):
        export(solved("aaabb"), "exo")
