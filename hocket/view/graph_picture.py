"""A graph, with its cut when a plan is given: boxes as high as their work, lines as wide as their bytes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hocket.graph import Graph
from hocket.plan import Plan
from hocket.plan.placement import Place, placement
from hocket.units import show
from hocket.view.boxes import MOST_BOXES, Box, Edge, boxes_of, shares_of
from hocket.view.canvas import Canvas, Point, shortened, text_width
from hocket.view.layers import Layout, layered
from hocket.view.legend import Entry, draw_head, head_width, height_of
from hocket.view.palette import FAINT, INK, MUTED, PALE, PAPER, colours, mixed, readable_on
from hocket.view.rows import Row, broken

_MARGIN, _SIDE, _BETWEEN, _LANE_GAP = 0.3, 0.46, 0.5, 0.16
_TITLE_PT, _DETAIL_PT, _BYTES_PT = 7.5, 6.5, 7
_LEAST_HEIGHT, _MOST_HEIGHT, _TERMINAL_HEIGHT = 0.36, 0.78, 0.26
_TURN, _WIDE_TURN = 0.36, 0.76  # the wide one leaves room for what a crossing carries
_LEAST_WIDTH, _MOST_WIDTH, _GAP = 0.72, 1.45, 0.34


_Piece = tuple[list[Point], bool]


class _Sheet(NamedTuple):
    canvas: Canvas
    boxes: Sequence[Box]
    edges: Sequence[Edge]
    heights: Sequence[float]
    layout: Layout
    rows: Sequence[Row]
    x: Sequence[float]
    """Left end of each column, within its row."""
    width: Sequence[float]
    """Of each column's boxes."""
    base: Sequence[float]
    """What is added to y in each row."""
    turn: float
    """How far right of its box a line turns back."""
    colour: Mapping[str, str]

    def row_of(self, column: int) -> int:
        return next(number for number, row in enumerate(self.rows) if row.start <= column < row.stop)


def draw_graph(
    graph: Graph,
    plan: Plan | None = None,
    *,
    task: str | None = None,
    nodes: Sequence[str] = (),
    inputs: dict[str, str] | None = None,
    outputs: dict[str, str] | None = None,
    note: str = "",
    most: int = MOST_BOXES,
) -> Canvas:
    """Draw a graph from left to right in rows.

    Args:
        graph: the model.
        plan: colours its operators by node; absent = no colours.
        task: which entry of the plan; absent = the first.
        nodes: all nodes, in the order that gives them their colours.
        inputs: input tensor -> node that has it.
        outputs: output tensor -> node that needs it.
        note: written behind the title.
        most: boxes that the eye can hold; operators are put together until there are no more.
    """
    places = _places(graph, plan, task)
    boxes, edges = boxes_of(graph, places, inputs=inputs, outputs=outputs, most=most)
    used = [node for box in boxes for node, _ in shares_of(box.place)]
    colour = colours([*nodes, *used])
    heights = [_height(box, max(box.flops for box in boxes)) for box in boxes]
    layout = layered(heights, [(edge.source, edge.target) for edge in edges], _LANE_GAP)
    entries = _entries(graph, boxes, edges, colour)
    sheet = _sheet((graph.name, note or _about(graph)), entries, boxes, edges, heights, layout, colour)
    _draw_edges(sheet)
    _draw_boxes(sheet)
    return sheet.canvas


def _sheet(
    title: tuple[str, str],
    entries: Sequence[Entry],
    boxes: Sequence[Box],
    edges: Sequence[Edge],
    heights: Sequence[float],
    layout: Layout,
    colour: Mapping[str, str],
) -> _Sheet:
    """A sheet of the right size with its head written, and the place of every column and row on it."""
    widths, gaps = _widths(boxes, edges, layout)
    pitches = [width + gap for width, gap in zip(widths, gaps, strict=True)]
    rows = broken(layout, heights, pitches, _BETWEEN)
    x = [sum(pitches[row.start : column]) for row in rows for column in range(row.start, row.stop)]
    turn = _WIDE_TURN if any(edge.crosses for edge in edges) else _TURN
    body = max(x[row.stop - 1] + widths[row.stop - 1] for row in rows) + _SIDE + turn + 0.1
    width = max(body, head_width(*title), 6.5) + 2 * _MARGIN
    head = height_of(entries, width - 2 * _MARGIN)
    height = sum(row.high - row.low for row in rows) + _BETWEEN * len(rows) + head + 2 * _MARGIN
    canvas = Canvas(width, height)
    draw_head(canvas, *title, entries, _MARGIN)
    base, top = [], height - _MARGIN - head - _BETWEEN / 2
    for row in rows:
        base.append(top - row.high)
        top -= row.high - row.low + _BETWEEN
    left = [_MARGIN + _SIDE + offset for offset in x]
    return _Sheet(canvas, boxes, edges, heights, layout, rows, left, widths, base, turn, colour)


