"""The heads of a solver's module: what it solves, how well, how fast, whose it is, where it departs."""

import inspect
import re
import textwrap
from collections.abc import Iterable
from typing import Any

from hocket.errors import FormatError

HEADS = ("Solves", "Answer", "Time", "Source", "Departs", "Cards")
_HEAD = re.compile(rf"^({'|'.join(HEADS)}) +(\S.*)$")


def heads(text: str, name: str = "the module") -> dict[str, str]:
    """Read the heads of a docstring; a line that is indented goes on with the head before it.

    Raises:
        FormatError: a head is missing.

    >>> text = "One.\\n\\nSolves    a\\n          b\\nAnswer    c\\nTime  d\\nSource  e\\nDeparts  f\\nCards  g"
    >>> heads(text)["Solves"]
    'a b'
    """
    found: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        match = _HEAD.match(line)
        if match:
            last = match[1]
            found[last] = match[2].strip()
        elif last and line.startswith("  ") and line.strip():
            found[last] += " " + line.strip()
        else:
            last = ""
    missing = [head for head in HEADS if head not in found]
    if missing:
        raise FormatError(
            f"the docstring of a solver's module has the heads {', '.join(HEADS)}, and that of {name} lacks"
            f" {', '.join(missing)}; add them"
        )
    return found


def table_of(solvers: Iterable[type[Any]]) -> list[dict[str, str]]:
    """A row per solver: name, family, summary, solves, answer, time, source, departs, cards."""
    rows = []
    for solver in solvers:
        module = inspect.getmodule(solver)
        text = textwrap.dedent((module.__doc__ if module else None) or "")
        found = {head.lower(): value for head, value in heads(text, solver.__name__).items()}
        summary = text.strip().partition("\n")[0]
        rows.append({"name": solver.name, "family": family_of(solver), "summary": summary, **found})
    return rows


def family_of(solver: type[Any]) -> str:
    """The part of `hocket.solvers` that a solver is in, `general` outside of them, or the package that it comes from.

    >>> from hocket.solvers.min_cut import MinCut
    >>> family_of(MinCut)
    'general'
    """
    package, _, rest = solver.__module__.partition(".")
    if package != "hocket":
        return package
    inside = rest.split(".")[1:]
    return inside[0] if len(inside) > 1 else "general"
