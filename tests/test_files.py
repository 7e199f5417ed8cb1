"""Files that are broken, contradictory, huge or deep: one sentence each, and nothing but a HocketError escapes."""

import copy
import json
import math
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import graph_of, link, mesh, node, operator, problem_of, profile_of

from hocket.cluster import Cluster, Direction, Link, Medium, RateTrace
from hocket.cost import Cost, Objective, Problem, evaluate
from hocket.errors import FormatError, HocketError
from hocket.graph import Graph, Source
from hocket.graph.topology import blocks, units
from hocket.nouns import Noun
from hocket.plan import Copies, Crossing, Gate, Plan, Run, Setting, Split
from hocket.plan.check import check
from hocket.plan.lower import lower
from hocket.plan.placement import plan_for
from hocket.profile import CodecCost, Predictor, Profile, train
from hocket.program import Program, Trace
from hocket.reading import load
from hocket.solvers import Solution

ROUNDS = 250
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 0.5, -0.0, -1.5, 1e308, -1e308,
    5e-324, "", "a", "x", "no such name", "\0", "é" * 50, "x" * 10_000, [], [[]], [None], [0], ["a", "a"], [1, 2, 3],
    {}, {"a": 1}, {"kind": "split"}, {"format": "hocket.plan/1"}, [[0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]],
]  # fmt: skip


def graph() -> Graph:
    made = graph_of(
        operator("u", "x", flops=1e6, weights=("w",), scope="m.0"),
        operator("r", "u", kind="Relu"),
        operator("p", "r", more=("p2",)),
        operator("v", "r", "p", kind="Add"),
        sizes={"u": 10, "r": 10},
    )
    return made.replace(source=Source(path="m.onnx", sha256="ab" * 32), bindings={"N": 1})


def cluster() -> Cluster:
    made = mesh(node("a", memory_bytes=10**6, frequency_hz=(1e9, 2e9), kappa=1e-28), node("b", slowdown="auto"))
    trace = RateTrace(steps=((0.0, 1e3), (1.0, 5e2)), length_s=2.0)
    wifi = Link(between=("b", "c"), up=Direction(trace=trace), media=("wifi",), available=(), timeout_s=3.0)
    return Cluster(
        name="c",
        nodes=(*made.nodes, node("c", available=((0.0, 5.0),), port_up_bytes_per_s=1e4)),
        links=(*made.links, wifi, link("a", "c")),
        media=(Medium(name="wifi", bytes_per_s=1e5),),
    )


def plan() -> Plan:
    made = plan_for("task", graph(), ["a", "a", "b", "c"])
    (entry,) = made.entries
    rich = entry.replace(codecs=(Crossing(tensor="r", target="b", codec="int8"),), order={"u": 1}, shares={"a": 0.5})
    return made.replace(entries=(rich,))


def fancy_plan() -> Plan:
    inner = Split(axis=0, parts=("a", Copies(nodes=("b", "c"), mode="deal")), weights=(1.0, 2.0))
    split = Split(axis=0, parts=(inner, "c"), cuts=(3,), border="exchange")
    made = plan_for("task", graph(), ["a", "a", split, Copies(nodes=("a", "b"))])
    (entry,) = made.entries
    more = {
        "gates": (Gate(exit="p2", threshold=0.5),),
        "settings": (Setting(node="a", frequency_hz=1.5e9),),
        "slices": (1, 2),
        "loads": ("w",),
    }
    return made.replace(entries=(entry.replace(**more), entry.replace(where=(Run(operators="m.0", on="a"),))))


def profile() -> Profile:
    seconds = {name: {"u": 0.1, "p": 0.2, "v": 0.3} for name in "abc"}
    return profile_of(graph(), seconds, call_s=0.01, codecs={"int8": CodecCost(ratio=0.3)}, bindings={"N": 1})


def problem() -> Problem:
    objective = Objective(metric="weighted", weights={"latency": 1.0, "energy": 1.0}, limits={"price": 9.0})
    task = {"rate_per_s": 0.1, "deadline_s": 9.0, "reliability_floor": 0.5}
    return problem_of(graph(), cluster(), profile(), objective=objective, task=task, queue="mm1")


def program() -> Program:
    return lower(graph(), plan().entries[0], cluster(), {"x": "a"}, {"v": "a"})


