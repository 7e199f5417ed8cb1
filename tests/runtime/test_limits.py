"""Limits: rates of peers, memory of the process, rights."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from hocket.errors import FormatError, HocketError, NodeError
from hocket.program import INPUT, Artifact, Binding, Program
from hocket.runtime import wire
from hocket.runtime.__main__ import _parser
from hocket.runtime.inproc import Network
from hocket.runtime.keys import read_token, save_keys
from hocket.runtime.limits import Allowance, Limits, Rationed, become
from hocket.runtime.session import Session
from hocket.runtime.transport import check_transport
from hocket.runtime.zmq_transport import ZmqTransport

MESSAGES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 5000), st.floats(0, 0.5)), max_size=60
)  # peer, bytes, seconds since the last one


@given(MESSAGES, st.floats(0.5, 100), st.floats(1, 10_000))
def test_no_peer_exceeds_its_rates_by_more_than_a_burst_and_a_message(
    messages: list[tuple[str, int, float]], messages_per_s: float, bytes_per_s: float
) -> None:
    allowance = Allowance(messages_per_s, bytes_per_s, burst_s=2.0)
    now_s = 0.0
    admitted: dict[str, list[int]] = {"a": [], "b": []}
    for peer, nbytes, wait_s in messages:
        now_s += wait_s
        if allowance.admits(peer, nbytes, now_s):
            admitted[peer].append(nbytes)
    for sizes in admitted.values():
        assert len(sizes) <= messages_per_s * (now_s + 2.0) + 1 + 1e-6
        assert sum(sizes) <= bytes_per_s * (now_s + 2.0) + max(sizes, default=0) + 1e-6


@given(st.integers(1, 50), st.integers(0, 1000))
def test_a_peer_that_keeps_its_rate_is_never_refused(rate: int, nbytes: int) -> None:
    allowance = Allowance(rate, rate * max(nbytes, 1))
    assert all(allowance.admits("a", nbytes, number * 1.001 / rate) for number in range(200))


def test_one_peers_flood_costs_another_nothing() -> None:
    allowance = Allowance(10, 1000, burst_s=1.0)
    assert sum(allowance.admits("flood", 1, 0.0) for _ in range(1000)) == 10
    assert allowance.admits("calm", 1, 0.0)


def test_a_message_longer_than_the_bucket_is_let_in_and_paid_for() -> None:
    allowance = Allowance(0, 100, burst_s=1.0)
    assert allowance.admits("a", 1000, 0.0)
    assert not allowance.admits("a", 1, 8.9)
    assert allowance.admits("a", 1, 9.1)


def test_rates_of_zero_are_no_limit_and_remember_nobody() -> None:
    allowance = Limits().allowance()
    assert all(allowance.admits(str(number), 1 << 30, 0.0) for number in range(100))
    assert allowance.peers == 0


def test_peers_that_come_and_go_do_not_fill_the_memory() -> None:
    allowance = Limits(messages_per_s=1, peers=100).allowance()
    for number in range(1000):
        allowance.admits(str(number), 1, float(number))
    assert allowance.peers == 100


def test_a_rationed_transport_keeps_the_contract_and_counts_what_it_throws_away() -> None:
    network = Network()
    check_transport(lambda name: Rationed(network.open(name), Limits()))
    sender = network.open("sender")
    limits = Limits(message_bytes=100, messages_per_s=2)
    receiver = Rationed(network.open("receiver"), limits, clock=lambda: 0.0)
    sender.connect("receiver", receiver.address)
    for size in (100, 101, 1, 1, 1, 1):
        sender.send("receiver", [b"x", bytes(size - 1)])
    received = [receiver.receive(0.0) for _ in range(7)]
    assert [sum(map(len, each[1])) for each in received if each is not None] == [100, 1, 1, 1]
    assert receiver.counters() == {"oversized": 1, "throttled": 1}


def test_a_limit_has_a_least_value() -> None:
    with pytest.raises(FormatError, match=r"limit message_bytes is at least 1, got 0"):
        Limits(message_bytes=0)
    for rate in (-1.0, float("nan")):
        with pytest.raises(FormatError, match=rf"limit messages_per_s is at least 0, got {rate}"):
            Limits(messages_per_s=rate)


def test_a_user_that_is_not_there_is_refused() -> None:
    with pytest.raises(NodeError, match=r"there is no user 'nobody-of-that-name' here"):
        become("nobody-of-that-name")


# ---------------------------------------------------------------- real processes


STARTED: list["Started"] = []


class Started:
    """A node as a user starts it."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "hocket.runtime", "--name", "a", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        STARTED.append(self)
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors.decode()


