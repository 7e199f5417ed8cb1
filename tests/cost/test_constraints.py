"""Each constraint's sentence in full, and nothing where nothing is broken."""

import pytest
from graphs import graph_of, link, mesh, node, operator, problem_of, profile_of

from hocket.cluster import Cluster
from hocket.cost import Cost, Objective, Problem, evaluate
from hocket.cost.evaluate import entry_of
from hocket.errors import ClusterError, GraphError, PlanError, ProfileError
from hocket.graph import Graph, Source
from hocket.plan import Plan
from hocket.plan.placement import plan_for


def graph() -> Graph:
    made = graph_of(operator("u", "x", weights=("w",)), operator("v", "u", weights=("z",)))
    return made.replace(weights={"w": 2**20, "z": 3 * 2**20})


def cluster(**fields: object) -> Cluster:
    return mesh(node("a", compute_w=2.0, compute_price_per_s=0.5, **fields), node("b", **fields), bytes_per_s=1e4)


def problem(*, fields: dict[str, object] | None = None, **options: object) -> Problem:
    """1 s at a, 0.5 s at b, 0.1 s per crossing."""
    profile = profile_of(graph(), {"a": {"u": 0.5, "v": 0.5}, "b": {"u": 0.25, "v": 0.25}})
    return problem_of(graph(), cluster(**(fields or {})), profile, **options)


def cost(made: Problem, *places: str) -> Cost:
    return evaluate(made, plan_for("task", graph(), places or ("a", "a")))


def sentences(made: Problem, *places: str) -> list[tuple[str, str]]:
    return [(found.constraint, found.sentence) for found in cost(made, *places).violations]


def test_nothing_is_broken() -> None:
    made = problem(
        task={"rate_per_s": 0.9, "deadline_s": 1.0, "reliability_floor": 1.0},
        fields={"memory_bytes": 5 * 2**20},
        objective=Objective(limits={"latency": 1.0, "energy": 2.0, "price": 0.5, "reliability": 1.0}),
    )
    assert sentences(made) == []
    assert cost(made).feasible


def test_c2_an_overloaded_node() -> None:
    assert sentences(problem(task={"rate_per_s": 2.0})) == [
        ("C2", "C2: a station works less than all the time, and 'a' would be busy 2 seconds per second; lower the rate"
         " or move work elsewhere")
    ]  # fmt: skip


def test_c4_an_overloaded_link() -> None:
    assert sentences(problem(task={"rate_per_s": 12.0}), "b", "b")[1:] == [
        ("C4", f"C4: a station works less than all the time, and 'link:{way}' would be busy 1.2 seconds per second;"
         " lower the rate or move work elsewhere")
        for way in ("a>b", "b>a")
    ]  # fmt: skip


def test_c3_a_deadline() -> None:
    assert sentences(problem(task={"deadline_s": 0.75})) == [
        ("C3", "C3: 'task' is due after 750 ms and takes 1 s; allow more time or use faster nodes")
    ]


def test_c3_counts_the_waiting() -> None:
    made = problem(task={"deadline_s": 1.5, "rate_per_s": 0.5}, queue="mm1")
    assert sentences(made) == [
        ("C3", "C3: 'task' is due after 1.5 s and takes 2 s; allow more time or use faster nodes")
    ]
    assert sentences(problem(task={"deadline_s": 1.5, "rate_per_s": 0.5}, queue="md1")) == []


def test_c5_an_accuracy_that_nobody_knows() -> None:
    assert sentences(problem(task={"accuracy_floor": 0.7})) == [
        ("C5", "C5: 'task' needs an accuracy of 0.7 and this plan's is not known; measure it or lower the floor")
    ]


def test_c6_memory() -> None:
    # Weights of 4 MiB and no mailbox but that of the input: 1000 bytes for a window of 2.
    assert sentences(problem(fields={"memory_bytes": 3 * 2**20})) == [
        ("C6", "C6: 'a' has 3 MiB and would need 4 MiB; add 1 MiB or move operators elsewhere")
    ]
    assert sentences(problem(fields={"memory_bytes": 4 * 2**20 - 1}), "a", "b") == []


def test_c6_as_printed_in_the_survey() -> None:
    made = problem(fields={"memory_bytes": 4 * 2**20 - 1}, whole_model=True)
    assert [found[0] for found in sentences(made, "a", "b")] == ["C6", "C6"]


def test_a_floor_of_reliability() -> None:
    made = problem(task={"reliability_floor": 0.9}, fields={"failure_probability": 0.25})
    assert sentences(made) == [
        ("limit", "reliability: 'task' needs 0.9 and gets 0.75; use fewer or more reliable nodes")
    ]


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"latency": 0.5}, "latency_s is at most 0.5, and this plan's is 1; raise the limit or change the objective"),
        ({"sequential": 0.5}, "sequential_s is at most 0.5, and this plan's is 1; raise the limit or change the"
         " objective"),
        ({"period": 0.5}, "period_s is at most 0.5, and this plan's is 1; raise the limit or change the objective"),
        ({"energy": 1.0}, "energy_j is at most 1, and this plan's is 2; raise the limit or change the objective"),
        ({"price": 0.25}, "price_usd is at most 0.25, and this plan's is 0.5; raise the limit or change the objective"),
    ],
)  # fmt: skip
def test_limits_of_metrics(limits: dict[str, float], sentence: str) -> None:
    assert sentences(problem(objective=Objective(limits=limits))) == [("limit", f"limit: {sentence}")]


