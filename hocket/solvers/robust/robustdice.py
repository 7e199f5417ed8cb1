"""Each layer in groups of channels, some of which every node computes: a node that dies takes only its own group along.

Solves    one task that begins with feature maps, on two or more nodes that can compute
Answer    one plan, that of the rule: a band of channels on all nodes and one band for each node; it minimises nothing,
          and notes say what is left of the channels when a node fails
Time      O(L D), and at most D judgements; L = layers, D = nodes
Source    Guo, Jiang, Pimentel, Stefanov: RobustDiCE: Robust and Distributed CNN Inference at the Edge, ASP-DAC 2024,
          pp. 26-31
Departs   a planner does not see the weights, so channels are taken in the order of the model, where the published rule
          replicates the most important ones and deals out the rest by importance: `hocket.variants.by_importance` puts
          a model's channels in that order, given `band_sizes`. Bands are as wide as nodes are fast, `equal` makes the
          equal groups of the paper. What a dead node owed is not filled with zeros: a plan cannot ask for a deadline,
          and mirrored bands are no alternatives in a program, so a request needs all nodes, and so says its reliability
Cards     robustdice
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from hocket.cost import Problem
from hocket.graph import Graph
from hocket.graph.regions import Box, volume, whole
from hocket.graph.topology import FOLDED, VIEWS, blocks
from hocket.plan import Copies, Plan, Run, Split
from hocket.plan.cuts import shared
from hocket.plan.pieces import pieces_of
from hocket.plan.placement import Place, runs_of
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.maps import Maps, plan_of, refuses_maps, require_maps

CHANNELS = 1
"""Axis of the channels of a map, and of the neurons of a dense layer."""
_MAKING = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators that make new channels of all that they read."""
_KEEPING = frozenset(
    {
        "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "Concat", "Pad", "Resize",
        "InstanceNormalization", "ReduceMax", "ReduceSum",
    }
)  # fmt: skip
"""Other operators that leave channels what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustdice:
    """See the module."""

    name: ClassVar[str] = "robustdice"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    replicated: float = 0.25
    """Share of the channels of each layer that every node computes: 0 = none, 1 = all, the most robust."""
    equal: bool = False
    """Equal shares of the other channels, as published; else in proportion to speed."""

    def refuses(self, problem: Problem) -> str | None:
        """A share that is none, nothing to divide, or nobody to divide it among."""
        if not 0 <= self.replicated <= 1:
            return f"the share of replicated channels is between 0 and 1, and it is {self.replicated:g}"
        reason = refuses_maps(problem)
        if reason or divisible(problem.task.graph):
            return reason
        return f"no block of {problem.task.graph.name!r} makes one tensor with channels that can be divided"

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of the rule."""
        maps = require_maps(self, problem)
        speeds = [1.0] * len(maps.hosts) if self.equal else maps.speeds.tolist()
        runs = list(_runs(maps, self.replicated, speeds))
        last = max(number for number, run in enumerate(runs) if not isinstance(run.on, str))
        # What comes after the last layer that is divided is for `propose` to place.
        notes = _notes(maps, runs)
        return maps.propose(self, runs[: last + 1], after=last + 1, notes=notes)


def band_sizes(speeds: Sequence[float], channels: int, replicated: float) -> tuple[int, ...]:
    """Channels of the band that every node computes, then of each node's own, in proportion to speed.

    Args:
        speeds: of the nodes, not all 0.
        channels: of the layer.
        replicated: share of them that every node computes.

    >>> band_sizes((2.0, 1.0), 8, 0.25)
    (2, 4, 2)
    """
    common, own = shared((replicated, 1 - replicated), channels)
    return common, *shared(speeds, own)


