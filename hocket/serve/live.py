"""Live sessions as a server wants them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np

from hocket.control.live.session import LiveSession
from hocket.runtime.answers import Answer
from hocket.serve.backend import TensorSpec


class LiveAnswerer:
    """A task of a live session: it answers as long as any plan can run.

    Args:
        name: what clients call it.
        session: of the task.
    """

    def __init__(self, name: str, session: LiveSession) -> None:
        self.name, self._session = name, session
        graph = session.problem.task.graph
        free = {tensor: {axis for axis, _ in axes} for tensor, axes in graph.free.items()}

        def spec(tensor: str) -> TensorSpec:
            info = graph.tensor[tensor]
            loose = free.get(tensor, set())
            return TensorSpec(tensor, info.dtype, tuple(-1 if i in loose else n for i, n in enumerate(info.shape)))

        self.inputs: Sequence[TensorSpec] = [spec(tensor.name) for tensor in graph.inputs]
        self.outputs: Sequence[TensorSpec] = [spec(tensor) for tensor in graph.outputs]

    def ready(self) -> bool:
        """Whether a request would be served now."""
        return not self._session.status().trouble

    def submit(self, inputs: Mapping[str, np.ndarray], *, deadline_s: float | None = None) -> "Future[Answer]":
        """Send a request; a future that is cancelled takes it back, wherever it is."""
        inner = self._session.submit(inputs, deadline_s=deadline_s)
        outer: Future[Answer] = Future()

        def settle(done: "Future[Answer]") -> None:
            if done.cancelled() or not outer.set_running_or_notify_cancel():
                return
            error = done.exception()
            if error is not None:
                outer.set_exception(error)
            else:
                outer.set_result(done.result())

        def give_up(done: "Future[Answer]") -> None:
            if done.cancelled():
                self._session.cancel(inner)

        inner.add_done_callback(settle)
        outer.add_done_callback(give_up)
        return outer
