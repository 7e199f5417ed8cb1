"""The chain view of a task with its costs: blocks in a row, one tensor between neighbours."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from hocket.graph import Graph
from hocket.graph.topology import Block, blocks
from hocket.solvers.additive import Additive
from hocket.solvers.holds import holds
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.room import Room
from hocket.solvers.stages import Runs, Stage


class Chain:
    """Blocks of a task and what they cost on each host; hosts are counted as in `Layout.hosts`.

    Blocks that read the same input of the graph are one with those between them, so that every tensor is read in one
    place of the chain; unless half of the blocks would be lost (masks that every layer reads), which leaves it untidy.
    """

    def __init__(self, additive: Additive) -> None:
        self.additive, self.layout = additive, additive.layout
        self.blocks: tuple[Block, ...] = _joined(self.layout)
        self.hosts = np.array(self.layout.hosts)

    @cached_property
    def block_of(self) -> list[int]:
        """Block of each unit."""
        block = {position: number for number, found in enumerate(self.blocks) for position in found.operators}
        return [block[unit.operators[0]] for unit in self.layout.units]

    @property
    def is_fine(self) -> bool:
        """Whether each block is one unit."""
        return len(self.blocks) == len(self.layout.units)

    @cached_property
    def untidy(self) -> str | None:
        """Why the costs of blocks and boundaries do not make up the cost of a placement; None if they do."""
        for number, net in enumerate(self.layout.nets):
            homes = {self.block_of[reader] for reader in net.readers}
            if net.home >= 0 and len(homes) > 1:
                return f"the input {net.tensor!r} is read in several blocks of the chain"
            if net.maker >= 0:
                made = self.block_of[net.maker]
                if homes - {made} and (homes - {made} != {made + 1} or self._through.get(made + 1) != number):
                    return f"the tensor {net.tensor!r} passes several blocks of the chain"
        return None

    @cached_property
    def is_straight(self) -> bool:
        """Whether one input enters the first block and all answers leave the last one, so that nothing overlaps."""
        nets = self.layout.nets
        inputs = [net for net in nets if net.home >= 0]
        answers = [net for net in nets if net.sinks]
        last = len(self.blocks) - 1
        return (
            len(inputs) == 1
            and {self.block_of[reader] for reader in inputs[0].readers} == {0}
            and len(answers) == 1
            and answers[0].maker >= 0
            and self.block_of[answers[0].maker] == last
        )

    @cached_property
    def _through(self) -> dict[int, int]:
        """Net that passes each inner boundary, by the block after it."""
        by_name = {net.tensor: number for number, net in enumerate(self.layout.nets)}
        return {number: by_name[block.inputs[0]] for number, block in enumerate(self.blocks) if number and block.inputs}

    @cached_property
    def of_blocks(self) -> Floats:
        """(L, D) cost of each block on each host: its units, the inputs that it reads, the answers made inside."""
        costs, hosts = self.additive.costs, self.hosts
        of_blocks = np.zeros((len(self.blocks), len(hosts)))
        np.add.at(of_blocks, self.block_of, costs.of_units[:, hosts])
        through = set(self._through.values())
        for number, net in enumerate(costs.nets):
            if net.home >= 0:
                if net.readers:
                    of_blocks[self.block_of[net.readers[0]]] += costs.of_nets[number, net.home, hosts]
            elif number not in through:
                for sink in net.sinks:
                    of_blocks[self.block_of[net.maker]] += costs.of_nets[number, hosts, sink]
        return of_blocks

    @cached_property
    def before(self) -> Floats:
        """(L + 1, D) cost of the blocks before each boundary on each host; what it cannot take, `room` rules out."""
        finite = np.where(np.isfinite(self.of_blocks), self.of_blocks, 0.0)
        return np.vstack([np.zeros(len(self.hosts)), np.cumsum(finite, axis=0)])

    @cached_property
    def reach(self) -> Floats:
        """(L, D) for each host and first block the end of the longest run that it may see (half-open)."""
        size, width = len(self.blocks), len(self.hosts)
        ends = np.full((size, width), float(size))
        if self.layout.barred.any():
            end = np.full(width, float(size))
            for block in range(size - 1, -1, -1):
                end = np.where(np.isfinite(self.of_blocks[block]), end, block)
                ends[block] = end
        return ends

    @cached_property
    def of_steps(self) -> Floats:
        """(L, D, D) cost of the tensor that passes before each block from one host to another; 0 before the first."""
        costs, hosts = self.additive.costs, self.hosts
        steps = np.zeros((len(self.blocks), len(hosts), len(hosts)))
        for block, number in self._through.items():
            steps[block] = costs.of_nets[number][np.ix_(hosts, hosts)]
            for sink in costs.nets[number].sinks:
                # The next block's node may be the one that needs it anyway: it is sent there once.
                steps[block] += np.where(hosts[None, :] == sink, 0.0, costs.of_nets[number, hosts, sink][:, None])
        return steps

    @cached_property
    def seconds(self) -> Floats:
        """(L + 1, D) seconds of the blocks before each boundary on each host."""
        of_blocks = np.zeros((len(self.blocks), len(self.hosts)))
        np.add.at(of_blocks, self.block_of, self.layout.seconds[:, self.hosts])
        return np.vstack([np.zeros(len(self.hosts)), np.cumsum(of_blocks, axis=0)])

    def places(self, of_blocks: list[int]) -> list[int]:
        """Node of each unit, from the host of each block."""
        return [int(self.hosts[of_blocks[block]]) for block in self.block_of]

    @cached_property
    def held(self) -> Floats:
        """(M, N, N) least seconds for which each tensor holds a resource between two nodes; inf = there is no way."""
        return holds(self.layout, self.additive.ways)

    @cached_property
    def holds(self) -> tuple[Floats, Floats, Floats]:
        """Seconds for which the busiest resource on its way is held by each crossing of a straight chain.

        Returns:
            (D,) of the input, (L, D, D) of the tensor before each block, (D,) of the answer.
        """
        nets, held = self.layout.nets, self.held
        hosts, steps = self.hosts, np.zeros((len(self.blocks), len(self.hosts), len(self.hosts)))
        for block, number in self._through.items():
            steps[block] = held[number][np.ix_(hosts, hosts)]
        enter = sum((held[n, net.home, hosts] for n, net in enumerate(nets) if net.home >= 0), np.zeros(len(hosts)))
        leave = sum((held[n, hosts, sink] for n, net in enumerate(nets) for sink in net.sinks), np.zeros(len(hosts)))
        return enter, steps, leave

    def room(self, window: int) -> Floats:
        """(L, D) for each host and first block the end of the longest run that it may see and has room for."""
        return np.minimum(self.reach, self._room.ends(window))

    def fits(self, stages: Sequence[Stage]) -> bool:
        """Whether runs have room for the requests that are under way when all nodes are busy."""
        ends = self.room(len(stages) + 1)
        return all(ends[stage.start, stage.host] >= stage.stop for stage in stages)

    def runs(self, window: int) -> Runs:
        """What limits runs whose nodes have room for so many requests: seconds of nodes and of the busiest links."""
        enter, steps, leave = self.holds
        return Runs(self.seconds, self.layout.call_s[self.hosts], enter, steps, leave, self.room(window))

    def sums(self, runs: Runs, calls: Floats) -> Runs:
        """The same runs with costs that add up in place of seconds.

        Args:
            runs: what limits them.
            calls: (D,) what a call costs.
        """
        nothing = np.zeros(runs.width)
        return Runs(self.before, calls, nothing, self.of_steps, nothing, runs.ends)

    def staged(self, stages: Sequence[Stage]) -> list[int]:
        """Node of each unit, from runs."""
        return self.places([stage.host for stage in stages for _ in range(stage.start, stage.stop)])

    @cached_property
    def _room(self) -> Room:
        arriving = [block.inputs + block.side_inputs for block in self.blocks]
        return Room(self.layout, [block.operators for block in self.blocks], arriving)


def _joined(layout: Layout) -> tuple[Block, ...]:
    """The blocks, those between readers of one input as one."""
    found, graph = blocks(layout.graph), layout.graph
    home = {position: number for number, block in enumerate(found) for position in block.operators}
    inner: set[int] = set()
    for tensor in graph.inputs:
        readers = [home[reader] for reader in graph.readers[tensor.name]]
        inner.update(range(min(readers, default=0) + 1, max(readers, default=0) + 1))
    if not inner or 2 * len(inner) >= len(found):
        return found
    starts = [number for number in range(len(found)) if number not in inner]
    return tuple(_one(layout.graph, found[start:stop]) for start, stop in pairwise([*starts, len(found)]))


def _one(graph: Graph, parts: Sequence[Block]) -> Block:
    """Consecutive blocks as one."""
    operators = tuple(position for part in parts for position in part.operators)
    read = dict.fromkeys(name for part in parts for name in part.inputs + part.side_inputs)
    outside = [name for name in read if graph.producer.get(name, -1) < operators[0]]
    is_side = {name: operators[0] > 0 and name not in graph.producer for name in outside}
    return Block(
        operators=operators,
        inputs=tuple(name for name in outside if not is_side[name]),
        outputs=tuple(
            name
            for part in parts
            for name in part.outputs
            if name in graph.outputs or any(reader > operators[-1] for reader in graph.readers[name])
        ),
        side_inputs=tuple(name for name in outside if is_side[name]),
    )
