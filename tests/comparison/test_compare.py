"""The verb: results, going on where it stopped, Ray, the report."""

import csv
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import hocket
from hocket.comparison import Suite, load_suite
from hocket.comparison.rows import Row
from hocket.comparison.tables import COLUMNS
from hocket.errors import FormatError, MissingError, NodeError


def test_every_row_is_in_the_table(suite: Suite, here: list[Row], tmp_path: Path) -> None:
    found = hocket.compare(suite, folder=tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").read_text().splitlines()))
    assert len(rows) == 13
    assert list(rows[0]) == list(COLUMNS)
    status = {(row["problem"], row["solver"]): row["status"] for row in rows}
    assert status["cell/lenet+toy_chain/cell/latency/every_device", "min_cut"] == "refused"
    assert status["hasty/lenet/pair/latency/hasty", "local"] == "infeasible"
    solved = [row for row in rows if row["status"] == "solved"]
    assert len(solved) >= 8
    for row in solved:
        assert float(row["lower_bound"]) <= float(row["value"]) * (1 + 1e-9)
        assert float(row["factor"]) >= 1
        assert float(row["gap"]) == pytest.approx(1 - float(row["lower_bound"]) / float(row["value"]))
    assert found.new == len(here) == 17
    assert found.scores.problems["pair/lenet/pair/sequential"].gap == pytest.approx(0, abs=1e-9)


def test_parquet_has_the_same_rows(suite: Suite, here: list[Row], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    hocket.compare(suite, folder=tmp_path)
    table = parquet.read_table(tmp_path / "results.parquet")
    assert table.column_names == list(COLUMNS)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [row["solver"] for row in rows] == table.column("solver").to_pylist()
    values = [float(row["value"]) if row["value"] else None for row in rows]
    assert values == table.column("value").to_pylist()


def test_finished_rows_are_kept_and_a_broken_line_is_done_again(suite: Suite, here: list[Row], tmp_path: Path) -> None:
    hocket.compare(suite, folder=tmp_path)
    path = tmp_path / "rows.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]) + b'{"not": "a record"}\n' + lines[-1][:20])
    assert hocket.compare(suite, folder=tmp_path).new == 2
    assert hocket.compare(suite, folder=tmp_path).new == 0
    assert hocket.compare(suite, folder=tmp_path, resume=False).new == len(lines)


def test_progress_is_told(suite: Suite, here: list[Row], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    hocket.compare(suite, folder=tmp_path, progress=lambda *words: told.append(words))
    assert told[0] == ("solving", 0, 17)
    assert told[-1] == ("solving", 17, 17)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"on": "host:1"}, "rows are done here or on ray://HOST:PORT, got 'host:1'; correct the address"),
        ({"jobs": 0}, "a comparison needs at least one process, got 0; ask for more"),
    ],
)
def test_what_is_refused_at_once(suite: Suite, tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FormatError) as caught:
        hocket.compare(suite, folder=tmp_path, **options)
    assert str(caught.value) == sentence


def test_a_missing_package_is_said_before_anything_is_solved(
    suite: Suite, here: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingError) as caught:
        hocket.compare(suite, folder=tmp_path, on="ray://head:10001")
    assert str(caught.value) == ("comparing on a Ray cluster needs ray, which is not installed; install hocket[ray]")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingError, match=r"pyarrow, which is not installed; install hocket\[compare\]"):
        hocket.compare(suite, folder=tmp_path)
    assert not here


class _LostError(Exception):
    """Stands for `ray.exceptions.RayError`."""


def _ray(calls: list[Any], lost: str) -> ModuleType:
    """Stands for Ray: tasks are done when they are waited for; the task with a name in it is lost."""
    ray: Any = ModuleType("ray")

    def remote(function: Callable[..., Any]) -> Any:
        return SimpleNamespace(remote=lambda lines: (function, tuple(lines)))

    def get(task: Any) -> Any:
        if lost.encode() in task[1][0]:
            raise _LostError("the node died\nand more")
        return task[0](list(task[1]))

    ray.init = lambda **options: calls.append(options)
    ray.remote, ray.get = remote, get
    ray.wait = lambda tasks, num_returns: (tasks[:num_returns], tasks[num_returns:])
    ray.shutdown = lambda: calls.append("shutdown")
    ray.exceptions = SimpleNamespace(RayError=_LostError)
    return ray


def test_rows_on_ray_are_the_same_rows(
    suite: Suite, here: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    monkeypatch.setitem(sys.modules, "ray", _ray(calls, lost="hasty/lenet"))
    found = hocket.compare(suite, folder=tmp_path, on="ray://head:10001")
    assert calls == [{"address": "ray://head:10001", "ignore_reinit_error": True}, "shutdown"]
    assert found.new == 17
    assert len(here) == 15
    lost = found.scores.problems["hasty/lenet/pair/latency/hasty"].cells["local"]
    assert (lost.status, lost.sentence) == ("error", "Ray lost the task: the node died")
    assert found.scores.problems["pair/lenet/pair/latency"].best is not None


def test_a_ray_cluster_that_cannot_be_reached(suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray: Any = _ray([], lost="nothing")

    def init(**_: Any) -> None:
        raise ConnectionError("ray client connection\ntimeout")

    ray.init = init
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(NodeError) as caught:
        hocket.compare(suite, folder=tmp_path, on="ray://head:1")
    assert str(caught.value) == (
        "the Ray cluster ray://head:1 cannot be reached (ray client connection timeout); correct the address"
    )


class _Page(HTMLParser):
    """Checks that tags are closed in order, and collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_is_one_page_that_loads_nothing(suite: Suite, here: list[Row], tmp_path: Path) -> None:
    found = hocket.compare(suite, folder=tmp_path)
    text = found.report.read_text()
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.loads == []
    assert "url(" not in text
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text
    assert "<title>Small &lt;suite&gt;</title>" in text
    for words in (*found.scores.family, *found.scores.problems, "Refusals", "Families", "it plans one task"):
        assert words in text, words
    anchors = re.findall(r'href="#(\w+)"', text)
    assert anchors
    assert all(f'id="{anchor}"' in text for anchor in anchors)


@pytest.mark.cluster
def test_plans_of_the_sample_are_run(write: Callable[..., Path], tmp_path: Path) -> None:
    sample = '[[sample]]\nname = "run"\nmodels = ["zoo:lenet"]\nclusters = ["pair"]\nrequests = 2\nrepeats = 2\n'
    suite = load_suite(write(**{'[[problems]]\nname = "cell"': sample + '[[problems]]\nname = "cell"'}))
    found = hocket.compare(suite, folder=tmp_path, jobs=2)
    solved = [run for run in found.scores.runs if run.status == "solved"]
    assert {"local", "remote"} <= {run.solver for run in solved}
    assert all(run.measured_s and run.predicted_s and (run.max_rel_error or 0) < 1e-5 for run in solved)
    assert "Predicted and measured" in found.report.read_text()
