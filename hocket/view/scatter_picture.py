"""Plans by two figures: those that no other beats in both, and the rest."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

from hocket.cost import Cost
from hocket.errors import FormatError
from hocket.nouns import Value
from hocket.units import show
from hocket.view.canvas import Canvas, text_width
from hocket.view.canvas import Point as Spot
from hocket.view.labels import Area, find_room
from hocket.view.legend import Entry, draw_head, height_of
from hocket.view.palette import FAINT, INK, MUTED, PALE
from hocket.view.timeline_picture import nice_step

Metric = Literal["latency", "sequential", "period", "energy", "price"]
_FIELDS: Mapping[str, tuple[str, str]] = {
    "latency": ("latency_s", "s"),
    "sequential": ("sequential_s", "s"),
    "period": ("period_s", "s"),
    "energy": ("energy_j", "J"),
    "price": ("price_usd", "USD"),
}
_WIDTH, _HEIGHT, _MARGIN, _LEFT, _BOTTOM = 8.0, 5.2, 0.35, 0.75, 0.55
_BEST, _REST = "#0072B2", "#9AA5B1"


class Point(Value, frozen=True):
    """One plan: its name, and two figures of which less is better."""

    name: str
    x: float
    y: float


class Scatter(Value, frozen=True):
    """Plans by two metrics."""

    title: str
    x: Metric
    y: Metric
    points: tuple[Point, ...]

    @classmethod
    def of(
        cls, costs: Mapping[str, Cost], x: Metric = "latency", y: Metric = "energy", title: str = "plans"
    ) -> "Scatter":
        """The plans of some costs, by name."""
        points = tuple(
            Point(name=name, x=getattr(cost, _FIELDS[x][0]), y=getattr(cost, _FIELDS[y][0]))
            for name, cost in costs.items()
        )
        return cls(title=title, x=x, y=y, points=points)


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other point beats in one figure without being worse in the other, by rising x.

    >>> [p.name for p in front([Point(name="a", x=1, y=3), Point(name="b", x=2, y=1), Point(name="c", x=2, y=2)])]
    ['a', 'b']
    """
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, p.y)):
        if not best or point.y < best[-1].y:
            best.append(point)
    return best


def draw_scatter(scatter: Scatter) -> Canvas:
    """Draw plans as dots, the front as a staircase.

    Raises:
        FormatError: no plan with finite figures.
    """
    points = [point for point in scatter.points if math.isfinite(point.x) and math.isfinite(point.y)]
    if not points:
        raise FormatError(f"a scatter needs plans with finite figures, and {scatter.title!r} has none; add some")
    entries = [Entry("no other plan is better in both", _BEST), Entry("beaten by another", _REST)]
    head = height_of(entries, _WIDTH - 2 * _MARGIN)
    canvas = Canvas(_WIDTH, _HEIGHT + head)
    draw_head(canvas, scatter.title, f"{scatter.y} against {scatter.x}, less is better", entries, _MARGIN)
    plot = Area(_MARGIN + _LEFT, _MARGIN + _BOTTOM, _WIDTH - _MARGIN, _HEIGHT - _MARGIN)
    most_x, most_y = (max(values) * 1.12 or 1.0 for values in ([p.x for p in points], [p.y for p in points]))
    _draw_axes(canvas, plot, scatter, most_x, most_y)

    def spot(point: Point) -> Spot:
        x = plot.left + (plot.right - plot.left) * point.x / most_x
        return x, plot.bottom + (plot.top - plot.bottom) * point.y / most_y

    best = front(points)
    corners = [corner for point, after in pairwise(best) for corner in (spot(point), (spot(after)[0], spot(point)[1]))]
    if corners:
        canvas.line([*corners, spot(best[-1])], _BEST, width=1.2, dashed=True, layer=2)
    _draw_points(canvas, [(point, spot(point), point in best) for point in points], plot)
    return canvas


def _draw_axes(canvas: Canvas, plot: Area, scatter: Scatter, most_x: float, most_y: float) -> None:
    step_x, step_y = nice_step(most_x, 7), nice_step(most_y, 6)
    (_, unit_x), (_, unit_y) = _FIELDS[scatter.x], _FIELDS[scatter.y]
    for number in range(int(most_x / step_x) + 1):
        x = plot.left + (plot.right - plot.left) * number * step_x / most_x
        canvas.line([(x, plot.bottom), (x, plot.top)], PALE if number else FAINT, width=0.8, layer=1)
        canvas.text((x, plot.bottom - 0.16), show(number * step_x, unit_x), colour=MUTED, align="center")
    for number in range(int(most_y / step_y) + 1):
        y = plot.bottom + (plot.top - plot.bottom) * number * step_y / most_y
        canvas.line([(plot.left, y), (plot.right, y)], PALE if number else FAINT, width=0.8, layer=1)
        canvas.text((plot.left - 0.1, y), show(number * step_y, unit_y), colour=MUTED, align="right")
    canvas.text(((plot.left + plot.right) / 2, plot.bottom - 0.42), scatter.x, size=9, bold=True, align="center")
    canvas.text(
        (_MARGIN - 0.1, (plot.bottom + plot.top) / 2), scatter.y, size=9, bold=True, align="center", upright=True
    )


def _draw_points(canvas: Canvas, found: Sequence[tuple[Point, Spot, bool]], plot: Area) -> None:
    taken = [Area.around(at, 0.16, 0.16) for _, at, _ in found]
    for _, at, is_best in found:
        canvas.dot(at, 0.065 if is_best else 0.05, _BEST if is_best else _REST, layer=5 if is_best else 4)
    # The best are named first; a name that finds no room is left out rather than written over another.
    for point, (x, y), is_best in sorted(found, key=lambda each: not each[2]):
        width = text_width(point.name, 8, bold=is_best) + 0.06
        reach = 0.12 + width / 2
        beside, corner = [(x + reach, y)], [(x + reach, y + 0.15)]  # the staircase leaves to the right
        around = [*(corner if is_best else beside), (x, y + 0.17), *(beside if is_best else corner)]
        around += [(x - reach, y), (x, y - 0.17), (x + reach, y - 0.15)]
        inside = [spot for spot in around if plot.left < spot[0] - width / 2 and spot[0] + width / 2 < plot.right + 0.3]
        room = find_room(inside, (width, 0.15), taken)
        if room is not None:
            taken.append(Area.around(room, width, 0.15))
            canvas.text(room, point.name, colour=INK if is_best else MUTED, bold=is_best, align="center", halo=True)
