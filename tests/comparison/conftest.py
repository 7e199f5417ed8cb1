"""A small suite, rows and records for the tests of the comparison."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from hocket.comparison import Suite, load_suite, pool
from hocket.comparison.rows import Record, Row
from hocket.comparison.work import Desk

collect_ignore = ["conftest.py"]
SUITE = """
format = "hocket.suite/1"
title = "Small <suite>"
solvers = ["local", "remote", "linear_scan", "min_cut"]
kill_after = "20 s"

[clusters.pair]
architecture = "one_to_one"

[clusters.cell]
architecture = "many_to_one"
devices = 2

[variants.every_device]
sources = ["device*"]

[variants.hasty]
deadline = "1 us"

[[problems]]
name = "pair"
models = ["zoo:lenet"]
clusters = ["pair"]
objectives = ["latency", "sequential"]

[[problems]]
name = "cell"
models = [["zoo:lenet", "zoo:toy_chain"]]
clusters = ["cell"]
variants = ["every_device"]

[[problems]]
name = "hasty"
models = ["zoo:lenet"]
clusters = ["pair"]
variants = ["hasty"]
solvers = ["local"]
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the suite, with replacements, to a file."""

    def write(**replaced: str) -> Path:
        text = SUITE
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "small.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def suite(write: Callable[..., Path]) -> Suite:
    return load_suite(write())


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """Rows are done in this process; the list has those that were."""
    done: list[Row] = []

    def records(rows: Sequence[Row], jobs: int) -> Iterator[Record]:
        desk = Desk()
        for row in rows:
            done.append(row)
            yield desk.do(row, lambda: None)

    monkeypatch.setattr(pool, "records", records)
    return done
