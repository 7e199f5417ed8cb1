"""What a rule is, and what it sees.

A rule is one function per operator kind. It is given a box of one output and a context; it asks the context for
boxes of the operator's inputs and emits the operators that compute exactly the box from them. It is run twice:
backwards through a block, where asking records a demand and emitting counts work, and forwards, where asking gives
the name of a tensor that holds exactly that box and emitting writes ONNX. So demand, cost and code cannot disagree.

A rule must decide from the operator and the box alone (never from values that only the second pass knows), and
raises `UnsupportedError` rather than guess: the operator is then computed whole and cut.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np

from hocket.errors import GraphError
from hocket.graph.regions.box import Box, Interval, Shape
from hocket.nouns import Value


class UnsupportedError(GraphError):
    """A rule cannot compute this box from less than everything."""


class OperatorView(Value, frozen=True):
    """One operator with the sizes and constants around it."""

    name: str
    """The name of its first output."""
    kind: str
    """The ONNX operator kind, with its domain and a dot in front if it is not the standard one."""
    inputs: tuple[str, ...]
    """Names, "" where an optional input is absent."""
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    shapes: tuple[Shape, ...]
    """Of the inputs; () where absent."""
    dtypes: tuple[str, ...]
    output_shapes: tuple[Shape, ...]
    output_dtypes: tuple[str, ...]
    constants: Mapping[int, np.ndarray]
    """Values of the inputs that are known, by position."""
    opset: int

    def has(self, index: int) -> bool:
        """Is there such an input?"""
        return index < len(self.inputs) and bool(self.inputs[index])

    def axis(self, default: int, rank: int, attribute: str = "axis") -> int:
        """An attribute that names an axis, counted from the front."""
        axis = int(self.attributes.get(attribute, default))
        return axis + rank if axis < 0 else axis

    def integers(self, index: int, attribute: str) -> tuple[int, ...] | None:
        """Numbers that stand in a constant input, or in an attribute in older operator sets; None if in neither.

        Raises:
            UnsupportedError: the input is there but its value is computed.
        """
        if self.has(index):
            if index not in self.constants:
                raise UnsupportedError(
                    f"{self.kind} needs a constant {attribute}, and that of {self.name!r} is computed; fold it first"
                )
            return tuple(int(number) for number in self.constants[index].reshape(-1))
        if attribute in self.attributes:
            return tuple(int(number) for number in self.attributes[attribute])
        return None


class Context(Protocol):
    """What a rule can ask for and do; the same in both passes."""

    @property
    def op(self) -> OperatorView:
        """The operator."""

    @property
    def output(self) -> int:
        """Which of its outputs is wanted."""

    @property
    def owner(self) -> bool:
        """Does this part add what must be added once (a bias)? True unless a contracted axis is split."""

    @property
    def partial(self) -> bool:
        """Is a partial result of a contracted split wanted (even if this part covers the whole axis)?"""

    def span(self, axis: str, size: int) -> Interval:
        """The interval of a contracted axis that this part covers: all of it unless it is split."""

    def get(self, index: int, box: Box) -> str:
        """A tensor that holds exactly this box of an input; "" for an input that is absent."""

    def constant(self, array: np.ndarray) -> str:
        """A tensor with these values."""

    def emit(
        self,
        kind: str,
        *inputs: str,
        attributes: Mapping[str, Any] | None = None,
        macs: int = 0,
        flops: int = 0,
        outputs: int = 1,
        pick: int = 0,
    ) -> str:
        """Write an operator and return the name of one of its outputs.

        Args:
            kind: ONNX operator kind.
            inputs: names that `get`, `constant` or `emit` returned; "" = absent.
            attributes: ONNX attributes.
            macs: multiply-accumulates.
            flops: other floating-point operations.
            outputs: number of outputs.
            pick: which of them is returned.
        """


Rule = Callable[[Context, Box], str]
Combine = Literal["sum", "max", "min", "prod", "logsumexp", "softmax", "moments"]


class Contraction(Value, frozen=True):
    """An axis that an operator sums over (or takes a maximum of ...), and that may be split nevertheless."""

    axis: str
    """Its name: it is not an axis of the result."""
    size: int
    granule: int = 1
    """Cut points are multiples of it."""
    combine: Combine = "sum"
    """What puts the partial results together (softmax: results weighted by the log of a sum behind them;
    moments: means and variances by their share)."""
    finish: str = ""
    """A unary operator that follows once they are together; "" = none."""
    packed: int = 0
    """Elements added to the last axis of a partial result, to carry what `combine` needs."""


class Entry(Value, frozen=True):
    """A row of the table: everything that hocket knows about an operator kind."""

    rule: Rule
    contractions: Callable[[OperatorView], tuple[Contraction, ...]] | None = None
    """The axes over which partial results can be combined."""
    partial: Rule | None = None
    """What writes a partial result, where `rule` does not do that too."""

    def run(self, at: Context, box: Box) -> str:
        """Run the rule that is meant."""
        return (self.partial if at.partial and self.partial else self.rule)(at, box)
