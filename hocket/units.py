"""Quantities with units, at the border only: text in, SI floats inside, text out.

Inside hocket every number is SI and its name carries the unit (`latency_s`, `bytes_per_s`).
Mega is 10^6, mebi is 2^20; a bit rate becomes bytes per second here and nowhere else.
"""

import math
import re
import reprlib

from hocket.errors import UnitError

_DECIMAL = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_JOULES_PER_KWH = 3.6e6


def _scaled(unit: str, prefixes: str, factor: float = 1.0, *, binary: bool = False) -> dict[str, float]:
    table = {prefix + unit: _DECIMAL[prefix] * factor for prefix in ["", *prefixes]}
    if binary:
        table |= {prefix + unit: scale * factor for prefix, scale in _BINARY.items()}
    return table


# dimension -> {spelling: SI value}; the first spelling is the one suggested in errors.
DIMENSIONS: dict[str, dict[str, float]] = {
    "seconds": {**_scaled("s", "mun"), "µs": 1e-6, "min": 60.0, "h": 3600.0},
    "bytes": {**_scaled("B", "kMGT", binary=True), **_scaled("byte", ""), "bytes": 1.0},
    "bytes_per_s": {
        **_scaled("bit/s", "kMGT", 1 / 8, binary=True),
        **_scaled("B/s", "kMGT", binary=True),
        **_scaled("bps", "kMGT", 1 / 8),
    },
    "flops_per_s": {**_scaled("FLOP/s", "kMGT"), **_scaled("FLOPS", "kMGT")},
    "flops": _scaled("FLOP", "kMGT"),
    "watts": _scaled("W", "mkM"),
    "joules": {**_scaled("J", "umkM"), "kWh": _JOULES_PER_KWH, "Wh": 3600.0},
    "hertz": _scaled("Hz", "kMG"),
    "usd": {"USD": 1.0, "$": 1.0},
    "usd_per_s": {"USD/h": 1 / 3600.0, "USD/s": 1.0, "$/h": 1 / 3600.0, "$/s": 1.0},
    "usd_per_j": {"USD/kWh": 1 / _JOULES_PER_KWH, "USD/J": 1.0, "$/kWh": 1 / _JOULES_PER_KWH},
    "per_s": {"/s": 1.0, "/min": 1 / 60.0, "/h": 1 / 3600.0, "Hz": 1.0},
    "metres": _scaled("m", "k"),
}
_EXAMPLES = {
    "seconds": "3 ms",
    "bytes": "2 GiB",
    "bytes_per_s": "40 Mbit/s",
    "flops_per_s": "8 GFLOP/s",
    "flops": "600 MFLOP",
    "watts": "2 W",
    "joules": "5 J",
    "hertz": "20 MHz",
    "usd": "1 USD",
    "usd_per_s": "0.5 USD/h",
    "usd_per_j": "0.1 USD/kWh",
    "per_s": "5 /s",
    "metres": "50 m",
}
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(\S*)\s*")
_MOST_CHARACTERS = 60  # of a quantity, and of a value that an error shows


def shown(value: object) -> str:
    """A value as an error message shows it, cut to a readable length.

    >>> shown(8.5), shown("8 GFLOP"), shown(10**999), len(shown("x" * 10**6))
    ('8.5', "'8 GFLOP'", 'a huge number', 60)
    """
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge number"  # Python refuses to write the longest ones
    if isinstance(value, list | tuple | dict | set | str | bytes) and len(value) > 2 * _MOST_CHARACTERS:
        value = value[: 2 * _MOST_CHARACTERS] if isinstance(value, str | bytes) else type(value)
    text = reprlib.repr(value) if isinstance(value, list | tuple | dict | set) else repr(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def parse(text: object, dimension: str) -> float:
    """Read a quantity as SI.

    Args:
        text: a string such as `"20 Mbit/s"`; a bare number is refused, except 0.
        dimension: a key of `DIMENSIONS`, the unit of the answer.

    Returns:
        A finite float >= 0 in the SI unit of the dimension.

    Raises:
        UnitError: not a quantity of this dimension, negative, or not finite.

    >>> parse("20 Mbit/s", "bytes_per_s")
    2500000.0
    >>> parse("2 GiB", "bytes") == 2 * 2**30
    True
    """
    units, example = DIMENSIONS[dimension], _EXAMPLES[dimension]
    if text == 0 and not isinstance(text, bool):
        return 0.0
    if not isinstance(text, str):
        raise UnitError(f"a quantity is text with a unit, got {shown(text)}; write it like {example!r}")
    match = _QUANTITY.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
    if match is None:
        raise UnitError(f"{shown(text)} is not a number with a unit; write it like {example!r}")
    number, unit = float(match[1]), match[2]
    if number == 0 and unit == "":
        return 0.0
    if unit not in units:
        raise UnitError(f"{shown(text)} has no unit of {dimension.replace('_', ' ')}; write it like {example!r}")
    value = number * units[unit]
    if not math.isfinite(value) or value < 0:
        raise UnitError(f"a quantity is finite and not negative, got {shown(text)}; write it like {example!r}")
    return value + 0.0  # no minus zero


def parse_ratio(text: object) -> float:
    """Read a signal-to-noise ratio as a plain (linear) ratio: `"15 dB"` or a number.

    >>> parse_ratio("20 dB")
    100.0
    """
    if isinstance(text, int | float) and not isinstance(text, bool) and 0 <= text <= 1e30:
        return float(text)
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) and len(text) <= _MOST_CHARACTERS else None
    if match is None or match[2] not in ("dB", "") or (match[2] == "" and float(match[1]) < 0):
        raise UnitError(f"{shown(text)} is not a ratio; write it like '15 dB' or 31.6")
    number = float(match[1])
    if (match[2] == "dB" and abs(number) > 300) or number > 1e30:
        raise UnitError(f"a ratio lies between -300 dB and 300 dB, got {shown(text)}; write it like '15 dB'")
    return 10 ** (number / 10) if match[2] == "dB" else number + 0.0


_SHOWN = {
    "s": ("s", [(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (0.0, "ns")]),
    "B": ("B", [(2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (0.0, "B")]),
    "B/s": ("bit/s", [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (0.0, "bit/s")]),
    "FLOP/s": ("FLOP/s", [(1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1e6, "MFLOP/s"), (0.0, "FLOP/s")]),
    "FLOP": ("FLOP", [(1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP"), (0.0, "FLOP")]),
    "J": ("J", [(1.0, "J"), (1e-3, "mJ"), (0.0, "uJ")]),
    "USD": ("USD", [(0.0, "USD")]),
}
_LEAST = {"ns": 1e-9, "uJ": 1e-6}


def show(value: float, unit: str) -> str:
    """Write an SI value for people, three significant digits; rates are shown in bit/s.

    >>> show(0.0012, "s"), show(2500000.0, "B/s"), show(3.5 * 2**30, "B")
    ('1.2 ms', '20 Mbit/s', '3.5 GiB')
    """
    base, steps = _SHOWN[unit]
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {base}"
    value = value * 8 if unit == "B/s" else value
    for least, name in steps:
        scale = least or _LEAST.get(name, 1.0)
        rounded = float(f"{value / scale:.3g}")
        if least == 0 or abs(rounded) >= 1:  # rounded first: 999.9 ms is 1 s and not 1e+03 ms
            return f"{rounded:g} {name}"
    return f"{value:g} {base}"
