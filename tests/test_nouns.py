# ruff: noqa: E501 (messages stand whole)
"""The base of all nouns: JSON that is checked, and files that are whole or not there."""

import os
import re
import stat
from pathlib import Path

import pytest

from hocket.errors import ClusterError, FormatError
from hocket.nouns import Noun, Value, read_bytes, write_whole


class Leaf(Value, frozen=True):
    """A value inside a noun."""

    size: int


class Tree(Noun, frozen=True, tag="test.tree/1"):
    """A noun for these tests."""

    name: str
    height_m: float = 0.0
    leaves: tuple[Leaf, ...] = ()

    def __post_init__(self) -> None:
        if self.name == "":
            raise ClusterError("a tree has a name, got ''; give it one")


TREE = Tree(name="ash", height_m=3.5, leaves=(Leaf(size=1), Leaf(size=2)))


def test_round_trip(tmp_path: Path) -> None:
    """Through text and through a file; the text is stable and says its format first."""
    text = TREE.to_json()
    assert text.startswith('{\n "format": "test.tree/1",\n "name": "ash"')
    assert Tree.from_json(text) == Tree.from_json(text.encode()) == TREE
    assert Tree.load(TREE.save(tmp_path / "tree.json")) == TREE
    assert (tmp_path / "tree.json").read_text() == text + "\n"


def test_a_changed_copy_is_checked() -> None:
    """`replace` makes a new noun and runs its rules."""
    assert TREE.replace(name="oak").name == "oak"
    with pytest.raises(ClusterError):
        TREE.replace(name="")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is not JSON (Expecting value: line 1 column 1 (char 0)); give a file that hocket wrote"),
        ("[]", "the text holds a JSON list, not an object; give a file that hocket wrote"),
        ("{}", "the text has format None where 'test.tree/1' is needed; give the right kind of file"),
        ('{"format": "test.tree/2"}', "the text has format 'test.tree/2' where 'test.tree/1' is needed; give the right kind of file"),
        ('{"format": "test.tree/1"}', "the text is not a valid test.tree/1: Object missing required field 'name'; correct that field"),
        ('{"format": "test.tree/1", "name": 3}', "the text is not a valid test.tree/1: Expected 'str', got 'int' at '$.name'; correct that field"),
        ('{"format": "test.tree/1", "name": "a", "leafs": 3}', "the text is not a valid test.tree/1: Object contains unknown field 'leafs'; correct that field"),
        ('{"format": "test.tree/1", "name": "a", "leaves": [{"size": 1.5}]}', "the text is not a valid test.tree/1: Expected 'int', got 'float' at '$.leaves[0].size'; correct that field"),
        ('{"format": "test.tree/1", "name": ""}', "the text: a tree has a name, got ''; give it one"),
        ('{"format": "test.tree/1", "height_m": NaN}', "the text is not JSON (NaN is not a JSON number); give a file that hocket wrote"),
        ('{"format": "test.tree/1", "height_m": 1e999}', "the text is not JSON (1e999 is too large for a number); give a file that hocket wrote"),
    ],
    ids=range(11),
)  # fmt: skip
def test_refusals(text: str, message: str) -> None:
    """One sentence each, with the field."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        Tree.from_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"format": "test.tree/1", "name": "a", "height_m": ' + "9" * 10_000 + "}",
        '{"format": "test.tree/1", "name": "a", "height_m": ' + "9" * 400 + "}",
        '{"format": "test.tree/1", "name": "a", "leaves": [{"size": ' + "9" * 400 + "}]}",
        '{"format": ' + "[1," * 50 + "1" + "]" * 50 + "}",
        '{"format": "' + "x" * 1_000_000 + '"}',
        '{"format": "test.tree/1", "name": "a", "b\\nc' + "x" * 1_000_000 + '": 1}',
        b"\xff",
        b"\x00",
    ],
    ids=range(10),
)
def test_hostile_text(text: str | bytes) -> None:
    """Deep, huge or no text: a short sentence, or a value that is finite."""
    try:
        tree = Tree.from_json(text)
    except FormatError as error:
        assert len(str(error)) < 400
        assert "\n" not in str(error)
    else:
        assert tree.height_m < float("inf")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, no path, and larger than any file of ours."""
    with pytest.raises(FormatError, match=r"no cannot be read \(No such file or directory\); give the path"):
        read_bytes(tmp_path / "no")
    with pytest.raises(FormatError, match=r"cannot be read \(Is a directory\); give the path"):
        read_bytes(tmp_path)
    with pytest.raises(FormatError, match=r"^'a\\x00b' is no path; give the path of a readable file$"):
        read_bytes("a\0b")


def test_a_file_larger_than_ours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that says it is empty and never ends, as devices do."""
    monkeypatch.setattr("hocket.nouns.MOST_BYTES", 10)
    path = tmp_path / "large"
    path.write_bytes(b"x" * 10)
    assert read_bytes(path) == b"x" * 10
    path.write_bytes(b"x" * 11)
    for large in (path, Path("/dev/zero")):
        message = f"{large} has more than 10 bytes, the most of hocket's own files; give another file"
        with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
            read_bytes(large)


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails the old file stays and nothing is left beside it."""
    path = write_whole(tmp_path / "a", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(
        FormatError, match=r"a cannot be written \(No space left on device\); give a path in a writable"
    ):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    """A missing folder, and no path."""
    with pytest.raises(
        FormatError, match=r"x cannot be written \(No such file or directory\); give a path in a writable"
    ):
        write_whole(tmp_path / "no" / "x", b"")
    with pytest.raises(FormatError, match=r"^'a\\x00b' is no path; give a path in a writable folder$"):
        write_whole("a\0b", b"")


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    """As open() would give it, not the private one of a temporary file."""
    umask = os.umask(0o022)
    try:
        assert stat.S_IMODE(write_whole(tmp_path / "a", b"").stat().st_mode) == 0o644
    finally:
        os.umask(umask)
