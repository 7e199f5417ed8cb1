"""Real node processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny
from ending import ended

from hocket.errors import LateError, NodeError
from hocket.program import Program, Resource, Wire
from hocket.runtime.fleet import Fleet
from hocket.runtime.keys import save_keys
from hocket.runtime.measure import measure_link
from hocket.runtime.session import Session

pytestmark = pytest.mark.cluster
X = {"x": np.zeros(tiny.SHAPE, np.float32)}
HERE = Path(__file__).parent


def gone(pid: int, timeout_s: float = 6.0) -> bool:
    """Whether a process has ended, soon."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            os.kill(pid, 0)
            if "Z (zombie)" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def children(session: Session) -> dict[str, int]:
    """Node -> process id."""
    return {name: child.process.pid for name, child in session.fleet.launcher._children.items()}


class Started:
    """Nodes that run already, started by hand as a user would."""

    def __init__(self, *arguments: str, name: str) -> None:
        command = [sys.executable, "-m", "hocket.runtime", "--name", name, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(5)
        self.process.communicate()
        return code


@pytest.fixture
def curve(tmp_path: Path) -> Iterator[tuple[Path, list[Started]]]:
    """Two nodes with keys that hear each other and a session."""
    for name in ("a", "b", "session", "stranger"):
        save_keys(tmp_path / ("others" if name == "stranger" else "keys"), name)
    nodes = [Started("--keys", str(tmp_path / "keys"), "--allow", str(tmp_path / "keys"), name=name) for name in "ab"]
    yield tmp_path, nodes
    for node in nodes:
        assert node.end() == 0


def test_two_processes_stream_in_order_and_end_with_the_session() -> None:
    program, artifacts = tiny.there_and_back(8)
    with Session(program, artifacts, tiny.no_weights) as session:
        pids = children(session)
        requests = ({"x": np.full(tiny.SHAPE, i, np.float32)} for i in range(2000))
        assert [float(a.outputs["y"][0, 0]) for a in session.stream(requests)] == [i + 111 for i in range(2000)]
        assert sum(counters["pending"] for counters in session.counters().values()) == 0
        assert len(session.trace().latencies_s()) == 2000
    assert all(gone(pid) for pid in pids.values())


def test_a_killed_node_is_one_error_and_nothing_is_left() -> None:
    session = Session(*tiny.there_and_back(), tiny.no_weights, timeout_s=5.0)
    pids = children(session)
    session.run(X)
    os.kill(pids["b"], signal.SIGKILL)
    start_s = time.monotonic()
    with pytest.raises(NodeError, match=r"node 'b' has ended with code -9 \(.*\); start the session again"):
        for _ in range(100_000):
            session.run(X)
    assert time.monotonic() - start_s < 5.0
    assert all(gone(pid) for pid in pids.values())


def test_processes_serve_several_sessions_until_their_fleet_ends() -> None:
    program, artifacts = tiny.there_and_back()
    with Fleet(program.sites) as fleet:
        sessions = [Session(program, artifacts, tiny.no_weights, fleet=fleet, timeout_s=5.0) for _ in range(3)]
        pids = children(sessions[0])
        assert pids == children(sessions[2])
        sessions[0].close()
        for session in sessions[1:]:
            assert (session.run(X).outputs["y"] == 111).all()
        os.kill(pids["b"], signal.SIGKILL)
        for session in sessions[1:]:
            with pytest.raises(NodeError, match=r"node 'b' has ended with code -9"):
                for _ in range(100_000):
                    session.run(X)
    assert all(gone(pid) for pid in pids.values())


def test_a_stopped_node_is_late_and_named() -> None:
    session = Session(*tiny.there_and_back(), tiny.no_weights, timeout_s=1.5)
    pids = children(session)
    os.kill(pids["b"], signal.SIGSTOP)
    with pytest.raises(LateError, match=r"node 'b' at tcp://127.0.0.1:[0-9]+ (is silent|has been silent)"):
        session.run(X)
    assert all(gone(pid) for pid in pids.values())


def test_an_unreachable_node_is_one_error() -> None:
    with pytest.raises(
        LateError, match=r"node 'b' at tcp://127.0.0.1:9 did not answer within 0.5 s; check that it runs"
    ):
        Session(*tiny.there_and_back(), tiny.no_weights, addresses={"b": "tcp://127.0.0.1:9"}, timeout_s=0.5)


SCRIPT = """
import sys, time, numpy as np
sys.path[:0] = [{here!r}]
import tiny
from hocket.runtime.session import Session
if __name__ == "__main__":
    with Session(*tiny.there_and_back(), tiny.no_weights) as session:
        session.run({{"x": np.zeros(tiny.SHAPE, np.float32)}})
        print(*[child.process.pid for child in session.fleet.launcher._children.values()], flush=True)
        for answer in session.stream({{"x": np.zeros(tiny.SHAPE, np.float32)}} for _ in iter(int, 1)):
            pass
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_session_ends_its_nodes_end(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(here=str(HERE))], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as script:
        assert script.stdout is not None
        pids = [int(word) for word in script.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.2)
        ended(script, number)
    assert all(gone(pid) for pid in pids)


def test_nodes_with_keys_serve_who_is_listed(curve: tuple[Path, list[Started]]) -> None:
    folder, nodes = curve
    from hocket.runtime.keys import load_keys

    places = {node.ready["name"]: node.ready["join"] for node in nodes}
    keys = load_keys(folder / "keys" / "session.key")
    for _ in range(2):  # the second session finds the nodes as the first left them
        with Session(*tiny.there_and_back(), tiny.no_weights, addresses=places, keys=keys) as session:
            assert not session.emulated
            assert (session.run(X).outputs["y"] == 111).all()
    stranger = load_keys(folder / "others" / "stranger.key")
    with pytest.raises(
        NodeError, match=r"node 'a' .*(refused the connection|check that it runs, its address and its keys)"
    ):
        Session(*tiny.there_and_back(), tiny.no_weights, addresses=places, keys=stranger, timeout_s=0.7)
    with Session(*tiny.there_and_back(), tiny.no_weights, addresses=places, keys=keys) as session:
        assert sum(counters["strangers"] for counters in session.counters().values()) > 0


def test_links_are_measured_as_they_are_emulated() -> None:
    wires = [Wire(source=a, target=b, latency_s=0.003, resources=(a + b,)) for a, b in ("ab", "ba")]
    resources = [Resource(name=name, bytes_per_s=5e6) for name in ("ab", "ba")]
    program: Program = tiny.there_and_back()[0].replace(wires=tuple(wires), resources=tuple(resources))
    with Session(program, tiny.there_and_back()[1], tiny.no_weights) as session:
        link = measure_link(session, "a", "b", nbytes=100_000, repeats=5)
    assert 0.003 <= link["latency_s"] < 0.05
    assert 2e6 < link["bytes_per_s"] < 6e6
    assert link["clock_error_s"] == 0


def test_a_node_says_what_is_wrong_with_its_arguments() -> None:
    command = [sys.executable, "-m", "hocket.runtime", "--name", "a", "--listen", "tcp://0.0.0.0:0"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.strip().endswith("there are no keys; give keys, or ask for plaintext")
