"""A timeline: a lane per node and per direction of a link; predicted above measured where both are given."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hocket.errors import FormatError
from hocket.program import Span, Trace
from hocket.units import show
from hocket.view.canvas import Canvas, text_width
from hocket.view.lanes import Bar, Lane, bars_of, from_zero, lanes_of, levels_of, typical_request
from hocket.view.legend import Entry, draw_head, head_width, height_of
from hocket.view.palette import FAINT, INK, MUTED, PALE, PAPER, colours, mixed, readable_on

_MARGIN, _LANE, _LEAST_LEVEL, _SPACE, _AXIS, _WIDTH = 0.3, 0.3, 0.13, 0.14, 0.45, 12.0
_CODEC = "#4A5560"


class Half(NamedTuple):
    """The bars of one judge."""

    judge: str
    bars: Mapping[Lane, Sequence[Bar]]
    spans: Sequence[Span]


class _Chart(NamedTuple):
    canvas: Canvas
    left: float
    scale: float
    """Inches per second."""
    colour: Mapping[str, str]

    def x(self, seconds: float) -> float:
        return self.left + seconds * self.scale


def draw_timeline(
    trace: Trace, other: Trace | None = None, *, nodes: Sequence[str] = (), width: float = _WIDTH
) -> Canvas:
    """Draw one trace, or a predicted one above a measured one.

    Args:
        trace: what happened, or is predicted to.
        other: the same from another judge; of several requests the one of median latency is compared.
        nodes: all nodes, in the order that gives them their colours.
        width: of the picture, in inches.

    Raises:
        FormatError: a trace without spans.
    """
    halves = _halves(trace, other)
    spans = [span for half in halves for span in half.spans]
    lanes = lanes_of(spans, nodes or _order(spans))
    colour = colours(nodes or _order(spans))
    heights = [sum(_height(half, lane) for half in halves) for lane in lanes]
    title, note, entries = trace.name, _note(halves), _entries(halves, spans)
    width = max(width, head_width(title, note) + 2 * _MARGIN)
    head = height_of(entries, width - 2 * _MARGIN)
    height = 2 * _MARGIN + head + sum(heights) + _SPACE * len(lanes) + _AXIS
    canvas = Canvas(width, height)
    draw_head(canvas, title, note, entries, _MARGIN)
    left = _MARGIN + max(text_width(lane.name, 9, bold=True) for lane in lanes) + 0.3
    last = max(span.stop_s for span in spans) or 1e-9
    chart = _Chart(canvas, left, (width - _MARGIN - 0.1 - left) / last, colour)
    top = height - _MARGIN - head
    _draw_axis(chart, top, _MARGIN + _AXIS, last)
    for lane, room in zip(lanes, heights, strict=True):
        _draw_lane(chart, lane, halves, top - _SPACE / 2, room)
        top -= room + _SPACE
    return canvas


def _halves(trace: Trace, other: Trace | None) -> list[Half]:
    traces = [trace] if other is None else sorted([trace, other], key=lambda t: t.judge == "measured")
    for each in traces:
        if not any(math.isfinite(span.stop_s) for span in each.spans):
            raise FormatError(
                f"a timeline needs spans that end, and the trace {each.name!r} has none; record one first"
            )
    several = [len({span.request for span in each.spans}) > 1 for each in traces]
    halves = []
    for each, many in zip(traces, several, strict=True):
        chosen = typical_request(each) if many and not all(several) else each.spans
        spans = from_zero(span for span in chosen if math.isfinite(span.stop_s))
        halves.append(Half(each.judge, bars_of(spans), spans))
    return halves


def _order(spans: Sequence[Span]) -> list[str]:
    """Nodes by first appearance."""
    return list(dict.fromkeys(node for span in spans for node in (span.node, span.target) if node))


def _height(half: Half, lane: Lane) -> float:
    levels = levels_of(half.bars, lane)
    return max(_LANE, levels * _LEAST_LEVEL)


def _note(halves: Sequence[Half]) -> str:
    texts, means = [], []
    for half in halves:
        taken = [span.stop_s - span.start_s for span in half.spans if span.kind == "request"]
        if taken:
            means.append(sum(taken) / len(taken))
            what = f"mean of {len(taken)} requests " if len(taken) > 1 else ""
            texts.append(f"{half.judge} {what}{_ms(means[-1])}")
    if len(means) == 2 and means[0]:
        texts.append(f"error {100 * (means[1] / means[0] - 1):+.1f} %")
    return " · ".join(texts) or halves[0].judge


def _ms(seconds: float) -> str:
    return f"{float(f'{seconds * 1e3:.3g}'):g} ms"


def _entries(halves: Sequence[Half], spans: Sequence[Span]) -> list[Entry]:
    kinds = {span.kind for span in spans}
    entries = []
    if "compute" in kinds:
        entries.append(Entry("compute, in the node's colour", "#7C8894"))
    if "transfer" in kinds:
        entries.append(Entry("transfer, in the sender's colour", mixed("#7C8894", PAPER, 0.55)))
    if kinds & {"encode", "decode"}:
        entries.append(Entry("encode, decode", _CODEC))
    if len(halves) > 1:
        entries.append(Entry(f"upper half {halves[0].judge}, lower half {halves[1].judge} (framed)", PAPER))
    if len({span.request for span in spans}) > 1:
        entries.append(Entry("neighbouring requests in two shades", PALE))
    return entries


def _draw_axis(chart: _Chart, top: float, bottom: float, last: float) -> None:
    step = nice_step(last, 10 if last * chart.scale > 6 else 5)
    count = int(last / step + 1e-9)
    for number in range(count + 1):
        x = chart.x(number * step)
        chart.canvas.line([(x, bottom), (x, top)], PALE if number else FAINT, width=0.8, layer=1)
        chart.canvas.text(
            (x, bottom - 0.14), f"{float(f'{number * step * 1e3:.6g}'):g}", size=8, colour=MUTED, align="center"
        )
    chart.canvas.text((chart.x(last / 2), bottom - 0.36), "ms", size=8.5, colour=MUTED, align="center")


def nice_step(length: float, most: int) -> float:
    """The least of 1, 2, 5 times a power of ten that divides a length into at most so many steps.

    >>> nice_step(0.9, 10), nice_step(24.0, 10)
    (0.1, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(length / most))
    return next(
        float(f"{factor * power:.3g}") for factor in (1, 2, 5, 10, 20) if factor * power * most >= length * (1 - 1e-9)
    )


