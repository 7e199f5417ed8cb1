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


def write(name: str, rows: Iterable[Row], seconds: float) -> Path:
    """Write one section of the committed results; the others stay as they are."""
    sections = _sections()
    how = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    sections[name] = f"Made by `python -m bench {name}` in {seconds:.0f} s on {how}.\n\n{show(rows)}\n"
    head = (
        "# Measured figures\n\n"
        "Timings are medians, and ratios come from pairs in one run. `make bench` makes all sections anew.\n"
    )
    RESULTS.write_text(head + "".join(f"\n## {title}\n\n{text}" for title, text in sections.items()))
    return RESULTS


def _sections() -> dict[str, str]:
    """Title -> text of what is written already."""
    found = {}
    for part in RESULTS.read_text().split("\n## ")[1:] if RESULTS.exists() else ():
        title, _, text = part.partition("\n\n")
        found[title] = text
    return found
