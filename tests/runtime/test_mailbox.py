import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from hocket.errors import PlanError
from hocket.program import INPUT, Binding, Port, Program
from hocket.runtime.mailbox import Mailboxes

ONE = np.ones((1, 4), np.float32)


def joined(port: Port, window: int = 4) -> Mailboxes:
    """One segment on b with one port, fed by transfers of halves of u."""
    transfers = [
        tiny.transfer("left", "u", "s0", "a", "b", region=((0, 1), (0, 2))),
        tiny.transfer("right", "u", "s0", "a", "b", region=((0, 1), (2, 4))),
        tiny.transfer("t0", "u", "s0", "a", "b"),
        tiny.transfer("t1", "u", "s0", "a", "b"),
    ]
    own = tiny.segment("s", "b", [port], ["y"])
    return Mailboxes(tiny.program("ab", [own], transfers, tiny.infos("x", "u", "y"), [], window=window), "b")


def test_one_source_passes_through_without_a_copy() -> None:
    boxes = joined(tiny.port("u", "t0"))
    (fire,) = boxes.put(0, "t0", "u", ONE, 0.0)
    assert fire.inputs is not None and fire.inputs["u"] is ONE
    assert boxes.pending() == 0


def test_all_sources_are_put_together_by_their_regions() -> None:
    boxes = joined(tiny.port("u", "left", "right"))
    assert boxes.put(0, "right", "u", np.array([[3, 4]], np.float32), 0.0) == []
    assert boxes.pending() == 1
    (fire,) = boxes.put(0, "left", "u", np.array([[1, 2]], np.float32), 0.0)
    assert fire.inputs is not None
    np.testing.assert_array_equal(fire.inputs["u"], [[1, 2, 3, 4]])


def test_a_port_takes_its_region_out_of_more() -> None:
    boxes = joined(tiny.port("u", "left", "right", region=((0, 1), (1, 3))))
    boxes.put(0, "left", "u", np.array([[1, 2]], np.float32), 0.0)
    (fire,) = boxes.put(0, "right", "u", np.array([[3, 4]], np.float32), 0.0)
    assert fire.inputs is not None
    np.testing.assert_array_equal(fire.inputs["u"], [[2, 3]])


def test_a_segment_that_makes_a_part_says_which() -> None:
    maker = tiny.segment("s1", "b", [tiny.port("x", INPUT)], ["u"], output_regions=(((0, 1), (2, 4)),))
    reader = tiny.segment("s2", "b", [tiny.port("u", "left", "s1")], ["y"])
    left = tiny.transfer("left", "u", "s0", "a", "b", region=((0, 1), (0, 2)))
    boxes = Mailboxes(tiny.program("ab", [maker, reader], [left], tiny.infos("x", "u", "y"), []), "b")
    boxes.put(0, "left", "u", np.array([[1, 2]], np.float32), 0.0)
    (fire,) = boxes.put(0, "s1", "u", np.array([[7, 8]], np.float32), 0.0)
    assert fire.inputs is not None
    np.testing.assert_array_equal(fire.inputs["u"], [[1, 2, 7, 8]])


def test_the_first_wins_and_the_late_are_dropped_and_counted() -> None:
    boxes = joined(tiny.port("u", "t0", "t1", take="first"))
    assert len(boxes.put(0, "t1", "u", ONE, 0.0)) == 1
    assert boxes.put(0, "t0", "u", ONE, 0.0) == []
    assert boxes.put(0, "t1", "u", ONE, 0.0) == []
    assert boxes.counts == {"late": 2, "repeated": 0}
    assert boxes.pending() == 0


def test_a_void_lets_the_other_of_a_race_win_and_two_make_a_void() -> None:
    boxes = joined(tiny.port("u", "t0", "t1", take="first"))
    assert boxes.put(0, "t0", "u", None, 0.0) == []
    assert boxes.put(0, "t1", "u", ONE, 0.0)[0].inputs is not None
    boxes.put(1, "t0", "u", None, 0.0)
    assert boxes.put(1, "t1", "u", None, 0.0)[0].inputs is None
    assert boxes.pending() == 0


