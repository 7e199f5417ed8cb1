"""Processes that do rows: late, crashed, killed and good ones. The commands here speak as the worker does."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from hocket.comparison import load_suite, pool
from hocket.comparison.compare import rows_of
from hocket.comparison.rows import Row, record_of
from hocket.comparison.work import Desk

_START = """
import json, os, signal, sys, time
print("ready", flush=True)
for line in sys.stdin:
    row = json.loads(line)
    print("ready", flush=True)
"""


@pytest.fixture
def rows(write: Callable[..., Path]) -> list[Row]:
    return [row.replace(kill_after_s=0.3) for row in rows_of(load_suite(write())) if row.kind == "solve"][:4]


def command(*then: str) -> Sequence[str]:
    return (sys.executable, "-c", _START + "".join(f"    {line}\n" for line in then))


def test_what_takes_too_long_is_killed_and_late(rows: list[Row]) -> None:
    (record,) = pool.records(rows[:1], 1, command("time.sleep(60)"))
    assert (record.status, record.sentence, record.solve_s) == ("late", "no answer after 0.3 s", 0.3)
    assert record.key == rows[0].key


def test_a_crash_is_the_sentence_of_its_row_and_the_others_go_on(rows: list[Row], tmp_path: Path) -> None:
    answers = {row.solver: msgspec.json.encode(record_of(row, "refused", sentence="no")).decode() for row in rows}
    (tmp_path / "answers.json").write_text(str(answers))
    found = pool.records(
        rows,
        2,
        command(
            "if row['solver'] == 'remote': raise ZeroDivisionError('division by zero')",
            "if row['solver'] == 'min_cut': os.kill(os.getpid(), signal.SIGSEGV)",
            f"print(eval(open({str(tmp_path / 'answers.json')!r}).read())[row['solver']], flush=True)",
        ),
    )
    assert {record.solver: (record.status, record.sentence) for record in found} == {
        "local": ("refused", "no"),
        "linear_scan": ("refused", "no"),
        "remote": ("error", "ZeroDivisionError: division by zero"),
        "min_cut": ("error", "the process was ended by SIGSEGV"),
    }


def test_a_process_that_does_not_start_is_an_error(rows: list[Row]) -> None:
    (record,) = pool.records(rows[:1], 1, (sys.executable, "-c", "import no_such_package"))
    assert (record.status, record.sentence) == ("error", "ModuleNotFoundError: No module named 'no_such_package'")


def test_no_process_is_left_when_the_caller_stops(rows: list[Row], tmp_path: Path) -> None:
    noted = tmp_path / "pids"
    found = pool.records(
        [row.replace(kill_after_s=60.0) for row in rows],
        2,
        command(
            f"open({str(noted)!r}, 'a').write(f'{{os.getpid()}}\\n')",
            "if row['solver'] != 'local': time.sleep(60)",
            "os._exit(3)",
        ),
    )
    assert next(found).sentence == "the process ended with exit code 3"
    found.close()  # type: ignore[attr-defined]
    for pid in noted.read_text().split():
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.cluster
def test_real_workers_give_what_this_process_gives(write: Callable[..., Path]) -> None:
    rows, desk = rows_of(load_suite(write())), Desk()
    alone = {row.key: desk.do(row, lambda: None).replace(solve_s=None) for row in rows}
    assert {record.key: record.replace(solve_s=None) for record in pool.records(rows, 2)} == alone
