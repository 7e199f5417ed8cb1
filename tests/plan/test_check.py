"""C1 in one sweep: every fault of a plan in a sentence of its own."""

import pytest
from graphs import graph_of, link, mesh, node, operator, random_graph, random_places

from hocket.cluster import Cluster, Medium
from hocket.graph import Graph, Source
from hocket.plan import Copies, Crossing, Entry, Plan, Run, Setting, Split
from hocket.plan.check import check
from hocket.plan.lower import lower
from hocket.plan.placement import plan_for

CLUSTER = mesh(node("a", cores=4), node("b", frequency_hz=(1e9, 2e9)), node("c"))
START = "C1: "


def graph(sha256: str = "") -> Graph:
    made = graph_of(
        operator("u", "x", weights=("w",)), operator("v", "u"), operator("w1", "v"), sizes={"w1": 64, "v": 64}
    )
    return made.replace(source=Source(path="m.onnx", sha256=sha256)) if sha256 else made


def faults(
    *where: tuple[str, object], cluster: Cluster = CLUSTER, codecs: object = None, **options: object
) -> list[str]:
    entry = Entry(task="t", where=tuple(Run(operators=names, on=on) for names, on in where), **options)
    return list(check(Plan(entries=(entry,)), {"t": graph()}, cluster, codecs=codecs))


def test_a_good_plan_has_no_fault() -> None:
    assert faults(("u", "a"), ("v..w1", "b"), codecs=("raw",)) == []
    split = Split(axis=0, parts=("a", Split(axis=0, parts=("b", "c"), weights=(1.0, 2.0))), cuts=(0,))
    assert faults(("u", "a"), ("v..w1", split), shares={"a": 2.0, "b": 0.5, "link:a>b": 1.0}) == []


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ([("u..w1", "bb")], "cluster 'mesh' has no node 'bb'; did you mean 'b'?"),
        ([("u..w1", "zz")], "cluster 'mesh' has no node 'zz'; use one of a, b, c"),
        ([("u..w1", Copies(nodes=("a", "zz")))], "cluster 'mesh' has no node 'zz'; use one of a, b, c"),
        ([("u..w1", Copies(nodes=("a", "a")))], "copies are on different nodes, and 'u..w1' has two on one;"
         " name each node once"),
        ([("u..v", "a"), ("v..w1", "b")], "an operator runs once, and 'v' is in two runs; take it out of one"),
        ([("v", "a")], "every operator runs somewhere, and 2 of 3 do not ('u' is the first); add them to a run"),
        ([("w1..u", "a"), ("u..w1", "a")], "a run goes from an earlier operator to a later one, got 'w1..u';"
         " swap its ends"),
        ([("y", "a"), ("u..w1", "a")], "a run names operators of 'hand', and 'y' is neither an operator, first..last,"
         " nor a module; `hocket inspect` lists them"),
    ],
)  # fmt: skip
def test_places(where: list[tuple[str, object]], sentence: str) -> None:
    assert faults(*where) == [START + sentence]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cuts": (10,), "axis": 1}, "a split is on an axis of its result, and 'u..w1' has 1 axes and a split on 1;"
         " correct it"),
        ({"cuts": (65,)}, "the cuts of 'u..w1' lie from 0 to 64, and 65 does not; correct it"),
        ({"cuts": (-1,)}, "the cuts of 'u..w1' lie from 0 to 64, and -1 does not; correct it"),
        ({"cuts": (-1,), "axis": "contract"}, "the cuts of 'u..w1' lie from 0 up, and -1 does not; correct it"),
        ({"cuts": (20, 30)}, "a split has one cut fewer than parts, and 'u..w1' has 2 for 2 parts; match them"),
        ({"cuts": (20, 10), "parts": ("a", "b", "c")}, "the cuts of a split rise, and those of 'u..w1' are 20, 10;"
         " sort them"),
        ({"cuts": (20,), "granularity": 8}, "the cuts of 'u..w1' are multiples of 8, and 20 are not all; move them"),
        ({}, "a split has either cuts or weights, and that of 'u..w1' has both or neither; give one of them"),
        ({"weights": (1.0,)}, "each part has a weight, and 'u..w1' has 1 for 2 parts; match them"),
        ({"weights": (0.0, 0.0)}, "the weights of a split are not all 0, and those of 'u..w1' are; raise one"),
        ({"weights": (), "parts": ()}, "a split has parts, and that of 'u..w1' has none; name their nodes"),
    ],
)  # fmt: skip
def test_splits(options: dict[str, object], sentence: str) -> None:
    split = Split(**({"axis": 0, "parts": ("a", "b")} | options))
    assert faults(("u..w1", split)) == [START + sentence]


def test_splits_in_splits_end_somewhere() -> None:
    place: object = "a"
    for _ in range(40):
        place = Split(axis=0, parts=(place,), cuts=())
    assert faults(("u..w1", place)) == [
        "C1: splits stand in each other at most 32 deep, and those of 'u..w1' go on; flatten them"
    ]


