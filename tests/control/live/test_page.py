"""The page about live sessions: every Python block runs, one after the other, as a reader would type them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.cluster
def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")  # the page writes a file into the folder where it is run
    monkeypatch.chdir(tmp_path)
    blocks = _BLOCK.findall((ROOT / "docs" / "live.md").read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    try:
        for block in blocks:
            exec(compile(block, "docs/live.md", "exec"), names)
    finally:
        live = names.get("live")
        if live is not None:
            live.close()  # type: ignore[attr-defined]
    out = capsys.readouterr().out
    assert "True" in out  # the plan that was switched to is in force
    assert "0.9509" in out
    assert "http://127.0.0.1:" in out
    assert (tmp_path / "live.trace.json").exists()
