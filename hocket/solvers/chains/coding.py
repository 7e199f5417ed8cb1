"""Cuts whose tensors travel through a codec: what each pair of a cut and a codec takes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hocket.cost import Problem, Task
from hocket.cost.evaluate import nominal_ratio
from hocket.plan import Crossing, Plan
from hocket.profile import CodecCost
from hocket.solvers.additive import Additive, Costs
from hocket.solvers.cuts.scan import CutTable, costs_now, tables_of
from hocket.solvers.layout import Floats, Net
from hocket.solvers.linear_scan import cut_costs

_LOSSLESS = frozenset({"raw", "png"})
_PICTURES = frozenset({"png", "jpeg"})


@dataclass(frozen=True, slots=True)
class CodedCuts:
    """Seconds of every cut of a task between two nodes, with one codec for what the second node reads of the first."""

    table: CutTable
    codec: str
    across_s: Floats
    """(C,) of the ways of inputs and cut tensors, coded."""
    encode_s: Floats
    """(C,) of coding on the first node."""
    decode_s: Floats
    """(C,) of decoding on the second node."""

    def plan(self, cut: int) -> Plan:
        """The plan of a cut."""
        table, layout = self.table, self.table.additive.layout
        plan = layout.plan(table.places(cut), {})
        border, target = table.borders[cut], layout.nodes[table.second]
        crossings = tuple(
            Crossing(tensor=net.tensor, target=target, codec=self.codec)
            for net in layout.nets
            if _coded(net, self.codec, layout.task, table.first) and net.maker < border and net.readers[-1] >= border
        )
        if not crossings:
            return plan
        return plan.replace(entries=(plan.entries[0].replace(codecs=crossings),))

    def label(self, cut: int) -> str:
        """`3 of 8 units on n0, the rest on n1, bits4`."""
        return f"{self.table.label(cut)}, {self.codec}"


def coded_cuts(problem: Problem, *, lossy: bool) -> Iterator[CodedCuts]:
    """The cuts at single-tensor boundaries, for every server and every codec that the device's profile lists.

    Args:
        problem: one task whose source can compute, and a server.
        lossy: also codecs that change the tensors.
    """
    for table in tables_of(problem, "blocks"):
        layout = table.additive.layout
        listed = layout.task.profile.at(layout.nodes[table.first]).codecs
        # An input is packed for good only in what fits it; the profile may not list that.
        codecs = dict.fromkeys(["raw", *sorted({*listed, *layout.task.input_codecs})])
        for codec in codecs:
            if lossy or codec.partition("+")[0] in _LOSSLESS:
                yield _coded_cuts(table, codec)


def _coded_cuts(table: CutTable, codec: str) -> CodedCuts:
    additive, first, second = table.additive, table.first, table.second
    costs = costs_now(additive)
    size = len(additive.layout.nodes)
    sending, encoding, decoding = costs.of_nets.copy(), *(np.zeros((len(costs.nets), size, size)) for _ in range(2))
    cost, slower = _cost(table, codec), 1 + additive.problem.margin
    for number, net in enumerate(costs.nets):
        if not _coded(net, codec, additive.layout.task, first) or not np.isfinite(sending[number, first, second]):
            continue
        ratio = additive.layout.task.input_codecs.get(codec, cost.ratio) if net.maker < 0 else cost.ratio
        names = additive.layout.nodes[first], additive.layout.nodes[second]
        sending[number, first, second] = additive.problem.cluster.transfer_s(*names, net.nbytes * ratio)
        encoding[number, first, second] = net.nbytes * cost.encode_s_per_byte * slower
        decoding[number, first, second] = net.nbytes * cost.decode_s_per_byte * slower
    free = np.zeros_like(costs.of_units)
    nets = tuple(net._replace(sinks=()) for net in costs.nets)
    across, encode, decode = (
        cut_costs(Costs(free, of_nets, nets), first, second)[list(table.borders)]
        for of_nets in (sending, encoding, decoding)
    )
    return CodedCuts(table, codec, across, encode, decode)


def _cost(table: CutTable, codec: str) -> CodecCost:
    """What a codec does between the two nodes, as the judge counts it."""
    layout = table.additive.layout
    ends = [layout.task.profile.nodes.get(layout.nodes[node]) for node in (table.first, table.second)]
    first, last = (end.codecs.get(codec) if end else None for end in ends)
    return CodecCost(
        ratio=first.ratio if first else nominal_ratio(codec),
        encode_s_per_byte=first.encode_s_per_byte if first else 0.0,
        decode_s_per_byte=last.decode_s_per_byte if last else 0.0,
    )


def _coded(net: Net, codec: str, task: Task, first: int) -> bool:
    """Whether a tensor from the first node may travel through a codec: pictures are inputs, quantisers take floats."""
    if codec == "raw" or not net.readers or (net.maker < 0 and net.home != first):
        return False
    base = codec.partition("+")[0]
    if net.maker < 0 and codec in task.input_codecs:
        return True
    if base in _PICTURES:
        return False
    return base == "raw" or "float" in task.graph.tensor[net.tensor].dtype


def raw_only(additive: Additive, plan: Plan) -> bool:
    """Whether a plan sends activations as they are, so that lower bounds hold for it."""
    inputs = {tensor.name for tensor in additive.layout.graph.inputs}
    known = additive.layout.task.input_codecs
    return all(c.tensor in inputs and c.codec in known for entry in plan.entries for c in entry.codecs)
