"""Requests under way, seen from the session: what has come back, and what an answer is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hocket.errors import FormatError
from hocket.program import Program


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of one request, and how long it took."""

    request: int
    outputs: Mapping[str, np.ndarray]
    latency_s: float
    """From the moment its source node had the input to the moment the output's node had the answer."""
    round_trip_s: float
    """The same as the session saw it, with the way to the source and back."""


@dataclass(slots=True)
class Pending:
    """A request that has not been answered."""

    request: int
    inputs: Mapping[str, np.ndarray]
    """Kept until the answer has come, so that the request can be sent again."""
    sent_s: float
    wanted: dict[str, int]
    """Output tensor -> sources that may still bring it."""
    unfed: set[str]
    """Source nodes that have not said when they had the input."""
    start_s: float = float("inf")
    stop_s: float = 0.0
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    arrived_s: float = 0.0

    def fed(self, node: str, at_s: float) -> None:
        """A source node had the input at a moment of our clock."""
        self.unfed.discard(node)
        self.start_s = min(self.start_s, at_s)

    def bring(self, tensor: str, array: np.ndarray | None, at_s: float, now_s: float) -> bool:
        """An output came, or a void; the first that is not void counts. False = no source is left to bring it."""
        if tensor in self.outputs:
            return True
        self.wanted[tensor] -= 1
        if array is None:
            return self.wanted[tensor] > 0
        self.outputs[tensor] = array
        self.stop_s, self.arrived_s = max(self.stop_s, at_s), now_s
        return True

    @property
    def finished(self) -> bool:
        """Whether everything has come."""
        return not self.unfed and len(self.outputs) == len(self.wanted)

    def answer(self) -> Answer:
        """The finished request's answer."""
        return Answer(self.request, self.outputs, self.stop_s - self.start_s, self.arrived_s - self.sent_s)


def check_inputs(program: Program, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of a request, copied so that the caller may use its arrays again.

    Raises:
        FormatError: a name, type or shape is not the program's.
    """
    infos = {tensor.name: tensor for tensor in program.tensors}
    wanted = dict.fromkeys(binding.tensor for binding in program.inputs)
    if inputs.keys() != wanted.keys():
        raise FormatError(f"the inputs are {sorted(inputs)} and the program takes {sorted(wanted)}; give exactly these")
    copies = {}
    for name in wanted:
        array, info = np.asarray(inputs[name]), infos[name]
        if array.dtype.name != info.dtype or array.shape != info.shape:
            raise FormatError(
                f"input {name!r} is {array.dtype.name} {list(array.shape)} and the program takes"
                f" {info.dtype} {list(info.shape)}; convert it"
            )
        copies[name] = np.array(array, order="C")
    return copies