def bands(nodes: Mapping[str, float], channels: int, replicated: float, step: int = 1) -> Split:
    """A layer in a band that every node computes, and one band for each node; empty bands are left out.

    Args:
        nodes: node -> speed.
        channels: of the layer.
        replicated: share of them that every node computes; the first ones.
        step: values of the axis per channel, for maps that have been flattened.

    >>> split = bands({"a": 2.0, "b": 1.0}, 8, 0.25)
    >>> split.parts[1:], split.cuts
    (('a', 'b'), (2, 6))
    """
    sizes = band_sizes(tuple(nodes.values()), channels, replicated)
    places: list[Place] = [Copies(nodes=tuple(nodes), mode="mirror"), *nodes]
    kept = [(place, size * step) for place, size in zip(places, sizes, strict=True) if size]
    cuts = tuple(accumulate(size for _, size in kept))[:-1]
    return Split(axis=CHANNELS, parts=tuple(place for place, _ in kept), cuts=cuts, granularity=step)


def survivors(graph: Graph, plan: Plan, dead: Collection[str]) -> dict[str, float]:
    """What is left of the layers of a plan when some nodes are dead; replicated bands survive on any other node.

    Args:
        graph: of the plan's first entry.
        plan: of whose runs those that are split count, unless the split is of a contracted axis, which leaves sums of
            which every node has a part.
        dead: names of nodes.

    Returns:
        Tensor that a divided layer makes -> share of its values, so of its channels where these are divided, 0 to 1.

    Raises:
        PlanError: the plan does not fit the graph (C1).
    """
    entry = plan.entries[0]
    divided = {
        name
        for run, covered in runs_of(graph, entry)
        if isinstance(run.on, Split)
        for position in covered
        for name in graph.operators[position].outputs
    }
    alive: dict[str, set[Box]] = {}
    for piece in pieces_of(graph, entry):
        for name, region in piece.makes.items():
            if name in divided:
                # Copies make the same region, which counts once.
                boxes = alive.setdefault(name, set())
                if piece.node not in dead:
                    boxes.add(whole(graph.tensor[name].shape) if region is None else region)
    return {name: sum(map(volume, boxes)) / graph.tensor[name].size for name, boxes in alive.items()}


def divisible(graph: Graph) -> frozenset[int]:
    """Blocks of the chain view that make or keep channels, and have some to divide; none if a block has two results."""
    found: frozenset[int] = graph.kept(_divisible)
    return found


def _divisible(graph: Graph) -> frozenset[int]:
    found = blocks(graph)
    if any(len(block.outputs) != 1 for block in found):
        return frozenset()
    shapes = [graph.tensor[block.outputs[0]].shape for block in found]
    known = _MAKING | _KEEPING | FOLDED | VIEWS
    return frozenset(
        number
        for number, (block, shape) in enumerate(zip(found, shapes, strict=True))
        if len(shape) > CHANNELS and shape[CHANNELS] > 1
        if all(graph.operators[position].kind in known for position in block.operators)
    )


def _runs(maps: Maps, replicated: float, speeds: Sequence[float]) -> Iterator[Run]:
    """Every cell: divided by channels where it can be, else on the owner."""
    nodes = dict(zip(maps.hosts, speeds, strict=True))
    channels = 0
    for number, cell in enumerate(maps.cells.cells):
        if number not in divisible(maps.graph):
            channels = 0
            yield maps.run(number, number, maps.hosts[maps.owner])
            continue
        length = maps.cells.shape(number + 1)[CHANNELS]
        makes = any(maps.graph.operator[name].kind in _MAKING for name in cell.operators)
        if makes or not channels or length % channels:
            channels = length
        split = bands(nodes, channels, replicated, length // channels)
        # Layers inside a block are divided one by one; where a map is flattened there is one layer only.
        yield maps.run(number, number, split.replace(border="exchange" if number < maps.count else "recompute"))


def _notes(maps: Maps, runs: list[Run]) -> dict[str, str]:
    """What is left at least of every layer when a node fails that has neither the inputs nor the answers."""
    plan = plan_of(maps.problem, runs)
    notes = {}
    for number, host in enumerate(maps.hosts):
        if number != maps.owner:
            left = min(survivors(maps.graph, plan, {host}).values())
            notes[f"if {host} fails"] = f"{100 * left:.3g} % of the channels of each layer are left"
    return notes
