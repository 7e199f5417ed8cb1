"""Plots as SVG text whose colours follow the page, light or dark."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT = 590, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 12, 12, 44
# Of Okabe and Ito, those that can be read on white and on black, then two shades more.
STROKES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#9A8F00", "#8C6BB1")


class Frame(NamedTuple):
    """Where data lie in a plot: both axes from least to most, logarithmic if said so."""

    x: tuple[float, float]
    y: tuple[float, float]
    log_y: bool = False

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point; x is logarithmic."""
        across = _part(x, self.x, log=True)
        up = _part(y, self.y, log=self.log_y)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)


def _part(value: float, ends: tuple[float, float], *, log: bool) -> float:
    """How far a value is from the first end to the second, from 0 to 1."""
    low, high, value = (math.log(v) if log else v for v in (*ends, value))
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _axes(frame: Frame, x_ticks: Mapping[float, str], y_ticks: Mapping[float, str], titles: tuple[str, str]) -> str:
    lines = []
    for x, text in x_ticks.items():
        at = frame.at(x, frame.y[0])[0]
        lines.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
        lines.append(
            f'<text class="muted" x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{text}</text>'
        )
    for y, text in y_ticks.items():
        at = frame.at(frame.x[0], y)[1]
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        lines.append(f'<text class="muted" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    lines.append(f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(titles[0])}</text>')
    height = (_TOP + _HEIGHT - _BOTTOM) / 2
    lines.append(
        f'<text transform="translate(12 {height}) rotate(-90)" text-anchor="middle">{escape(titles[1])}</text>'
    )
    return "".join(lines)


def _svg(inside: str, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img"'
        f' aria-label="{escape(label)}">{inside}</svg>'
    )


def profile_plot(curves: Mapping[str, Sequence[tuple[float, float]]], strong: Mapping[str, str], most: float) -> str:
    """Shares of problems within a factor of the best, as steps.

    Args:
        curves: solver -> (factor, share from there on), factors rising from 1.
        strong: solver -> colour; the others are drawn thin and grey.
        most: the factor at the right end.
    """
    frame = Frame((1.0, most), (0.0, 1.0))
    ticks = {x: f"{x:g}" for x in (1, 1.2, 1.5, 2, 3, 5, 7, 10, 20, 50, 100) if x <= most * 1.0001}
    shares = {share / 5: f"{20 * share} %" for share in range(6)}
    lines = [_axes(frame, ticks, shares, ("factor of the best value", "share of the problems"))]
    order = sorted(curves, key=lambda name: (name in strong, -list(strong).index(name) if name in strong else 0))
    for name in order:
        points = [(*frame.at(x, y),) for x, y in curves[name]]
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        path += "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:]) + f"H{_WIDTH - _RIGHT}"
        look = (
            f'style="stroke:{strong[name]}" stroke-width="2.2"' if name in strong else 'class="other" stroke-width="1"'
        )
        lines.append(f'<path d="{path}" fill="none" {look}><title>{escape(name)}</title></path>')
    return _svg("".join(lines), "performance profile")


def scatter_plot(points: Sequence[tuple[float, float, str, str]], titles: tuple[str, str]) -> str:
    """Seconds against seconds, both logarithmic, with the diagonal where they are equal.

    Args:
        points: x, y, colour, what the point is; x and y above 0.
        titles: of the axes.
    """
    values = [value for x, y, _, _ in points for value in (x, y)]
    ends = (min(values) / 1.3, max(values) * 1.3)
    frame = Frame(ends, ends, log_y=True)
    ticks = {tick: _seconds(tick) for tick in _decades(*ends)}
    first, last = frame.at(ends[0], ends[0]), frame.at(ends[1], ends[1])
    lines = [_axes(frame, ticks, ticks, titles)]
    lines.append(
        f'<line class="axis" stroke-dasharray="4 4" x1="{first[0]}" y1="{first[1]}" x2="{last[0]}" y2="{last[1]}"/>'
    )
    for x, y, colour, title in points:
        at = frame.at(x, y)
        lines.append(
            f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="5" fill="{colour}" fill-opacity="0.85">'
            f"<title>{escape(title)}</title></circle>"
        )
    return _svg("".join(lines), f"{titles[1]} against {titles[0]}")


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]


def _seconds(value: float) -> str:
    return f"{value:g} s" if value >= 1 else f"{1000 * value:g} ms"