@pytest.fixture
def start() -> Iterator[type[Started]]:
    """Starts nodes, and ends those that a failed test has left."""
    yield Started
    while STARTED:
        process = STARTED.pop().process
        if process.poll() is None:
            process.kill()
        if process.stdout is not None and not process.stdout.closed:
            process.communicate()


def square(size: int) -> tuple[Program, list[Artifact]]:
    """y = the mean of x times x, of a square of such a side: twice its bytes are needed."""
    nodes = [helper.make_node("MatMul", ["x", "x"], ["p"]), helper.make_node("ReduceMean", ["p"], ["y"], keepdims=0)]
    data = tiny.model(nodes, {"x": (size, size)}, {"y": ()})
    tensors = (*tiny.infos("x", shape=(size, size)), *tiny.infos("y", shape=()))
    segments = [tiny.segment("s", "a", [tiny.port("x", INPUT)], ["y"])]
    outputs = [Binding(tensor="y", node="a", source="s")]
    return tiny.program("a", segments, [], tensors, outputs), [tiny.artifact("s", data)]


def run(address: str, size: int) -> float:
    program, artifacts = square(size)
    site = program.sites[0].replace(address=address)
    program = program.replace(sites=(site,))
    with Session(program, artifacts, tiny.no_weights, timeout_s=30) as session:
        return float(session.run({"x": np.full((size, size), 2.0, np.float32)}).outputs["y"])


@pytest.mark.cluster
def test_a_model_that_is_too_large_gets_a_sentence_and_the_node_serves_on(start: type[Started]) -> None:
    node = start("--memory-limit", "200 MB")
    with pytest.raises(HocketError, match=r"memory|allocate"):
        run(node.ready["address"], 6000)  # twice 144 MB
    assert run(node.ready["address"], 100) == 400
    assert node.end()[0] == 0


@pytest.mark.cluster
def test_without_a_limit_the_same_model_runs(start: type[Started]) -> None:
    node = start()
    assert run(node.ready["address"], 1000) == 4000
    assert node.end()[0] == 0


@pytest.mark.cluster
@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can give up rights")
def test_rights_are_given_up_after_the_start(start: type[Started], tmp_path: Path) -> None:
    public = save_keys(tmp_path, "a").public
    node = start("--user", "nobody", "--keys", str(tmp_path), "--listen", "tcp://127.0.0.1:797")
    assert node.ready["key"] == public  # read while it could be
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    ids = {line.split()[0]: line.split()[1:] for line in status.splitlines() if line.startswith(("Uid", "Gid"))}
    assert len({*ids["Uid:"]}) == 1 and ids["Uid:"][0] != "0" and ids["Gid:"][0] != "0"
    assert node.end()[0] == 0


# ---------------------------------------------------------------- options


def test_limits_are_written_with_units() -> None:
    options = _parser().parse_args(
        ["--name", "a", "--memory-limit", "2GB", "--message-limit", "64 MiB", "--rate-limit", "1Gbit/s"]
    )
    assert (options.memory_limit, options.message_limit, options.rate_limit) == (2 * 10**9, 64 << 20, 125e6)
    assert _parser().parse_args(["--name", "a", "--memory-limit", "1000"]).memory_limit == 1000


def test_a_limit_that_is_no_size_is_refused_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["--name", "a", "--memory-limit", "3 apples"])
    assert "'3 apples' has no unit of bytes; write it like '2 GiB'" in capsys.readouterr().err


@pytest.mark.cluster
def test_the_join_token_names_the_address_that_others_use(start: type[Started], tmp_path: Path) -> None:
    public = save_keys(tmp_path, "a").public
    node = start("--keys", str(tmp_path), "--listen", "tcp://0.0.0.0:0", "--address", "tcp://pi:7000")
    assert read_token(str(node.ready["join"])) == ("tcp://pi:7000", public)
    code, errors = node.end()
    assert code == 0
    assert ("keeps the superuser's rights" in errors) == (os.geteuid() == 0)


@pytest.mark.cluster
def test_a_flood_is_thrown_away_and_counted(start: type[Started]) -> None:
    node = start("--messages-per-s", "100")
    transport = ZmqTransport("flood")
    transport.connect("a", str(node.ready["address"]))
    for _ in range(2000):
        transport.send("a", wire.pack(wire.Ping(0.0)))
    pongs = 0
    while transport.receive(1.0) is not None:
        pongs += 1
    transport.close()
    assert 200 <= pongs < 1000  # a burst of two seconds, and what the time of the flood itself allows
    assert node.end()[0] == 0
