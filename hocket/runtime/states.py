"""What stays on a node between the requests of a sequence: buffers that segments read and write in place.

A sequence's buffers are made when its first positions come, and given back when it has ended. A request that goes on
where nothing was kept (another node has taken over) is refused: whoever steers the sequence lets it be read again.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hocket.errors import NodeError
from hocket.program import Counter, State
from hocket.runtime import wire
from hocket.runtime.executable import Executable

GONE = "has not kept"
"""In the sentence of a node that was asked to go on with a sequence that it does not know."""


class Kept:
    """The buffers of one segment for one sequence.

    Args:
        states: of the segment.
        binding: of its session, to which the buffers are bound once.
    """

    def __init__(self, states: tuple[State, ...], binding: Any) -> None:
        self.filled = 0
        """Positions so far."""
        self.most = min(state.shape[2] for state in states)
        self.nbytes = sum(state.nbytes for state in states)
        self.binding = binding
        self._buffers = [np.zeros(state.shape, state.dtype) for state in states]
        for state, buffer in zip(states, self._buffers, strict=True):
            place = ("cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
            binding.bind_input(state.past, *place)
            binding.bind_output(state.present, *place)


def _counted(counter: Counter, step: wire.Step) -> np.ndarray:
    return np.full(counter.shape, step.stop - (counter.counts == "last"), counter.dtype)


class States:
    """What a program keeps for its sequences on one node.

    Args:
        room: whether so many more bytes may be held.
    """

    def __init__(self, room: Callable[[int], bool]) -> None:
        self._room = room
        self._kept: dict[int, dict[str, Kept]] = {}
        self._lock = threading.Lock()  # steps run on the compute lane, releases on the event loop
        self.nbytes = 0

    def step(
        self, executable: Executable, inputs: Mapping[str, np.ndarray], step: wire.Step | None
    ) -> dict[str, np.ndarray]:
        """Compute a segment with what is kept for the request's sequence.

        Raises:
            NodeError: it cannot go on there, or there is no room.
        """
        segment = executable.segment.id
        if step is None:
            raise NodeError(f"segment {segment!r} keeps states, and a request came without its sequence; name one")
        known = {each.name: _counted(each, step) for each in executable.counters}
        if not executable.states:
            return executable.run({**inputs, **known})
        kept = self._at(executable, step)
        if step.stop > kept.most:
            raise NodeError(
                f"a sequence has at most {kept.most} positions here, and {step.stop} were asked for; end it before"
            )
        found = executable.run_kept({**inputs, **known}, kept.binding)
        kept.filled = max(kept.filled, step.stop)
        return found

    def release(self, sequence: int) -> None:
        """Give back what is kept for a sequence."""
        with self._lock:
            self.nbytes -= sum(kept.nbytes for kept in self._kept.pop(sequence, {}).values())

    def _at(self, executable: Executable, step: wire.Step) -> Kept:
        segment = executable.segment.id
        with self._lock:
            kept = self._kept.get(step.sequence, {}).get(segment)
            if kept is not None and step.start <= kept.filled:
                return kept
            if step.start > 0:
                filled = kept.filled if kept is not None else 0
                raise NodeError(
                    f"segment {segment!r} {GONE} positions {filled} to {step.start - 1} of sequence {step.sequence};"
                    " read the sequence again from its beginning"
                )
            nbytes = sum(state.nbytes for state in executable.states)
            if not self._room(nbytes):
                raise NodeError(
                    f"a sequence takes {nbytes} bytes of segment {segment!r}, and the node's memory limit leaves less;"
                    " end another one, or give it more"
                )
            made = Kept(executable.states, executable.binding())
            self._kept.setdefault(step.sequence, {})[segment] = made
            self.nbytes += made.nbytes
            return made
