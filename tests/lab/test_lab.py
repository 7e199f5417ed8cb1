"""A real lab: what its file says is what is measured between its namespaces, and nothing of it stays."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hocket.errors import ClusterError, NodeError
from hocket.lab import Lab, cgroups, commands, down, host, names
from tests.lab.clusters import changing, real

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(host.why_not()), reason=host.why_not() or "can make a lab"),
]
TRANSFER = str(Path(__file__).parent / "transfer.py")
PORT = "9000"


def left_behind(name: str) -> list[str]:
    """What there is of a lab: namespaces, control groups, processes, its folder."""
    folders = [str(path) for path in cgroups.folders(cgroups.version(), name) if path.exists()]
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    running = [line for line in lines if f"/run/hocket/{name}/" in line or f"hocket+{name}+" in line]
    return [*host.namespaces(f"hocket+{name}+"), *folders, *running, *(n for n in names() if n == name)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.open(real()) as made:
        receivers = [made.popen(node, [sys.executable, TRANSFER, "receive", PORT], stdout=subprocess.PIPE)
                     for node in made.addresses]  # fmt: skip
        try:
            for receiver in receivers:
                assert receiver.stdout is not None
                assert receiver.stdout.readline() == b"ready\n"
            yield made
        finally:
            for receiver in receivers:
                receiver.kill()
                receiver.wait()
                assert receiver.stdout is not None
                receiver.stdout.close()
    assert left_behind("hocket-test") == []


def sending(lab: Lab, source: str, target: str, nbytes: int, at_s: float = 0.0) -> "subprocess.Popen[Any]":
    argv = [sys.executable, TRANSFER, "send", lab.layout.host(target), PORT, str(nbytes), str(at_s)]
    return lab.popen(source, argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def seconds(process: "subprocess.Popen[Any]") -> float:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return float(output)


def wait_until(holds: Callable[[], bool]) -> None:
    """For half a minute at most; the computer may be busy."""
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def rate(lab: Lab, source: str, target: str, nbytes: int) -> float:
    """Bytes per second; of three transfers the best, because the computer may be busy with something else."""
    return max(nbytes / seconds(sending(lab, source, target, nbytes)) for _ in range(3))


@pytest.mark.parametrize(
    ("source", "target", "nbytes", "mbit_per_s"),
    [("a", "b", 5_000_000, 40), ("b", "a", 1_000_000, 8), ("b", "c", 3_000_000, 24), ("c", "b", 3_000_000, 24)],
)
def test_a_link_is_as_fast_as_its_file_says(lab: Lab, source: str, target: str, nbytes: int, mbit_per_s: float) -> None:
    assert rate(lab, source, target, nbytes) * 8e-6 == pytest.approx(mbit_per_s, rel=0.15)


def test_a_small_message_feels_the_rate_too(lab: Lab) -> None:
    """64 KiB at 8 Mbit/s take 66 ms; a burst of the class as large as that would let them pass at once."""
    assert rate(lab, "b", "a", 1 << 16) * 8e-6 == pytest.approx(8, rel=0.15)


def test_a_medium_is_shared(lab: Lab) -> None:
    """Both directions at once have together what one has alone."""
    at_s = time.monotonic() + 3.0  # by then both have started
    both = [sending(lab, "b", "c", 2_000_000, at_s), sending(lab, "c", "b", 2_000_000, at_s)]
    assert max(seconds(process) for process in both) * 3e6 > 0.9 * 4_000_000


def test_a_port_holds_its_links_together(lab: Lab) -> None:
    lab.set_medium_rate("wifi", 100e6)
    assert rate(lab, "b", "c", 3_000_000) * 8e-6 == pytest.approx(30, rel=0.15)
    lab.set_medium_rate("wifi", None)
    assert rate(lab, "b", "c", 3_000_000) * 8e-6 == pytest.approx(24, rel=0.15)


def test_nodes_without_a_link_cannot_reach_each_other(lab: Lab) -> None:
    for source, target in (("a", "c"), ("c", "a")):
        process = sending(lab, source, target, 1)
        _, errors = process.communicate(timeout=30)
        assert process.returncode != 0
        assert "unreachable" in errors


def test_a_rate_can_be_changed_and_comes_back(lab: Lab) -> None:
    lab.set_rate("a", "b", 1e6)
    assert rate(lab, "a", "b", 1_000_000) == pytest.approx(1e6, rel=0.15)
    lab.set_rate("a", "b", None)
    assert rate(lab, "a", "b", 5_000_000) == pytest.approx(5e6, rel=0.15)
    with pytest.raises(ClusterError, match="no link"):
        lab.set_rate("a", "c", 1e6)


def test_a_latency_is_added_to_every_message(lab: Lab) -> None:
    """A byte there and the end of the connection back."""
    before_s = min(seconds(sending(lab, "a", "b", 1)) for _ in range(3))
    lab.set_latency("a", "b", 0.1)
    time.sleep(0.2)  # the delay line looks at its file now and then
    there_s = min(seconds(sending(lab, "a", "b", 1)) for _ in range(3))
    lab.set_latency("b", "a", 0.2)
    time.sleep(0.2)
    both_s = min(seconds(sending(lab, "a", "b", 1)) for _ in range(3))
    for source, target in (("a", "b"), ("b", "a")):
        lab.set_latency(source, target, None)
    time.sleep(0.2)
    assert there_s - before_s == pytest.approx(0.1, abs=0.03)
    assert both_s - before_s == pytest.approx(0.3, abs=0.03)
    assert rate(lab, "a", "b", 5_000_000) == pytest.approx(5e6, rel=0.15)


@pytest.mark.parametrize("fault", ["partition", "oneway", "rate"])
def test_a_partition_lets_nothing_pass_until_it_is_healed(lab: Lab, fault: str) -> None:
    if fault == "rate":
        lab.set_rate("a", "b", 0)
    else:
        getattr(lab, fault)({"a"}, {"b"})
    process = sending(lab, "a", "b", 1000)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    assert seconds(sending(lab, "b", "c", 1000)) < 30  # the others notice nothing
    if fault == "rate":
        lab.set_rate("a", "b", None)
    else:
        lab.heal()
    assert seconds(process) < 30


def test_packets_are_lost_at_the_rate_that_was_asked_for(lab: Lab) -> None:
    """Sent as datagrams, which nobody sends again."""
    code = (
        "import socket, sys, time\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "if sys.argv[1] == 'in':\n"
        "    s.bind(('0.0.0.0', 9001)); s.settimeout(2); print('ready', flush=True); n = 0\n"
        "    try:\n"
        "        while True: s.recv(100); n += 1\n"
        "    except TimeoutError: print(n)\n"
        "for _ in range(2000 if sys.argv[1] == 'out' else 0):\n"
        "    s.sendto(b'x', (sys.argv[2], 9001)); time.sleep(2e-4)\n"
    )
    lab.set_loss("a", "b", 0.2)
    receiver = lab.popen("b", [sys.executable, "-c", code, "in"], stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    assert receiver.stdout.readline() == "ready\n"
    assert lab.exec("a", [sys.executable, "-c", code, "out", lab.layout.host("b")], timeout_s=60).returncode == 0
    arrived = int(receiver.communicate(timeout=60)[0])
    lab.set_loss("a", "b", 0.0)
    lab.set_loss("a", "b", 0.0)  # none is lost any more: nothing to undo
    assert arrived / 2000 == pytest.approx(0.8, abs=0.04)


def test_a_node_is_killed_and_comes_back_on_its_address(lab: Lab) -> None:
    connect = ["-c", f"import socket; socket.create_connection(('{lab.layout.host('b')}', 7000), 5)"]
    assert lab.exec("a", [sys.executable, *connect], timeout_s=30).returncode == 0
    lab.kill("b")
    assert not lab.runs("b")
    assert lab.exec("a", [sys.executable, *connect], timeout_s=30).returncode != 0
    with pytest.raises(NodeError, match="does not run"):
        lab.stop("b")
    lab.restart("b")
    assert lab.runs("b")
    assert lab.exec("a", [sys.executable, *connect], timeout_s=30).returncode == 0


def test_a_node_is_stopped_and_goes_on(lab: Lab) -> None:
    pid = lab.status()[1]["process"]

    def stopped() -> bool:
        return " T " in Path(f"/proc/{pid}/stat").read_text()

    lab.stop("b")
    wait_until(stopped)
    lab.resume("b")
    wait_until(lambda: not stopped())


@pytest.mark.skipif(cgroups.version() == 0, reason="no control groups here")
def test_a_node_gets_no_more_of_the_processor_than_its_share(lab: Lab) -> None:
    """A quarter of one: a loop of 2 s has at most 0.5 s, and one period more; other load can only make it less."""
    spin = "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass\nprint(time.process_time())"
    used_s = float(lab.exec("b", [sys.executable, "-c", spin], timeout_s=60).stdout)
    assert 0.05 < used_s < 0.6
    lab.load_cpu("b", 3.0)
    time.sleep(0.5)
    beside_s = float(lab.exec("b", [sys.executable, "-c", spin], timeout_s=60).stdout)
    assert beside_s < 0.75 * used_s


@pytest.mark.skipif(cgroups.version() == 0, reason="no control groups here")
def test_a_node_gets_no_more_memory_than_its_limit(lab: Lab) -> None:
    """64 MiB, and what its process takes."""
    hold = "import sys; b = bytearray(int(sys.argv[1]) << 20); b[::4096] = bytes(len(b[::4096])); print('done')"
    argv = [sys.executable, "-c", hold]
    assert lab.exec("b", [*argv, "32"], timeout_s=60).stdout == "done\n"
    assert lab.exec("b", [*argv, "600"], timeout_s=60).returncode == -9
    assert lab.exec("a", [*argv, "600"], timeout_s=60).stdout == "done\n"


def test_the_session_reaches_all_nodes_but_those_that_are_cut_off_from_the_source(lab: Lab) -> None:
    def reached(node: str) -> bool:
        code = f"import socket; socket.create_connection(('{lab.layout.host(node)}', 7000), 1)"
        return lab.exec("", [sys.executable, "-c", code], timeout_s=30).returncode == 0

    assert all(reached(node) for node in "abc")
    lab.partition({"a"}, {"b"})
    assert [reached(node) for node in "abc"] == [True, False, True]
    lab.heal({"a"}, {"b"})
    assert reached("b")


def test_a_second_lab_disturbs_nobody(lab: Lab) -> None:
    with Lab.open(changing(), name="hocket-test-2", nodes=False) as other:
        assert {"hocket-test", "hocket-test-2"} <= set(names())
        show = ["tc", "-n", other.layout.namespace("a"), "class", "show", "dev", "eth0"]
        assert "41823" not in host.run(show)  # its link is down for a second, then up for one
        wait_until(lambda: "41823" in host.run(show))
        assert other.state().processes["replay"].alive
    assert left_behind("hocket-test-2") == []
    assert lab.runs("a")
    assert rate(lab, "a", "b", 5_000_000) == pytest.approx(5e6, rel=0.15)


def test_a_lab_that_fails_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = commands.up

    def broken(*arguments: Any, **options: Any) -> list[list[str]]:
        return [*made(*arguments, **options)[:20], ["ip", "no such thing"]]

    monkeypatch.setattr(commands, "up", broken)
    with pytest.raises(NodeError, match="no such thing"):
        Lab.open(real(), name="hocket-test-3")
    assert left_behind("hocket-test-3") == []
    assert not down("hocket-test-3")


def test_a_lab_whose_file_is_lost_can_be_ended() -> None:
    lab = Lab.open(real(), name="hocket-test-4", nodes=False)
    process = lab.popen("a", ["sleep", "600"])
    (lab.folder / "state.json").write_text("not JSON")
    assert down("hocket-test-4")
    assert process.wait(10) == -9
    assert left_behind("hocket-test-4") == []
    assert not down("hocket-test-4")


def test_two_of_one_name_are_refused(lab: Lab) -> None:
    with pytest.raises(NodeError, match="there is a lab 'hocket-test' already"):
        Lab.open(real())
    assert lab.runs("a")
