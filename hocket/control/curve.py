"""How much of its time a part of an operator takes, and what adding partial results costs, on this computer."""

import time
from statistics import median

import numpy as np
from onnx import TensorProto, helper

from hocket.graph import Graph, topology
from hocket.graph.execute import Runner
from hocket.graph.model import Model
from hocket.graph.regions import Block, Box, block_of, region_name, rewrite, whole
from hocket.graph.regions.box import extent, with_axis

_SHARES = (8, 4, 2)
"""Parts of this many: an eighth, a quarter, a half."""
_BLOCKS = 6
_REPEATS = 7
_LEAST_S = 1e-3  # shorter blocks are mostly the call, which a profile counts apart
_SUMMED = 1 << 20  # elements


def measured_curve(model: Model) -> tuple[tuple[float, float], ...]:
    """(share of the work, share of the time) of parts of a model's heavy blocks, rising from (0, 0) to (1, 1).

    Rows of feature maps and positions of sequences are taken, from the middle, each beside the whole block, so that
    what else the computer does counts for both. A model without such blocks has a straight line.
    """
    ratios: dict[int, list[tuple[float, float]]] = {count: [] for count in _SHARES}
    everything = block_of(model)
    for names in _heavy(model.graph):
        block, result = everything.part(names), names[-1]
        full = whole(block.shapes[result])
        axis = 2 if len(full) == 4 else 1
        size, uncut = full[axis][1], _Timed(model, block, result, full)
        if not uncut.work or uncut.seconds() < _LEAST_S:
            continue
        for count in _SHARES:
            start = (size - size // count) // 2
            part = _Timed(model, block, result, with_axis(full, axis, (start, start + size // count)))
            ratios[count].append((part.work / uncut.work, part.ratio(uncut)))
    points = [(0.0, 0.0)]
    for found in ratios.values():
        share = median(share for share, _ in found) if found else 1.0
        if share < 1:
            points.append((share, min(max(median(of_time for _, of_time in found), points[-1][1]), 1.0)))
    return (*points, (1.0, 1.0))


def _heavy(graph: Graph) -> list[tuple[str, ...]]:
    """The blocks with the most operations that have an axis to divide, and read nothing that only a sequence has."""
    found = []
    of_sequences = {buffer.past for buffer in graph.buffers} | {counter.name for counter in graph.counters}
    for block in topology.blocks(graph):
        names = tuple(graph.operators[position].name for position in block.operators)
        if any(not of_sequences.isdisjoint(graph.operator[name].weights) for name in names):
            continue
        shape = graph.tensor[names[-1]].shape
        if len(block.outputs) == 1 and len(shape) in (3, 4) and shape[2 if len(shape) == 4 else 1] >= _SHARES[0]:
            found.append((sum(graph.operator[name].flops for name in names), names))
    return [names for _, names in sorted(found, reverse=True)[:_BLOCKS]]


class _Timed:
    """A box of a block's result, ready to be computed."""

    def __init__(self, model: Model, block: Block, result: str, box: Box) -> None:
        piece = rewrite(block, {result: [box]})
        self.work = piece.demand.flops
        self._runner = Runner(model, piece.filled(model.weight))
        self._feeds = {
            region_name(name, wanted, block.shapes[name]): np.full(extent(wanted), 0.5, np.dtype(block.dtypes[name]))
            for name, boxes in piece.demand.inputs.items()
            for wanted in boxes
        }
        self.seconds()

    def seconds(self) -> float:
        """Of one run."""
        begin = time.perf_counter()
        self._runner.run(self._feeds)
        return time.perf_counter() - begin

    def ratio(self, other: "_Timed") -> float:
        """Time of this one / time of another, in alternating pairs."""
        return median(self.seconds() / other.seconds() for _ in range(_REPEATS))


def measured_sum_s_per_byte(model: Model) -> float:
    """Seconds for each byte that adding two partial results reads or writes.

    Args:
        model: any; nothing of it is used but that a runner belongs to one.
    """
    names = ("first", "second")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (_SUMMED,)) for name in (*names, "sum")]
    graph = helper.make_graph([helper.make_node("Add", names, ["sum"])], "sum", values[:2], values[2:])
    runner = Runner(model, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))
    feeds = {name: np.ones(_SUMMED, np.float32) for name in names}
    times = []
    for _ in range(_REPEATS + 1):
        begin = time.perf_counter()
        runner.run(feeds)
        times.append(time.perf_counter() - begin)
    return median(times[1:]) / (3 * 4 * _SUMMED)
