"""Backwards through a block: what is needed, and what it costs. A planner's cost function: a dry run, no weights."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hocket.errors import GraphError
from hocket.graph.graph import nbytes
from hocket.graph.regions.block import Block
from hocket.graph.regions.box import Box, extent, is_empty, merge, volume
from hocket.graph.regions.contract import Visit, check_contract
from hocket.graph.regions.rule import OperatorView, UnsupportedError
from hocket.graph.regions.steps import computed_whole
from hocket.graph.regions.table import RULES
from hocket.nouns import Value
from hocket.program import Contract


class Work(Value, frozen=True):
    """What one operator does for a demand."""

    instances: int
    """How many times it is written."""
    macs: int
    flops: int
    """Besides multiply-accumulates."""
    elements: int
    """Of its results; the share of an operator that computes nothing."""

    def __add__(self, other: "Work") -> "Work":
        return Work(
            instances=self.instances + other.instances,
            macs=self.macs + other.macs,
            flops=self.flops + other.flops,
            elements=self.elements + other.elements,
        )


Boxes = dict[str, tuple[Box, ...]]


class Demand(Value, frozen=True):
    """What some boxes of a block's results need and cost."""

    wanted: Boxes
    inputs: Boxes
    """Activations from outside the block."""
    weights: Boxes
    inside: Boxes
    """Boxes in which the block's own tensors are computed."""
    work: dict[str, Work]
    """By operator; those that are not needed are not in it."""
    weight_bytes: int
    input_bytes: int
    refused: dict[str, str]
    """Operators that are computed whole because their rule refused, and why."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return sum(work.macs for work in self.work.values())

    @property
    def flops(self) -> int:
        """Floating-point operations, two for a multiply-accumulate."""
        return sum(2 * work.macs + work.flops for work in self.work.values())

    @property
    def instances(self) -> int:
        """Operators written."""
        return sum(work.instances for work in self.work.values())


class Counter(Visit):
    """The context of the first pass: asking records, emitting counts."""

    def __init__(self, op: OperatorView, output: int, contract: Contract | None) -> None:
        super().__init__(op, output, contract)
        self.asked: list[tuple[str, Box]] = []
        self.macs = self.flops = 0

    def get(self, index: int, box: Box) -> str:
        if not self.op.has(index):
            return ""
        check_inside(self.op, index, box)
        self.asked.append((self.op.inputs[index], box))
        return "?"

    def constant(self, array: np.ndarray) -> str:  # noqa: ARG002  (the second pass writes it)
        return "?"

    def emit(
        self,
        kind: str,  # noqa: ARG002
        *inputs: str,  # noqa: ARG002
        attributes: Mapping[str, Any] | None = None,  # noqa: ARG002
        macs: int = 0,
        flops: int = 0,
        outputs: int = 1,  # noqa: ARG002
        pick: int = 0,  # noqa: ARG002
    ) -> str:
        self.macs += macs
        self.flops += flops
        return "?"


def check_inside(op: OperatorView, index: int, box: Box) -> None:
    """A rule that asks for what is not there is a mistake, and must not pass silently."""
    shape = op.shapes[index]
    fits = len(box) == len(shape)
    for (lo, hi), size in zip(box, shape, strict=False):
        fits = fits and 0 <= lo < hi <= size
    if not fits:
        raise GraphError(
            f"a rule asks for boxes inside its inputs, and that of {op.kind} at {op.name!r} asks for {box} of input"
            f" {index} with shape {shape}; correct the rule"
        )


def demand(block: Block, wanted: Mapping[str, Iterable[Box]], contract: Contract | None = None) -> Demand:
    """Say what boxes of a block's results need: inputs, weights, work.

    Args:
        block: the operators.
        wanted: tensor -> boxes of it; empty boxes are left out, so a zero share costs nothing.
        contract: the operator that makes this tensor covers only part of its contracted axis.

    Raises:
        GraphError: a tensor that the block does not make, a box that does not fit it.
        UnsupportedError: an axis that is not contracted, or that cannot be split there.
    """
    boxes: dict[str, list[Box]] = {}
    for name, asked in wanted.items():
        check_wanted(block, name, asked)
        boxes[name] = [box for box in asked if not is_empty(box)]
    if contract is not None:
        check_contract(block, contract, boxes)
    start = {name: tuple(dict.fromkeys(asked)) for name, asked in boxes.items()}
    inside: Boxes = {}
    work: dict[str, Work] = {}
    refused: dict[str, str] = {}
    for op in reversed(block.operators):
        for output, name in enumerate(op.outputs):
            part = contract if contract is not None and name == contract.tensor else None
            merged = merge(boxes.pop(name, ()))
            if merged:
                inside[name] = merged
            if part is not None:
                _check_unread(block, part, work)
            for box in merged:
                counter, reason = run_counted(op, output, box, part)
                if reason:
                    refused[op.name] = reason
                free = op.name in block.prepared
                done = Work(
                    instances=1,
                    macs=0 if free else counter.macs,
                    flops=0 if free else counter.flops,
                    elements=volume(box),
                )
                work[op.name] = work[op.name] + done if op.name in work else done
                for source, piece in counter.asked:
                    boxes.setdefault(source, []).append(piece)
    return _summary(block, start, inside, work, refused, boxes)


def _check_unread(block: Block, contract: Contract, work: Mapping[str, Work]) -> None:
    """Refuse partial results that are used as if they were whole."""
    for op in block.operators:
        if op.name in work and contract.tensor in op.inputs:
            raise UnsupportedError(
                f"partial sums must be added before they are read, and {op.name!r} reads {contract.tensor!r} inside the"
                " block; end the block there"
            )


def run_counted(op: OperatorView, output: int, box: Box, part: Contract | None) -> tuple[Counter, str]:
    """Run a rule in the first pass; where it refuses, the operator is computed whole and cut.

    Returns:
        What was asked and counted, and why the rule refused ("" = it did not).
    """
    entry = RULES.get(op.kind)
    reason = f"{op.kind} has no rule"
    if entry is not None:
        counter = Counter(op, output, part)
        try:
            entry.run(counter, box)
        except UnsupportedError as error:
            if part is not None:
                raise
            reason = str(error)
        else:
            return counter, ""
    counter = Counter(op, output, None)
    computed_whole(counter, box)
    return counter, reason


def check_wanted(block: Block, name: str, boxes: Iterable[Box]) -> None:
    """Refuse what is not a box of a tensor of the block."""
    if name not in block.producer:
        raise GraphError(f"a block gives tensors that it makes, and {name!r} is none of them; name one of its own")
    shape = block.shapes[name]
    for box in boxes:
        fits = len(box) == len(shape) and all(lo >= 0 and hi <= size for (lo, hi), size in zip(box, shape, strict=True))
        if not fits and not is_empty(box):
            raise GraphError(
                f"a box lies inside its tensor, and {box} does not fit {name!r} with shape {shape}; cut it"
            )


def _summary(
    block: Block,
    wanted: Boxes,
    inside: Boxes,
    work: dict[str, Work],
    refused: dict[str, str],
    boxes: dict[str, list[Box]],
) -> Demand:
    """What is still open after the first operator comes from outside."""
    outside = {name: merge(asked) for name, asked in boxes.items()}
    weights = {name: merged for name, merged in outside.items() if name in block.weights}
    inputs = {name: outside[name] for name in block.inputs if outside.get(name)}
    return Demand(
        wanted=wanted,
        inputs=inputs,
        weights=weights,
        inside=inside,
        work={op.name: work[op.name] for op in block.operators if op.name in work},
        weight_bytes=_bytes(block, weights),
        input_bytes=_bytes(block, inputs),
        refused=refused,
    )


def _bytes(block: Block, boxes: Boxes) -> int:
    return sum(nbytes(block.dtypes[name], extent(box)) for name, merged in boxes.items() for box in merged)
