"""Checks that the nouns of a cluster share: numbers in their range, names, windows of time."""

import difflib
import math
import re
from collections.abc import Iterable

from hocket.errors import ClusterError

Windows = tuple[tuple[float, float], ...]
"""Times from and to, in seconds, rising and apart; () = always."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")


def check_name(what: str, name: object) -> None:
    """Refuse a name that could not stand in a file, a command line or the name of a resource."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ClusterError(
            f"{what} has the name {name!r}, and a name is 1 to 64 letters, digits, '_', '-' or '.',"
            " not starting with '-' or '.'; rename it"
        )


def check_number(what: str, field: str, value: object, least: float, most: float = math.inf) -> None:
    """Refuse what is not a finite number from `least` to `most`; `least` itself is refused if it is -0.0.

    The minus zero stands for "above 0", so that one function serves both kinds of bound.
    """
    above = least == 0 and math.copysign(1.0, least) < 0
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if good and isinstance(value, int | float) and least <= value <= most and not (above and value == 0):
        return
    lower = "above 0" if above else f"at least {least:g}"
    upper = f" and at most {most:g}" if math.isfinite(most) else ""
    raise ClusterError(f"{what} has {field} = {value!r}, and it is a number {lower}{upper}; correct it")


def check_whole(what: str, field: str, value: object, least: int, most: int) -> None:
    """Refuse what is not a whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ClusterError(
            f"{what} has {field} = {value!r}, and it is a whole number from {least} to {most}; correct it"
        )


def check_windows(what: str, windows: Windows) -> None:
    """Refuse windows of availability that are empty, overlap, or stand in the wrong order."""
    end = 0.0
    for position, window in enumerate(windows):
        good = all(isinstance(t, int | float) and math.isfinite(t) for t in window) and len(window) == 2
        if not good or not (end < window[0] or position == 0 <= window[0]) or window[0] >= window[1]:
            raise ClusterError(
                f"{what} has the window of time {list(window)!r}, and windows are [from_s, to_s] in rising order,"
                " apart from each other; correct it"
            )
        end = window[1]


def first_repeated(names: Iterable[str]) -> str | None:
    """The first name that came before."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, or all of them.

    >>> did_you_mean("egde", ["phone", "edge"])
    "did you mean 'edge'?"
    >>> did_you_mean("x", ["phone", "edge"])
    'use one of edge, phone'
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
