"""What stands above a picture: its title, and what its colours and lines mean."""

from collections.abc import Sequence
from typing import NamedTuple

from hocket.view.canvas import Canvas, text_width
from hocket.view.palette import INK, MUTED

_SWATCH, _GAP, LINE, TITLE = 0.16, 0.28, 0.26, 0.36


class Entry(NamedTuple):
    """One thing that a legend explains."""

    text: str
    colour: str = ""
    """"" = words alone."""
    line: float | None = None
    """Points of a line that is shown; None = a filled square."""
    hatch: str = ""


def lines_of(entries: Sequence[Entry], width: float) -> list[list[Entry]]:
    """Entries in as many lines as they need."""
    lines: list[list[Entry]] = [[]]
    used = 0.0
    for entry in entries:
        if lines[-1] and used + _width(entry) > width:
            lines.append([])
            used = 0.0
        lines[-1].append(entry)
        used += _width(entry)
    return lines


def height_of(entries: Sequence[Entry], width: float) -> float:
    """Room that title and legend take together."""
    return TITLE + (len(lines_of(entries, width)) * LINE if entries else 0.0) + 0.1


def draw_head(canvas: Canvas, title: str, note: str, entries: Sequence[Entry], margin: float) -> None:
    """Write a title, a note behind it, and the legend below, from the top of the sheet."""
    top = canvas.height - margin
    canvas.text((margin, top - 0.12), title, size=12, bold=True)
    canvas.text((margin + text_width(title, 12, bold=True) + 0.2, top - 0.13), note, size=9, colour=MUTED)
    for number, line in enumerate(lines_of(entries, canvas.width - 2 * margin)):
        x, y = margin, top - TITLE - number * LINE - 0.1
        for entry in line:
            _draw(canvas, entry, x, y)
            x += _width(entry)


def head_width(title: str, note: str) -> float:
    """Inches that title and note need."""
    return text_width(title, 12, bold=True) + 0.2 + text_width(note, 9)


def _draw(canvas: Canvas, entry: Entry, x: float, y: float) -> None:
    if entry.colour and entry.line is None:
        canvas.box((x, y - _SWATCH / 2), (_SWATCH, _SWATCH), entry.colour, radius=0.03, hatch=entry.hatch, edge=MUTED,
                   width=0.4)  # fmt: skip
    elif entry.colour and entry.line is not None:
        canvas.line([(x, y), (x + 1.6 * _SWATCH, y)], entry.colour, width=entry.line)
    canvas.text((x + _swatch(entry), y), entry.text, size=8.5, colour=INK)


def _swatch(entry: Entry) -> float:
    if not entry.colour:
        return 0.0
    return (1.0 if entry.line is None else 1.6) * _SWATCH + 0.07


def _width(entry: Entry) -> float:
    return _swatch(entry) + text_width(entry.text, 8.5) + _GAP