def cost() -> Cost:
    return evaluate(problem(), plan(), trace=True)


def trace() -> Trace:
    made = cost().trace
    assert made is not None
    return made


def predictor() -> Predictor:
    return train([(graph(), profile())], node="a")


def solution() -> Solution:
    return Solution(
        problem=problem(), plan=plan(), cost=cost(), bound=0.5, gap=0.1, solver="local", candidates={"local": None}
    )


def use_solution(made: Noun) -> None:
    assert isinstance(made, Solution)
    evaluate(made.problem, made.plan)
    made.stages()
    made.crossings()


def use_graph(made: Noun) -> None:
    assert isinstance(made, Graph)
    units(made)
    blocks(made)
    assert all(tensor.nbytes >= 0 for tensor in made.tensors)


def use_cluster(made: Noun) -> None:
    assert isinstance(made, Cluster)
    made.to_program()
    for other in made.nodes:
        if made.reachable(made.source, other.name):
            made.transfer_s(made.source, other.name, 1e3)


def use_plan(made: Noun) -> None:
    assert isinstance(made, Plan)
    found = check(made, {"task": graph()}, cluster(), codecs=("raw", "int8"))
    assert all(sentence.startswith("C1: ") for sentence in found)
    try:
        evaluate(problem(), made)
    except HocketError as error:
        one_sentence(str(error))


def use_problem(made: Noun) -> None:
    assert isinstance(made, Problem)
    evaluate(made, plan())


def use_profile(made: Noun) -> None:
    assert isinstance(made, Profile)
    evaluate(problem_of(graph(), cluster(), made), plan())


def nothing(made: Noun) -> None:
    assert isinstance(made, Noun)


NOUNS: dict[str, tuple[Callable[[], Noun], Callable[[Noun], None]]] = {
    "graph": (graph, use_graph),
    "cluster": (cluster, use_cluster),
    "plan": (plan, use_plan),
    "fancy plan": (fancy_plan, use_plan),
    "profile": (profile, use_profile),
    "problem": (problem, use_problem),
    "program": (program, nothing),
    "cost": (cost, nothing),
    "trace": (trace, nothing),
    "predictor": (predictor, nothing),
    "solution": (solution, use_solution),
}
every_noun = pytest.mark.parametrize("name", NOUNS)


@cache
def noun(name: str) -> Noun:
    return NOUNS[name][0]()


def one_sentence(text: str) -> None:
    assert len(text) > 10
    assert "\n" not in text
    assert "Traceback" not in text


def read(name: str, text: str | bytes) -> None:
    """Read and use it; whatever is wrong is told in one sentence."""
    kind = type(noun(name))
    try:
        made = kind.from_json(text, name="f.json")
    except HocketError as error:
        assert isinstance(error, FormatError)
        assert str(error).startswith("f.json")
        one_sentence(str(error))
        assert len(str(error)) < 1000
        return
    try:
        NOUNS[name][1](made)
    except HocketError as error:
        one_sentence(str(error))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))


def mutated(text: str, generator: random.Random) -> str:
    """JSON with one to three values replaced, removed, repeated, renamed or exchanged."""
    data = json.loads(text)
    for _ in range(generator.randint(1, 3)):
        paths = [path for path in leaves(data) if path]
        if not paths:
            break
        *inside, key = generator.choice(paths)
        parent = data
        for step in inside:
            parent = parent[step]
        what = generator.random()
        if what < 0.55:
            parent[key] = copy.deepcopy(generator.choice(VALUES))
        elif what < 0.65:
            del parent[key]
        elif what < 0.75 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        elif what < 0.85 and isinstance(parent, dict):
            parent["surprise"] = parent.pop(key)
        else:
            *other, last = generator.choice(paths)
            there = data
            try:
                for step in other:
                    there = there[step]
                parent[key] = copy.deepcopy(there[last])
            except (KeyError, IndexError, TypeError):
                continue
    return json.dumps(data)


@every_noun
def test_what_is_written_is_read(name: str) -> None:
    made = noun(name)
    assert type(made).from_json(made.to_json()) == made
    read(name, made.to_json())


