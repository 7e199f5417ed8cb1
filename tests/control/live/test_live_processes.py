"""Live sessions on real processes: ended, stopped and started again while requests come."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from live_sessions import CLUSTER, Expected, cut, solution_of, until

import hocket
from hocket.cluster import read_toml
from hocket.control.live.deploy import Live, deploy
from hocket.control.live.state import Rules
from hocket.cost import problem_for
from hocket.errors import NodeError
from hocket.zoo.listing import model_path

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def expected() -> Expected:
    return Expected(hocket.load_model(model_path("toy_dag")))


@pytest.fixture
def live() -> Iterator[Live]:
    model = hocket.load_model(model_path("toy_dag"))
    problem = problem_for(model.graph, read_toml(CLUSTER))
    rules = Rules(standby="ready")
    with deploy(solution_of(problem, cut(problem, "a", "b")), models=model, policy="static", rules=rules) as session:
        until(lambda: session.status().calm)
        yield session


class Busy:
    """Requests from a thread of its own, each answer checked."""

    def __init__(self, live: Live, expected: Expected) -> None:
        self._live, self._expected, self.count = live, expected, 0
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Busy":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        def requests():  # type: ignore[no-untyped-def]
            number = 0
            while not self._stop.is_set():
                yield self._expected.inputs[number % 3]
                number += 1

        try:
            for number, answer in enumerate(self._live.stream(requests())):
                self._expected.check(number, answer.outputs)
                self.count = number + 1
        except BaseException as error:  # noqa: BLE001 (border of the thread: the test asks for it)
            self.error = error


def test_a_killed_node_costs_no_request_and_comes_back(live: Live, expected: Expected) -> None:
    with Busy(live, expected) as busy:
        until(lambda: busy.count > 20)
        os.kill(live.fleet.process_id("b"), signal.SIGKILL)
        until(lambda: live.status().nodes["b"] == "down")
        seen = busy.count
        until(lambda: busy.count > seen + 20)
        live.fleet.start_again("b")
        until(lambda: live.status().used == {"a", "b"})
        seen = busy.count
        until(lambda: busy.count > seen + 20)
    assert busy.error is None
    assert live.status().counts["losses"] == 1


def test_a_node_that_hangs_is_left_and_taken_again(live: Live, expected: Expected) -> None:
    process = live.fleet.process_id("b")
    with Busy(live, expected) as busy:
        until(lambda: busy.count > 20)
        os.kill(process, signal.SIGSTOP)
        try:
            until(lambda: live.status().nodes["b"] == "down")
            seen = busy.count
            until(lambda: busy.count > seen + 20)
        finally:
            os.kill(process, signal.SIGCONT)
        until(lambda: live.status().used == {"a", "b"})
    assert busy.error is None


def test_without_its_source_every_request_gets_one_clear_error_until_it_is_back(live: Live, expected: Expected) -> None:
    os.kill(live.fleet.process_id("a"), signal.SIGKILL)
    with pytest.raises(
        NodeError, match=r"node 'a' brings the inputs or needs the outputs, and is down .*; start it again"
    ):
        for _ in range(1000):
            live.run(expected.inputs[0])
            time.sleep(0.01)
    until(lambda: "a" in live.fleet.ended())
    live.fleet.start_again("a")
    until(lambda: live.status().plan >= 0)
    expected.check(0, live.run(expected.inputs[0]).outputs)


def test_nothing_is_left_when_the_session_ends(live: Live, expected: Expected) -> None:
    processes = [live.fleet.process_id(node) for node in "abc"]
    live.run(expected.inputs[0])
    live.close()
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
