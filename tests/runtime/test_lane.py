"""The order in which a node computes, and what shares of it promise."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import tiny

from hocket.cost import Durations, timeline
from hocket.cost import Job as Load
from hocket.errors import FormatError
from hocket.program import INPUT, Binding, Program
from hocket.runtime.lane import Job, Lane, Result, Together
from hocket.runtime.pacer import Pacer


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane(lambda: None)
    yield lane
    lane.close()


def settle(lane: Lane, until: Callable[[], bool]) -> None:
    """Do what the event loop does, until something holds."""
    deadline_s = time.monotonic() + 20
    while not until() and time.monotonic() < deadline_s:
        lane.settle()
        time.sleep(1e-4)
    assert until()


def note(ran: list[str], name: str) -> Callable[[Result], None]:
    """What to do when a job is over: remember it, or what went wrong."""
    return lambda result: ran.append(result.error or name)


class Held(Pacer):
    """Keeps a processor for a fixed time."""

    def due_s(self, start_s: float, used_s: float) -> float:
        return start_s + 0.05


def spin(cpu_s: float) -> float:
    """Compute for some CPU seconds; returns how many they were."""
    start_s = time.thread_time()
    while (used_s := time.thread_time() - start_s) < cpu_s:
        np.sin(np.ones(2000))
    return used_s


@pytest.mark.parametrize("expected_s", [0.0, 1.0])
def test_of_one_program_the_least_goes_first(lane: Lane, expected_s: float) -> None:
    ran: list[str] = []
    for key in ((1, 0, "d"), (0, 1, "c"), (0, 0, "b"), (0, 0, "a")):
        lane.submit(Job(key, key[2], lambda: None, note(ran, key[2]), expected_s=expected_s))
    settle(lane, lambda: len(ran) == 4)
    assert ran == ["a", "b", "c", "d"]


def test_the_lane_survives_what_it_runs(lane: Lane) -> None:
    errors: list[str] = []

    def broken() -> None:
        raise ZeroDivisionError("by nought")

    def refused() -> None:
        raise FormatError("no")

    for work in (broken, refused):
        lane.submit(Job((0, 0, "j"), "j", work, note(errors, ""), expected_s=0.0))
    lane.settle()
    assert errors == ["j failed (ZeroDivisionError: by nought); this is a fault of hocket, report it", "no"]


def test_a_program_waits_for_one_turn_of_another_whatever_their_numbers(lane: Lane) -> None:
    ran: list[str] = []
    for request in range(50):
        lane.submit(Job((request, 0, "s"), "s", lambda: None, note(ran, "busy"), program="busy"))
    settle(lane, lambda: len(ran) > 3)
    before = len(ran)
    lane.submit(Job((10_000, 0, "s"), "s", lambda: None, note(ran, "late"), program="late"))
    settle(lane, lambda: len(ran) == 51)
    assert ran.index("late") <= before + 1


def independent(name: str, generator: random.Random) -> Program:
    """A few segments that all read the input, with priorities."""
    count = generator.randint(1, 4)
    segments = [
        tiny.segment(f"{name}{i}", "a", [tiny.port("x", INPUT)], [f"y{i}"], priority=generator.randint(0, 2))
        for i in range(count)
    ]
    names = [f"y{i}" for i in range(count)]
    outputs = [Binding(tensor=f"y{i}", node="a", source=f"{name}{i}") for i in range(count)]
    return tiny.program("a", segments, [], tiny.infos("x", *names), outputs).replace(name=name)


@pytest.mark.parametrize("seed", range(10))
def test_the_node_keeps_the_order_of_the_simulator(lane: Lane, seed: int) -> None:
    generator = random.Random(seed)
    programs = [independent(name, generator) for name in generator.sample("pqrs", generator.randint(1, 4))]
    requests = [generator.randint(1, 5) for _ in programs]
    loads = [
        Load(program, Durations(segments={s.id: 1.0 for s in program.segments}), [0.0] * count)
        for program, count in zip(programs, requests, strict=True)
    ]
    simulated = [(span.id, span.request) for span in timeline(loads) if span.kind == "compute"]
    ran: list[tuple[str, int]] = []
    for program, count in zip(programs, requests, strict=True):
        for request in range(count):
            for segment in program.segments:
                made = (segment.id, request)
                key = (request, segment.priority, segment.id)
                done = lambda result, made=made: ran.append(made)  # noqa: E731
                lane.submit(Job(key, segment.id, lambda: None, done, program=f"{program.name}/"))
    settle(lane, lambda: len(ran) == len(simulated))
    assert ran == simulated


def test_on_the_nodes_own_lane_a_slowed_job_keeps_all_others_waiting(lane: Lane) -> None:
    ran: list[str] = []
    starts: dict[str, float] = {}
    for name in "ab":

        def done(result: Result, name: str = name) -> None:
            ran.append(name)
            starts[name] = result.start_s

        lane.submit(Job((0, 0, name), name, lambda: None, done, Held(2.0), program=name))
    lane.settle()
    assert lane.busy[0] == "a"
    assert lane.due_s == float("inf")  # not computed yet, so nobody knows
    settle(lane, lambda: ran == ["a", "b"])
    assert starts["b"] - starts["a"] >= 0.05
    assert lane.busy == ("", -1, 0.0)


def test_a_job_on_a_lane_of_its_own_keeps_only_its_own_successor_waiting(lane: Lane) -> None:
    ran: list[str] = []
    begun: list[str] = []
    for request in range(2):
        name = f"own{request}"
        work = lambda name=name: begun.append(name)  # noqa: E731
        lane.submit(Job((request, 0, name), name, work, note(ran, name), Held(2.0), program="p", processor="p"))
    for request in range(20):
        lane.submit(Job((request, 0, "s"), "s", lambda: None, note(ran, "other"), program="q"))
    settle(lane, lambda: ran.count("other") == 20)
    assert begun == ["own0"]
    assert "own0" not in ran
    settle(lane, lambda: len(ran) == 22)
    assert ran[-2:] == ["own0", "own1"]


def test_two_programs_of_one_task_share_its_lane(lane: Lane) -> None:
    results: dict[str, Result] = {}
    for name in "ab":
        keep = lambda result, name=name: results.update({name: result})  # noqa: E731
        lane.submit(Job((0, 0, name), name, lambda: None, keep, Held(2.0), program=name, processor="task"))
    settle(lane, lambda: len(results) == 2)
    assert results["b"].start_s >= results["a"].stop_s


def test_work_takes_its_cpu_time_by_the_share_whoever_else_computes(lane: Lane) -> None:
    """A quarter of a node takes four times as long, beside programs that would take all of it."""
    ratios: list[float] = []
    others: list[Result] = []

    def quarter(request: int) -> None:
        def done(result: Result) -> None:
            ratios.append((result.stop_s - result.start_s) / result.value)
            if len(ratios) < 15:
                quarter(request + 1)

        lane.submit(
            Job((request, 0, "s"), "s", lambda: spin(4e-3), done, Pacer(8.0), program="quarter", processor="quarter")
        )

    quarter(0)
    for program, slowdown in (("half", 4.0), ("fair", 2.0)):
        for request in range(400):
            lane.submit(
                Job(
                    (request, 0, "s"), "s", lambda: spin(2e-3), others.append, Pacer(slowdown), program=program,
                    processor="" if program == "fair" else program,
                )
            )  # fmt: skip
    settle(lane, lambda: len(ratios) == 15)
    assert len(others) > 20
    # Never more than its share; and on a host that does other things too, that share in its best moment.
    assert min(ratios) == pytest.approx(8.0, rel=0.05)


def test_what_has_ended_begins_no_more(lane: Lane) -> None:
    ran: list[str] = []
    hold = threading.Event()
    lane.submit(Job((0, 0, "s"), "s", hold.wait, note(ran, "running"), program="p"))
    lane.settle()
    for program in "pq":
        lane.submit(Job((1, 0, program), program, lambda: None, note(ran, program), program=program))
    lane.forget("p")
    hold.set()
    settle(lane, lambda: len(ran) == 2)
    lane.settle()
    assert ran == ["running", "q"]


class Groups:
    """Jobs that are computed together, on a lane that is busy until `go`."""

    def __init__(self, lane: Lane, most: int = 16) -> None:
        self.lane, self.most = lane, most
        self.runs: list[list[int]] = []
        self.results: dict[int, Result] = {}
        self.gone: set[int] = set()
        self._hold = threading.Event()
        lane.submit(Job((0, 0, "first"), "first", self._hold.wait, lambda result: None, program="p"))
        lane.settle()

    def submit(self, number: int, kind: str = "k", program: str = "p", pacer: Pacer | None = None) -> None:
        together = Together(kind, number, self._work, lambda: self.most)
        self.lane.submit(
            Job(
                (number, 0, kind), kind, lambda: self._work([number])[0], lambda result: self.done(number, result),
                pacer, lambda: number not in self.gone, program=program, together=together,
            )
        )  # fmt: skip

    def done(self, number: int, result: Result) -> None:
        self.results[number] = result

    def go(self, count: int) -> None:
        self._hold.set()
        settle(self.lane, lambda: len(self.results) == count)

    def _work(self, items: Sequence[int]) -> list[Any]:
        self.runs.append(list(items))
        return [FormatError(f"no {item}") if item % 10 == 9 else 2 * item for item in items]


def test_what_is_ready_of_a_kind_is_computed_together_in_its_order(lane: Lane) -> None:
    groups = Groups(lane)
    for number, kind in ((5, "k"), (3, "k"), (4, "other"), (2, "k")):
        groups.submit(number, kind)
    groups.submit(1, program="q")
    groups.go(5)
    assert groups.runs == [[1], [2, 3, 5], [4]]
    assert {number: result.value for number, result in groups.results.items()} == {n: 2 * n for n in range(1, 6)}
    assert {number: result.together for number, result in groups.results.items()} == {1: 1, 2: 3, 3: 3, 4: 1, 5: 3}


def test_no_more_go_together_than_may(lane: Lane) -> None:
    groups = Groups(lane, most=2)
    for number in range(1, 6):
        groups.submit(number)
    groups.go(5)
    assert groups.runs == [[1, 2], [3, 4], [5]]


def test_nobody_waits_for_company(lane: Lane) -> None:
    groups = Groups(lane)
    groups.submit(1)
    groups.go(1)
    groups.submit(2)
    groups.go(2)
    assert groups.runs == [[1], [2]]


def test_each_of_a_group_has_its_own_error_and_what_is_given_up_is_left_out(lane: Lane) -> None:
    groups = Groups(lane)
    for number in (1, 2, 9, 4):
        groups.submit(number)
    groups.gone.add(2)
    groups.go(3)
    assert groups.runs == [[1, 4, 9]]
    assert {number: result.error for number, result in groups.results.items()} == {1: "", 4: "", 9: "no 9"}


def test_a_group_that_fails_as_a_whole_tells_each(lane: Lane) -> None:
    groups = Groups(lane)
    groups._work = lambda items: [0]  # fewer than it was given
    for number in (1, 2):
        groups.submit(number)
    groups.go(2)
    assert all("this is a fault of hocket" in result.error for result in groups.results.values())


def test_a_group_is_one_turn_of_its_program(lane: Lane) -> None:
    groups, order = Groups(lane, most=2), []
    groups.done = lambda number, result: order.append(number) or groups.results.update({number: result})
    for number in range(1, 5):
        groups.submit(number)
    for number in (11, 12):
        groups.submit(number, "s", program="q")
    groups.go(6)
    assert order == [11, 12, 1, 2, 3, 4]  # q, which had no turn before
    assert groups.runs == [[11, 12], [1, 2], [3, 4]]


def test_a_group_is_paced_once(lane: Lane) -> None:
    groups, ends = Groups(lane), []

    class Told(Held):
        def ended(self, due_s: float, now_s: float) -> None:
            ends.append(due_s)

    pacer = Told(2.0)
    for number in (1, 2, 3):
        groups.submit(number, pacer=pacer)
    groups.go(3)
    assert len(ends) == 1
    starts, stops = ({getattr(result, name) for result in groups.results.values()} for name in ("start_s", "stop_s"))
    assert len(starts) == len(stops) == 1
    assert stops.pop() - starts.pop() >= 0.05


def test_a_result_that_cannot_be_handled_takes_no_other_with_it(lane: Lane) -> None:
    groups = Groups(lane)

    def done(number: int, result: Result) -> None:
        groups.results[number] = result
        if number == 1:
            raise ZeroDivisionError

    groups.done = done
    for number in (1, 2, 3):
        groups.submit(number)
    with pytest.raises(ZeroDivisionError):
        groups.go(3)
    assert sorted(groups.results) == [1, 2, 3]
    groups.submit(4)
    groups.go(4)
