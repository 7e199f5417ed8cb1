"""What a switch moves."""

import pytest
from graphs import graph_of, operator, zoo_model

from hocket.errors import PlanError
from hocket.graph import Graph, Source
from hocket.plan import Copies, Entry, Plan, Run, Split
from hocket.plan.diff import Change, diff
from hocket.plan.placement import plan_for


def graph() -> Graph:
    made = graph_of(
        operator("u", "x", weights=("w1",)),
        operator("v", "u", weights=("w1", "w2")),
        operator("z", "v", weights=("w3",)),
    )
    return made.replace(weights={"w1": 10, "w2": 200, "w3": 3000})


def plan(*places: object, task: str = "t") -> Plan:
    return plan_for(task, graph(), places)


def change(node: str, *weights: str, nbytes: int = 0, dropped: int = 0) -> Change:
    return Change(node=node, weights=weights, nbytes=nbytes, dropped_bytes=dropped)


def test_nothing_moves_between_equal_plans() -> None:
    assert diff(plan("a", "b", "b"), plan("a", "b", "b"), {"t": graph()}) == (change("a"), change("b"))


def test_an_operator_that_moves_takes_the_weights_that_its_node_lacks() -> None:
    found = diff(plan("a", "b", "b"), plan("a", "a", "b"), {"t": graph()})
    assert found == (change("a", "w2", nbytes=200), change("b", dropped=210))


def test_the_first_plan_installs_everything() -> None:
    found = diff(None, plan("a", "b", "b"), {"t": graph()})
    assert found == (change("a", "w1", nbytes=10), change("b", "w1", "w2", "w3", nbytes=3210))


def test_copies_hold_whole_weights() -> None:
    found = diff(plan("a", "a", "a"), plan("a", Copies(nodes=("a", "b")), "c"), {"t": graph()})
    assert found == (change("a", dropped=3000), change("b", "w1", "w2", nbytes=210), change("c", "w3", nbytes=3000))


def test_parts_hold_their_regions_of_weights() -> None:
    lenet = zoo_model("lenet").graph
    last = lenet.operators[-1]
    before = plan_for("t", lenet, ["a"] * len(lenet.operators))
    split = Split(axis=1, parts=("a", "b"), cuts=(4,))
    after = plan_for("t", lenet, [*["a"] * (len(lenet.operators) - 1), split])
    first, second = diff(before, after, {"t": lenet})
    weight, bias = last.weights
    inner = lenet.tensor[last.inputs[0]].shape[1]
    assert second.nbytes == 6 * (inner + 1) * 4
    assert set(second.weights) == {f"{weight}[4:10,0:{inner}]", f"{bias}[4:10]"}
    assert first.nbytes == 4 * (inner + 1) * 4
    assert first.dropped_bytes == 10 * (inner + 1) * 4


def test_tasks_with_one_model_file_share_its_weights() -> None:
    source = Source(path="m.onnx", sha256="ab" * 32)
    shared = graph().replace(source=source)
    both = Plan(entries=(plan("a", "a", "a").entries[0], plan("a", "a", "a", task="s").entries[0]))
    found = diff(plan("a", "a", "a"), both, {"t": shared, "s": shared})
    assert found == (change("a"),)
    apart = diff(plan("a", "a", "a"), both, {"t": graph(), "s": graph()})
    assert apart == (change("a", "s:w1", "s:w2", "s:w3", nbytes=3210),)


def test_an_unknown_task_is_refused() -> None:
    stray = Plan(entries=(Entry(task="q", where=(Run(operators="u..z", on="a"),)),))
    with pytest.raises(PlanError) as caught:
        diff(None, stray, {"t": graph()})
    assert str(caught.value) == "C1: an entry serves a task, and 'q' is none of t; correct its task"
