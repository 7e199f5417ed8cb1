"""Requests under way, seen from the session: what has come back, and what an answer is."""

import time
from collections.abc import Iterable, Mapping
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
    waited_s: float = 0.0
    """Before that, from its arrival until the window had room for it."""

    @property
    def sojourn_s(self) -> float:
        """From its arrival to its answer."""
        return self.waited_s + self.latency_s


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
    arrival_s: float
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

    @property
    def waited_s(self) -> float:
        """How long it had to wait until it could be sent."""
        return self.sent_s - self.arrival_s

    def answer(self) -> Answer:
        """The finished request's answer."""
        return Answer(
            self.request, self.outputs, self.stop_s - self.start_s, self.arrived_s - self.sent_s, self.waited_s
        )


class Coming:
    """Requests that have not been sent yet, and when the next of them arrives.

    Args:
        requests: inputs of each.
        arrivals_s: when each arrives, on `time.monotonic`; None = when it is drawn.
    """

    def __init__(self, requests: Iterable[Mapping[str, np.ndarray]], arrivals_s: Iterable[float] | None) -> None:
        self._requests = iter(requests)
        self._arrivals = None if arrivals_s is None else iter(arrivals_s)
        self.due_s = 0.0
        """When `take` may be called next; infinity = there are no more."""
        self._advance()

    @property
    def more(self) -> bool:
        """Whether there may be another one."""
        return self.due_s < float("inf")

    def take(self) -> tuple[Mapping[str, np.ndarray], float] | None:
        """The inputs of the next and when it arrived; None = there are no more."""
        arrival_s, inputs = self.due_s, next(self._requests, None)
        if inputs is None:
            self.due_s = float("inf")
            return None
        if self._arrivals is None:
            arrival_s = time.monotonic()
        self._advance()
        return inputs, arrival_s

    def _advance(self) -> None:
        if self._arrivals is not None:
            self.due_s = next(self._arrivals, float("inf"))


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
        if array.dtype.name != info.dtype or not info.admits(array.shape):
            raise FormatError(
                f"input {name!r} is {array.dtype.name} {list(array.shape)} and the program takes"
                f" {info.dtype} {list(info.shape)}; convert it"
            )
        copies[name] = np.array(array, order="C")
    return copies