@every_noun
def test_truncated(name: str) -> None:
    text = noun(name).to_json()
    for stop in range(0, len(text), max(1, len(text) // 60)):
        read(name, text[:stop])


@every_noun
def test_mutated(name: str) -> None:
    text = noun(name).to_json()
    for seed in range(ROUNDS):
        read(name, mutated(text, random.Random(seed)))


@every_noun
def test_every_value_in_turn_is_of_another_type(name: str) -> None:
    text = noun(name).to_json()
    paths = [path for path in leaves(json.loads(text)) if path]
    generator = random.Random(name)
    for *inside, key in generator.sample(paths, min(len(paths), 60)):
        for value in (None, -1, 10**400, "no such name", [], {}, [[]]):
            data = json.loads(text)
            parent = data
            for step in inside:
                parent = parent[step]
            parent[key] = value
            read(name, json.dumps(data))


@every_noun
@pytest.mark.parametrize(
    "text",
    [
        "", " ", "null", "[]", "3", '"x"', "{}", "{", '{"format": 3}', '{"format": null}', '{"format": {"a": []}}',
        "NaN", '{"format": "hocket.plan/9"}', b"\xff\xfe", b"\x00" * 50, "[" * 100_000, '{"a":' * 100_000,
        '{"format": 1e999}',
        "9" * 10_000, '{"format": NaN}', '{"a": 1, "a": 2}',
    ],
    ids=range(21),
)  # fmt: skip
def test_what_is_no_file_of_ours(name: str, text: str | bytes) -> None:
    with pytest.raises(FormatError) as caught:
        type(noun(name)).from_json(text, name="f.json")
    one_sentence(str(caught.value))


@every_noun
@pytest.mark.parametrize("depth", [20, 200, 5_000, 50_000])
def test_deeply_nested_fields(name: str, depth: int) -> None:
    text = noun(name).to_json().rstrip()
    for nested in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        read(name, text[:-1] + f', "surprise": {nested}}}')
        for field in json.loads(text):
            if field != "format":
                start = text.index(f'"{field}":') + len(field) + 3
                read(name, text[:start] + nested + ', "rest": ' + text[start:])


@pytest.mark.parametrize("depth", [5, 40, 400, 20_000])
def test_splits_in_splits(depth: int) -> None:
    data = json.loads(plan().to_json())
    text = json.dumps(data).replace(
        '"on": "b"', '"on": ' + '{"kind": "split", "axis": 0, "cuts": [], "parts": [' * depth + '"b"' + "]}" * depth
    )
    read("plan", text)


def test_numbers_that_are_none() -> None:
    text = profile().to_json()
    for bad in ("NaN", "Infinity", "-Infinity", "1e999", "-0.1", "0.1.2", "0x10"):
        with pytest.raises(FormatError):
            Profile.from_json(text.replace("0.1", bad))


def test_a_long_value_does_not_make_a_long_sentence() -> None:
    for name in NOUNS:
        read(name, json.dumps({"format": "x" * 10**6}))
        read(name, noun(name).to_json().replace('"a"', json.dumps("y" * 10**6)))


def test_a_missing_or_unreadable_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path, tmp_path / "a" / "b", Path("/\0")):
        with pytest.raises(FormatError) as caught:
            Plan.load(path)
        one_sentence(str(caught.value))


@pytest.mark.parametrize("name", [name for name in NOUNS if name != "predictor"])
def test_a_file_is_known_by_its_format(name: str, tmp_path: Path) -> None:
    assert load(noun(name).save(tmp_path / "f.json")) == noun(name)


def test_a_file_of_no_known_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    for text in ("", "[]", '{"format": "hocket.plan/7"}', '{"format": {}}', "{}", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(FormatError) as caught:
            load(path)
        one_sentence(str(caught.value))


def test_nothing_is_written_half(tmp_path: Path) -> None:
    path = plan().save(tmp_path / "p.json")
    assert Plan.load(path) == plan()
    with pytest.raises(FormatError) as caught:
        plan().save(tmp_path / "missing" / "p.json")
    one_sentence(str(caught.value))
    assert [child.name for child in tmp_path.iterdir()] == ["p.json"]


def test_arrays_of_random_bytes() -> None:
    generator = np.random.default_rng(0)
    for length in (1, 10, 1000):
        for _ in range(50):
            read("plan", generator.integers(0, 256, length).astype(np.uint8).tobytes())


def test_infinite_costs_can_be_written() -> None:
    never = cost().replace(latency_s=math.inf)
    assert "null" in never.to_json() or "Infinity" in never.to_json()