def _places(graph: Graph, plan: Plan | None, task: str | None) -> Sequence[Place | None]:
    if plan is None:
        return [None] * len(graph.operators)
    entry = next((entry for entry in plan.entries if task in (None, entry.task)), plan.entries[0])
    return placement(graph, entry)


def _about(graph: Graph) -> str:
    count, flops, weights = len(graph.operators), show(graph.flops, "FLOP"), show(graph.weight_bytes, "B")
    return f"{count} operators · {flops} · weights {weights}"


def _height(box: Box, most: float) -> float:
    if not box.operators:
        return _TERMINAL_HEIGHT
    return _LEAST_HEIGHT + (_MOST_HEIGHT - _LEAST_HEIGHT) * ((box.flops / most) ** 0.5 if most else 0.0)


def _detail(box: Box) -> str:
    count = f"{len(box.operators)} op · " if len(box.operators) > 1 else ""
    return f"{count}{show(box.flops, 'FLOP')}" if box.flops else f"{len(box.operators)} op"


def _widths(boxes: Sequence[Box], edges: Sequence[Edge], layout: Layout) -> tuple[list[float], list[float]]:
    """Of each column, and of the gap after it, which has room for what the crossings carry."""
    count = max(layout.column) + 1
    widths, gaps = [0.12] * count, [_GAP] * count
    for box, column in zip(boxes, layout.column, strict=True):
        need = max(text_width(box.title, _TITLE_PT, bold=True), text_width(_detail(box), _DETAIL_PT)) + 0.16
        if not box.operators:
            need = text_width(box.title, _DETAIL_PT) + 0.2
        widths[column] = max(widths[column], min(max(need, _LEAST_WIDTH), _MOST_WIDTH))
    for edge in edges:
        if edge.crosses:
            column = layout.column[edge.source]
            gaps[column] = max(gaps[column], text_width(show(edge.nbytes, "B"), _BYTES_PT, bold=True) + 0.24)
    return widths, gaps


def _entries(graph: Graph, boxes: Sequence[Box], edges: Sequence[Edge], colour: Mapping[str, str]) -> list[Entry]:
    work: dict[str, float] = dict.fromkeys(colour, 0.0)
    count: dict[str, int] = dict.fromkeys(colour, 0)
    for box in boxes:
        for node, share in shares_of(box.place):
            work[node] += box.flops * share
            count[node] += len(box.operators)
    entries = [
        Entry(f"{node}: {count[node]} operators, {100 * work[node] / (graph.flops or 1):.0f} % of the work", fill)
        for node, fill in colour.items()
        if count[node]
    ]
    most = max((edge.nbytes for edge in edges), default=0)
    if any(edge.crosses for edge in edges):
        entries.append(Entry("crosses to another node", INK, line=2.5))
    if most:
        entries.append(Entry(f"{show(most, 'B')} (width of a line: bytes)", FAINT, line=_line_width(most, most)))
    return [*entries, Entry("height of a box: FLOPs", PALE)]


def _line_width(nbytes: float, most: float) -> float:
    return 0.8 + 4.2 * (nbytes / most) ** 0.5 if most else 0.8


def _draw_boxes(sheet: _Sheet) -> None:
    for number, box in enumerate(sheet.boxes):
        column = sheet.layout.column[number]
        x, width, height = sheet.x[column], sheet.width[column], sheet.heights[number]
        y = sheet.base[sheet.row_of(column)] + sheet.layout.y[number]
        _draw_box(sheet, box, (x, y - height / 2), (width, height))


def _draw_box(sheet: _Sheet, box: Box, corner: tuple[float, float], size: tuple[float, float]) -> None:
    canvas, shares = sheet.canvas, shares_of(box.place)
    fill = sheet.colour[shares[0][0]] if shares else PALE
    ink = readable_on(fill) if len(shares) == 1 else INK
    (x, y), (width, height) = corner, size
    middle = x + width / 2
    if not box.operators:
        canvas.box(corner, size, PAPER, edge=fill if shares else MUTED, width=1.4, radius=height / 2)
        canvas.text(
            (middle, y + height / 2), shortened(box.title, width - 0.14, _DETAIL_PT), size=_DETAIL_PT, align="center"
        )
        return
    if len(shares) < 2:
        canvas.box(corner, size, fill, edge=mixed(fill, INK, 0.35), width=0.7, radius=0.06)
    left = x
    for node, share in shares if len(shares) > 1 else ():  # pale, so that the title is readable on all of them
        canvas.box((left, y), (width * share, height), mixed(sheet.colour[node], PAPER, 0.45), edge=PAPER, width=0.5)
        left += width * share
    title = _title(box, width - 0.1)
    canvas.text((middle, y + height / 2 + 0.07), title, size=_TITLE_PT, colour=ink, align="center", bold=True)
    canvas.text((middle, y + height / 2 - 0.08), _detail(box), size=_DETAIL_PT, colour=ink, align="center")


