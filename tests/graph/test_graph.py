"""The graph refuses what contradicts itself, and counts."""

import pytest
from graphs import graph_of, operator, zoo_model

from hocket.errors import FormatError, GraphError
from hocket.graph import Graph, Operator, Tensor, nbytes


def diamond() -> Graph:
    return graph_of(
        operator("u", "x", weights=("w1",), flops=1.0, macs=0.5),
        operator("p", "u", weights=("w1", "w2"), flops=2.0, macs=1.0),
        operator("q", "u", more=("q2",), flops=4.0),
        operator("v", "p", "q"),
        outputs=("v", "q2"),
    )


def test_lookups() -> None:
    graph = diamond()
    assert graph.index == {"u": 0, "p": 1, "q": 2, "v": 3}
    assert graph.producer == {"u": 0, "p": 1, "q": 2, "q2": 2, "v": 3}
    assert graph.readers == {"x": (0,), "u": (1, 2), "p": (3,), "q": (3,), "q2": (), "v": ()}
    assert graph.operator["q"].outputs == ("q", "q2")
    assert graph.tensor["q2"].nbytes == 1000
    assert (graph.flops, graph.macs, graph.weight_bytes) == (7.0, 1.5, 200)


def test_a_graph_survives_the_file() -> None:
    for graph in (diamond(), zoo_model("googlenet").graph):
        assert Graph.from_json(graph.to_json()) == graph


@pytest.mark.parametrize(
    ("operators", "sentence"),
    [
        (
            [operator("v", "u"), operator("u", "x")],
            "operator 'v' reads 'u' before anything makes it; sort the operators topologically first",
        ),
        (
            [operator("u", "x"), operator("u", "x")],
            "a tensor has one producer, and 'u' has two; rename one of them",
        ),
        ([operator("x", "x")], "a tensor has one producer, and 'x' has two; rename one of them"),
        (
            [Operator(name="u", kind="Conv", inputs=("x",), outputs=("t",))],
            "an operator is named by its first output, and 'u' is not; rename it",
        ),
        (
            [Operator(name="u", kind="Conv", inputs=("x",), outputs=())],
            "an operator is named by its first output, and 'u' is not; rename it",
        ),
    ],
)
def test_operators_that_do_not_fit(operators: list[Operator], sentence: str) -> None:
    with pytest.raises(GraphError) as caught:
        graph_of(*operators)
    assert str(caught.value) == sentence


def test_tensors_that_do_not_fit() -> None:
    good = diamond()
    with pytest.raises(GraphError, match=r"^tensor 'v' has no shape; list it in the graph's tensors$"):
        good.replace(tensors=good.tensors[:-1])
    with pytest.raises(GraphError, match=r"^tensor names are unique, and 'hand' repeats one; rename it$"):
        good.replace(tensors=(*good.tensors, good.tensors[0]))
    with pytest.raises(GraphError) as caught:
        good.replace(weights={"w1": 1})
    assert str(caught.value) == (
        "operator 'p' reads the weight 'w2', whose size is not known; list it in the graph's weights"
    )
    with pytest.raises(GraphError) as caught:
        good.replace(tensors=(*good.tensors[:-1], good.tensors[-1].replace(shape=(2**40, 2**40))))
    assert str(caught.value) == "a tensor has at most 2^60 bytes, and 'v' of 'hand' has more; correct its shape"
    with pytest.raises(GraphError, match=r"^nothing makes the output 'y'; list an existing tensor$"):
        good.replace(outputs=("y",))


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [
        ("float32", (1, 3, 224, 224), 602_112), ("float16", (7,), 14), ("int64", (), 8), ("uint8", (0, 5), 0),
        ("int4", (3,), 2), ("bool", (2, 2), 4),
    ],
)  # fmt: skip
def test_bytes(dtype: str, shape: tuple[int, ...], size: int) -> None:
    assert nbytes(dtype, shape) == Tensor(name="t", dtype=dtype, shape=shape).nbytes == size


def test_an_unknown_element_type_is_refused() -> None:
    with pytest.raises(GraphError, match=r"^element type 'float31' is not known; cast the tensor to one of float64, "):
        nbytes("float31", (1,))


def test_a_file_of_another_kind_is_refused() -> None:
    text = diamond().to_json().replace("hocket.graph/1", "hocket.graph/2")
    with pytest.raises(FormatError) as caught:
        Graph.from_json(text, name="g.json")
    assert str(caught.value) == (
        "g.json has format 'hocket.graph/2' where 'hocket.graph/1' is needed; give the right kind of file"
    )


def test_a_graph_that_contradicts_itself_on_disk_says_what_it_would_say_in_memory() -> None:
    text = diamond().to_json().replace('"q2"', '"p"')
    with pytest.raises(FormatError) as caught:
        Graph.from_json(text, name="g.json")
    assert str(caught.value) == "g.json: tensor names are unique, and 'hand' repeats one; rename it"
