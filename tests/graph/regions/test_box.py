"""Boxes: merging never loses or adds work, what is missing is exactly what is wanted and not held."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from region_harness import intervals

from hocket.graph.regions import merge, missing, volume
from hocket.graph.regions.box import Box, contains, hull, subtract

some = st.lists(st.tuples(intervals(7), intervals(5)), max_size=5)
steady = settings(max_examples=150, derandomize=True, deadline=None, database=None)


def painted(boxes: list[Box] | tuple[Box, ...]) -> np.ndarray:
    """How often each element is in a box."""
    board = np.zeros((7, 5), int)
    for (a, b), (c, d) in boxes:
        board[a:b, c:d] += 1
    return board


@given(some)
@steady
def test_merged_boxes_cover_each_box_with_one_and_cost_no_more(boxes: list[Box]) -> None:
    merged = merge(boxes)
    assert all(any(contains(outer, box) for outer in merged) for box in boxes)
    assert sum(map(volume, merged)) <= sum(map(volume, boxes))
    pairs = itertools.combinations(merged, 2)
    assert all(volume(hull(a, b)) > volume(a) + volume(b) for a, b in pairs)


@given(some, some)
@steady
def test_what_is_missing_is_wanted_and_not_held_and_disjoint(wanted: list[Box], held: list[Box]) -> None:
    expected = (painted(wanted) > 0) & (painted(held) == 0)
    assert np.array_equal(painted(missing(wanted, held)), expected.astype(int))


def test_subtracting_a_box_that_does_not_touch_changes_nothing() -> None:
    assert subtract(((0, 2), (0, 2)), ((2, 4), (0, 2))) == [((0, 2), (0, 2))]


def test_empty_boxes_are_left_out() -> None:
    assert merge([((3, 3), (0, 4))]) == ()
    assert missing([((3, 3), (0, 4))], []) == ()
