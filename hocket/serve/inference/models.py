"""The models behind the protocol, as both HTTP and gRPC ask for them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hocket.errors import NodeError
from hocket.serve.backend import Answered, Answerer, TensorSpec
from hocket.serve.failures import RequestError
from hocket.serve.guard import Call
from hocket.serve.inference.dtypes import datatype_of
from hocket.units import shown

VERSION = "1"
PLATFORM = "hocket"
SERVER = "hocket"
EXTENSIONS = ("binary_tensor_data",)


class Models:
    """Some answerers by name.

    Args:
        answerers: each with a name of its own.
    """

    def __init__(self, answerers: Sequence[Answerer]) -> None:
        self._answerers: Mapping[str, Answerer] = {answerer.name: answerer for answerer in answerers}

    def get(self, name: str, version: str = "") -> Answerer:
        """The model of a name.

        Raises:
            RequestError: 404.
        """
        if name not in self._answerers:
            served = ", ".join(self._answerers) or "none that takes tensors"
            raise RequestError(f"the model {shown(name)} is not served here; ask for one of: {served}", 404)
        if version not in ("", VERSION):
            raise RequestError(
                f"model {name!r} has only version {VERSION}, got {shown(version)}; ask for that, or for none", 404
            )
        return self._answerers[name]

    def waiting_for(self) -> list[str]:
        """Names of the models that are not ready."""
        return [name for name, answerer in self._answerers.items() if not answerer.ready()]

    async def infer(
        self, answerer: Answerer, inputs: Mapping[str, np.ndarray], call: Call, timeout_s: float | None
    ) -> Mapping[str, np.ndarray]:
        """The outputs of one request.

        Raises:
            HocketError: it cannot be served.
        """
        deadline_s = call.left_s if timeout_s is None else min(timeout_s, call.left_s)
        future = await asyncio.to_thread(answerer.submit, inputs, deadline_s=deadline_s)
        call.hold(future)
        try:
            answer: Answered = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.cancelled() and not _cancelled():
                raise NodeError(f"model {answerer.name!r} gave this request up; send it again") from None
            raise
        return answer.outputs


def _cancelled() -> bool:
    """Whether it is the request that was cancelled, and not what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def described(spec: TensorSpec) -> dict[str, Any]:
    """A tensor as the protocol's metadata has it."""
    return {"name": spec.name, "datatype": datatype_of(spec.dtype), "shape": list(spec.shape)}
