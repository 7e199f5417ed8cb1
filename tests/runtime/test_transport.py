import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hocket.errors import FormatError, NodeError
from hocket.runtime.inproc import Network
from hocket.runtime.keys import join_token, load_keys, load_public, make_keys, read_token, save_keys
from hocket.runtime.transport import check_transport
from hocket.runtime.zmq_transport import ZmqTransport, is_loopback

HERE = "tcp://127.0.0.1:0"


def until(holds: Callable[[], bool], transport: ZmqTransport) -> bool:
    """Let a transport work until something holds."""
    deadline_s = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline_s:
        assert transport.receive(0.02) is None
    return holds()


def test_inproc_keeps_the_contract() -> None:
    check_transport(Network().open)


def test_zmq_keeps_the_contract() -> None:
    check_transport(lambda name: ZmqTransport(name, listen=HERE))


def test_curve_admits_who_is_listed_and_counts_strangers() -> None:
    ours, friend, stranger = make_keys(), make_keys(), make_keys()
    node = ZmqTransport("node", listen=HERE, keys=ours, allow=[friend.public])
    others = [ZmqTransport("friend", keys=friend), ZmqTransport("stranger", keys=stranger), ZmqTransport("plain")]
    try:
        others[1].connect("node", node.address, ours.public)
        others[1].send("node", [b"let me in"])
        assert until(lambda: node.counters()["strangers"] > 0, node)
        others[2].connect("node", node.address)
        others[2].send("node", [b"no keys"])
        assert until(lambda: node.counters()["broken_handshakes"] > 0, node)
        others[0].connect("node", node.address, ours.public)
        others[0].send("node", [b"hello"])
        received = node.receive(5)
        while received is None:
            received = node.receive(5)
        assert received[0].startswith("friend/") and bytes(received[1][0]) == b"hello"
    finally:
        for transport in (node, *others):
            transport.close()


def test_a_wrong_server_key_reaches_nobody() -> None:
    ours, friend = make_keys(), make_keys()
    node = ZmqTransport("node", listen=HERE, keys=ours, allow=[friend.public])
    other = ZmqTransport("friend", keys=friend)
    try:
        other.connect("node", node.address, make_keys().public)
        other.send("node", [b"hello"])
        assert node.receive(0.3) is None
    finally:
        node.close()
        other.close()


def test_bytes_that_are_not_zmq_are_shrugged_off() -> None:
    node = ZmqTransport("node", listen=HERE)
    try:
        with socket.create_connection(("127.0.0.1", int(node.address.rsplit(":", 1)[1]))) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + bytes(4000))
            node.receive(0.2)
        other = ZmqTransport("other")
        other.connect("node", node.address)
        other.send("node", [b"hello"])
        while (received := node.receive(5)) is None or bytes(received[1][-1]) != b"hello":
            pass
        other.close()
    finally:
        node.close()


def test_plaintext_beyond_this_computer_has_to_be_asked_for() -> None:
    with pytest.raises(
        NodeError, match=r"is beyond this computer and there are no keys; give keys, or ask for plaintext"
    ):
        ZmqTransport("node", listen="tcp://0.0.0.0:0")
    ZmqTransport("node", listen="tcp://0.0.0.0:0", plaintext=True).close()
    assert is_loopback("tcp://127.0.0.1:0") and is_loopback("tcp://[::1]:5") and not is_loopback("tcp://pi:7000")


def test_addresses_of_no_use_are_refused() -> None:
    with pytest.raises(NodeError, match=r"'node' cannot listen at 'tcp://127.0.0.1:notaport'"):
        ZmqTransport("node", listen="tcp://127.0.0.1:notaport")
    node = ZmqTransport("node")
    with pytest.raises(NodeError, match=r"node 'x' has the address 'tcp://127.0.0.1', which is of no use"):
        node.connect("x", "tcp://127.0.0.1")
    with pytest.raises(NodeError, match=r"node 'x' wants encryption and 'node' has no keys"):
        node.connect("x", "tcp://127.0.0.1:9", make_keys().public)
    node.close()


def test_keys_are_files_for_their_owner_alone(tmp_path: Path) -> None:
    keys = save_keys(tmp_path, "pi")
    secret = tmp_path / "pi.key"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert load_keys(secret) == keys and load_public(tmp_path / "pi.pub") == keys.public == load_public(keys.public)
    assert keys.secret not in repr(keys)
    with pytest.raises(FormatError, match=r"exists and a key is never overwritten"):
        save_keys(tmp_path, "pi")
    secret.chmod(0o644)
    with pytest.raises(FormatError, match=r"has mode 0644 and a secret key is for its owner alone; run chmod 600"):
        load_keys(secret)


@pytest.mark.parametrize(
    "text", ["", "hocket-key/1 secret\nabc\n", "hocket-key/1 secret\n" + "0" * 40 + "\n" + "0" * 40]
)
def test_broken_key_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(FormatError):
        load_keys(path)


def test_a_join_token_carries_address_and_key() -> None:
    keys = make_keys()
    assert read_token(join_token("tcp://pi:7000", keys.public)) == ("tcp://pi:7000", keys.public)
    with pytest.raises(FormatError, match=r"'hocket1:pi' is not a join token"):
        read_token("hocket1:pi")