@pytest.mark.parametrize(
    ("crossings", "sentence"),
    [
        ([("u", "c", "raw")], "a codec is for a tensor that crosses, and 'u' does not cross to 'c'; remove it"),
        ([("v", "b", "raw")], "a codec is for a tensor that crosses, and 'v' does not cross to 'b'; remove it"),
        ([("y", "b", "raw")], "a codec is for a tensor of 'hand', and 'y' is none; correct its name"),
        ([("u", "b", "mp3")], "a codec is one that the nodes know, and 'mp3' is none of raw, int8; correct its name"),
        ([("u", "b", "raw"), ("u", "b", "int8")], "a crossing has one codec, and 'u' to 'b' has two; remove one"),
    ],
)
def test_codecs(crossings: list[tuple[str, str, str]], sentence: str) -> None:
    rows = tuple(Crossing(tensor=tensor, target=target, codec=codec) for tensor, target, codec in crossings)
    entry = Entry(task="t", where=(Run(operators="u", on="a"), Run(operators="v..w1", on="b")), codecs=rows)
    assert check(Plan(entries=(entry,)), {"t": graph()}, CLUSTER, codecs=("raw", "int8")) == (START + sentence,)


def test_codecs_between_split_parts() -> None:
    split = Split(axis=0, parts=("a", "b"), cuts=(3,))
    crossings = (Crossing(tensor="u", target="a"), Crossing(tensor="u", target="b"))
    assert faults(("u..v", split), ("w1", "a")) == []
    entry = Entry(task="t", where=(Run(operators="u..v", on=split), Run(operators="w1", on="a")), codecs=crossings)
    assert check(Plan(entries=(entry,)), {"t": graph()}, CLUSTER) == ()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"order": {"y": 1}}, "an order is of operators of 'hand', and 'y' is none; correct its name"),
        ({"loads": ("y",)}, "loads are weights of 'hand', and 'y' is none; correct its name"),
        ({"settings": (Setting(node="zz"),)}, "cluster 'mesh' has no node 'zz'; use one of a, b, c"),
        ({"settings": (Setting(node="b", frequency_hz=3e9),)}, "'b' runs at 1e+09 to 2e+09 Hz, and its setting asks"
         " for 3e+09 Hz; correct the setting"),
        ({"shares": {"zz": 0.5}}, "a share is of a node or a resource, and 'zz' is neither; correct its name"),
        ({"shares": {"link:a>b": 2.0}}, "a share is above 0 and at most 1, and 't' takes 2 of 'link:a>b'; lower it"),
        ({"shares": {"a": 1.5}}, "a share is above 0, at most 1 or 4 whole cores, and 't' takes 1.5 of 'a'; lower it"),
        ({"shares": {"a": 5.0}}, "a share is above 0, at most 1 or 4 whole cores, and 't' takes 5 of 'a'; lower it"),
    ],
)  # fmt: skip
def test_smaller_fields(options: dict[str, object], sentence: str) -> None:
    assert faults(("u..w1", "a"), **options) == [START + sentence]


def test_shares_of_all_entries_are_added_up() -> None:
    medium = Medium(name="wifi", bytes_per_s=1e6)
    cluster = Cluster(name="w", nodes=CLUSTER.nodes, links=(link("a", "b", media=("wifi",)),), media=(medium,))
    where = (Run(operators="u..w1", on="a"),)
    entries = tuple(Entry(task=task, where=where, shares={"a": 2.0, "wifi": 0.6}) for task in ("t", "s"))
    assert check(Plan(entries=entries), {"t": graph(), "s": graph()}, cluster) == (
        "C1: the shares of a resource add up to at most 1, and those of 'medium:wifi' to 1.2; lower one",
    )


def test_reach() -> None:
    island = Cluster(name="i", nodes=CLUSTER.nodes, links=(link("a", "b"),))
    assert faults(("u", "a"), ("v..w1", "c"), cluster=island) == [
        "C1: a tensor goes where a link leads, and 'u' cannot get from 'a' to 'c'; add a link between them or over a"
        " third node",
        "C1: a tensor goes where a link leads, and 'w1' cannot get from 'c' to 'a'; add a link between them or over a"
        " third node",
    ]


def test_inputs_and_outputs_elsewhere() -> None:
    island = Cluster(name="i", nodes=CLUSTER.nodes, links=(link("a", "b"),))
    plan = plan_for("t", graph(), ["c"] * 3)
    assert check(plan, {"t": graph()}, island, inputs={"t": {"x": "c"}}, outputs={"t": {"w1": "c"}}) == ()
    assert len(check(plan, {"t": graph()}, island)) == 2


def test_tasks_and_files() -> None:
    plan = plan_for("t", graph("ab" * 32), ["a"] * 3)
    assert check(plan, {"t": graph("cd" * 32)}, CLUSTER) == (
        "C1: a plan is for one model file, and that of 't' is abababababab where cdcdcdcdcdcd was given; plan again"
        " for this model",
    )
    assert check(plan, {"s": graph()}, CLUSTER) == (
        "C1: an entry serves a task, and 't' is none of s; correct its task",
        "C1: every task has an entry, and 's' has none; add one or drop the task",
    )


def test_every_fault_is_told_at_once() -> None:
    found = faults(("u", "zz"), ("u", "a"), codecs=(), shares={"a": 9.0}, order={"y": 1})
    assert len(found) == 5


@pytest.mark.parametrize("seed", range(20))
def test_what_passes_can_be_lowered(seed: int) -> None:
    made = random_graph(seed, 15)
    plan = plan_for("t", made, random_places(seed, 15, ["a", "b", "c"]))
    assert check(plan, {"t": made}, CLUSTER) == ()
    lower(made, plan.entries[0], CLUSTER, {"x0": "a"}, dict.fromkeys(made.outputs, "a"))
