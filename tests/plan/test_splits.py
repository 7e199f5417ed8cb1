"""Runs that are split: whatever the axis, the cut points and the neighbours, the answer is that of the whole model."""

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from graphs import mesh, node, write_model, zoo_model
from onnx import helper
from running import run_program, worst_error

from hocket.cost.survival import reliability
from hocket.cost.work import weight_bytes
from hocket.errors import GraphError, HocketError, PlanError
from hocket.graph import Graph
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.graph.regions import slicer_of
from hocket.plan import Copies, Entry, Run, Split
from hocket.plan.build import build, whole
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.program import Program

NODES = ["a", "b", "c", "d"]
CLUSTER = mesh(*(node(name) for name in NODES))


@cache
def reference(name: str) -> tuple[Model, dict[str, np.ndarray], dict[str, np.ndarray]]:
    model = calibrated(zoo_model(name))
    inputs = random_inputs(model.graph, seed=1)
    return model, inputs, Runner(model, whole(model)).run(inputs)


def lowered(graph: Graph, *runs: Run, at: str = "a") -> Program:
    entry = Entry(task="t", where=runs)
    return lower(graph, entry, CLUSTER, {tensor.name: at for tensor in graph.inputs}, dict.fromkeys(graph.outputs, at))


def rest(graph: Graph, first: int, last: int, on: object, place: str = "a") -> list[Run]:
    """Operators first..last somewhere, the others on one node."""
    names = [operator.name for operator in graph.operators]
    runs = [Run(operators=f"{names[first]}..{names[last]}", on=on)]
    if first:
        runs.insert(0, Run(operators=f"{names[0]}..{names[first - 1]}", on=place))
    if last < len(names) - 1:
        runs.append(Run(operators=f"{names[last + 1]}..{names[-1]}", on=place))
    return runs


def random_split(rng: random.Random, graph: Graph, last: int, depth: int = 0) -> Split:
    """Any axis of the last result, or its contracted one; two to four parts, some of them empty."""
    name = graph.operators[last].name
    shape = graph.tensor[name].shape
    count = rng.randint(2, 4)
    contraction = slicer_of(graph).contraction(name)
    if depth == 0 and len(contraction) == 1 and rng.random() < 0.4:
        size, step = contraction[0].size, contraction[0].granule
        cuts = sorted(rng.randrange(0, size + 1, step) for _ in range(count - 1))
        return Split(axis="contract", parts=tuple(rng.choice(NODES) for _ in range(count)), cuts=tuple(cuts))
    axis = rng.randrange(len(shape))
    cuts = sorted(rng.randint(0, shape[axis]) for _ in range(count - 1))
    parts: list[object] = [rng.choice(NODES) for _ in range(count)]
    if depth == 0 and rng.random() < 0.3:
        parts[0] = random_split(rng, graph, last, 1)
    if rng.random() < 0.2:
        parts[-1] = Copies(nodes=tuple(rng.sample(NODES, 2)), mode="mirror")
    return Split(
        axis=axis, parts=tuple(parts), cuts=tuple(cuts), border="exchange" if rng.random() < 0.4 else "recompute"
    )


def random_runs(rng: random.Random, graph: Graph) -> list[Run]:
    """The operators in order, cut into runs, each on a node, on racing copies, or split."""
    names = [operator.name for operator in graph.operators]
    runs, start = [], 0
    while start < len(names):
        last = min(start + rng.choice([0, 1, 2, 4, 8]), len(names) - 1)
        kind = rng.random()
        on: object = rng.choice(NODES)
        if kind < 0.6:
            on = random_split(rng, graph, last)
        elif kind < 0.7:
            on = Copies(nodes=tuple(rng.sample(NODES, 2)), mode=rng.choice(["race", "mirror"]))
        runs.append(Run(operators=f"{names[start]}..{names[last]}", on=on))
        start = last + 1
    return runs


REFUSED = (
    "and the run of",  # a branch leaves the run and comes back
    "a run with a contracted split has one result",
    "a split run is computed in one go",
    "borders are those of regions",
    "partial sums must be added before they are read",
)


