# ruff: noqa: E501 (messages stand whole)
"""Files of recorded rates: the three formats, their refusals, and real recordings where there are some.

Set HOCKET_TRACES to a folder with recordings (`*.json`, `*.txt`, `*.csv`, in any subfolder) to read them all.
"""

import os
import re
from pathlib import Path

import pytest
from cluster_strategies import traces
from hypothesis import given

from hocket.cluster import RateTrace, read_trace, sabre_latency_s, seconds_to_send, write_csv
from hocket.cluster.trace_files import read_columns, read_csv, read_sabre
from hocket.errors import FormatError

SABRE = """[{"duration_ms": 500, "bandwidth_kbps": 8, "latency_ms": 20},
            {"duration_ms": 0, "bandwidth_kbps": 1, "latency_ms": 99},
            {"duration_ms": 1500, "bandwidth_kbps": 16, "latency_ms": 40}]"""


def test_sabre() -> None:
    """Periods follow each other; empty ones vanish; the latency is the mean over time."""
    assert read_sabre(SABRE) == RateTrace(steps=((0.0, 1000.0), (0.5, 2000.0)), length_s=2.0)
    assert sabre_latency_s(SABRE) == pytest.approx(0.035)


def test_columns() -> None:
    """Seconds and Mbit/s; time starts at 0, the last step is as long as the one before, repeated times count once."""
    assert read_columns("5.0\t9.0\n5.0\t8.0\n6.0 0\n\n8.0\t16\n") == RateTrace(
        steps=((0.0, 1e6), (1.0, 0.0), (3.0, 2e6)), length_s=5.0
    )


def test_csv() -> None:
    """The header names the unit; comments and empty lines do not count; one step lasts a second."""
    assert read_csv("# from the attic\n\nat_s, kbit_per_s\n0, 8\n") == RateTrace(steps=((0.0, 1000.0),), length_s=1.0)
    assert read_csv("at_s,bytes_per_s\n0,8\n2,9\n7,end").length_s == 7.0


@given(traces())
def test_csv_keeps_everything(trace: RateTrace) -> None:
    """What is written is read back equal, except that it repeats."""
    again = read_csv(write_csv(trace))
    assert again.steps == trace.steps
    assert trace.length_s in (None, again.length_s)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.txt"])
def test_formats_are_told_by_content(tmp_path: Path, name: str) -> None:
    """Whatever the file is called."""
    path = tmp_path / name
    for text in (
        "at_s,bytes_per_s\n0,1000\n1,end\n",
        '[{"duration_ms":1000,"bandwidth_kbps":8,"latency_ms":0}]',
        "0\t0.008",
    ):
        path.write_text(text, encoding="utf-8-sig")
        assert read_trace(path) == RateTrace(steps=((0.0, 1000.0),), length_s=1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no row; give a time and a rate in each"),
        ("at_s,furlongs\n0,1", "has the header 'at_s,furlongs'; write 'at_s,' and one of bytes_per_s, kbit_per_s, Mbit_per_s"),
        ("at_s,bytes_per_s\n", "has no row; give a time and a rate in each"),
        ("at_s,bytes_per_s\n0", ", line 2: a row has a time and a rate, got 1 columns; correct it"),
        ("at_s,bytes_per_s\n0,-3", ", line 2: '-3' is no finite number >= 0; correct it"),
        ("at_s,bytes_per_s\n0,1\n0,2\n9,end", ": a trace has rising times, got 0.0 s after 0.0 s; sort its steps"),
        ("at_s,bytes_per_s\n0,1\n5,2\n5,end", ": a trace ends after its last step at 5.0 s, got the length 5.0 s; lengthen it"),
        ("0 1\n1 nan", ", line 2: 'nan' is no finite number >= 0; correct it"),
        ("0 1 2", ", line 1: a row has a time and a rate, got 3 columns; correct it"),
        ("[", "is not JSON (Expecting value: line 1 column 2 (char 1)); give a list of periods"),
        ("[]", "is no list of periods; give objects with duration_ms, bandwidth_kbps, latency_ms"),
        ("[3]", ", period 1: each has duration_ms, bandwidth_kbps, latency_ms >= 0; correct it"),
        ('[{"duration_ms": 1, "bandwidth_kbps": true, "latency_ms": 1}]', ", period 1: each has duration_ms, bandwidth_kbps, latency_ms >= 0; correct it"),
        ('[{"duration_ms": 1, "bandwidth_kbps": 1e999, "latency_ms": 1}]', ", period 1: each has duration_ms, bandwidth_kbps, latency_ms >= 0; correct it"),
        ('[{"duration_ms": 0, "bandwidth_kbps": 1, "latency_ms": 1}]', "has no row; give a time and a rate in each"),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    """One sentence with the file, the line and the remedy."""
    path = tmp_path / "trace"
    path.write_text(text)
    space = "" if message[0] in ",:" else " "
    with pytest.raises(FormatError, match=f"^{re.escape(f'{path}{space}{message}')}$"):
        read_trace(path)


def test_binary_is_refused(tmp_path: Path) -> None:
    """A file that is no text."""
    path = tmp_path / "trace"
    path.write_bytes(b"\xff\x00")
    with pytest.raises(FormatError, match=r"is not text; give a CSV or JSON trace$"):
        read_trace(path)


@pytest.mark.skipif("HOCKET_TRACES" not in os.environ, reason="HOCKET_TRACES names no folder of recordings")
def test_recordings() -> None:
    """Every recording is read, lasts more than ten seconds, and carries a megabyte."""
    paths = [
        path for path in Path(os.environ["HOCKET_TRACES"]).rglob("*.*") if path.suffix in (".json", ".txt", ".csv")
    ]
    assert paths
    for path in paths:
        trace = read_trace(path)
        assert trace.length_s is not None
        assert trace.length_s > 10
        assert 0 < seconds_to_send(trace, 0.0, 1e6) < 1000
