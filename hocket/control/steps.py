"""The step of a sequence that is measured: how much its nodes have kept before it, and what they know of it."""

from collections.abc import Mapping

import numpy as np

from hocket.errors import GraphError
from hocket.graph import Graph
from hocket.graph.execute import random_inputs
from hocket.runtime.wire import Step

_SEQUENCE = 1


def measured_step(graph: Graph, kept: int | None = None) -> Step | None:
    """The step that a graph is bound to, behind what is kept already; None where requests stand alone.

    Args:
        graph: of a model that keeps states, or of another.
        kept: positions before it; None = half of those that the step leaves room for, which is the mean over a text
            that fills the buffers.

    Raises:
        GraphError: more than there is room for, or a graph whose requests stand alone.
    """
    if not (graph.buffers or graph.counters):
        if kept is not None:
            raise GraphError(f"{graph.name!r} keeps nothing between requests, and {kept} positions shall be; leave it")
        return None
    new = _new_positions(graph)
    room = min((buffer.shape[2] for buffer in graph.buffers), default=new)
    start = max(room - new, 0) // 2 if kept is None else kept
    if not 0 <= start <= room - new:
        raise GraphError(
            f"the buffers of {graph.name!r} have room for {room} positions, and {new} new ones behind {start} are to be"
            " measured; keep fewer, or bind the graph to fewer"
        )
    return Step(_SEQUENCE, start, start + new)


def opening(step: Step) -> Step:
    """What comes before it: all positions at once, so that it may follow.

    It brings no more than the step itself does, so that the buffers stay zeros but for the newest positions. Times do
    not depend on what buffers hold, and a long text need not be read first.
    """
    return Step(step.sequence, 0, step.stop)


def counted(graph: Graph, step: Step | None) -> Mapping[str, np.ndarray]:
    """What nodes know of a step, by the names that operators read."""
    if step is None:
        return {}
    return {
        counter.name: np.full(counter.shape, step.stop - (counter.counts == "last"), counter.dtype)
        for counter in graph.counters
    }


def measured_feeds(graph: Graph, inputs: Mapping[str, np.ndarray] | None, step: Step | None) -> dict[str, np.ndarray]:
    """The inputs of every request."""
    if not inputs:
        made = random_inputs(graph)
        numbers = {name for name, array in made.items() if step and np.issubdtype(array.dtype, np.integer)}
        return {name: np.zeros_like(array) if name in numbers else array for name, array in made.items()}
    for tensor in graph.inputs:
        found = inputs[tensor.name].shape if tensor.name in inputs else tensor.shape
        if found != tensor.shape:
            raise GraphError(
                f"a graph is measured as it is bound, and {tensor.name!r} of {graph.name!r} has shape {tensor.shape},"
                f" not {found}; bind it so, or give other inputs"
            )
    return dict(inputs)


def _new_positions(graph: Graph) -> int:
    """How many positions a request of the graph brings."""
    for tensor in graph.inputs:
        for axis, _ in graph.free.get(tensor.name, ()):
            return tensor.shape[axis]
    return 1
