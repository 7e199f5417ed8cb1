"""The keys of a cluster's TOML file: how each is read, checked, and written again.

A reader takes what TOML gave and returns the SI value or raises `UnitError` with the value and the remedy; where
the key stands in the file is added by the caller.
"""

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hocket.cluster.checks import MOST
from hocket.errors import UnitError
from hocket.units import DIMENSIONS, parse, shown

# Units in which a value is written, the first that takes it exactly and in few digits; the last one is SI.
_WRITTEN: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "seconds": ("s", "ms", "us", "ns", "s"),
    "bytes": ("GiB", "MiB", "GB", "MB", "KiB", "B"),
    "bytes_per_s": ("Gbit/s", "Mbit/s", "kbit/s", "B/s"),
    "flops_per_s": ("TFLOP/s", "GFLOP/s", "MFLOP/s", "FLOP/s"),
    "watts": ("W", "mW", "W"),
    "hertz": ("GHz", "MHz", "kHz", "Hz"),
    "usd_per_s": ("USD/h", "USD/s"),
    "usd_per_j": ("USD/kWh", "USD/J"),
})  # fmt: skip
_WHOLE_BYTES = re.compile(r"\s*(\d{1,19})\s*B\s*")
_PER_SPEED = re.compile(r"(.*?)\s+per\s+(\S+)\s*")


class Kind(NamedTuple):
    """How the value of a key is read from TOML and written to it."""

    read: Callable[[object], Any]
    write: Callable[[Any], str]


class Key(NamedTuple):
    """A key of a table: the field that it fills and its kind."""

    field: str
    kind: Kind


def write_text(text: str) -> str:
    """A string in TOML."""
    return json.dumps(text)


def write_quantity(value: float, dimension: str, written: tuple[str, ...] = ()) -> str:
    """A quantity in TOML, in the first of the written units that keeps it exact and short.

    >>> write_quantity(5e6, "bytes_per_s"), write_quantity(0.003, "seconds")
    ('"40 Mbit/s"', '"3 ms"')
    """
    units, written = DIMENSIONS[dimension], written or _WRITTEN[dimension]
    for unit in written:
        text = f"{value / units[unit]:.6g} {unit}"
        small = "e" in text or (text.startswith("0.") and not dimension.startswith("usd"))
        if not small and parse(text, dimension) == value:
            return f'"{text}"'
    return f'"{float(value)!r} {written[-1]}"'


def quantity(dimension: str, *, above_zero: bool = False, written: tuple[str, ...] = ()) -> Kind:
    """A number with a unit."""

    def read(value: object) -> float:
        number = parse(value, dimension)
        if above_zero and number == 0:
            raise UnitError(f"{shown(value)} is not above 0; give a positive quantity or leave the key out")
        return number

    return Kind(read, lambda value: write_quantity(value, dimension, written))


