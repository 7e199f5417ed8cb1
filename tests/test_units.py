# ruff: noqa: E501 (tables stand whole)
"""Quantities: what is read, what is refused, and what is shown."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.errors import UnitError
from hocket.units import DIMENSIONS, parse, parse_ratio, show, shown


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("3 ms", "seconds", 0.003), ("3ms", "seconds", 0.003), (" 3  ms ", "seconds", 0.003), ("2 min", "seconds", 120.0),
        ("1.5 µs", "seconds", 1.5e-6), ("7 us", "seconds", 7e-6), ("1 h", "seconds", 3600.0),
        ("2 GiB", "bytes", 2.0**31), ("2 GB", "bytes", 2e9), ("5 bytes", "bytes", 5.0),
        ("8 Mbit/s", "bytes_per_s", 1e6), ("8 Mbps", "bytes_per_s", 1e6), ("1 MB/s", "bytes_per_s", 1e6),
        ("8 Kibit/s", "bytes_per_s", 1024.0), ("1 MiB/s", "bytes_per_s", 2.0**20),
        ("8 GFLOP/s", "flops_per_s", 8e9), ("8 GFLOPS", "flops_per_s", 8e9), ("600 MFLOP", "flops", 6e8),
        ("2 W", "watts", 2.0), ("5 mJ", "joules", 0.005), ("1 kWh", "joules", 3.6e6), ("20 MHz", "hertz", 2e7),
        ("3600 USD/h", "usd_per_s", 1.0), ("3600000 USD/kWh", "usd_per_j", 1.0), ("$", "usd", None), ("2 $", "usd", 2.0),
        ("60 /min", "per_s", 1.0), ("2 km", "metres", 2000.0), ("1e3 m", "metres", 1000.0), (".5 m", "metres", 0.5),
        ("5. m", "metres", 5.0), ("+5 m", "metres", 5.0), ("0", "metres", 0.0), (0, "metres", 0.0), (0.0, "metres", 0.0),
    ],
)  # fmt: skip
def test_quantities(text: object, dimension: str, value: float | None) -> None:
    """Spellings of every dimension, in SI."""
    if value is None:
        with pytest.raises(UnitError):
            parse(text, dimension)
    else:
        assert parse(text, dimension) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_dimension_has_an_example_that_it_reads(dimension: str) -> None:
    """The remedy in an error is itself correct."""
    with pytest.raises(UnitError) as caught:
        parse("x", dimension)
    example = str(caught.value).rpartition("write it like ")[2].strip("'")
    assert parse(example, dimension) > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (3, "a quantity is text with a unit, got 3; write it like '3 ms'"),
        (True, "a quantity is text with a unit, got True; write it like '3 ms'"),
        (False, "a quantity is text with a unit, got False; write it like '3 ms'"),
        (None, "a quantity is text with a unit, got None; write it like '3 ms'"),
        (math.nan, "a quantity is text with a unit, got nan; write it like '3 ms'"),
        ("3", "'3' has no unit of seconds; write it like '3 ms'"),
        ("3 MB", "'3 MB' has no unit of seconds; write it like '3 ms'"),
        ("3 Ms", "'3 Ms' has no unit of seconds; write it like '3 ms'"),
        ("three ms", "'three ms' is not a number with a unit; write it like '3 ms'"),
        ("", "'' is not a number with a unit; write it like '3 ms'"),
        ("3 m s", "'3 m s' is not a number with a unit; write it like '3 ms'"),
        ("1e9999 s", "'1e9999 s' is not a number with a unit; write it like '3 ms'"),
        ("1e999 s", "a quantity is finite and not negative, got '1e999 s'; write it like '3 ms'"),
        ("-1 s", "a quantity is finite and not negative, got '-1 s'; write it like '3 ms'"),
        (10**5000, "a quantity is text with a unit, got a huge number; write it like '3 ms'"),
        ("9" * 10**6, f"'{'9' * 56}... is not a number with a unit; write it like '3 ms'"),
        ([1] * 999, "a quantity is text with a unit, got <class 'list'>; write it like '3 ms'"),
    ],
    ids=range(17),
)
def test_refusals(text: object, message: str) -> None:
    """The value and the remedy, in one sentence of a readable length."""
    with pytest.raises(UnitError, match=f"^{re.escape(message)}$"):
        parse(text, "seconds")


def test_no_minus_zero() -> None:
    """It would be written as -0 and compare equal to 0."""
    assert math.copysign(1.0, parse("-0 s", "seconds")) == 1.0
    assert math.copysign(1.0, parse_ratio("-0")) == 1.0


@pytest.mark.parametrize(
    ("text", "ratio"), [("0 dB", 1.0), ("10 dB", 10.0), ("-10 dB", 0.1), ("31.6", 31.6), (31.6, 31.6), (0, 0.0)]
)
def test_ratios(text: object, ratio: float) -> None:
    """Decibels of power, or a plain number."""
    assert parse_ratio(text) == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("15 dBm", "'15 dBm' is not a ratio; write it like '15 dB' or 31.6"),
        ("-1", "'-1' is not a ratio; write it like '15 dB' or 31.6"),
        (-1, "-1 is not a ratio; write it like '15 dB' or 31.6"),
        (True, "True is not a ratio; write it like '15 dB' or 31.6"),
        (math.inf, "inf is not a ratio; write it like '15 dB' or 31.6"),
        (10**5000, "a huge number is not a ratio; write it like '15 dB' or 31.6"),
        ("400 dB", "a ratio lies between -300 dB and 300 dB, got '400 dB'; write it like '15 dB'"),
        ("1e40", "a ratio lies between -300 dB and 300 dB, got '1e40'; write it like '15 dB'"),
    ],
    ids=range(8),
)
def test_ratio_refusals(text: object, message: str) -> None:
    """In one sentence."""
    with pytest.raises(UnitError, match=f"^{re.escape(message)}$"):
        parse_ratio(text)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "s", "0 s"), (1.0, "s", "1 s"), (0.0012, "s", "1.2 ms"), (3.4e-8, "s", "34 ns"), (5e-13, "s", "0.0005 ns"),
        (0.9996, "s", "1 s"), (0.00099996, "s", "1 ms"), (12345.0, "s", "12300 s"), (math.inf, "s", "inf s"),
        (1023.0, "B", "1020 B"), (1024.0, "B", "1 KiB"), (3.5 * 2**30, "B", "3.5 GiB"), (0.5, "B", "0.5 B"),
        (2.5e6, "B/s", "20 Mbit/s"), (124_999.9, "B/s", "1 Mbit/s"), (0.0, "B/s", "0 bit/s"), (125e9, "B/s", "1000 Gbit/s"),
        (8e9, "FLOP/s", "8 GFLOP/s"), (5e15, "FLOP/s", "5000 TFLOP/s"), (600e6, "FLOP", "600 MFLOP"), (12.0, "FLOP", "12 FLOP"),
        (2e-5, "J", "20 uJ"), (0.25, "J", "250 mJ"), (1.234567, "USD", "1.23 USD"), (-0.003, "s", "-3 ms"),
    ],
)  # fmt: skip
def test_show(value: float, unit: str, text: str) -> None:
    """Three digits, the unit that fits, never an exponent at the border of two units."""
    assert show(value, unit) == text


@given(st.floats(1e-9, 1e12))
def test_what_is_shown_is_near(value: float) -> None:
    """Reading what was shown gives the value within half of its third digit."""
    for unit, dimension in (("s", "seconds"), ("B/s", "bytes_per_s"), ("FLOP/s", "flops_per_s"), ("J", "joules")):
        assert parse(show(value, unit), dimension) == pytest.approx(value, rel=0.0051)


@given(
    st.one_of(
        st.text(),
        st.integers(),
        st.floats(),
        st.lists(st.integers()),
        st.binary(),
        st.dictionaries(st.text(), st.text()),
    )
)
def test_anything_is_shown_shortly(value: object) -> None:
    """In at most sixty characters."""
    assert len(shown(value)) <= 60
