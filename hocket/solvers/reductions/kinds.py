"""The reductions by name: what one operator of the chain stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.graph import Graph
from hocket.graph.topology import blocks, units
from hocket.solvers.layout import Layout
from hocket.solvers.reductions.reduced import Reduced, Reduction, bundled, contracted


@dataclass(frozen=True, slots=True, kw_only=True)
class Articulation:
    """Everything between two boundaries where a single tensor passes becomes one operator.

    Exact: the chain costs what the DAG does; placements that divide a region of branches are lost. As LoADPart (Liu et
    al., ICDCS 2022) and the serialised DAG of MDPO (Tian et al., Sensors 21(1), 2021) do.
    """

    name: ClassVar[str] = "articulation"

    def accepts(self, graph: Graph) -> bool:
        """Whether there is a boundary inside."""
        return len(blocks(graph)) > 1

    def apply(self, problem: Problem) -> Reduced:
        """The chain of blocks."""
        return contracted(problem, [block.operators for block in blocks(problem.task.graph) if block.operators])


@dataclass(frozen=True, slots=True, kw_only=True)
class Linearised:
    """Units in topological order, each boundary with all tensors that cross it.

    Every closed set of units that is a prefix of the order can be cut off; others are lost. As PDD (Wu et al., IEEE
    IoT-J 11(6), 2024) does.
    """

    name: ClassVar[str] = "linearised"

    def accepts(self, graph: Graph) -> bool:
        """Whether there are two units."""
        return len(units(graph)) > 1

    def apply(self, problem: Problem) -> Reduced:
        """The chain of units."""
        return bundled(problem, [unit.operators for unit in units(problem.task.graph)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """Straight runs of units between branches and merges, divided where fewer nodes could take them.

    A run grows unit by unit; it ends before a unit that would leave fewer nodes with room for its weights and time
    enough until the deadline. As the partitioning of Kim et al. (IEEE IoT-J 10(11), 2023) does; the modules then stand
    in topological order like units.
    """

    name: ClassVar[str] = "modules"

    def accepts(self, graph: Graph) -> bool:
        """Whether there are two units."""
        return len(units(graph)) > 1

    def apply(self, problem: Problem) -> Reduced:
        """The chain of modules."""
        layout = Layout(problem, problem.task)
        parts = [part for run in straight_runs(layout) for part in _grown(layout, run)]
        return bundled(problem, [sorted(p for unit in part for p in layout.units[unit].operators) for part in parts])


REDUCTIONS: Mapping[str, type[Reduction]] = {kind.name: kind for kind in (Articulation, Linearised, Modules)}
"""By name."""


def straight_runs(layout: Layout) -> list[list[int]]:
    """Units in runs, each unit reading the one before it and nothing else, and read by the one after it alone; runs in
    topological order."""
    run_of: dict[int, int] = {}
    runs: list[list[int]] = []
    for unit in range(len(layout.units)):
        before = {layout.nets[number].maker for number in layout.reads[unit]}
        maker = before.pop() if len(before) == 1 else -1
        if maker >= 0 and _readers(layout, maker) == {unit}:
            run_of[unit] = run_of[maker]
            runs[run_of[unit]].append(unit)
        else:
            run_of[unit] = len(runs)
            runs.append([unit])
    return runs


def _readers(layout: Layout, unit: int) -> set[int]:
    return {reader for number in layout.makes[unit] for reader in layout.nets[number].readers}


def _grown(layout: Layout, run: list[int]) -> list[list[int]]:
    """A run in parts, each closed before the unit that would leave fewer nodes able to take it."""
    parts: list[list[int]] = [[]]
    able = len(layout.hosts) + 1
    for unit in run:
        more = able_hosts(layout, [*parts[-1], unit])
        if parts[-1] and more < able:
            parts.append([unit])
            able = able_hosts(layout, [unit])
        else:
            parts[-1].append(unit)
            able = more
    return parts


def able_hosts(layout: Layout, part: list[int]) -> int:
    """How many nodes have room for the weights of some units and compute them before the deadline."""
    graph, deadline_s = layout.graph, layout.task.deadline_s
    names = {name for unit in part for p in layout.units[unit].operators for name in graph.operators[p].weights}
    nbytes = sum(graph.weights[name] for name in names)
    count = 0
    for host in layout.hosts:
        room = layout.problem.cluster.nodes[host].memory_bytes
        seconds = float(layout.seconds[part, host].sum())
        count += (room is None or nbytes <= room) and seconds <= (np.inf if deadline_s is None else deadline_s)
    return count
