"""Files that record the rate of a link over time.

Three formats are read, told apart by their content:

- our own CSV: a header `at_s,bytes_per_s` (or `kbit_per_s`, `Mbit_per_s`), then a row per step; `#` starts a
  comment; a last row `200,end` says when the trace starts again;
- a JSON list of `{"duration_ms", "bandwidth_kbps", "latency_ms"}`, as in the Sabre simulator of video players;
- two columns without a header, seconds and Mbit/s, as iperf3 logs of Wi-Fi links are often kept.

Without an `end` the last step lasts as long as the one before it. Recorded traces repeat.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from hocket.cluster.traces import RateTrace
from hocket.errors import ClusterError, FormatError
from hocket.nouns import read_bytes

_MOST_BYTES = 1 << 26
_BYTES_PER_S = {"bytes_per_s": 1.0, "kbit_per_s": 125.0, "Mbit_per_s": 125_000.0}
_SABRE_KEYS = ("duration_ms", "bandwidth_kbps", "latency_ms")
Rows = list[tuple[float, float]]


def read_trace(path: str | Path) -> RateTrace:
    """Read a trace in any of the formats above.

    Raises:
        FormatError: not readable, or not such a file.
    """
    data = read_bytes(path)
    if len(data) > _MOST_BYTES:
        raise FormatError(f"{path} has {len(data)} bytes and a trace at most {_MOST_BYTES}; shorten it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not text; give a CSV or JSON trace") from None
    if text.lstrip().startswith("["):
        return read_sabre(text, name=str(path))
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    return read_csv(text, name=str(path)) if "at_s" in first else read_columns(text, name=str(path))


def read_csv(text: str, *, name: str = "the text") -> RateTrace:
    """Read our own CSV.

    >>> read_csv("at_s,Mbit_per_s\\n0,8\\n10,16\\n30,end").steps
    ((0.0, 1000000.0), (10.0, 2000000.0))
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    rows = [(number, [cell.strip() for cell in line.split(",")]) for number, line in lines if line and line[0] != "#"]
    header = rows[0][1] if rows else []
    if len(header) != 2 or header[0] != "at_s" or header[1] not in _BYTES_PER_S:
        raise FormatError(
            f"{name} has the header {','.join(header)[:60]!r}; write 'at_s,' and one of {', '.join(_BYTES_PER_S)}"
        )
    length_s = None
    if len(rows) > 1 and rows[-1][1][1:] == ["end"]:
        number, cells = rows.pop()
        length_s = _number(name, number, cells[0])
    steps = [_row(name, number, cells) for number, cells in rows[1:]]
    return _trace(name, [(at_s, rate * _BYTES_PER_S[header[1]]) for at_s, rate in steps], length_s)


def write_csv(trace: RateTrace) -> str:
    """Write our own CSV, exactly, except that a trace read from a file always repeats.

    >>> write_csv(RateTrace(steps=((0.0, 100.0),), length_s=2.0))
    'at_s,bytes_per_s\\n0.0,100.0\\n2.0,end\\n'
    """
    rows = [f"{float(at_s)!r},{float(rate)!r}" for at_s, rate in trace.steps]
    end = [] if trace.length_s is None else [f"{float(trace.length_s)!r},end"]
    return "\n".join(["at_s,bytes_per_s", *rows, *end, ""])


def read_columns(text: str, *, name: str = "the text") -> RateTrace:
    """Read two columns without a header: seconds and Mbit/s. Of rows with the same time the last one counts.

    >>> read_columns("0.0\\t8.0\\n1.0\\t0.0\\n").steps
    ((0.0, 1000000.0), (1.0, 0.0))
    """
    rows = [_row(name, number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    steps: dict[float, float] = {at_s: rate * 125_000.0 for at_s, rate in rows}
    return _trace(name, list(steps.items()), None)


def read_sabre(text: str, *, name: str = "the text") -> RateTrace:
    """Read a JSON list of periods with a bandwidth each; 1 kbit/s is 1000 bit/s.

    >>> read_sabre('[{"duration_ms": 500, "bandwidth_kbps": 8, "latency_ms": 20}]').steps
    ((0.0, 1000.0),)
    """
    now_s, steps = 0.0, []
    for duration_ms, kbit_per_s, _ in _sabre_rows(text, name):
        if duration_ms > 0:
            steps.append((now_s, kbit_per_s * 125.0))
            now_s += duration_ms / 1000
    return _trace(name, steps, now_s)


def sabre_latency_s(text: str, *, name: str = "the text") -> float:
    """The mean latency of such a list, weighted by duration.

    >>> sabre_latency_s('[{"duration_ms": 500, "bandwidth_kbps": 8, "latency_ms": 20}]')
    0.02
    """
    rows = _sabre_rows(text, name)
    total_ms = sum(duration_ms for duration_ms, _, _ in rows)
    if total_ms == 0:
        raise FormatError(f"{name} lasts 0 ms; give periods with a duration")
    return sum(duration_ms * latency_ms for duration_ms, _, latency_ms in rows) / total_ms / 1000


def _sabre_rows(text: str, name: str) -> list[tuple[float, float, float]]:
    try:
        periods = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is not JSON ({error}); give a list of periods") from None
    if not isinstance(periods, list) or not periods:
        raise FormatError(f"{name} is no list of periods; give objects with {', '.join(_SABRE_KEYS)}")
    rows = []
    for position, period in enumerate(periods, 1):
        cells = [period.get(key) if isinstance(period, dict) else None for key in _SABRE_KEYS]
        numbers = [float(cell) for cell in cells if isinstance(cell, int | float) and _is_count(cell)]
        if len(numbers) != len(_SABRE_KEYS):
            raise FormatError(f"{name}, period {position}: each has {', '.join(_SABRE_KEYS)} >= 0; correct it")
        rows.append((numbers[0], numbers[1], numbers[2]))
    return rows


def _is_count(cell: float) -> bool:
    return not isinstance(cell, bool) and 0 <= cell <= 1e15


def _row(name: str, line: int, cells: Sequence[str]) -> tuple[float, float]:
    if len(cells) != 2:
        raise FormatError(f"{name}, line {line}: a row has a time and a rate, got {len(cells)} columns; correct it")
    return _number(name, line, cells[0]), _number(name, line, cells[1])


def _number(name: str, line: int, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise FormatError(f"{name}, line {line}: {cell[:40]!r} is no finite number >= 0; correct it")
    return number


def _trace(name: str, steps: Rows, length_s: float | None) -> RateTrace:
    if not steps:
        raise FormatError(f"{name} has no row; give a time and a rate in each")
    first_s = steps[0][0]
    shifted = tuple((at_s - first_s, rate) for at_s, rate in steps)
    if length_s is None:
        last_s = shifted[-1][0]
        length_s = 2 * last_s - shifted[-2][0] if len(shifted) > 1 else 1.0
    else:
        length_s -= first_s
    try:
        return RateTrace(steps=shifted, length_s=length_s)
    except ClusterError as error:
        raise FormatError(f"{name}: {error}") from None
