"""A cluster: its nodes as cards on a ring, its links as lines as wide as their rate, its media as colours of lines."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.units import show
from hocket.view.canvas import Canvas, Point, shortened, text_width
from hocket.view.labels import Area, find_room
from hocket.view.legend import Entry, draw_head, head_width, height_of
from hocket.view.palette import FAINT, INK, MUTED, PAPER, colours, mixed, readable_on

_MARGIN, _CARD_WIDTH, _TITLE, _LINE = 0.35, 1.75, 0.26, 0.17
_LABEL_PT = 7.5
_ALONG = (0.5, 0.42, 0.58, 0.35, 0.65, 0.29, 0.71, 0.24, 0.76)  # where a label may stand on its link
_MEDIA = ("#7B3FA0", "#1B7F79", "#A0522D", "#4B5320")  # not colours of nodes, dark enough for lines


class _Sheet(NamedTuple):
    canvas: Canvas
    centres: Mapping[str, Point]
    cards: Mapping[str, tuple[str, ...]]
    colour: Mapping[str, str]
    media: Mapping[str, str]


def draw_cluster(cluster: Cluster) -> Canvas:
    """Draw a cluster: every node in the colour that it has in all pictures, every link with rate and latency.

    Where links are so many that some label finds no room, links with equal figures get a common letter, and the
    legend says what it stands for.
    """
    cards = {node.name: _lines(node) for node in cluster.nodes}
    spots, (width, height) = _ring(cluster, max(_card_height(lines) for lines in cards.values()))
    media = {medium.name: _MEDIA[number % len(_MEDIA)] for number, medium in enumerate(cluster.media)}
    title, note = cluster.name, _about(cluster)
    width = max(width + 2 * _MARGIN, head_width(title, note) + 2 * _MARGIN, 5.5)
    letters: dict[str, str] = {}
    while True:
        entries = _entries(cluster, media, letters)
        head = height_of(entries, width - 2 * _MARGIN)
        canvas = Canvas(width, height + head + 2 * _MARGIN)
        middle = (width / 2, _MARGIN + height / 2)
        centres = {name: (middle[0] + x, middle[1] + y) for name, (x, y) in spots.items()}
        sheet = _Sheet(canvas, centres, cards, colours(cards), media)
        placed = _placed(sheet, cluster, letters)
        if letters or len(placed) == len(cluster.links):
            break
        letters = _letters(cluster)
    draw_head(canvas, title, note, entries, _MARGIN)
    _draw_links(sheet, cluster, placed)
    for node in cluster.nodes:
        _draw_card(sheet, node, node.name == cluster.source)
    return canvas


def _about(cluster: Cluster) -> str:
    links = "1 link" if len(cluster.links) == 1 else f"{len(cluster.links)} links"
    nodes = "1 node" if len(cluster.nodes) == 1 else f"{len(cluster.nodes)} nodes"
    return f"{nodes} · {links} · inputs at {cluster.source}"


def _lines(node: Node) -> tuple[str, ...]:
    """What a card says below the name."""
    cores = f"{node.cores} × " if node.cores > 1 else ""
    lines = [f"{cores}{show(node.flops_per_s, 'FLOP/s')}"]
    if node.memory_bytes is not None:
        lines.append(f"{show(node.memory_bytes, 'B')} memory")
    if node.compute_w:
        lines.append(f"{node.compute_w:g} W computing")
    if node.slowdown != 1.0:
        lines.append("slowed to its speed" if node.slowdown == "auto" else f"slowed {node.slowdown:g} times")
    return tuple(lines)


def _card_height(lines: Sequence[str]) -> float:
    return _TITLE + _LINE * len(lines) + 0.08


def _ring(cluster: Cluster, card: float) -> tuple[dict[str, Point], Point]:
    """Centres of the cards around (0, 0), and the size of the whole: a hub in the middle, all others around it."""
    names = [node.name for node in cluster.nodes]
    hub = _hub(cluster)
    around = [name for name in names if name != hub]
    pitch = math.hypot(_CARD_WIDTH, card) + 0.35
    across = max(2.1, pitch * len(around) / (2 * math.pi) * 1.1) if len(names) > 1 else 0.0
    flat = 0.0 if len(names) == 2 else max(0.62 * across, 1.2 * card)
    if len(around) > 4:  # so large that a line between two neighbours does not pass behind the card between them
        bulge = 1 - math.cos(2 * math.pi / len(around))
        across = max(across, min(1.0 / bulge, 1.5 * across))
        flat = max(flat, min(0.62 * card / bulge, 1.5 * flat))
    # The first node stands left, where reading starts.
    turn = [math.pi - 2 * math.pi * number / max(len(around), 1) for number in range(len(around))]
    spots = {name: (across * math.cos(at), flat * math.sin(at)) for name, at in zip(around, turn, strict=True)}
    if hub is not None:
        spots[hub] = (0.0, 0.0)
    (left, right), (low, high) = ((min(values), max(values)) for values in zip(*spots.values(), strict=True))
    middle = ((left + right) / 2, (low + high) / 2)
    spots = {name: (x - middle[0], y - middle[1]) for name, (x, y) in spots.items()}
    return spots, (right - left + _CARD_WIDTH, high - low + card + 0.2)


def _hub(cluster: Cluster) -> str | None:
    """The node of a star: all links are its links, and there are at least three."""
    if len(cluster.links) < 3:
        return None
    shared = set(cluster.links[0].between).intersection(*(link.between for link in cluster.links))
    return min(shared) if shared else None


def _rate(direction: Direction) -> str:
    if direction.trace is not None:
        rates = [rate for _, rate in direction.trace.steps]
        return f"{show(min(rates), 'B/s')} to {show(max(rates), 'B/s')}"
    return "unlimited" if direction.bytes_per_s is None else show(direction.bytes_per_s, "B/s")


def _figures(link: Link) -> str:
    up, down = _rate(link.up), _rate(link.down)
    rate = up if up == down else f"↑ {up} ↓ {down}"
    return f"{rate} · {show(link.latency_s, 's')}"


def _letters(cluster: Cluster) -> dict[str, str]:
    """Figures of links -> a short name."""
    different = dict.fromkeys(_figures(link) for link in cluster.links)
    if len(different) == 1:
        return dict.fromkeys(different, "")  # one sentence says it for all
    return {figures: chr(ord("A") + n) if n < 26 else f"L{n}" for n, figures in enumerate(different)}


def _entries(cluster: Cluster, media: Mapping[str, str], letters: Mapping[str, str]) -> list[Entry]:
    entries = [
        Entry(
            f"{medium.name}: {_rate(Direction(bytes_per_s=medium.bytes_per_s, trace=medium.trace))}, shared",
            media[medium.name],
            line=2.5,
        )
        for medium in cluster.media
    ]
    count = [_figures(link) for link in cluster.links]
    for what, letter in letters.items():
        entries.append(
            Entry(f"{letter}: {what} ({count.count(what)} links)" if letter else f"every link: {what}", FAINT, line=2.0)
        )
    if any(link.up != link.down for link in cluster.links):
        entries.append(Entry("↑ from the node listed first, ↓ to it"))
    if cluster.links and not letters:
        entries.append(Entry("rate · latency one way; the width of a line grows with its rate", FAINT, line=2.0))
    return entries


def _text(link: Link, letters: Mapping[str, str]) -> str:
    return letters.get(_figures(link), "") if letters else _figures(link)


def _placed(sheet: _Sheet, cluster: Cluster, letters: Mapping[str, str]) -> dict[tuple[str, str], tuple[Point, str]]:
    """For each link whose label finds room: where it stands, and its text."""
    taken = [
        Area.around(centre, _CARD_WIDTH + 0.06, _card_height(sheet.cards[name]) + 0.06)
        for name, centre in sheet.centres.items()
    ]
    placed: dict[tuple[str, str], tuple[Point, str]] = {}
    for link in cluster.links:
        start, stop = (sheet.centres[name] for name in link.between)
        text = _text(link, letters)
        size = (text_width(text, _LABEL_PT) + 0.12, 0.18)
        spots = [(start[0] + (stop[0] - start[0]) * t, start[1] + (stop[1] - start[1]) * t) for t in _ALONG]
        spot = find_room(spots, size, taken)
        if spot is not None:
            taken.append(Area.around(spot, *size))
            placed[link.between] = (spot, text)
    return placed


def _draw_links(sheet: _Sheet, cluster: Cluster, placed: Mapping[tuple[str, str], tuple[Point, str]]) -> None:
    rates = {link.between: _speed(cluster, link) for link in cluster.links}
    most = max((math.log10(rate) for rate in rates.values() if rate), default=0.0)
    for link in cluster.links:
        ends = [sheet.centres[name] for name in link.between]
        rate = rates[link.between]
        width = 3.5 if rate is None else max(3.5 - (most - math.log10(rate)), 0.8)
        colour = sheet.media[link.media[0]] if link.media else mixed(FAINT, MUTED, 0.35)
        sheet.canvas.line(ends, colour, width=width, dashed=bool(link.available), layer=1.5)
        if link.between in placed and placed[link.between][1]:
            (x, y), text = placed[link.between]
            size = (text_width(text, _LABEL_PT) + 0.1, 0.17)
            sheet.canvas.box((x - size[0] / 2, y - size[1] / 2), size, PAPER, radius=0.05, layer=2.5)
            sheet.canvas.text((x, y), text, size=_LABEL_PT, colour=INK, align="center")


def _speed(cluster: Cluster, link: Link) -> float | None:
    """Bytes per second of the faster direction; a trace counts with its greatest rate; None = not limited."""
    rates = [cluster.medium[name].bytes_per_s or 0.0 for name in link.media]
    for direction in (link.up, link.down):
        steps = direction.trace.steps if direction.trace else ((0.0, direction.bytes_per_s or 0.0),)
        rates += [rate for _, rate in steps]
    return max(rates) or None


def _draw_card(sheet: _Sheet, node: Node, is_source: bool) -> None:
    canvas, lines, fill = sheet.canvas, sheet.cards[node.name], sheet.colour[node.name]
    height = _card_height(lines)
    x, y = sheet.centres[node.name]
    left, bottom = x - _CARD_WIDTH / 2, y - height / 2
    if is_source:
        canvas.box(
            (left - 0.05, bottom - 0.05), (_CARD_WIDTH + 0.1, height + 0.1), PAPER, edge=INK, width=1.2, radius=0.11
        )
    canvas.box((left, bottom), (_CARD_WIDTH, height), mixed(fill, PAPER, 0.86), edge=fill, width=1.2, radius=0.08)
    canvas.box((left, bottom + height - _TITLE), (_CARD_WIDTH, _TITLE), fill, radius=0.08, layer=3.5)
    canvas.box((left, bottom + height - _TITLE), (_CARD_WIDTH, _TITLE / 2), fill, layer=3.5)
    title = shortened(node.name, _CARD_WIDTH - 0.2, 9.5, bold=True)
    canvas.text((x, bottom + height - _TITLE / 2), title, size=9.5, bold=True, colour=readable_on(fill), align="center")
    for number, line in enumerate(lines):
        at = (x, bottom + height - _TITLE - _LINE * (number + 0.5) - 0.03)
        canvas.text(at, shortened(line, _CARD_WIDTH - 0.16, 8), size=8, align="center")
