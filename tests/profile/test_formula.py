"""The formula profile: a roofline per unit."""

import pytest
from graphs import graph_of, mesh, node, operator, zoo_model

from hocket.graph import Graph
from hocket.profile import Profile, formula_profile, speed_up


def graph() -> Graph:
    return graph_of(
        operator("u", "x", flops=2e9, moved_bytes=3000),
        operator("r", "u", kind="Relu", flops=1e9, moved_bytes=1000),
        operator("v", "r", flops=4e9, moved_bytes=1000),
        sizes={"x": 1000, "u": 500, "r": 500, "v": 500},
    )


def test_operations_over_speed() -> None:
    profile = formula_profile(graph(), mesh(node("a", 2e9), node("b", 1e9, cores=4, call_s=0.25)))
    assert profile.how == "formula"
    assert profile.at("a").seconds == {"u": 1.5, "r": 0.0, "v": 2.0}
    assert profile.at("b").seconds == {"u": 0.75, "r": 0.0, "v": 1.0}
    assert (profile.at("b").cores, profile.at("b").call_s) == (4, 0.25)


def test_the_memory_is_the_limit_where_it_is_slower() -> None:
    profile = formula_profile(graph(), mesh(node("a", 2e9, memory_bytes_per_s=1000.0)))
    assert profile.at("a").seconds == {"u": 4.0, "r": 0.0, "v": 2.0}


def test_several_cores_by_a_table() -> None:
    cluster = mesh(node("a", 1e9, cores=4))
    assert formula_profile(graph(), cluster, efficiency={1: 1.0, 2: 1.5}).at("a").seconds["v"] == pytest.approx(4 / 1.5)
    assert speed_up(1, {2: 1.5}) == 1.0
    assert speed_up(8) == 8.0


@pytest.mark.parametrize("name", ["mobilenet_v2", "googlenet", "bert_base"])
def test_nothing_is_lost_to_folding(name: str) -> None:
    made = zoo_model(name).graph
    profile = formula_profile(made, mesh(node("a", 1e9)))
    assert sum(profile.at("a").seconds.values()) == pytest.approx(made.flops / 1e9)
    assert Profile.from_json(profile.to_json()) == profile
