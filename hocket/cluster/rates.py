"""The rate of a link or medium in a TOML file: a quantity, a channel, a trace file, or steps written out."""

from collections.abc import Mapping
from pathlib import Path

from hocket.cluster.channel import capacity_bytes_per_s
from hocket.cluster.keys import quantity, write_quantity
from hocket.cluster.link import Direction
from hocket.cluster.place import Place
from hocket.cluster.trace_files import read_trace
from hocket.cluster.traces import RateTrace
from hocket.errors import ClusterError, FormatError, UnitError
from hocket.units import parse, parse_ratio, shown

UNLIMITED = "unlimited"
SOURCES = ("rate", "trace", "bandwidth", "snr")
"""Keys that give the rate of both directions."""
_FORMS = '"40 Mbit/s", "unlimited", {trace = "file.csv"}, {bandwidth = "20 MHz", snr = "15 dB"} or {steps = [...]}'


def read_rate(place: Place, table: Mapping[str, object], folder: Path) -> Direction | None:
    """The rate that the keys of a table give; None if there is none of them.

    Raises:
        ClusterError: keys that contradict or need each other.
        FormatError: a value that cannot be read.
    """
    given = [key for key in SOURCES if key in table]
    if not given:
        return None
    if given == ["bandwidth", "snr"]:
        return _channel(place, table)
    if given in (["bandwidth"], ["snr"]):
        other = "snr" if given == ["bandwidth"] else "bandwidth"
        example = '"15 dB"' if other == "snr" else '"20 MHz"'
        raise place.bad(given[0], f"a channel has a bandwidth and an snr; add {other} = {example}", ClusterError)
    if len(given) > 1:
        raise place.bad(given[1], f"{given[0]!r} is there too, and both give the rate; keep one of them", ClusterError)
    if given == ["trace"]:
        return Direction(trace=_trace(place, table["trace"], folder))
    return read_direction(place, "rate", table["rate"], folder)


def read_direction(place: Place, key: str, value: object, folder: Path) -> Direction:
    """The value of `rate`, `up` or `down`."""
    if value == UNLIMITED:
        return Direction()
    if isinstance(value, str):
        return Direction(bytes_per_s=place.read(key, quantity("bytes_per_s", above_zero=True), value))
    if not isinstance(value, dict):
        raise place.bad(key, f"{shown(value)} is no rate; write {_FORMS}")
    inner = Place(place.file, f"{place.table}, key {key!r}" if place.table else f"key {key!r}")
    if "steps" in value:
        inner.check_keys(value, ("steps", "length"))
        return Direction(trace=_steps(inner, value))
    inner.check_keys(value, ("trace", "bandwidth", "snr", "steps", "length"))
    direction = read_rate(inner, value, folder)
    if direction is None:
        raise place.bad(key, f"{shown(value)} is no rate; write {_FORMS}")
    return direction


def _channel(place: Place, table: Mapping[str, object]) -> Direction:
    bandwidth_hz = place.read("bandwidth", quantity("hertz", above_zero=True), table["bandwidth"])
    try:
        snr = parse_ratio(table["snr"])
    except UnitError as error:
        raise place.bad("snr", str(error)) from None
    rate = capacity_bytes_per_s(bandwidth_hz, snr)
    if rate <= 0:
        raise place.bad("snr", f"{shown(table['snr'])} carries nothing; give an SNR above 0", ClusterError)
    return Direction(bytes_per_s=rate)


def _trace(place: Place, value: object, folder: Path) -> RateTrace:
    if not isinstance(value, str) or not value or "\0" in value:
        raise place.bad("trace", f"{shown(value)} is no path; write it like 'traces/wifi.csv'")
    try:
        return read_trace(folder / value)
    except FormatError as error:
        raise place.bad("trace", str(error)) from None


def _steps(place: Place, table: Mapping[str, object]) -> RateTrace:
    rows, length = table["steps"], table.get("length")
    example = 'write it like [["0 s", "40 Mbit/s"], ["10 s", "5 Mbit/s"]]'
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise place.bad("steps", f"{shown(rows)} is no list of times and rates; {example}")
    try:
        steps = tuple((parse(at, "seconds"), parse(rate, "bytes_per_s")) for at, rate in rows)
        length_s = None if length is None else parse(length, "seconds")
        return RateTrace(steps=steps, length_s=length_s)
    except (UnitError, ClusterError) as error:
        raise place.bad("steps", str(error)) from None


def write_direction(direction: Direction) -> str:
    """A rate as a TOML value that `read_direction` reads back exactly."""
    if direction.trace is not None:
        return _write_steps(direction.trace)
    if direction.bytes_per_s is None:
        return f'"{UNLIMITED}"'
    return write_quantity(direction.bytes_per_s, "bytes_per_s")


def _write_steps(trace: RateTrace) -> str:
    rows = (f"[{write_quantity(at_s, 'seconds')}, {write_quantity(rate, 'bytes_per_s')}]" for at_s, rate in trace.steps)
    length = "" if trace.length_s is None else f", length = {write_quantity(trace.length_s, 'seconds')}"
    return f"{{steps = [{', '.join(rows)}]{length}}}"
