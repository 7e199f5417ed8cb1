"""Runs that people write, and one place per operator."""

import pytest
from graphs import graph_of, operator, random_graph, random_places, zoo_model

from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.plan import Copies, Entry, Plan, Run, Split
from hocket.plan.placement import entry_for, placement, plan_for


def chain() -> Graph:
    return graph_of(
        operator("a", "x", scope="stem"),
        operator("b", "a", scope="body.0"),
        operator("c", "b", scope="body.1"),
        operator("d", "c", scope="bodywork"),
    )


def entry(*runs: tuple[str, str]) -> Entry:
    return Entry(task="t", where=tuple(Run(operators=operators, on=on) for operators, on in runs))


def test_runs_name_an_operator_a_range_or_a_module() -> None:
    assert placement(chain(), entry(("a", "n1"), ("b..c", "n2"), ("d", "n3"))) == ["n1", "n2", "n2", "n3"]
    assert placement(chain(), entry(("body", "n2"), ("stem", "n1"), ("bodywork", "n3"))) == ["n1", "n2", "n2", "n3"]


def test_a_run_may_be_split_or_copied() -> None:
    split = Split(axis=1, parts=("n1", "n2"), cuts=(3,))
    copies = Copies(nodes=("n1", "n2"))
    where = (Run(operators="a..b", on=split), Run(operators="c..d", on=copies))
    assert placement(chain(), Entry(task="t", where=where)) == [split, split, copies, copies]


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([("a..d", "n"), ("b", "m")], "C1: an operator runs once, and 'b' is in two runs; take it out of one"),
        (
            [("a..b", "n")],
            "C1: every operator runs somewhere, and 2 of 4 do not ('c' is the first); add them to a run",
        ),
        ([("c..b", "n")], "C1: a run goes from an earlier operator to a later one, got 'c..b'; swap its ends"),
        (
            [("head", "n")],
            "C1: a run names operators of 'hand', and 'head' is neither an operator, first..last, nor a module;"
            " `hocket inspect` lists them",
        ),
        (
            [("", "n")],
            "C1: a run names operators of 'hand', and '' is neither an operator, first..last, nor a module;"
            " `hocket inspect` lists them",
        ),
    ],
)
def test_what_does_not_cover_the_graph_once_is_refused(runs: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(PlanError) as caught:
        placement(chain(), entry(*runs))
    assert str(caught.value) == sentence


@pytest.mark.parametrize("seed", range(20))
def test_places_survive_being_written_as_runs(seed: int) -> None:
    graph = random_graph(seed, 25)
    places = random_places(seed, 25, ["a", "b", "c"])
    assert placement(graph, entry_for("t", graph, places)) == places


def test_the_fewest_runs_are_written() -> None:
    written = entry_for("t", chain(), ["m", "m", "n", "n"])
    assert written.where == (Run(operators="a..b", on="m"), Run(operators="c..d", on="n"))


def test_a_plan_notes_the_model_file_and_survives_the_file() -> None:
    graph = zoo_model("toy_dag").graph
    plan = plan_for("t", graph, ["n"] * len(graph.operators))
    assert graph.source is not None
    assert plan.graph == {"t": graph.source.sha256}
    assert Plan.from_json(plan.to_json()) == plan
