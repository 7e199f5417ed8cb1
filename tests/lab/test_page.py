"""The page of the lab: its commands can be parsed, its faults are some, its tables name what there is."""

import re
import shlex
from pathlib import Path

import typer

from hocket.cli.lab import app
from hocket.cluster import load_cluster
from hocket.lab.faults import KINDS, read_faults

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_its_commands_can_be_parsed() -> None:
    group = typer.main.get_command(app)
    lines = [shlex.split(line, comments=True) for block in blocks("console") for line in block.splitlines()]
    assert {words[4] for words in lines} == set(group.commands)  # type: ignore[attr-defined]
    for words in lines:
        assert words[:4] == ["$", "sudo", "hocket", "lab"]
        command = group.commands[words[4]]  # type: ignore[attr-defined]
        command.make_context(words[4], words[5:])


def test_its_faults_are_faults() -> None:
    (text,) = blocks("toml")
    assert [fault.do for fault in read_faults(text, load_cluster(ROOT / "examples" / "home.toml"))] == [
        "kill",
        "partition",
        "rate",
    ]


def test_its_table_has_every_kind_of_fault_and_what_it_needs() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*?)\|", TEXT, re.MULTILINE))
    for name, kind in KINDS.items():
        assert tuple(re.findall(r"`(\w+)`", rows[name])) == kind.needs, name
