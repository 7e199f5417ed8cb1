"""Who gets what from whom: what each node needs, less what it holds, from those that hold it.

Halo exchange, scatter, gather, all-gather and all-to-all are all this one subtraction.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

from hocket.cluster import Cluster
from hocket.graph import Graph, nbytes
from hocket.graph.regions import extent, intersect, merge, missing, volume, whole
from hocket.graph.regions.box import contains, hull
from hocket.plan.pieces import Piece, Some
from hocket.plan.sums import Partial, sums
from hocket.program import Combine, Region


class Crossing(NamedTuple):
    """A value, or a region of it, that goes from where a piece makes it to another node."""

    value: str
    maker: int
    """The piece; -1 = it enters as an input."""
    target: str
    region: Some


class Source(NamedTuple):
    """Where the regions that a piece needs of one tensor come from."""

    makers: tuple[int, ...]
    """Pieces of the same node, or -1 = an input of the graph that enters there."""
    crossings: tuple[Crossing, ...]
    first: bool
    """Any one of them is enough."""


class _Holder(NamedTuple):
    maker: int
    node: str
    region: Some
    race: int


class Exchange:
    """All pieces of an entry, those that put partial results together included, and what moves between them.

    Args:
        graph: the model.
        pieces: of its runs.
        cluster: to choose the nearest of several holders.
        inputs: input tensor -> node that has it.
        outputs: output tensor -> node that needs it.
    """

    def __init__(
        self,
        graph: Graph,
        pieces: Iterable[Piece],
        cluster: Cluster,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
    ) -> None:
        self.graph, self._cluster, self._outputs = graph, cluster, outputs
        self.pieces = list(pieces)
        self._needs: dict[tuple[str, str], list[Some]] = {}
        self._found: dict[tuple[str, str, int], Source] = {}
        self._answered: dict[object, list[tuple[int, Some]]] = {}
        for piece in self.pieces:
            self._ask(piece)
        for name, node in outputs.items():
            self._needs.setdefault((name, node), []).append(None)
        self.partial: dict[str, Partial] = {}
        """Partial value -> the tensor that it is a part of."""
        for combining in sums(graph, self.pieces, self._needs, cluster, self.partial):
            self.pieces.append(combining)
            self._ask(combining)
        self._holders: dict[str, list[_Holder]] = {name: [_Holder(-1, node, None, 0)] for name, node in inputs.items()}
        for number, piece in enumerate(self.pieces):
            for value, region in piece.makes.items():
                self._holders.setdefault(value, []).append(_Holder(number, piece.node, region, piece.race))
        self.single: dict[str, tuple[int, str]] = {
            value: (holders[0].maker, holders[0].node)
            for value, holders in self._holders.items()
            if len(holders) == 1 and holders[0].region is None and not holders[0].race
        }
        """Value that is made whole in one place -> the piece and its node: by far the most."""
        self._answers()

    def source(self, value: str, node: str, race: int = 0) -> Source:
        """What brings all that a node needs of a value there.

        Args:
            value: a tensor, or a partial result of one.
            node: who needs it.
            race: of the piece that asks: copies of one run read their own.
        """
        key = (value, node, race)
        if key not in self._found:
            self._found[key] = self._sources(*key)
        return self._found[key]

    def shape(self, value: str) -> tuple[int, ...]:
        """The shape of a value as if it were whole."""
        return self.partial[value].shape if value in self.partial else self.graph.tensor[value].shape

    def dtype(self, value: str) -> str:
        """The element type of a value."""
        return self.graph.tensor[self.base(value)].dtype

    def base(self, value: str) -> str:
        """The tensor that a value is, or is a partial result of."""
        return self.partial[value].tensor if value in self.partial else value

    def nbytes(self, value: str, region: Some) -> int:
        """Bytes of a region of a value."""
        return nbytes(self.dtype(value), self.shape(value) if region is None else extent(region))

    # ------------------------------------------------------------ needs

    def _ask(self, piece: Piece) -> None:
        for name, regions in piece.needs.items():
            self._needs.setdefault((name, piece.node), []).extend(regions)

    def _shared_out(self, value: str, node: str) -> list[tuple[_Holder, Some]]:
        """Which holder brings which region, local ones (that bring nothing) left out."""
        holders, wanted = self._holders.get(value, []), tuple(self._needs[value, node])
        # Layers repeat: the same question about another tensor has the same answer.
        key = (self.shape(value), self.dtype(value), node, wanted, tuple(holder[1:] for holder in holders))
        if key not in self._answered:
            self._answered[key] = self._divided(value, node, wanted, holders)
        return [(holders[number], region) for number, region in self._answered[key]]

    def _divided(
        self, value: str, node: str, wanted: Sequence[Some], holders: Sequence[_Holder]
    ) -> list[tuple[int, Some]]:
        """(holder, region) of what has to travel to a node: the nearest of several holders brings what they share."""
        shape = self.shape(value)
        full = whole(shape)
        own = [self._box(holder.region, shape) for holder in holders if holder.node == node]
        rest = missing(merge(self._box(region, shape) for region in wanted), own)
        others = [number for number, holder in enumerate(holders) if holder.node != node]
        others.sort(key=lambda number: (self._far(holders[number], node, value), number))
        found: list[tuple[int, Region]] = []
        taken: set[int] = set()
        for number in others:
            race = holders[number].race
            if not rest or (race and race in taken):
                continue
            box = self._box(holders[number].region, shape)
            parts = merge(part for piece in rest if volume(part := intersect(piece, box)))
            if race and parts:  # any one copy must bring all that is needed
                parts = (reduce(hull, parts),)
            racing = [other for other in others if holders[other].race == race] if race else [number]
            found += [(each, part) for part in parts for each in racing]
            taken |= {race} - {0}
            rest = missing(rest, [box])
        return [(number, None if region == full else region) for number, region in found]

    def _far(self, holder: _Holder, node: str, value: str) -> float:
        if not self._cluster.reachable(holder.node, node):
            return float("inf")
        return self._cluster.transfer_s(holder.node, node, self.nbytes(value, holder.region))

    def _merged_boxes(self, value: str, wanted: Iterable[Some]) -> tuple[Region, ...]:
        shape = self.shape(value)
        return merge(self._box(region, shape) for region in wanted)

    @staticmethod
    def _box(region: Some, shape: tuple[int, ...]) -> Region:
        return whole(shape) if region is None else region

    def _sources(self, value: str, node: str, race: int) -> Source:
        own = [holder for holder in self._holders.get(value, ()) if holder.node == node]
        crossings = tuple(
            Crossing(value, holder.maker, node, region) for holder, region in self._shared_out(value, node)
        )
        racing = any(holder.race for holder in self._holders.get(value, ()) if holder.race != race)
        if race and any(holder.race == race for holder in own):
            return Source(tuple(holder.maker for holder in own if holder.race == race), (), False)
        return Source(tuple(holder.maker for holder in own), crossings, racing)

    # ------------------------------------------------------------ answers

    def _answers(self) -> None:
        """An answer that comes from several places is put together where it is needed."""
        self.answers: dict[str, int] = {}
        for name, node in self._outputs.items():
            if name in self.single:
                continue
            source = self.source(name, node)
            if len(source.makers) + len(source.crossings) > 1:
                part = Combine(tensor=name)
                self.pieces.append(
                    Piece(
                        node=node, part=part, makes={name: None}, needs={name: (None,)}, order=len(self.graph.operators)
                    )
                )
                self.answers[name] = len(self.pieces) - 1


def covers(made: Some, wanted: Iterable[Some]) -> bool:
    """Whether one region has all of the others inside."""
    return made is None or all(region is not None and contains(made, region) for region in wanted)


def touches(region: Some, wanted: Some) -> bool:
    """Whether two regions of a tensor have something in common."""
    return region is None or wanted is None or volume(intersect(region, wanted)) > 0