def _draw_lane(chart: _Chart, lane: Lane, halves: Sequence[Half], top: float, room: float) -> None:
    canvas, middle = chart.canvas, top - room / 2
    canvas.line([(_MARGIN, top + _SPACE / 2), (canvas.width - _MARGIN, top + _SPACE / 2)], FAINT, width=0.5, layer=1)
    indent = 0.14 if lane.is_link else 0.0
    if lane.node and not lane.is_link:
        canvas.box((_MARGIN, middle - 0.07), (0.07, 0.14), chart.colour[lane.node], radius=0.02)
        indent = 0.14
    canvas.text((_MARGIN + indent, middle), lane.name, size=8.5 if lane.is_link else 9, bold=not lane.is_link,
                colour=MUTED if lane.is_link else INK)  # fmt: skip
    for half in halves:
        height = _height(half, lane)
        each = height / levels_of(half.bars, lane)
        for bar in half.bars.get(lane, ()):
            framed = len(halves) > 1 and half is halves[-1]
            _draw_bar(chart, lane, bar.span, top - (bar.level + 1) * each, each, framed)
        top -= height


def _draw_bar(chart: _Chart, lane: Lane, span: Span, bottom: float, height: float, framed: bool) -> None:
    x = chart.x(span.start_s)
    width = max((span.stop_s - span.start_s) * chart.scale, 0.012)  # what took no time is still seen
    fill = _fill(chart, lane, span)
    edge = INK if framed else PAPER
    room = min(0.03, height / 8)
    canvas = chart.canvas
    canvas.box((x, bottom + room / 2), (width, height - room), fill, edge=edge, width=0.7 if framed else 0.3)
    size = min(7.5, height * 72 * 0.55)
    for text in _texts(span):
        if size >= 5 and text_width(text, size) + 0.08 < width:
            canvas.text((x + width / 2, bottom + height / 2), text, size=size, colour=readable_on(fill), align="center")
            return


def _fill(chart: _Chart, lane: Lane, span: Span) -> str:
    if span.kind in ("encode", "decode"):
        return _CODEC
    base = chart.colour[lane.node] if lane.node else FAINT
    if span.kind == "transfer":
        base = mixed(base, PAPER, 0.5)
    return mixed(base, PAPER, 0.35) if span.request % 2 else base


def _texts(span: Span) -> tuple[str, ...]:
    """What may stand in a bar, the longest first."""
    taken = _ms(span.stop_s - span.start_s)
    if span.kind == "request":
        return (f"request {span.request} · {taken}", taken, f"{span.request}")
    if span.kind == "transfer":
        return (f"{show(span.nbytes, 'B')} · {taken}", show(span.nbytes, "B"), taken)
    return (
        (f"{span.id.rpartition('/')[2]} · {taken}", taken)
        if span.kind == "compute"
        else (f"{span.kind} · {taken}", span.kind)
    )
