"""What parts of a graph need and cost, remembered: planners and the judge ask for the same parts again and again."""

from collections.abc import Mapping

from hocket.graph.graph import Graph
from hocket.graph.regions.block import Block, block_of
from hocket.graph.regions.box import Box, whole
from hocket.graph.regions.contract import contractions
from hocket.graph.regions.demand import Demand, Work, demand
from hocket.graph.regions.rule import Contraction
from hocket.program import Contract


class Slicer:
    """The slicing rules for one graph.

    Args:
        block: all its operators.
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self._blocks: dict[tuple[str, ...], Block] = {}
        self._demands: dict[object, Demand] = {}
        self._whole: dict[str, Work] = {}

    def part(self, operators: tuple[str, ...]) -> Block:
        """Some of its operators, named in topological order."""
        if operators not in self._blocks:
            self._blocks[operators] = self.block.part(operators)
        return self._blocks[operators]

    def demand(self, operators: tuple[str, ...], wanted: Mapping[str, Box], contract: Contract | None = None) -> Demand:
        """What one box of each of some results needs; see `hocket.graph.regions.demand`."""
        key = (operators, tuple(sorted(wanted.items())), contract)
        if key not in self._demands:
            boxes = {name: [box] for name, box in wanted.items()}
            self._demands[key] = demand(self.part(operators), boxes, contract)
        return self._demands[key]

    def shares(self, found: Demand) -> dict[str, float]:
        """Operator -> its work for a demand / its whole work; above 1 where an operator is repeated.

        Multiply-accumulates and operations are compared, or elements for operators that compute nothing.
        """
        shares = {}
        for name, work in found.work.items():
            full = self._of_whole(name)
            done, all_of_it = 2 * work.macs + work.flops, 2 * full.macs + full.flops
            shares[name] = done / all_of_it if all_of_it else work.elements / (full.elements or 1)
        return shares

    def contraction(self, operator: str) -> tuple[Contraction, ...]:
        """The contracted axes of an operator that may be split."""
        return contractions(self.block.operators[self.block.producer[operator]])

    def _of_whole(self, name: str) -> Work:
        if name not in self._whole:
            op = self.block.operators[self.block.producer[name]]
            boxes = {output: whole(shape) for output, shape in zip(op.outputs, op.output_shapes, strict=True) if output}
            found = self.demand((name,), boxes)
            self._whole[name] = found.work.get(name, Work(instances=1, macs=0, flops=0, elements=0))
        return self._whole[name]


def slicer_of(graph: Graph) -> Slicer:
    """The slicer of a graph, made once and kept with it.

    Raises:
        GraphError: the graph was made by hand.
    """
    return graph.kept(_make)


def _make(graph: Graph) -> Slicer:
    return Slicer(block_of(graph))