def test_a_limit_of_reliability() -> None:
    made = problem(fields={"failure_probability": 0.25}, objective=Objective(limits={"reliability": 0.8}))
    assert sentences(made) == [
        ("limit", "limit: reliability is at least 0.8, and this plan's is 0.75; lower the limit or use fewer nodes")
    ]


def test_a_limit_of_accuracy() -> None:
    assert sentences(problem(objective=Objective(limits={"accuracy": 0.75}))) == [
        ("limit", "limit: accuracy is at least 0.75, and this plan's is not known; measure it or lower the limit")
    ]


def test_every_broken_constraint_is_told() -> None:
    made = problem(
        task={"rate_per_s": 2.0, "deadline_s": 0.1, "accuracy_floor": 0.5, "reliability_floor": 1.0},
        fields={"memory_bytes": 1000, "failure_probability": 0.5},
        objective=Objective(limits={"latency": 0.1}),
    )
    assert [found[0] for found in sentences(made)] == ["C2", "C3", "C5", "limit", "C6", "limit"]
    assert not cost(made).feasible


def test_a_plan_for_another_file_or_task_is_refused() -> None:
    made = problem()
    with pytest.raises(PlanError) as caught:
        evaluate(made, plan_for("other", graph(), ["a", "a"]))
    assert str(caught.value) == "C1: an entry serves a task, and 'other' is none of task; correct its task"
    with pytest.raises(PlanError) as caught:
        evaluate(made, Plan(entries=()))
    assert str(caught.value) == "C1: every task has an entry, and 'task' has none; add one or drop the task"
    plan = plan_for("task", graph(), ["a", "a"])
    with pytest.raises(PlanError) as caught:
        entry_of(Plan(entries=plan.entries * 2), made.task)
    assert str(caught.value) == ("this version serves a task by one entry, and 'task' has 2; keep one of them")
    sourced = graph().replace(source=Source(path="m.onnx", sha256="ab" * 32))
    task = made.task.replace(graph=sourced)
    with pytest.raises(PlanError) as caught:
        evaluate(made.replace(tasks=(task,)), plan.replace(graph={"task": "cd" * 32}))
    assert str(caught.value) == (
        "C1: a plan is for one model file, and that of 'task' is cdcdcdcdcdcd where abababababab was given; plan again"
        " for this model"
    )


def test_a_problem_checks_its_parts() -> None:
    with pytest.raises(ClusterError) as caught:
        problem(task={"inputs": {"x": "zz"}})
    assert str(caught.value) == "cluster 'mesh' has no node 'zz'; use one of a, b"
    short = profile_of(graph(), {"a": {"u": 1.0}})
    short = short.replace(entries=(short.entries[0].replace(seconds={"u": 1.0}),))
    with pytest.raises(ProfileError) as caught_profile:
        problem_of(graph(), cluster(), short)
    assert str(caught_profile.value) == (
        "the profile of 'a' lacks 1 of 2 operators ('v' is one); measure this model on it"
    )


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        ({"inputs": {}}, "every input of a task is at a node, and 'x' of 'task' is not; name its node"),
        ({"outputs": {}}, "a task has an output that somebody needs, and 'task' has none; name its node"),
        ({"inputs": {"x": "a", "y": "a"}}, "a task's tensors are inputs and outputs of its model, and 'y' of 'task' is"
         " none; correct its name"),
        ({"outputs": {"u": "a"}}, "a task's tensors are inputs and outputs of its model, and 'u' of 'task' is none;"
         " correct its name"),
    ],
)  # fmt: skip
def test_a_problem_says_where_tensors_come_from_and_go_to(ends: dict[str, object], sentence: str) -> None:
    with pytest.raises(GraphError) as caught:
        problem(task=ends)
    assert str(caught.value) == sentence


def test_a_node_without_a_profile_is_refused() -> None:
    made = problem_of(graph(), cluster(), profile_of(graph(), {"a": {}}))
    with pytest.raises(ProfileError) as caught:
        cost(made, "a", "b")
    assert str(caught.value) == "the profile has no node 'b' (it has a); measure that node"


def test_links_of_relays_count_against_the_load() -> None:
    line = Cluster(name="l", nodes=(node("a"), node("m"), node("b")), links=(link("a", "m", 1e4), link("m", "b", 1e3)))
    profile = profile_of(graph(), {"a": {"u": 0.0}, "b": {"u": 0.0}})
    made = problem_of(graph(), line, profile, task={"rate_per_s": 1.0})
    assert [found[1].partition("'")[2].partition("'")[0] for found in sentences(made, "b", "b")] == [
        "link:b>m",
        "link:m>b",
    ]
