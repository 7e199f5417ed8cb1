"""What a picture of a graph shows as one box."""

from collections.abc import Callable

import pytest

from hocket.graph import Graph
from hocket.plan.plan import Copies, Split
from hocket.view.boxes import boxes_of, groups_of, shares_of

GraphOf = Callable[[str, list[list[int]]], Graph]


def test_with_room_every_unit_is_a_box_and_inputs_and_outputs_are_too(diamond: Graph) -> None:
    boxes, edges = boxes_of(diamond, [None] * 6)
    assert [box.operators for box in boxes] == [(), (0,), (1,), (2,), (3,), (4,), (5,), ()]
    assert boxes[0].title == "x 1×8×16×16"
    assert (0, 1) in {(edge.source, edge.target) for edge in edges}
    assert not any(edge.crosses for edge in edges)


def test_without_room_chains_become_one_box_but_branches_stay(diamond: Graph) -> None:
    assert groups_of(diamond, [None] * 6, most=5) == [(0,), (1, 2), (3,), (4,), (5,)]


def test_with_less_room_whole_blocks_become_one_box(diamond: Graph) -> None:
    assert groups_of(diamond, [None] * 6, most=3) == [(0,), (1, 2, 3, 4), (5,)]


def test_no_box_holds_two_places(diamond: Graph) -> None:
    places = ["a", "a", "b", "a", "b", "b"]
    for most in (1, 3, 5, 90):
        groups = groups_of(diamond, places, most=most)
        assert sorted(position for group in groups for position in group) == list(range(6))
        assert all(len({places[position] for position in group}) == 1 for group in groups)


def test_a_long_chain_is_told_in_as_many_boxes_as_the_eye_holds(
    graph_of: GraphOf,
) -> None:
    chain = graph_of("chain", [[position - 1] for position in range(400)])
    groups = groups_of(chain, [None] * 400, most=50)
    assert len(groups) <= 50
    assert [position for group in groups for position in group] == list(range(400))


def test_an_edge_crosses_where_the_place_changes(diamond: Graph) -> None:
    boxes, edges = boxes_of(
        diamond, ["a", "a", "a", "b", "b", "b"], inputs={"x": "a"}, outputs={"t5": "a"}
    )  # fmt: skip
    crossing = {edge.tensors for edge in edges if edge.crosses}
    assert crossing == {("t0",), ("t2",), ("t5",)}
    assert all(edge.nbytes == 8192 for edge in edges)
    assert boxes[-1].place == "a"


def test_a_box_of_several_operators_is_called_by_what_their_modules_share(diamond: Graph) -> None:
    boxes, _ = boxes_of(diamond, [None] * 6, most=5)
    assert [box.title for box in boxes[1:-1]] == [
        "Conv stage0.layer_0", "stage0.layer", "Conv stage0.layer_3", "Concat stage1.layer_4", "Conv stage1.layer_5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "shares"),
    [
        (None, []),
        ("a", [("a", 1.0)]),
        (Copies(nodes=("a", "b")), [("a", 0.5), ("b", 0.5)]),
        (Split(axis=2, parts=("a", Copies(nodes=("b", "c")))), [("a", 0.5), ("b", 0.25), ("c", 0.25)]),
        (Split(axis=2, parts=("a", "b"), weights=(0.0, 0.0)), [("a", 0.0), ("b", 0.0)]),
    ],
)
def test_shares_of_a_place(place: object, shares: object) -> None:
    assert shares_of(place) == shares  # type: ignore[arg-type]