@pytest.mark.parametrize("name", ["toy_chain", "toy_dag", "lenet", "charcnn"])
@pytest.mark.parametrize("seed", range(25))
def test_random_splits_give_what_the_whole_model_gives(name: str, seed: int) -> None:
    model, inputs, expected = reference(name)
    rng = random.Random(f"{name} {seed}")
    done = 0
    for _ in range(20):
        try:
            program = lowered(model.graph, *random_runs(rng, model.graph), at=rng.choice(NODES))
        except HocketError as error:
            assert any(sentence in str(error) for sentence in REFUSED), str(error)
            continue
        assert worst_error(run_program(model, program, inputs), expected) <= 1e-5
        done += 1
        if done == 2:
            break
    assert done


def conv_chain() -> Graph:
    return zoo_model("toy_chain").graph


def heads() -> list[str]:
    return [operator.name for operator in conv_chain().operators]


def test_parts_hold_only_their_share_of_contracted_weights() -> None:
    graph = zoo_model("lenet").graph
    last = graph.operators[-1].name
    size = slicer_of(graph).contraction(last)[0].size
    program = lowered(
        graph,
        *rest(
            graph,
            len(graph.operators) - 1,
            len(graph.operators) - 1,
            Split(axis="contract", parts=("a", "b"), cuts=(size // 4,)),
        ),
    )
    parts = [part for segment in program.segments for part in segment.parts if getattr(part, "contract", None)]
    weights = [
        slicer_of(graph)
        .demand(part.operators, {last: tuple((0, n) for n in graph.tensor[last].shape)}, part.contract)
        .weight_bytes
        for part in parts
    ]
    bias = graph.tensor[last].nbytes
    assert weights[0] - bias == pytest.approx(weights[1] / 3, rel=1e-9)


@pytest.mark.parametrize(
    ("on", "kind", "sentence"),
    [
        (
            Split(axis=7, parts=("a", "b"), cuts=(1,)), PlanError,
            "C1: a split is on an axis of its result, and 'RUN' has 4 axes and a split on 7; correct it",
        ),
        (
            Split(axis=2, parts=("a", "b"), cuts=(99,)), PlanError,
            "C1: the cuts of 'RUN' divide an axis of length 16 into 2 parts, and 99 do not; correct them",
        ),
        (
            Split(axis=2, parts=("a", "b")), PlanError,
            "C1: a split has either cuts or weights, and that of 'RUN' has neither; give one of them",
        ),
        (
            Split(axis="contract", parts=("a", "b"), cuts=(1,)), PlanError,
            "C1: the last operator of a contracted split has one axis to contract, and 'relu_3' of 'RUN' has none;"
            " split an axis of its result",
        ),
        (
            Split(axis=2, parts=("a", Copies(nodes=("b", "c"), mode="race")), cuts=(3,)), PlanError,
            "copies of a part are mirrored, and those in 'RUN' race; race whole runs",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_sentence(on: Split, kind: type[HocketError], sentence: str) -> None:
    graph = conv_chain()
    names = heads()
    last = names.index("relu_3")
    run = f"{names[0]}..{names[last]}"
    with pytest.raises(kind) as caught:
        lowered(graph, *rest(graph, 0, last, on))
    assert str(caught.value) == sentence.replace("RUN", run)


def test_graphs_made_by_hand_stay_whole() -> None:
    graph = conv_chain().replace(body=b"")
    with pytest.raises(GraphError) as caught:
        lowered(graph, *rest(graph, 0, 1, Split(axis=2, parts=("a", "b"), cuts=(3,))))
    assert str(caught.value) == (
        "the operators of 'toy_chain' are not known as ONNX, so they stay whole; load its file"
    )


def test_a_run_that_comes_back_to_itself_is_refused() -> None:
    model = zoo_model("toy_dag")
    graph = model.graph
    names = [operator.name for operator in graph.operators]
    for size in range(2, len(names) - 1):
        runs = [Run(operators=name, on="a") for name in names if name not in (names[0], names[size])]
        ends = Split(axis=1, parts=("a", "b"), cuts=(1,))
        try:
            # Two operators that are placed as one run, with others between them outside of it.
            module = graph.replace(
                operators=tuple(
                    o.replace(scope="m") if o.name in (names[0], names[size]) else o for o in graph.operators
                )
            )
            lowered(module, Run(operators="m", on=ends), *runs)
        except PlanError as error:
            assert "is computed in one go, and what the run of" in str(error)
            return
    raise AssertionError("no run of the graph comes back to itself")


def test_a_contracted_split_may_be_inside_another_that_has_the_same_cuts_everywhere() -> None:
    model, inputs, expected = reference("toy_chain")
    names = heads()
    size = slicer_of(model.graph).contraction(names[0])[0].size

    def sums(cut: int) -> Split:
        return Split(axis="contract", parts=("b", "c"), cuts=(cut,))

    first = rest(model.graph, 0, 0, Split(axis=2, parts=(sums(1), sums(1)), cuts=(3,)))
    assert size > 1
    assert worst_error(run_program(model, lowered(model.graph, *first), inputs), expected) <= 1e-5


def test_sums_of_all_but_the_last_column_are_put_together() -> None:
    model, inputs, expected = reference("toy_chain")
    names = heads()
    width = model.graph.tensor[names[1]].shape[3]
    program = lowered(
        model.graph,
        Run(operators=names[0], on=Split(axis="contract", parts=("a", "d"), cuts=(1,))),
        Run(operators=names[1], on=Split(axis=3, parts=("a", "d"), cuts=(width - 1,))),
        Run(operators=f"{names[2]}..{names[-1]}", on="a"),
    )
    assert worst_error(run_program(model, program, inputs), expected) <= 1e-5


@pytest.mark.parametrize("second", ["d", Split(axis="contract", parts=("b", "c"), cuts=(2,))])
def test_sums_that_would_stay_incomplete_are_refused(second: str | Split) -> None:
    graph, name = conv_chain(), heads()[0]
    sums = Split(axis="contract", parts=("b", "c"), cuts=(1,))
    with pytest.raises(PlanError) as caught:
        lowered(graph, *rest(graph, 0, 0, Split(axis=2, parts=(sums, second), cuts=(3,))))
    assert str(caught.value) == (
        f"C1: a contracted axis is cut at the same points for all of a result, and '{name}..{name}' cuts that of"
        f" {name!r} at different ones in different parts; put the splits of the result into the contracted one"
    )


def test_a_part_that_is_all_padding_waits_for_its_request(tmp_path: Path) -> None:
    pads = np.array([0, 0, 3, 0, 0, 0, 0, 0], np.int64)
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Pad", ["y", "pads"], ["z"])]
    path = write_model(
        tmp_path / "padded.onnx", nodes, inputs={"x": [1, 2, 4, 4]}, outputs=["z"], weights={"pads": pads}
    )
    model = load_model(path)
    inputs = random_inputs(model.graph, seed=1)
    program = lowered(
        model.graph, Run(operators="y", on="a"), Run(operators="z", on=Split(axis=2, parts=("b", "c"), cuts=(2,)))
    )
    assert all(segment.inputs for segment in program.segments)
    expected = Runner(model, whole(model)).run(inputs)
    assert worst_error(run_program(model, program, inputs), expected) == 0


def test_memory_counts_the_weights_that_nodes_are_sent() -> None:
    """A node whose parts need overlapping regions of one weight gets both; biases travel inside its models."""
    model, _, _ = reference("toy_chain")
    place = max(p for p, o in enumerate(model.graph.operators) if o.kind == "Conv")
    operator = model.graph.operators[place]
    weight = model.graph.weights[operator.weights[0]]
    channels = model.graph.tensor[operator.name].shape[1]
    halves, quarters = (Split(axis=1, parts=("b", "c"), cuts=(channels // n,)) for n in (2, 4))
    program = lowered(model.graph, *rest(model.graph, place, place, Split(axis=2, parts=(halves, quarters), cuts=(2,))))
    built, sent = build(model, program), dict[str, dict[str, int]]()
    for segment, artifact in zip(program.segments, built.artifacts, strict=True):
        sizes = {sha256: built.weight(sha256).nbytes for sha256 in artifact.weights.values()}
        sent.setdefault(segment.node, {}).update(sizes)
    assert sum(sent["b"].values()) == weight * 3 // 4
    assert sum(sent["c"].values()) == weight * 5 // 4
    biases = weight_bytes(model.graph, program.at("b")) - weight * 3 // 4
    assert biases == channels * 4 * 3 // 4


def test_long_programs_with_racing_copies_have_a_reliability() -> None:
    graph = zoo_model("resnet101").graph
    names = [operator.name for operator in graph.operators]
    runs = [Run(operators=name, on=NODES[number % 2]) for number, name in enumerate(names[:-1])]
    program = lowered(graph, *runs, Run(operators=names[-1], on=Copies(nodes=("c", "d"), mode="race")))
    assert len(program.segments) > 200
    assert reliability(CLUSTER, program) == 1.0
