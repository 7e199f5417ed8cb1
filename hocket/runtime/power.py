"""How much energy this computer has used, and what its process takes: from what Linux tells, without any package.

Sensors differ in what they see. One in the supply of the whole board is taken first, then the counters of the
processor (RAPL), then the battery while it discharges, then any other sensor of power. `source` says which it was.
"""

import contextlib
import ctypes
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

_BOARDS = ("ina", "power_meter")  # chips that are put into the supply of a board
_TOTALS = ("VDD_IN", "POM_5V_IN")  # rails of Jetson boards that feed all the others
_MICRO, _MILLI = 1e-6, 1e-3
_MOST_CHARACTERS = 80

Gauge = Callable[[], float]
"""Watts at this moment; OSError = not to be had now."""


class Meter(Protocol):
    """Counts energy from the moment when it was opened."""

    @property
    def source(self) -> str:
        """What is measured, such as `rapl:package-0`."""
        ...

    def energy_j(self) -> float:
        """Joules since then; never falls."""
        ...


def open_meter(root: Path = Path("/sys"), *, clock: Callable[[], float] = time.monotonic) -> Meter | None:
    """The best meter that this computer has; None = it has none, or none that this user may read.

    The counters of RAPL may be read by the superuser only on most systems (CVE-2020-8694).

    Args:
        root: of the tree of devices.
        clock: in seconds, by which power is integrated.
    """
    boards, others = _hwmon(root / "class/hwmon")
    for found in (boards, _rapl(root / "class/powercap"), _battery(root / "class/power_supply"), others):
        if isinstance(found, CounterMeter):
            return found
        if found is not None:
            return PowerMeter(*found, clock)
    return None


class CounterMeter:
    """Counters of microjoules that begin again at 0 after their greatest value.

    Each must be read at least once per round: a processor of 100 W takes about 40 minutes for one.
    """

    def __init__(self, source: str, counters: Sequence[tuple[Path, float]]) -> None:
        self.source = source
        self._counters = [path for path, _ in counters]
        self._ranges = [most for _, most in counters]
        self._last = [_number(path) for path in self._counters]
        self._energy_uj = 0.0

    def energy_j(self) -> float:
        """Joules since the meter was opened."""
        for index, path in enumerate(self._counters):
            try:
                now = _number(path)
            except OSError:
                continue  # what is missed now is counted with the next reading
            passed = now - self._last[index]
            self._energy_uj += passed if passed >= 0 else passed + self._ranges[index]
            self._last[index] = now
        return self._energy_uj * _MICRO


class PowerMeter:
    """A sensor of power, integrated between readings (trapezoids); as true as the readings are frequent."""

    def __init__(self, source: str, gauge: Gauge, clock: Callable[[], float]) -> None:
        self.source = source
        self._gauge, self._clock = gauge, clock
        self._last_w, self._last_s, self._energy_j = gauge(), clock(), 0.0

    def energy_j(self) -> float:
        """Joules since the meter was opened."""
        now_s = self._clock()
        try:
            now_w = self._gauge()
        except OSError:
            now_w = 0.0  # a battery that is being charged says nothing of what the computer uses
        self._energy_j += (self._last_w + now_w) / 2 * (now_s - self._last_s)
        self._last_w, self._last_s = now_w, now_s
        return self._energy_j


def _rapl(folder: Path) -> CounterMeter | None:
    """The platform's counter (psys) if there is one, which holds all others; else packages, and memory beside them."""
    zones = {path: _text(path / "name") for path in sorted(folder.glob("intel-rapl:*"))}
    platform = [path for path, name in zones.items() if name == "psys"]
    apart = [path for path, name in zones.items() if name.startswith("package") or name == "dram"]
    counters = []
    for path in platform or apart:
        try:
            most = _number(path / "max_energy_range_uj")
            _number(path / "energy_uj")
        except OSError:
            continue
        counters.append((path, most))
    if not counters:
        return None
    source = "rapl:" + "+".join(zones[path] for path, _ in counters)
    return CounterMeter(source[:_MOST_CHARACTERS], [(path / "energy_uj", most) for path, most in counters])


