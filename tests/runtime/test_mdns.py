"""Announcing and finding nodes, on the loopback interface only."""

import contextlib
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.errors import FormatError, MissingError, NodeError
from hocket.runtime import wire
from hocket.runtime.keys import make_keys, read_token, save_keys
from hocket.runtime.mdns import PLAINTEXT, Announcement, advertised, discover, read, split_trusted

LOOPBACK = ["127.0.0.1"]


def own(names: Sequence[str], count: int) -> list[Announcement]:
    """What is announced under some names; other tests may announce at the same time, and a busy host is slow."""
    for _ in range(10):
        found = [each for each in discover(2.5, LOOPBACK) if each.name in names]
        if len(found) >= count:
            return found
    pytest.fail(f"{count} announcements of {names} were not found")


def test_what_is_announced_is_found() -> None:
    pytest.importorskip("zeroconf")
    keys = make_keys()
    camera, pi = (f"{name}.{secrets.token_hex(4)}" for name in ("camera", "pi"))
    with advertised(camera, "tcp://127.0.0.1:7000", keys.public), advertised(pi, "tcp://127.0.0.1:7001"):
        found = own([camera, pi], 2)
    assert [(each.name, each.address, each.key, each.version) for each in found] == [
        (camera, "tcp://127.0.0.1:7000", keys.public, wire.VERSION),
        (pi, "tcp://127.0.0.1:7001", "", wire.VERSION),
    ]
    assert all(each.cores > 0 for each in found)
    assert read_token(found[0].token) == ("tcp://127.0.0.1:7000", keys.public)
    assert found[1].token == "tcp://127.0.0.1:7001"


def test_two_nodes_of_one_name_are_both_found() -> None:
    pytest.importorskip("zeroconf")
    pi = f"pi.{secrets.token_hex(4)}"
    with advertised(pi, "tcp://127.0.0.1:7000"), advertised(pi, "tcp://127.0.0.1:7001"):
        found = own([pi], 2)
    assert [(each.name, each.address) for each in found] == [
        (pi, "tcp://127.0.0.1:7000"),
        (pi, "tcp://127.0.0.1:7001"),
    ]


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(MissingError, match=r"needs zeroconf, which is not installed; install hocket\[discover\]"):
        discover(0.1)


def test_a_name_is_no_address_to_announce() -> None:
    pytest.importorskip("zeroconf")
    with (
        pytest.raises(NodeError, match=r"'tcp://pi.local:7000' has no number for an address"),
        advertised("a", "tcp://pi.local:7000"),
    ):
        pass


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({b"name": None}, "a node has a name"),
        ({b"name": b"\x1b[31mred"}, "a node has a name"),
        ({b"name": b"x" * 101}, "a node has a name"),
        ({b"key": b"short"}, "neither a key of 40 characters"),
        ({b"key": b"~" * 40}, "does not hold a CURVE key"),
        ({b"key": None}, "neither a key of 40 characters"),
    ],
)
def test_announcements_that_make_no_sense_are_ignored(changes: dict[bytes, bytes | None], sentence: str) -> None:
    good: dict[bytes, bytes | None] = {b"name": b"pi", b"key": PLAINTEXT.encode(), b"cores": b"4", b"version": b"x"}
    assert read(["192.168.1.7"], 7000, good) == Announcement("pi", "tcp://192.168.1.7:7000", "", 0, 4)
    assert read(["fe80::1"], 7000, good).address == "tcp://[fe80::1]:7000"
    with pytest.raises(FormatError, match=sentence):
        read(["192.168.1.7"], 7000, {**good, **changes})
    with pytest.raises(FormatError, match="says no place"):
        read([], 7000, good)


@given(
    st.dictionaries(
        st.sampled_from([b"name", b"key", b"cores", b"version"]) | st.binary(max_size=9),
        st.none() | st.binary(max_size=60),
    )
)
def test_noise_is_an_announcement_or_one_error(properties: dict[bytes, bytes | None]) -> None:
    with contextlib.suppress(FormatError):
        assert read(["10.0.0.1"], 1, properties).name.isprintable()


def test_a_key_is_trusted_by_the_list_and_not_by_being_announced() -> None:
    mine, other = make_keys().public, make_keys().public
    found = [Announcement("pi", "tcp://10.0.0.1:1", key) for key in (mine, other, "")]
    assert split_trusted(found, [mine]) == ([found[0]], found[1:])
    assert split_trusted(found, [], plaintext=True) == ([found[2]], found[:2])


@pytest.mark.cluster
def test_nodes_are_found_measured_and_written_as_a_cluster(tmp_path: Path) -> None:
    """`hocket node --advertise` and `hocket discover -o`, with a list of keys."""
    pytest.importorskip("zeroconf")
    from hocket.cluster import load_cluster

    for name in ("a", "session", "stranger"):
        save_keys(tmp_path, name)
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "a.pub").write_text((tmp_path / "a.pub").read_text())
    nodes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "hocket", "node", "--name", name, "--advertise"),
                *("--keys", str(tmp_path), "--allow", str(tmp_path / "session.pub")),
            ],
            stdout=subprocess.PIPE,
        )
        for name in ("a", "stranger")
    ]
    try:
        for node in nodes:
            assert node.stdout is not None
            assert json.loads(node.stdout.readline())["address"]
        command = [
            *(sys.executable, "-m", "hocket", "discover", "--seconds", "2", "--interface", "127.0.0.1"),
            *("--keys", str(tmp_path / "session.key"), "-o", str(tmp_path / "found.toml")),
        ]
        refused = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert refused.returncode == 1 and "no list has" in refused.stderr, refused
        done = subprocess.run(
            [*command, "--allow", str(tmp_path / "trusted"), "--json"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        rows = {row["node"]: row["trusted"] for row in json.loads(done.stdout)["found"]}
        assert rows == {"a": True, "stranger": False}
        assert [node.name for node in load_cluster(tmp_path / "found.toml").nodes] == ["a"]
    finally:
        for node in nodes:
            node.send_signal(signal.SIGTERM)
            node.communicate()