def number(least: float, most: float) -> Kind:
    """A plain number."""

    def read(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            return float(value)
        raise UnitError(f"{shown(value)} is not a number from {least:g} to {most:g}; correct it")

    return Kind(read, lambda value: repr(float(value)))


def _read_positive(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST:
        return float(value)
    raise UnitError(f"{shown(value)} is not a number above 0; correct it or leave the key out")


def whole(least: int, most: int) -> Kind:
    """A whole number."""

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise UnitError(f"{shown(value)} is not a whole number from {least} to {most}; correct it")

    return Kind(read, str)


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise UnitError(f"{shown(value)} is not text; put it in quotes")
    if len(value) > 1000:
        raise UnitError(f"{shown(value)} is too long; shorten it")
    return value


def _read_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UnitError(f'{shown(value)} is not a list of texts; write it like ["one", "two"]')
    return tuple(_read_text(text) for text in value)


def _read_slowdown(value: object) -> object:
    return value if value == "auto" else number(1.0, 1e6).read(value)


def _read_bytes(value: object) -> int:
    exact = _WHOLE_BYTES.fullmatch(value) if isinstance(value, str) else None
    count = int(exact[1]) if exact else round(quantity("bytes").read(value))
    if not 1 <= count <= 10**18:
        raise UnitError(f"{shown(value)} is not from 1 B to 1e18 B; correct it or leave the key out")
    return count


def _write_bytes(count: int) -> str:
    text = write_quantity(count, "bytes")
    return text if _read_bytes(json.loads(text)) == count else f'"{count} B"'


def _pair(kind: Kind, example: str) -> Kind:
    def read(value: object) -> tuple[Any, Any]:
        if not isinstance(value, list) or len(value) != 2:
            raise UnitError(f"{shown(value)} is not a list of two; write it like {example}")
        return kind.read(value[0]), kind.read(value[1])

    return Kind(read, lambda pair: f"[{kind.write(pair[0])}, {kind.write(pair[1])}]")


def _list_of(kind: Kind, example: str) -> Kind:
    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise UnitError(f"{shown(value)} is not a list; write it like {example}")
        return tuple(kind.read(item) for item in value)

    return Kind(read, lambda items: f"[{', '.join(kind.write(item) for item in items)}]")


def read_price(value: object, flops_per_s: float) -> float:
    """A price per time, or per time and speed: `"0.01 USD/h per GFLOP/s"` costs a node of 8 GFLOP/s 0.08 USD/h."""
    match = _PER_SPEED.fullmatch(value) if isinstance(value, str) and len(value) < 100 else None
    if match is None:
        return parse(value, "usd_per_s")
    per = parse(f"1 {match[2]}", "flops_per_s")
    return parse(match[1], "usd_per_s") * flops_per_s / per


TEXT = Kind(_read_text, write_text)
TEXTS = Kind(_read_texts, lambda texts: f"[{', '.join(write_text(text) for text in texts)}]")
_TIME = quantity("seconds")
_WINDOW = _pair(_TIME, '["0 s", "60 s"]')
WINDOWS = _list_of(_WINDOW, '[["0 s", "60 s"]]')
PROBABILITY = number(0.0, 1.0)
_POWER = quantity("watts")
_MEMORY_RATE = quantity("bytes_per_s", above_zero=True, written=("GB/s", "MB/s", "B/s"))
_PRICE = quantity("usd_per_s")

NODE_KEYS: Mapping[str, Key] = MappingProxyType({
    "name": Key("name", TEXT),
    "speed": Key("flops_per_s", quantity("flops_per_s", above_zero=True)),
    "cores": Key("cores", whole(1, 65536)),
    "core_gains": Key("core_gains", _list_of(_pair(number(1.0, 65536.0), "[2, 1.8]"), "[[2, 1.8], [4, 3.0]]")),
    "memory": Key("memory_bytes", Kind(_read_bytes, _write_bytes)),
    "memory_bandwidth": Key("memory_bytes_per_s", _MEMORY_RATE),
    "compute_power": Key("compute_w", _POWER),
    "idle_power": Key("idle_w", _POWER),
    "transmit_power": Key("transmit_w", _POWER),
    "receive_power": Key("receive_w", _POWER),
    "kappa": Key("kappa", Kind(_read_positive, lambda value: repr(float(value)))),
    "frequency": Key("frequency_hz", _pair(quantity("hertz", above_zero=True), '["0.6 GHz", "1.5 GHz"]')),
    "compute_price": Key("compute_price_per_s", _PRICE),
    "transmit_price": Key("transmit_price_per_s", _PRICE),
    "energy_price": Key("energy_price_per_j", quantity("usd_per_j")),
    "failure_probability": Key("failure_probability", PROBABILITY),
    "slowdown": Key("slowdown", Kind(_read_slowdown, lambda v: '"auto"' if v == "auto" else repr(float(v)))),
    "address": Key("address", TEXT),
    "providers": Key("providers", TEXTS),
    "threads": Key("threads", whole(1, 1024)),
    "available": Key("available", WINDOWS),
    "trust": Key("trust", whole(0, 1_000_000)),
    "call_time": Key("call_s", _TIME),
})  # fmt: skip
"""Of `[[node]]`, besides `port` and `preset`."""

LINK_KEYS: Mapping[str, Key] = MappingProxyType({
    "between": Key("between", _pair(TEXT, '["phone", "edge"]')),
    "latency": Key("latency_s", _TIME),
    "failure_probability": Key("failure_probability", PROBABILITY),
    "media": Key("media", TEXTS),
    "timeout": Key("timeout_s", quantity("seconds", above_zero=True)),
    "available": Key("available", WINDOWS),
})  # fmt: skip
"""Of `[[link]]`, besides its rate and `preset`."""
