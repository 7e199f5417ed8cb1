"""Checks that the nouns of a cluster share: numbers in their range, names, windows of time."""

import difflib
import re
from collections.abc import Iterable
from typing import TypeGuard

from hocket.errors import ClusterError
from hocket.units import shown

Windows = tuple[tuple[float, float], ...]
"""Times from and to, in seconds, rising and apart; () = always."""

_MOST_LISTED = 24
MOST = 1e100  # beyond it sums and products of such numbers might overflow
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")


def check_name(what: str, name: object) -> None:
    """Refuse a name that could not stand in a file, a command line or the name of a resource."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ClusterError(
            f"{what} has the name {shown(name)}, and a name is 1 to 64 letters, digits, '_', '-' or '.',"
            " not starting with '-' or '.'; rename it"
        )


def check_number(what: str, field: str, value: object, most: float = MOST, least: float = 0.0) -> None:
    """Refuse what is not a number from `least` to `most`."""
    if not _is_number(value) or not least <= float(value) <= most:
        raise ClusterError(
            f"{what} has {field} = {shown(value)}, and it is a number from {least:g} to {most:g}; correct it"
        )


def check_positive(what: str, field: str, value: object) -> None:
    """Refuse what is not a number above 0."""
    if not _is_number(value) or not 1 / MOST <= float(value) <= MOST:
        raise ClusterError(
            f"{what} has {field} = {shown(value)}, and it is a number above 0 and at most {MOST:g}; correct it"
        )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def check_whole(what: str, field: str, value: object, least: int, most: int) -> None:
    """Refuse what is not a whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ClusterError(
            f"{what} has {field} = {shown(value)}, and it is a whole number from {least} to {most}; correct it"
        )


def check_windows(what: str, windows: Windows) -> None:
    """Refuse windows of availability that are empty, overlap, or stand in the wrong order."""
    before = -1.0
    for window in windows:
        good = len(window) == 2 and all(_is_number(time_s) for time_s in window)
        if not good or not before < window[0] < window[1] <= MOST or window[0] < 0:
            raise ClusterError(
                f"{what} has the window of time {shown(list(window))}, and windows are [from_s, to_s] in rising order,"
                " apart from each other; correct it"
            )
        before = window[1]


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
    more = f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
    near = difflib.get_close_matches(name[:100], known, n=1) if isinstance(name, str) else []
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known[:_MOST_LISTED])}{more}"
