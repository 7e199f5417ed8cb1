"""Tables for the terminal: rows are plain dicts, and a column's name says the unit of its numbers."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hocket.units import show

Row = Mapping[str, object]
# Ending of a column's name -> unit of `units.show`; the first that fits counts.
_UNITS = (
    ("_bytes", "B"),
    ("nbytes", "B"),
    ("bytes_per_s", "B/s"),
    ("flops_per_s", "FLOP/s"),
    ("flops", "FLOP"),
    ("_s", "s"),
    ("_j", "J"),
    ("_usd", "USD"),
)
_RATIOS = ("prediction_error", "error", "gap")
_WORDS = {"nbytes": "size", "max_abs_error": "largest difference", "max_rel_error": "relative to the largest output"}


def print_table(title: str, rows: Sequence[Row], *, mark: str | None = None, console: Console | None = None) -> None:
    """Print rows under a title; the columns are the keys, in the order in which they first appear.

    Args:
        title: stands above.
        rows: values by column; what is missing stays empty.
        mark: the row whose first value is this one is printed bold, with a star.
        console: absent = stdout.
    """
    console = console or Console()
    if not rows:
        console.print(Text(f"{title}: none"))
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=Text(title, style="bold"), title_justify="left", header_style="dim", box=None, pad_edge=False)
    for name in names:
        right = all(_is_number(row.get(name)) or row.get(name) is None for row in rows)
        table.add_column(Text(heading(name)), justify="right" if right else "left", overflow="fold")
    for row in rows:
        marked = mark is not None and str(row.get(names[0])) == mark
        cells = [cell(name, row.get(name)) for name in names]
        cells[0] = f"{cells[0]} *" if marked else cells[0]
        table.add_row(*(Text(text) for text in cells), style="bold" if marked else None)
    console.print(table)


def print_facts(title: str, facts: Row, *, console: Console | None = None) -> None:
    """Print names and values, one a line; what is None is left out."""
    console = console or Console()
    table = Table(title=Text(title, style="bold"), title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value in facts.items():
        if value is not None:
            table.add_row(Text(heading(name)), Text(cell(name, value)))
    console.print(table)


def heading(name: str) -> str:
    """A column's name for people: without its unit, which every cell carries.

    >>> heading("predicted_s"), heading("nbytes"), heading("throughput_per_s")
    ('predicted', 'size', 'throughput')
    """
    if name in _WORDS:
        return _WORDS[name]
    for ending in ("_bytes_per_s", "_per_s", "_bytes", "_s", "_j", "_usd"):
        if name.endswith(ending) and name not in ("flops_per_s", "bytes_per_s"):
            name = name.removesuffix(ending)
            break
    return name.replace("_", " ")


def cell(name: str, value: object) -> str:
    """A value for people, by the name of its column.

    >>> cell("latency_s", 0.0123), cell("nbytes", 2048), cell("gap", 0.031), cell("count", 1234567)
    ('12.3 ms', '2 KiB', '3.1 %', '1 234 567')
    >>> cell("prediction_error", -0.04), cell("chosen", True), cell("bound", None)
    ('-4.0 %', 'yes', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(cell("", item) for item in value)
    if not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "never ends" if name.endswith("_s") else "unlimited"
    if name in _RATIOS:
        return f"{100 * value:+.1f} %" if name != "gap" else f"{100 * value:.1f} %"
    if name.endswith("throughput_per_s"):
        return f"{value:.3g} /s"
    unit = next((unit for ending, unit in _UNITS if name.endswith(ending)), None)
    if unit:
        return show(float(value), unit)
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value:.4g}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