def _title(box: Box, width: float) -> str:
    """The title as far as it fits; the kind of an operator stays whole, of its module the end."""
    kind, space, scope = box.title.partition(" ")
    if not space:
        return shortened(box.title, width, _TITLE_PT, bold=True)
    room = width - text_width(f"{kind} ", _TITLE_PT, bold=True) - 0.03
    return f"{kind} {shortened(scope, room, _TITLE_PT, bold=True)}"


def _draw_edges(sheet: _Sheet) -> None:
    most = max((edge.nbytes for edge in sheet.edges), default=0)
    turns = _Turns(sheet)
    for edge, way in zip(sheet.edges, sheet.layout.ways, strict=True):
        colour, layer = (INK, 2.4) if edge.crosses else (FAINT, 2.0)
        width = _line_width(edge.nbytes, most)
        for points, turns_back in turns.pieces(edge, way):
            rounded = 0.14 if turns_back else 0.0
            sheet.canvas.line(points, colour, width=width, curved=not turns_back, rounded=rounded, layer=layer)
    for number in range(len(sheet.boxes)):
        _write_bytes(sheet, number)


def _write_bytes(sheet: _Sheet, source: int) -> None:
    """Beside a box, what leaves it for other nodes: each tensor once, however many read it."""
    ways = [(edge, way) for edge, way in zip(sheet.edges, sheet.layout.ways, strict=True) if edge.source == source]
    told = dict.fromkeys((edge.tensors, edge.nbytes) for edge, _ in ways if edge.crosses)
    rise = sum(way[1][1] - way[0][1] for edge, way in ways if edge.crosses)
    side = -1 if rise > 0.05 else 1  # the side that the lines turn away from
    column = sheet.layout.column[source]
    x = sheet.x[column] + sheet.width[column] + 0.06
    y = sheet.base[sheet.row_of(column)] + sheet.layout.y[source] + 0.12 * side
    for number, (_, nbytes) in enumerate(told):
        text = show(nbytes, "B")
        sheet.canvas.text((x, y + 0.12 * side * number), text, size=_BYTES_PT, bold=True, halo=True)


class _Turns:
    """The ways of edges on the sheet: pieces inside rows, and turns from the end of a row to the next.

    Edges that leave one box together turn together, and fan out in the next row.
    """

    def __init__(self, sheet: _Sheet) -> None:
        self.sheet = sheet
        self.taken: Counter[int] = Counter()
        self.shared: dict[tuple[int, int], tuple[list[Point], Point]] = {}

    def pieces(self, edge: Edge, way: Sequence[tuple[int, float]]) -> list[_Piece]:
        """(points, whether they are a turn)."""
        sheet = self.sheet
        points: list[Point] = []
        pieces: list[_Piece] = [(points, False)]
        for number, (column, y) in enumerate(way):
            row = sheet.row_of(column)
            left, right = sheet.x[column], sheet.x[column] + sheet.width[column]
            spot = sheet.base[row] + y
            if number and sheet.row_of(way[number - 1][0]) != row:
                turn, entry = self._turn((edge.source, way[number - 1][0]), row, points[-1], (left, spot))
                points = [entry]
                pieces += [(turn, True), (points, False)]
            if number:
                points.append((left, spot))
            if number < len(way) - 1:
                points.append((right, spot))
        return [piece for piece in pieces if len(piece[0]) > 1]

    def _turn(self, end: tuple[int, int], row: int, start: Point, stop: Point) -> tuple[list[Point], Point]:
        """Out to the right, down between the rows, back to the left, each a little inside the last."""
        sheet = self.sheet
        if end in self.shared:
            return self.shared[end]
        shift = 0.07 * (self.taken[row] % 4)
        self.taken[row] += 1
        right, left = start[0] + sheet.turn - shift, stop[0] - _SIDE + shift
        level = sheet.base[row - 1] + sheet.rows[row - 1].low - _BETWEEN / 2 + 0.1 - shift
        middle = start[1] - sheet.base[row - 1] + sheet.base[row]
        entry = (left + 0.16, min(middle, level - 0.3))
        points = [start, (right, start[1]), (right, level), (left, level), (left, entry[1]), entry]
        self.shared[end] = points, entry
        return self.shared[end]