def _hwmon(folder: Path) -> tuple[tuple[str, Gauge] | None, tuple[str, Gauge] | None]:
    """Sensors of power: those in the supply of a board, and all others."""
    boards: dict[str, Gauge] = {}
    others: dict[str, Gauge] = {}
    for chip in sorted(folder.glob("hwmon*")):
        name = _text(chip / "name")
        into = boards if name.startswith(_BOARDS) else others
        for label, gauge in _rails(chip):
            if _works(gauge):
                into[f"{name}:{label}"] = gauge
    totals = {source: gauge for source, gauge in boards.items() if source.rpartition(":")[2] in _TOTALS}
    return _summed(totals or boards), _summed(others)


def _rails(chip: Path) -> list[tuple[str, Gauge]]:
    """Each rail of a chip by its label; a chip that tells volts and amperes only (INA3221) gives their product."""
    rails: list[tuple[str, Gauge]] = []
    for kind in ("average", "input"):
        for path in sorted(chip.glob(f"power*_{kind}")):
            stem = path.name.removesuffix(f"_{kind}")
            label = _text(chip / f"{stem}_label") or stem
            if label not in dict(rails):
                rails.append((label, _watts(path)))
    if rails:
        return rails
    for current in sorted(chip.glob("curr*_input")):
        number = current.name.removeprefix("curr").removesuffix("_input")
        voltage = chip / f"in{number}_input"
        if voltage.exists():
            rails.append((_text(chip / f"in{number}_label") or f"in{number}", _product(voltage, current, _MILLI)))
    return rails


def _battery(folder: Path) -> tuple[str, Gauge] | None:
    gauges: dict[str, Gauge] = {}
    for supply in sorted(folder.glob("*")):
        if _text(supply / "type") == "Battery" and _text(supply / "scope") != "Device":  # a mouse has one too
            gauge = _discharging(supply)
            if _works(gauge):
                gauges[f"battery:{supply.name}"] = gauge
    return _summed(gauges)


def _discharging(supply: Path) -> Gauge:
    def gauge() -> float:
        if _text(supply / "status") != "Discharging":
            raise OSError(f"{supply.name} does not discharge")
        if (supply / "power_now").exists():
            return abs(_number(supply / "power_now")) * _MICRO
        return abs(_product(supply / "voltage_now", supply / "current_now", _MICRO)())  # some count it as negative

    return gauge


def _watts(path: Path) -> Gauge:
    return lambda: _number(path) * _MICRO


def _product(voltage: Path, current: Path, unit: float) -> Gauge:
    return lambda: _number(voltage) * unit * _number(current) * unit


def _summed(gauges: dict[str, Gauge]) -> tuple[str, Gauge] | None:
    if not gauges:
        return None
    return "+".join(gauges)[:_MOST_CHARACTERS], lambda: sum(gauge() for gauge in gauges.values())


def _works(gauge: Gauge) -> bool:
    try:
        gauge()
    except OSError:
        return False
    return True


def _number(path: Path) -> float:
    try:
        return float(int(path.read_text()))
    except ValueError:
        raise OSError(f"{path} does not hold a number") from None


def _text(path: Path) -> str:
    """What a small file says; empty = there is none that can be read."""
    try:
        return path.read_text().strip()[:_MOST_CHARACTERS]
    except (OSError, UnicodeDecodeError):
        return ""


class Usage(NamedTuple):
    """What this process takes."""

    resident_bytes: int
    """Memory in use now; where the system has no /proc, the most that there was."""
    cpu_s: float
    """Processor time of all its threads since it began."""


def process_usage(root: Path = Path("/proc")) -> Usage:
    """Memory and processor time of this process."""
    return Usage(_resident_bytes(root), time.process_time())


def give_back() -> None:
    """Give freed memory back to the system, where the C library can: a model that has gone leaves holes behind."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def data_bytes(root: Path = Path("/proc")) -> int:
    """Memory that this process may write to, as the limit on data counts it; 0 = not known."""
    return _pages(root, 5)


def _resident_bytes(root: Path) -> int:
    known = _pages(root, 1)
    if known:
        return known
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _pages(root: Path, field: int) -> int:
    """A field of /proc/self/statm (proc(5)), in bytes; 0 = there is none."""
    try:
        return int((root / "self/statm").read_text().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
