"""Which crossings are behind and ahead of every piece, as bit sets, in an order in which they can be computed."""

import heapq
from collections.abc import Mapping, Sequence

from hocket.errors import PlanError
from hocket.plan.exchange import Crossing, Exchange, touches
from hocket.plan.pieces import Piece, Some


class Flow:
    """The graph of the pieces of an entry.

    Args:
        exchange: the pieces, and what moves between them.
        outputs: output tensor -> node that needs it.

    Raises:
        PlanError: a run that is computed in one go depends on itself.
    """

    def __init__(self, exchange: Exchange, outputs: Mapping[str, str]) -> None:
        self.exchange = exchange
        self.crossings: dict[Crossing, int] = {}
        """Crossing -> its bit."""
        count = len(exchange.pieces)
        self.local: list[list[tuple[int, str]]] = [[] for _ in range(count)]
        """For each piece the pieces of its node that it reads directly, and which value."""
        self.remote: list[list[Crossing]] = [[] for _ in range(count)]
        """For each piece the crossings that it reads."""
        for number, piece in enumerate(exchange.pieces):
            self._read(number, piece)
        leaving = self._leaving(outputs)
        self.order = self._sorted()
        self.behind, self.ahead = [0] * count, [0] * count
        for number in self.order:
            self._forwards(number)
        self._backwards(leaving)

    def of(self, value: str, node: str, wanted: Some, race: int = 0) -> tuple[Sequence[int], Sequence[Crossing], bool]:
        """What brings a region of a value to a node: pieces there (-1 = an input), crossings, any one is enough."""
        if wanted is None and value in self.exchange.single:
            maker, home = self.exchange.single[value]
            return ((maker,), (), False) if home == node else ((), (Crossing(value, maker, node, None),), False)
        source, pieces = self.exchange.source(value, node, race), self.exchange.pieces
        makers = [maker for maker in source.makers if maker < 0 or touches(pieces[maker].makes[value], wanted)]
        return makers, [each for each in source.crossings if touches(each.region, wanted)], source.first

    def _read(self, number: int, piece: Piece) -> None:
        for value, regions in piece.needs.items():
            for region in regions:
                makers, crossings, _ = self.of(value, piece.node, region, piece.race)
                self.local[number] += [(maker, value) for maker in makers if maker >= 0]
                self.remote[number] += crossings
                for crossing in crossings:
                    self._bit(crossing)

    def _bit(self, crossing: Crossing) -> int:
        return 1 << self.crossings.setdefault(crossing, len(self.crossings))

    def _leaving(self, outputs: Mapping[str, str]) -> list[Crossing]:
        """Crossings that bring an answer to where it is needed, and that no piece reads."""
        found: list[Crossing] = []
        for name, node in outputs.items():
            if name not in self.exchange.answers:
                found += self.of(name, node, None)[1]
        for crossing in found:
            self._bit(crossing)
        return found

    def _sorted(self) -> list[int]:
        """Topological order, by position in the graph where it leaves a choice."""
        pieces = self.exchange.pieces
        readers: list[list[int]] = [[] for _ in pieces]
        open_ = [0] * len(pieces)
        for number in range(len(pieces)):
            before = {maker for maker, _ in self.local[number]} | {c.maker for c in self.remote[number]} - {-1}
            open_[number] = len(before)
            for maker in before:
                readers[maker].append(number)
        ready = [(pieces[number].order, number) for number in range(len(pieces)) if not open_[number]]
        heapq.heapify(ready)
        order = []
        while ready:
            _, number = heapq.heappop(ready)
            order.append(number)
            for reader in readers[number]:
                open_[reader] -= 1
                if not open_[reader]:
                    heapq.heappush(ready, (pieces[reader].order, reader))
        if len(order) < len(pieces):
            stuck = min(pieces[number].order for number in range(len(pieces)) if open_[number])
            name = self.exchange.graph.operators[stuck].name
            raise PlanError(
                f"a split run is computed in one go, and what the run of {name!r} makes comes back to it by way of"
                " operators outside; put them into the run, or end it before"
            )
        return order

    def _forwards(self, number: int) -> None:
        behind = 0
        for crossing in self.remote[number]:
            behind |= self._bit(crossing)
            if crossing.maker >= 0:
                behind |= self.behind[crossing.maker]
        for maker, _ in self.local[number]:
            behind |= self.behind[maker]
        self.behind[number] = behind

    def _backwards(self, leaving: list[Crossing]) -> None:
        for crossing in leaving:
            if crossing.maker >= 0:
                self.ahead[crossing.maker] |= self._bit(crossing)
        for number in reversed(self.order):
            ahead = self.ahead[number]
            for maker, _ in self.local[number]:
                self.ahead[maker] |= ahead
            for crossing in self.remote[number]:
                if crossing.maker >= 0:
                    self.ahead[crossing.maker] |= ahead | self._bit(crossing)
