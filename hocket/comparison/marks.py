"""Cells and tables of the report."""

import math
from collections.abc import Sequence
from html import escape

from hocket.units import show

Cells = Sequence[tuple[str, str]]
"""Class and HTML of each cell of a row."""


def table(head: Sequence[str], rows: Sequence[Cells | str]) -> str:
    """A table that scrolls by itself; a text instead of cells is a row that stands across."""
    right = {
        position for row in rows if not isinstance(row, str) for position, (kind, _) in enumerate(row) if kind == "n"
    }
    names = "".join(
        f"<th{' class=n' if position in right else ''}>{escape(name)}</th>" for position, name in enumerate(head)
    )
    body = "".join(
        f'<tr class="family"><th colspan="{len(head)}">{escape(row)}</th></tr>' if isinstance(row, str) else _row(row)
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(cells: Cells) -> str:
    return (
        "<tr>"
        + "".join(f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>" for kind, text in cells)
        + "</tr>"
    )


def count(number: int, *, bad: bool = False) -> tuple[str, str]:
    """A number of problems; none is pale, and some of what should not be is red."""
    return ("n zero" if not number else "n bad" if bad else "n"), str(number)


def figure(value: float | None, form: str) -> tuple[str, str]:
    """A number, or an empty cell."""
    return "n", "" if value is None else format(value, form)


def factor(value: float | None) -> str:
    """A factor of the best.

    >>> factor(1.0), factor(1.0314), factor(12.3), factor(float("inf")), factor(None)
    ('1', '1.031', '12.3', 'unlimited', '')
    """
    if value is None:
        return ""
    if math.isinf(value):
        return "unlimited"
    return "1" if value == 1 else f"{value:.3f}" if value < 10 else f"{value:.3g}"


def percent(value: float | None) -> str:
    """A fraction in percent.

    >>> percent(0.0314), percent(0.0), percent(None)
    ('3.1 %', '0 %', '')
    """
    return "" if value is None else "0 %" if abs(value) < 5e-10 else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """A time with its unit."""
    return "" if value is None else show(value, "s")
