"""From pieces to segments: what is put together, what a segment reads, and what leaves it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence

from hocket.graph.regions import region_name
from hocket.plan.exchange import Crossing, Exchange, covers
from hocket.plan.flow import Flow
from hocket.plan.pieces import Piece, Some
from hocket.program import INPUT, Part, Port, Segment, Work


class Segments:
    """The segments of one entry.

    Args:
        exchange: pieces and what moves.
        flow: their graph.
        task: name of the task, the first part of every id.
        borders: positions in the graph, rising, at which a new segment begins.
    """

    def __init__(self, exchange: Exchange, flow: Flow, task: str, borders: Sequence[int]) -> None:
        self._exchange, self._flow, self._task = exchange, flow, task
        self._groups = self._grouped(borders)
        self._ids: list[str] = [""] * len(exchange.pieces)
        for number, members in enumerate(self._groups):
            identity = f"{task}/{number:03d}@{exchange.pieces[members[0]].node}"
            for member in members:
                self._ids[member] = identity
        self._names = self._named()

    def made(self) -> tuple[Segment, ...]:
        """The segments, by the first of their pieces."""
        leaving = self._leaving()
        return tuple(self._segment(members, leaving) for members in self._groups)

    def home(self, piece: int) -> str:
        """The segment of a piece."""
        return self._ids[piece]

    def name(self, crossing: Crossing) -> str:
        """The id of the transfer that a crossing becomes."""
        return self._names[crossing]

    def answer(self, name: str, node: str) -> str:
        """The id of what delivers an answer."""
        if name in self._exchange.answers:
            return self._ids[self._exchange.answers[name]]
        makers, crossings, _ = self._flow.of(name, node, None)
        return self._sources(makers, crossings)[0]

    def _named(self) -> dict[Crossing, str]:
        """A name for each crossing: what goes where, and from where if that leaves a doubt."""
        found: dict[str, list[Crossing]] = defaultdict(list)
        for crossing in self._flow.crossings:
            found[f"{self._task}/{self._label(crossing.value, crossing.region)}>{crossing.target}"].append(crossing)
        names = {}
        for name, crossings in found.items():
            for crossing in crossings:
                origin = self._ids[crossing.maker] if crossing.maker >= 0 else INPUT
                names[crossing] = name if len(crossings) == 1 else f"{name}<{origin}"
        return names

    def _label(self, value: str, region: Some) -> str:
        return value if region is None else region_name(value, region, self._exchange.shape(value))

    def _grouped(self, borders: Sequence[int]) -> list[list[int]]:
        """Pieces with the same crossings behind and ahead, in topological order.

        An edge between two pieces cannot lie inside a segment if what is made does not hold all that is read; it raises
        the rank, which only grows along edges, like the crossings behind. So do borders.
        """
        pieces, flow = self._exchange.pieces, self._flow
        alone = self._alone()
        rank = [0] * len(pieces)
        groups: dict[tuple[str, int, int, int, int, int], list[int]] = {}
        for number in flow.order:
            piece = pieces[number]
            for maker, value in flow.local[number]:
                hard = maker in alone or number in alone
                hard = hard or not covers(pieces[maker].makes[value], piece.needs[value])
                rank[number] = max(rank[number], rank[maker] + hard)
            for crossing in flow.remote[number]:
                if crossing.maker >= 0:
                    rank[number] = max(rank[number], rank[crossing.maker])
            own = number if number in alone else -1
            border = bisect_right(borders, piece.order)
            key = (piece.node, flow.behind[number], flow.ahead[number], rank[number], border, own)
            groups.setdefault(key, []).append(number)
        return list(groups.values())

    def _alone(self) -> set[int]:
        """Pieces that make different regions of one value on one node: a segment makes one."""
        makers: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, piece in enumerate(self._exchange.pieces):
            for value in piece.makes:
                makers[value, piece.node].append(number)
        return {number for several in makers.values() if len(several) > 1 for number in several}

    def _leaving(self) -> dict[int, set[str]]:
        """Piece -> the values that it makes for other segments."""
        leaving: dict[int, set[str]] = defaultdict(set)
        for number in self._flow.order:
            for maker, value in self._flow.local[number]:
                if self._ids[maker] != self._ids[number]:
                    leaving[maker].add(value)
        for crossing in self._flow.crossings:
            leaving[crossing.maker].add(crossing.value)
        for name in self._exchange.graph.outputs:
            for number, piece in enumerate(self._exchange.pieces):
                if name in piece.makes:
                    leaving[number].add(name)
        return leaving

    def _segment(self, members: Sequence[int], leaving: dict[int, set[str]]) -> Segment:
        pieces = [self._exchange.pieces[member] for member in members]
        plain = all(_is_plain(piece) for piece in pieces)
        outputs: dict[str, Some] = {}
        for member, piece in zip(members, pieces, strict=True):
            outputs |= {value: region for value, region in piece.makes.items() if value in leaving[member]}
        if not outputs:  # a mirrored copy that nobody reads now
            outputs = dict(pieces[-1].makes)
        regions = tuple(outputs.values()) if any(region is not None for region in outputs.values()) else ()
        names = dict.fromkeys(name for piece in pieces for name in _operators(piece.part))
        return Segment(
            id=self._ids[members[0]],
            node=pieces[0].node,
            operators=tuple(names),
            inputs=self._ports(members, outputs),
            outputs=tuple(outputs),
            priority=min(piece.priority for piece in pieces),
            output_regions=regions,
            parts=() if plain else _joined(piece.part for piece in pieces),
        )

    def _ports(self, members: Sequence[int], outputs: Container[str]) -> tuple[Port, ...]:
        """What a segment needs from outside, each region once."""
        own, ports = set(members), {}
        for member in members:
            piece = self._exchange.pieces[member]
            for value, regions in piece.needs.items():
                for region in regions:
                    makers, crossings, first = self._flow.of(value, piece.node, region, piece.race)
                    if own.isdisjoint(makers):
                        port = self._port(value, region, self._sources(makers, crossings), first)
                        # A segment that only puts a tensor together reads and makes it.
                        ports[value, region] = port.replace(name=f"{value}+in") if port.label in outputs else port
        return tuple(ports.values())

    def _port(self, value: str, region: Some, sources: tuple[str, ...], first: bool) -> Port:
        return Port(
            tensor=value,
            sources=sources,
            region=region,
            take="first" if first and len(sources) > 1 else "all",
            name="" if region is None else self._label(value, region),
        )

    def _sources(self, makers: Sequence[int], crossings: Sequence[Crossing]) -> tuple[str, ...]:
        found = [INPUT if maker < 0 else self._ids[maker] for maker in makers]
        return tuple(dict.fromkeys([*found, *(self._names[crossing] for crossing in crossings)]))


def _is_plain(piece: Piece) -> bool:
    return isinstance(piece.part, Work) and not piece.part.regions


def _operators(part: Part) -> tuple[str, ...]:
    return part.operators if isinstance(part, Work) else ()


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Parts in order, whole operators that follow each other as one."""
    found: list[Part] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, Work) and isinstance(last, Work) and not (part.regions or last.regions):
            found[-1] = last.replace(operators=last.operators + part.operators)
        else:
            found.append(part)
    return tuple(found)
