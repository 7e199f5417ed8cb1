"""Tensor splits of other systems on a real Transformer."""

from functools import cache

import pytest
from graphs import mesh, node, zoo_model
from problems import random_problem

from hocket.cost import Objective, Problem, evaluate, problem_for
from hocket.plan import Split
from hocket.plan.plan import Run
from hocket.solvers import check_solver
from hocket.solvers.rules import DistributedLlama, LlamaCppTensor


@cache
def gpt2(speeds: tuple[float, ...], memory: tuple[int, ...] = ()) -> Problem:
    """GPT-2 on a full mesh; it has 12 layers of 12 heads and 3072 hidden units."""
    rooms = memory or (4 << 30,) * len(speeds)
    nodes = [node(f"n{i}", speed, memory_bytes=room) for i, (speed, room) in enumerate(zip(speeds, rooms, strict=True))]
    return problem_for(zoo_model("gpt2").graph, mesh(*nodes, bytes_per_s=125e6), objective=Objective(metric="latency"))


def splits(problem: Problem, solver: object) -> list[Split]:
    runs: tuple[Run, ...] = solver(problem).plan.entries[0].where  # type: ignore[operator]
    return [run.on for run in runs if isinstance(run.on, Split)]


def test_distributed_llama_takes_a_power_of_two_and_equal_parts() -> None:
    problem = gpt2((1e10,) * 3)
    assert {(on.parts, on.cuts) for on in splits(problem, DistributedLlama())} == {
        (("n0", "n1"), (384,)),
        (("n0", "n1"), (1536,)),
    }
    assert len(splits(problem, DistributedLlama())) == 24
    assert DistributedLlama(nodes=3).refuses(problem) == "the number of nodes is a power of two up to 3, got 3"


def test_distributed_llama_needs_heads_that_can_be_divided() -> None:
    problem = gpt2((1e10,) * 8)
    assert DistributedLlama(nodes=8).refuses(problem) == "12 heads or hidden units are not divisible by 8 nodes"
    assert DistributedLlama()(problem).notes == {"nodes": "4"}


def test_the_slowest_node_decides() -> None:
    even = gpt2((1e10,) * 4)
    uneven = gpt2((1e10, 1e10, 1e10, 2e9))
    times = [evaluate(each, DistributedLlama()(each).plan).latency_s for each in (even, uneven)]
    assert times[1] > 2 * times[0]


def test_llama_cpp_rounds_down_to_heads_and_turns_the_order() -> None:
    """Shares 1 : 1 : 1 : 2 of 12 heads are 2.4, 4.8, 7.2: cuts at 2, 4 and 7 heads of 64; in the next layer the second
    node is first."""
    found = splits(gpt2((1e10,) * 4), LlamaCppTensor(tensor_split="1,1,1,2"))
    assert (found[0].parts, found[0].cuts) == (("n0", "n1", "n2", "n3"), (128, 256, 448))
    assert (found[2].parts, found[2].cuts) == (("n1", "n2", "n3", "n0"), (128, 256, 576))
    assert found[1].cuts == (614, 1228, 1843)


def test_llama_cpp_divides_by_memory_without_a_split() -> None:
    found = splits(gpt2((1e10, 1e10), (1 << 30, 3 << 30)), LlamaCppTensor())
    assert found[0].cuts == (192,)
    assert found[2].cuts == (576,)


@pytest.mark.parametrize("rule", [DistributedLlama, LlamaCppTensor])
def test_they_keep_the_contract(rule: type) -> None:
    assert check_solver(rule(), [gpt2((1e10, 2e10)), random_problem(1)]) == 1
