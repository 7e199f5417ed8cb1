"""Write the table of slicing rules in docs/slicing.md from the rules themselves.

python tools/make_slicing_table.py [--check]
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hocket.graph.regions.table import RULES

PAGE = Path(__file__).parents[1] / "docs" / "slicing.md"
BEGIN, END = "<!-- rules: made by tools/make_slicing_table.py -->", "<!-- end of rules -->"


def table() -> str:
    """One row for each rule function: its kinds, and the first lines of the docstrings."""
    groups: dict[Any, list[str]] = {}
    for kind, entry in RULES.items():
        groups.setdefault((entry.rule, entry.contractions), []).append(kind)
    rows = ["| kinds | what a box needs, and how it is written | contracted axes |", "|---|---|---|"]
    for (rule, contractions), kinds in groups.items():
        rows.append(f"| {' '.join(sorted(kinds))} | {_first_line(rule)} | {_first_line(contractions)} |")
    return "\n".join(rows)


def _first_line(function: Callable[..., Any] | None) -> str:
    text = (function.__doc__ or "").strip() if function else ""
    return text.splitlines()[0].rstrip(".").replace("|", "\\|") if text else ""


def renewed(page: str) -> str:
    """The page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Write the page, or say whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is not current")
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    if page == renewed(page):
        return 0
    if options.check:
        print(f"{PAGE} is not current; run python tools/make_slicing_table.py", file=sys.stderr)
        return 1
    PAGE.write_text(renewed(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