def test_a_void_among_all_makes_a_void_at_once() -> None:
    boxes = joined(tiny.port("u", "left", "right"))
    assert boxes.put(0, "left", "u", None, 0.0)[0].inputs is None
    assert boxes.put(0, "right", "u", np.ones((1, 2), np.float32), 0.0) == []
    assert boxes.pending() == 0 and boxes.counts["late"] == 1


def test_a_deadline_fills_with_zeros_what_has_not_come() -> None:
    boxes = joined(tiny.port("u", "left", "right", take="deadline", deadline_s=0.5))
    assert boxes.next_deadline_s() == float("inf")
    boxes.put(0, "right", "u", np.array([[3, 4]], np.float32), 10.0)
    assert boxes.next_deadline_s() == 10.5
    assert boxes.expire(10.4) == []
    (fire,) = boxes.expire(10.5)
    assert fire.inputs is not None
    np.testing.assert_array_equal(fire.inputs["u"], [[0, 0, 3, 4]])
    assert boxes.put(0, "left", "u", np.ones((1, 2), np.float32), 11.0) == []
    assert boxes.pending() == 0 and boxes.next_deadline_s() == float("inf")


def test_a_deadline_fires_at_once_when_all_has_come() -> None:
    boxes = joined(tiny.port("u", "left", "right", take="deadline", deadline_s=9.0))
    boxes.put(0, "left", "u", None, 0.0)
    (fire,) = boxes.put(0, "right", "u", np.array([[3, 4]], np.float32), 1.0)
    assert fire.inputs is not None
    np.testing.assert_array_equal(fire.inputs["u"], [[0, 0, 3, 4]])


def test_repeated_arrivals_are_dropped_by_request_and_port() -> None:
    boxes = joined(tiny.port("u", "left", "right"))
    boxes.put(0, "left", "u", np.ones((1, 2), np.float32), 0.0)
    assert boxes.put(0, "left", "u", np.zeros((1, 2), np.float32), 0.0) == []
    assert boxes.counts["repeated"] == 1
    (fire,) = boxes.put(0, "right", "u", np.ones((1, 2), np.float32), 0.0)
    assert fire.inputs is not None and fire.inputs["u"].all()


def test_what_ended_is_forgotten() -> None:
    boxes = joined(tiny.port("u", "left", "right"))
    for request in range(3):
        boxes.put(request, "left", "u", np.ones((1, 2), np.float32), 0.0)
    boxes.drop_below(2)
    assert boxes.pending() == 1
    assert boxes.put(1, "right", "u", np.ones((1, 2), np.float32), 0.0) == []
    assert boxes.counts["late"] == 1


@given(
    st.permutations([(request, source) for request in range(4) for source in ("t0", "t1", "t0", "t1")]),
    st.lists(st.booleans(), min_size=16, max_size=16),
    st.sampled_from(["all", "first", "deadline"]),
)
def test_every_order_of_arrivals_fires_each_request_once_and_leaves_nothing(
    arrivals: list[tuple[int, str]], data: list[bool], take: str
) -> None:
    options = {"deadline_s": 1.0} if take == "deadline" else {}
    boxes = joined(tiny.port("u", "t0", "t1", take=take, **options))
    fired = [
        fire.request
        for (request, source), full in zip(arrivals, data, strict=True)
        for fire in boxes.put(request, source, "u", ONE if full else None, 0.0)
    ]
    assert sorted(fired) == [0, 1, 2, 3]
    assert boxes.pending() == 0


def bad(port: Port) -> Program:
    return tiny.program(
        "b", [tiny.segment("s", "b", [port], ["y"])], [], tiny.infos("x", "y"), [Binding(tensor="y", node="b")]
    )


def test_ports_that_can_never_be_filled_are_refused() -> None:
    for port, message in (
        (tiny.port("x"), "port 'x' of 's' has no source"),
        (tiny.port("nowhere", INPUT), "port 'nowhere' of 's' has no type and shape"),
        (tiny.port("x", INPUT, take="deadline"), "port 'x' of 's' has no deadline_s"),
    ):
        with pytest.raises(PlanError, match=message):
            Mailboxes(bad(port), "b")
    with pytest.raises(PlanError, match=r"the sources of port 'u' of 's' bring 2 of 4 elements"):
        joined(tiny.port("u", "left"))
