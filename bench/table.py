"""What a benchmark returns, and how it is written down."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).parent / "results.md"


class Row(NamedTuple):
    """One figure."""

    figure: str
    value: float
    unit: str
    target: str
    met: bool | None
    """None = there is no target."""
    note: str = ""
    """Models, threads, rates, pairs, quartiles: what a reader needs to judge or repeat it."""


def show(rows: Iterable[Row]) -> str:
    """Rows as a Markdown table."""
    lines = ["| figure | measured | target | met | how |", "|---|---|---|---|---|"]
    for row in rows:
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        lines.append(f"| {row.figure} | {row.value:.3g} {row.unit} | {row.target} | {met} | {row.note} |")
    return "\n".join(lines)


def write(sections: dict[str, list[Row]], seconds: float) -> Path:
    """Write all sections to the committed results."""
    head = (
        "# Measured figures\n\n"
        f"Made by `make bench` in {seconds:.0f} s on {os.cpu_count()} cores, {platform.machine()},"
        f" {platform.system()}, Python {platform.python_version()}."
        " Timings are medians; ratios come from pairs in one run.\n"
    )
    parts = [f"\n## {name}\n\n{show(rows)}\n" for name, rows in sections.items()]
    RESULTS.write_text(head + "".join(parts))
    return RESULTS
