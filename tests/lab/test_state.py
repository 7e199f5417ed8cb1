"""What is known of a lab: its file, its processes, and what its absence means."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hocket.lab.host as host_module
from hocket.cli import app
from hocket.errors import ClusterError, FormatError, NodeError
from hocket.lab import Lab, down
from hocket.lab.delay_line import DelayLine
from hocket.lab.processes import Process, end, find
from hocket.lab.state import Made, State
from tests.lab.clusters import pair, real


def made(folder: Path, **fields: object) -> Made:
    State(name="pair", cluster=pair(), **fields).save(folder / "state.json")  # type: ignore[arg-type]
    return Made(folder)


def test_a_lab_is_found_by_its_file(tmp_path: Path) -> None:
    lab = made(tmp_path)
    process = Process(pid=7, started=8)
    lab.record({"node:a": process, "replay": process})
    lab.record({"replay": None})
    again = Made(tmp_path)
    assert again.state().processes == {"node:a": process}
    assert again.addresses == {"a": "tcp://10.77.0.1:7000", "b": "tcp://10.77.0.2:7000"}
    with pytest.raises(NodeError, match="no lab 'nowhere'"):
        Made(tmp_path / "nowhere")
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(FormatError, match="format"):
        again.state()


def test_a_name_cannot_lead_elsewhere() -> None:
    for name in ("", "..", "a/b", "../a", "a+b"):
        with pytest.raises(ClusterError, match="a lab has the name"):
            down(name)
        with pytest.raises(ClusterError, match="a lab has the name"):
            Lab.find(name)


def test_a_slowdown_is_made_once(tmp_path: Path) -> None:
    """By the limit of the processor, or by hocket; never by both."""
    for groups, paced, left in ((1, False, 1.0), (1, True, 4.0), (0, False, 4.0)):
        State(name="real", cluster=real(), groups=groups, paced=paced).save(tmp_path / "state.json")
        assert Made(tmp_path).cluster.node["b"].slowdown == left


def test_the_delay_line_hears_of_each_pair_once(tmp_path: Path) -> None:
    lab = made(tmp_path)
    assert lab.set_delay("a", "b", 0.1)
    assert not lab.set_delay("a", "b", 0.2)
    assert lab.set_delay("b", "a", 0.3)
    assert lab.delays() == {"l2": {"10.77.0.1": 0.2}, "l1": {"10.77.0.2": 0.3}}
    frame = bytes(26) + bytes([10, 77, 0, 1]) + bytes(4)
    line = DelayLine(lab.delays())
    assert line.due_s("l2", frame, 1.0) == pytest.approx(1.2)
    assert line.due_s("l1", frame, 1.0) == 1.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_number_alone_is_no_process() -> None:
    me = find(os.getpid())
    assert me is not None
    assert me.alive
    another = me.replace(started=me.started - 1)
    assert not another.alive
    assert not another.send(0)
    with subprocess.Popen(["sleep", "60"]) as child:
        process = find(child.pid)
        assert process is not None
        end([process, another])
        assert not process.alive
        assert child.wait() == -9


def test_without_the_rights_it_says_so_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_module, "_capabilities", lambda: 0)
    assert "use sudo" in host_module.why_not()
    monkeypatch.setattr(host_module, "_capabilities", lambda: (1 << 41) - 1)
    monkeypatch.setattr(host_module.shutil, "which", lambda _: None)
    assert "install iproute2" in host_module.why_not()
    monkeypatch.setattr(host_module.sys, "platform", "darwin")
    assert "this is darwin" in host_module.why_not()
    path = pair().save(tmp_path / "pair.json")
    result = CliRunner().invoke(app, ["lab", "up", str(path)])
    assert isinstance(result.exception, NodeError)
    assert "this is darwin" in str(result.exception)
