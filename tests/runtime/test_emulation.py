import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hocket.errors import FormatError, PlanError
from hocket.program import Resource, Wire
from hocket.program.sending import finish_s
from hocket.runtime.emulation import Ledger
from hocket.runtime.pacer import Pacer

WIRE = Wire(source="a", target="b", latency_s=0.003, resources=("up",))
UP = Resource(name="up", bytes_per_s=5e6)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.create(tmp_path / "links")
    yield ledger
    ledger.close()


def test_a_transfer_takes_its_bytes_over_the_rate_then_the_latency(ledger: Ledger) -> None:
    assert ledger.reserve(WIRE, [UP], 50_000, 100.0) == pytest.approx((100.0, 100.013))


def test_the_latency_holds_nothing_and_the_queue_is_first_come_first_served(ledger: Ledger) -> None:
    ledger.reserve(WIRE, [UP], 50_000, 100.0)
    assert ledger.reserve(WIRE, [UP], 5_000, 100.001) == pytest.approx((100.01, 100.014))


def test_all_resources_are_held_together(ledger: Ledger) -> None:
    medium = Resource(name="air", bytes_per_s=1e6)
    ledger.reserve(WIRE, [UP, medium], 10_000, 100.0)
    assert ledger.reserve(WIRE, [Resource(name="down")], 10, 100.0) == pytest.approx((100.0, 100.003))
    assert ledger.reserve(WIRE, [UP], 0, 100.0)[0] == pytest.approx(100.01)


def test_two_openings_of_one_file_share_its_queues(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "links")
    assert other.id == ledger.id
    ledger.reserve(WIRE, [UP], 5_000_000, 100.0)
    assert other.reserve(WIRE, [UP], 0, 100.0)[0] == pytest.approx(101.0)
    other.restart(50.0)
    assert ledger.origin_s == 50.0
    assert ledger.reserve(WIRE, [UP], 0, 100.0)[0] == pytest.approx(100.0)
    other.close()


def test_traces_are_integrated_piece_by_piece_and_repeat() -> None:
    trace = Resource(name="t", trace=((0.0, 100.0), (1.0, 0.0), (2.0, 50.0)), trace_s=3.0)
    assert finish_s([trace], 0.5, 50) == pytest.approx(1.0)
    assert finish_s([trace], 0.5, 75) == pytest.approx(2.5)
    assert finish_s([trace], 0.5, 150) == pytest.approx(3.5)
    assert finish_s([trace], 31.0, 50) == pytest.approx(33.0)


def test_rate_zero_for_ever_never_arrives() -> None:
    assert finish_s([Resource(name="t", trace=((0.0, 0.0),))], 0.0, 1) > 1e6
    assert finish_s([Resource(name="t", trace=((0.0, 0.0),), trace_s=1.0)], 0.0, 1) > 1e6


def test_what_never_starts_never_ends() -> None:
    trace = Resource(name="t", trace=((0.0, 100.0), (1.0, 0.0)), trace_s=3.0)
    for resources in ([], [Resource(name="x")], [Resource(name="x", bytes_per_s=1.0)], [trace]):
        assert finish_s(resources, float("inf"), 10) == float("inf")


def test_no_limit_takes_no_time() -> None:
    assert finish_s([], 4.0, 10**9) == finish_s([Resource(name="x")], 4.0, 10**9) == 4.0


def test_a_file_that_is_not_a_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(200_000))
    with pytest.raises(FormatError, match=r"is not a ledger of links; make one with Ledger.create"):
        Ledger(path)
    with pytest.raises(FormatError, match=r"cannot be opened"):
        Ledger(tmp_path / "missing")


def test_work_ends_at_its_cpu_time_by_the_slowdown_and_what_is_missing_is_carried_on() -> None:
    pacer = Pacer(4.0)
    assert pacer.due_s(100.0, 0.5) == 102.0
    pacer.ended(102.0, 101.9997)  # too early to wait for
    assert pacer.due_s(200.0, 0.5) == pytest.approx(202.0003)
    pacer.ended(202.0, 202.5)  # far too late: what the host did meanwhile is not made up for
    assert pacer.due_s(300.0, 0.5) == pytest.approx(301.998)


def test_a_pacer_sleeps_for_the_rest_of_the_time() -> None:
    pacer = Pacer(4.0)
    start_s, begin_s = time.monotonic(), pacer.now_s()
    for _ in range(50):
        since_s, work_s = pacer.now_s(), time.monotonic()
        sum(range(20_000))
        pacer.pause(work_s, since_s)
    assert time.monotonic() - start_s > 3.5 * (pacer.now_s() - begin_s) / 1.5
    quick = Pacer()
    quick.pause(time.monotonic(), quick.now_s() - 60.0)


def test_a_pacer_only_slows_down() -> None:
    with pytest.raises(PlanError, match=r"^a pacer needs slowdown >= 1, got 0.5; correct it$"):
        Pacer(0.5)
