"""The commands that the packages for containers and services give are ones that a node takes."""

import re
import runpy
import shlex
import socket
import sys
from pathlib import Path

import pytest

from hocket.runtime.__main__ import _parser

ROOT = Path(__file__).resolve().parents[2]


def service_command() -> list[str]:
    text = (ROOT / "packaging" / "hocket-node@.service").read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ExecStart=\S+ -m hocket\.runtime (.*)$", text, re.MULTILINE)
    return shlex.split(line.replace("$HOCKET_OPTIONS", "--listen tcp://0.0.0.0:7001"))


def test_the_service_starts_a_node_and_its_options_come_last() -> None:
    options = _parser().parse_args(service_command())
    assert options.memory_limit == 2 * 10**9 and options.listen == "tcp://0.0.0.0:7001"


def test_the_nodes_of_the_composition_start_and_the_source_knows_all_of_them() -> None:
    text = (ROOT / "compose.yaml").read_text()
    nodes = [_parser().parse_args(shlex.split(line)) for line in re.findall(r"command: (--name .*)", text)]
    assert len(nodes) == 3 and all(node.plaintext and node.memory_limit for node in nodes)
    (probe,) = re.findall(r"hocket probe (.*) --plaintext", text)
    assert [word for word in probe.split() if "://" in word] == [f"tcp://{node.name}:7000" for node in nodes]


def test_the_image_starts_a_node() -> None:
    text = (ROOT / "Dockerfile").read_text()
    (command,) = re.findall(r"^CMD \[(.*)\]$", text, re.MULTILINE)
    assert _parser().parse_args([word.strip(' "') for word in command.split(",")]).name == "node"
    assert [line for line in text.splitlines() if line.startswith("USER")] == ["USER hocket"] * 2


def test_a_node_needs_the_packages_that_the_project_lists_first() -> None:
    listed = [line for line in (ROOT / "packaging" / "node.txt").read_text().split("\n") if line and line[0] != "#"]
    project = (ROOT / "pyproject.toml").read_text()
    (first,) = re.findall(r"all that a node needs\.\ndependencies = \[\n((?:.*\n){4})", project)
    assert sorted(listed) == sorted(re.findall(r'"([\w-]+)>=', first))


@pytest.mark.parametrize(("greeting", "code"), [(b"\xff\x00", 0), (b"HTTP", 1), (None, 1)])
def test_the_health_check_knows_a_node_by_its_greeting(
    greeting: bytes | None, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["healthy.py", str(port)])
        healthy = runpy.run_path(str(ROOT / "packaging" / "healthy.py"))["main"]
        if greeting is None:
            server.close()
            assert healthy() == code and f"nothing greets at 127.0.0.1:{port}" in capsys.readouterr().err
            return
        # The system takes the connection before anybody accepts it, so that one thread is enough.
        monkeypatch.setattr(socket, "create_connection", lambda *_: _greeted(server, port, greeting))
        assert healthy() == code


def _greeted(server: socket.socket, port: int, greeting: bytes) -> socket.socket:
    client = socket.socket()
    client.connect(("127.0.0.1", port))
    other, _ = server.accept()
    other.sendall(greeting)
    other.close()
    return client
