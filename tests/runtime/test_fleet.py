"""Nodes that are started once and serve several sessions, as threads on an in-process network."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import tiny

from hocket.errors import NodeError, PlanError
from hocket.program import Program, Resource, Wire
from hocket.runtime.fleet import Fleet
from hocket.runtime.inproc import Network
from hocket.runtime.session import Session

X = {"x": np.zeros(tiny.SHAPE, np.float32)}


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    before = threading.active_count()
    with Fleet(tiny.there_and_back()[0].sites, network=Network()) as fleet:
        yield fleet
    deadline_s = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert threading.active_count() == before


def attached(fleet: Fleet, window: int = 2, **options: object) -> Session:
    return Session(*tiny.there_and_back(window), tiny.no_weights, fleet=fleet, **options)


def test_sessions_come_and_go_and_the_nodes_stay(fleet: Fleet) -> None:
    nodes = {name: fleet.launcher.node(name) for name in "ab"}
    with attached(fleet) as one:
        for _ in range(3):
            with attached(fleet) as other:
                assert (other.run(X).outputs["y"] == one.run(X).outputs["y"]).all()
        assert (one.run(X).outputs["y"] == 111).all()
    assert {name: fleet.launcher.node(name) for name in "ab"} == nodes


def test_many_sessions_stream_at_once_each_in_its_order(fleet: Fleet) -> None:
    sessions = [attached(fleet, window) for window in (1, 2, 3, 8)]
    firsts: dict[int, list[float]] = {}

    def stream(index: int) -> None:
        requests = ({"x": np.full(tiny.SHAPE, 1000 * index + i, np.float32)} for i in range(200))
        firsts[index] = [float(answer.outputs["y"][0, 0]) for answer in sessions[index].stream(requests)]

    threads = [threading.Thread(target=stream, args=(index,)) for index in range(len(sessions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert firsts == {index: [1000 * index + i + 111 for i in range(200)] for index in range(len(sessions))}
    counters = sessions[0].counters()
    assert all(node[key] == 0 for node in counters.values() for key in ("late", "repeated", "malformed", "faults"))
    for session in sessions:
        session.close()


def linked(name: str, own: str = "") -> Program:
    """There takes 1600 bytes/s for 16 bytes: 10 ms, on a link of all or on a part of it under a name of its own."""
    wire = Wire(source="a", target="b", resources=(f"ab{own}",))
    resource = Resource(name=f"ab{own}", bytes_per_s=1600.0)
    return tiny.there_and_back()[0].replace(name=name, wires=(wire,), resources=(resource,))


@pytest.mark.parametrize("own", [False, True])
def test_links_are_shared_by_all_sessions(fleet: Fleet, own: bool) -> None:
    _, artifacts = tiny.there_and_back()
    programs = [linked(name, f"/{name}" if own else "") for name in "pq"]
    sessions = [Session(program, artifacts, tiny.no_weights, fleet=fleet) for program in programs]
    fleet.restart_links()
    begin_s = time.monotonic() + 0.05
    threads = [
        threading.Thread(target=lambda session=session: list(session.stream([X], arrivals_s=[begin_s])))
        for session in sessions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    starts = sorted(span.start_s for session in sessions for span in session.spans() if span.id == "t0")
    assert len(starts) == 2
    assert (starts[1] - starts[0] >= 0.0099) == (not own)
    for session in sessions:
        session.close()


def test_requests_are_sent_when_they_arrive_and_wait_where_the_window_is_full(fleet: Fleet) -> None:
    slow, artifacts = linked("p"), tiny.there_and_back()[1]
    with Session(slow, artifacts, tiny.no_weights, fleet=fleet) as session:
        begin_s = time.monotonic()
        arrivals = [begin_s + 0.02, *[begin_s + 0.1] * 4]
        answers = list(session.stream([X] * 5, window=1, arrivals_s=arrivals))
        trace = session.trace()
    assert [answer.request for answer in answers] == list(range(5))
    assert answers[0].waited_s < 0.01
    assert answers[4].waited_s > 0.03  # three others take 10 ms each before
    assert answers[4].sojourn_s == pytest.approx(answers[4].waited_s + answers[4].latency_s)
    assert trace.latencies_s() == pytest.approx([answer.sojourn_s for answer in answers])
    starts = [span.start_s for span in trace.spans if span.kind == "request"]
    assert starts[1] - starts[0] == pytest.approx(0.08, abs=0.02)


def test_a_stream_ends_with_its_arrivals_or_its_requests(fleet: Fleet) -> None:
    with attached(fleet) as session:
        assert len(list(session.stream([X] * 5, arrivals_s=[0.0, 0.0]))) == 2
        assert len(list(session.stream([X] * 2, arrivals_s=[0.0] * 5))) == 2


def test_a_session_without_its_fleet_says_so(fleet: Fleet) -> None:
    session = attached(fleet)
    fleet.close()
    message = r"(the nodes of this session have been ended; start them again|node 'a' is not connected or has closed)"
    with pytest.raises(NodeError, match=message):
        for _ in range(100):
            session.run(X)
    with pytest.raises(NodeError, match=r"^the nodes of this session have been ended; start them again$"):
        attached(fleet)


def test_what_a_fleet_does_not_have(fleet: Fleet) -> None:
    program, artifacts = tiny.there_and_back()
    with pytest.raises(PlanError, match=r"^a fleet says how its nodes are reached, and 'plaintext' is given too"):
        attached(fleet, plaintext=True)
    with (
        Fleet(program.sites[:1], network=Network()) as small,
        pytest.raises(NodeError, match=r"^the fleet has no node 'b'; it has a$"),
    ):
        Session(program, artifacts, tiny.no_weights, fleet=small)
    with pytest.raises(PlanError, match=r"^a timeout is more than 0 s, got 0; give one$"):
        Fleet(program.sites, timeout_s=0)


def test_a_share_is_a_lane_of_its_own_on_the_node(fleet: Fleet) -> None:
    with attached(fleet, lanes={"b": "b/task"}) as session:
        session.run(X)
        lanes = {name: set(fleet.launcher.node(name)._lane._processors) for name in "ab"}
    assert lanes == {"a": {""}, "b": {"", f"{fleet.name}/b/task"}}
