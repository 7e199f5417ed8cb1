"""A sheet measured in inches; the only file that knows matplotlib."""

import io
import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from hocket.errors import FormatError, MissingError
from hocket.nouns import write_whole
from hocket.view.palette import INK, PAPER

Point = tuple[float, float]
SUFFIXES = (".png", ".svg")
_DPI = 160
_MOST_PIXELS = 24_000  # on a side: more than any screen, less than Agg refuses


class Canvas:
    """A white sheet; the origin is at its lower left, y goes up, sizes are inches, type is in points."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._figure = _part("matplotlib.figure").Figure(figsize=(width, height), facecolor=PAPER)
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(0, height)

    def box(
        self,
        corner: Point,
        size: Point,
        fill: str,
        *,
        edge: str = "none",
        width: float = 0.8,
        radius: float = 0.0,
        hatch: str = "",
        layer: float = 3,
    ) -> None:
        """A rectangle by its lower left corner, perhaps with round corners."""
        patches = _part("matplotlib.patches")
        style = {
            "facecolor": fill,
            "edgecolor": edge,
            "linewidth": width if edge != "none" else 0,
            "hatch": hatch or None,
            "zorder": layer,
        }
        if radius > 0:
            rounding = min(radius, size[0] / 2, size[1] / 2)
            shape = f"round,pad=0,rounding_size={rounding}"
            patch = patches.FancyBboxPatch(corner, *size, boxstyle=shape, **style)
        else:
            patch = patches.Rectangle(corner, *size, **style)
        self._axes.add_patch(patch)

    def dot(self, centre: Point, radius: float, fill: str, *, edge: str = PAPER, layer: float = 5) -> None:
        """A filled circle."""
        circle = _part("matplotlib.patches").Circle(
            centre, radius, facecolor=fill, edgecolor=edge, linewidth=0.8, zorder=layer
        )
        self._axes.add_patch(circle)

    def line(
        self,
        points: Sequence[Point],
        colour: str = INK,
        *,
        width: float = 1.0,
        curved: bool = False,
        rounded: float = 0.0,
        dashed: bool = False,
        layer: float = 2,
    ) -> None:
        """Straight pieces, perhaps with round corners, or curved ones that leave and arrive horizontally."""
        paths, patches = _part("matplotlib.path"), _part("matplotlib.patches")
        path = paths.Path(*(_curve(points) if curved else _rounded(points, rounded)))
        self._axes.add_patch(
            patches.PathPatch(
                path,
                facecolor="none",
                edgecolor=colour,
                linewidth=width,
                linestyle=(0, (4, 2)) if dashed else "solid",
                capstyle="butt",
                joinstyle="round",
                zorder=layer,
            )
        )

    def head(self, tip: Point, colour: str, *, size: float = 0.07, layer: float = 2.5) -> None:
        """An arrow's head that points to the right."""
        x, y = tip
        corners = [(x, y), (x - size, y + 0.55 * size), (x - size, y - 0.55 * size)]
        patch = _part("matplotlib.patches").Polygon(corners, closed=True, facecolor=colour, linewidth=0, zorder=layer)
        self._axes.add_patch(patch)

    def text(
        self,
        at: Point,
        text: str,
        *,
        size: float = 8,
        colour: str = INK,
        align: Literal["left", "center", "right"] = "left",
        bold: bool = False,
        halo: bool = False,
        upright: bool = False,
        layer: float = 6,
    ) -> None:
        """One line of type, vertically centred at a point."""
        found = self._axes.text(
            *at,
            text,
            fontsize=size,
            color=colour,
            ha=align,
            va="center_baseline" if not upright else "center",
            fontweight="bold" if bold else "normal",
            rotation=90 if upright else 0,
            zorder=layer,
            parse_math=False,
        )
        if halo:
            effects = _part("matplotlib.patheffects")
            found.set_path_effects([effects.withStroke(linewidth=2.6, foreground=PAPER)])

    def save(self, path: str | Path) -> Path:
        """Write the sheet as PNG or SVG, by the suffix of the path.

        Raises:
            FormatError: another suffix, or a folder that is missing.
        """
        path, data = Path(path), io.BytesIO()
        check_suffix(path)
        dpi = min(_DPI, _MOST_PIXELS / max(self.width, self.height))
        # No date, so that the same picture is the same file.
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        self._figure.savefig(data, format=path.suffix.lower()[1:], dpi=dpi, metadata=metadata)
        return write_whole(path, data.getvalue())


def check_suffix(path: Path) -> None:
    """Refuse a picture whose suffix is no format.

    Raises:
        FormatError: neither .png nor .svg.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise FormatError(f"a picture is a .png or .svg file, got {path.name!r}; change the suffix")


@cache
def text_width(text: str, size: float = 8, *, bold: bool = False) -> float:
    """Inches that a line of type is wide."""
    if not text.strip():
        return 0.0
    properties = _part("matplotlib.font_manager").FontProperties(size=size, weight="bold" if bold else "normal")
    width, _, _ = _part("matplotlib.textpath").text_to_path.get_text_width_height_descent(text, properties, False)
    return float(width) / 72


def shortened(text: str, width: float, size: float = 8, *, bold: bool = False) -> str:
    """The end of a text that fits into a width: of `features.3.conv` the last parts tell most."""
    if text_width(text, size, bold=bold) <= width:
        return text
    cuts = range(1, len(text))
    cut = bisect_left(cuts, True, key=lambda start: text_width("…" + text[start:], size, bold=bold) <= width)
    return "…" + text[cuts[cut] if cut < len(cuts) else -1 :]


def _part(name: str) -> Any:
    """A module of matplotlib, loaded when the first picture is drawn."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingError("pictures need matplotlib, which is not installed; install hocket[view]") from None


def _curve(points: Sequence[Point]) -> tuple[list[Point], list[int]]:
    """Bezier pieces through the points, horizontal at each of them."""
    vertices, codes = [points[0]], [1]
    for (x, y), (next_x, next_y) in pairwise(points):
        middle = (x + next_x) / 2
        vertices += [(middle, y), (middle, next_y), (next_x, next_y)]
        codes += [4, 4, 4]
    return vertices, codes


def _rounded(points: Sequence[Point], radius: float) -> tuple[list[Point], list[int]]:
    """Straight pieces whose corners are cut by a curve that starts `radius` before each."""
    vertices, codes = [points[0]], [1]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        if radius > 0:
            vertices += [_towards(corner, before, radius), corner, _towards(corner, after, radius)]
            codes += [2, 3, 3]
        else:
            vertices.append(corner)
            codes.append(2)
    return [*vertices, points[-1]], [*codes, 2]


def _towards(start: Point, stop: Point, length: float) -> Point:
    """A point at a length from one point to another, at most half the way."""
    (x, y), (to_x, to_y) = start, stop
    whole = math.hypot(to_x - x, to_y - y)
    part = min(length / whole, 0.5) if whole else 0.0
    return x + (to_x - x) * part, y + (to_y - y) * part
