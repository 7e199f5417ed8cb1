"""A part of a contracted split."""

from collections.abc import Mapping

from hocket.errors import GraphError
from hocket.graph.regions.block import Block
from hocket.graph.regions.box import Box, Interval
from hocket.graph.regions.rule import Contraction, OperatorView, UnsupportedError
from hocket.graph.regions.table import RULES
from hocket.program import Contract


class Visit:
    """What both passes of a rule know: the operator, which output is wanted, and the part of a contracted axis."""

    def __init__(self, op: OperatorView, output: int, contract: Contract | None) -> None:
        self.op, self.output, self._contract = op, output, contract

    @property
    def owner(self) -> bool:
        """Whether this part adds the bias."""
        return self._contract is None or self._contract.owner

    @property
    def partial(self) -> bool:
        """Whether the result is a partial one."""
        return self._contract is not None

    def span(self, axis: str, size: int) -> Interval:
        """The interval of a contracted axis that is covered."""
        contract = self._contract
        return contract.interval if contract is not None and contract.axis == axis else (0, size)


def contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """The contracted axes of an operator that may be split."""
    entry = RULES.get(op.kind)
    return () if entry is None or entry.contractions is None else entry.contractions(op)


def contraction_of(block: Block, contract: Contract) -> Contraction:
    """The contracted axis that a part names.

    Raises:
        UnsupportedError: there is none of this name.
    """
    if contract.tensor not in block.producer:
        raise GraphError(f"a contracted split is of a result of the block, and {contract.tensor!r} is none; name one")
    op = block.operators[block.producer[contract.tensor]]
    known = {contraction.axis: contraction for contraction in contractions(op)} if contract.tensor == op.name else {}
    if contract.axis not in known:
        has = f"has {', '.join(known)}" if known else "has none"
        raise UnsupportedError(
            f"{op.kind} at {op.name!r} contracts no axis {contract.axis!r} that can be split (it {has}); name another"
        )
    return known[contract.axis]


def check_contract(block: Block, contract: Contract, boxes: Mapping[str, list[Box]]) -> None:
    """Refuse cut points that do not fit, and partial results that are used as if they were whole."""
    contraction = contraction_of(block, contract)
    lo, hi = contract.interval
    if not 0 <= lo < hi <= contraction.size:
        raise GraphError(
            f"a part of axis {contract.axis!r} is a non-empty interval of [0, {contraction.size}), got"
            f" [{lo}, {hi}); leave empty parts out and correct the others"
        )
    if lo % contraction.granule or (hi % contraction.granule and hi != contraction.size):
        raise UnsupportedError(
            f"cut points of axis {contract.axis!r} of {contract.tensor!r} are multiples of {contraction.granule},"
            f" got [{lo}, {hi}); round them"
        )
    if not boxes.get(contract.tensor):
        raise GraphError(f"a contracted split is of a wanted tensor, and {contract.tensor!r} is not wanted; ask for it")
