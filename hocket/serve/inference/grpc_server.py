"""The Open Inference Protocol over gRPC."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from hocket.errors import NodeError
from hocket.serve.failures import RequestError, failure_of
from hocket.serve.grpc_api import open_inference_pb2 as api
from hocket.serve.guard import Call, House
from hocket.serve.inference.grpc_messages import arrays_of, parameters_of, response_of
from hocket.serve.inference.messages import timeout_s
from hocket.serve.inference.models import EXTENSIONS, PLATFORM, SERVER, VERSION, Models, described
from hocket.serve.metrics import GONE
from hocket.version import __version__

log = logging.getLogger("hocket.serve")
SERVICE = "inference.GRPCInferenceService"
# HTTP status of a failure -> gRPC's code.
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
Work = Callable[[Any, Call], Awaitable[Message]]


def make_server(house: House, models: Models, host: str, port: int) -> tuple[grpc.aio.Server, int]:
    """A server that has a port and is not started; to be called in a running loop.

    Args:
        house: the server's; keys, limits and counters are the same as over HTTP.
        models: what is served.
        host: address to listen at.
        port: 0 = any free one.

    Returns:
        The server and its port.

    Raises:
        NodeError: the port cannot be had.
    """
    most = house.limits.body_bytes
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", most),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ]
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, _handlers(house, models)),))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise NodeError(f"gRPC cannot listen at {address}; choose another address or port")
    return server, bound


def _handlers(house: House, models: Models) -> dict[str, grpc.RpcMethodHandler]:
    async def live(_: api.ServerLiveRequest, _call: Call) -> Message:
        return api.ServerLiveResponse(live=True)

    async def ready(_: api.ServerReadyRequest, _call: Call) -> Message:
        return api.ServerReadyResponse(ready=not models.waiting_for())

    async def model_ready(request: api.ModelReadyRequest, _call: Call) -> Message:
        return api.ModelReadyResponse(ready=models.get(request.name, request.version).ready())

    async def server(_: api.ServerMetadataRequest, _call: Call) -> Message:
        return api.ServerMetadataResponse(name=SERVER, version=__version__, extensions=EXTENSIONS)

    async def model(request: api.ModelMetadataRequest, _call: Call) -> Message:
        answerer = models.get(request.name, request.version)
        return api.ModelMetadataResponse(
            name=answerer.name,
            versions=[VERSION],
            platform=PLATFORM,
            inputs=[described(spec) for spec in answerer.inputs],
            outputs=[described(spec) for spec in answerer.outputs],
        )

    async def infer(request: api.ModelInferRequest, call: Call) -> Message:
        answerer = models.get(request.model_name, request.model_version)
        inputs = await asyncio.to_thread(arrays_of, request)
        outputs = await models.infer(answerer, inputs, call, timeout_s(parameters_of(request.parameters)))
        return await asyncio.to_thread(response_of, answerer.name, request, outputs)

    made: dict[str, tuple[type[Message], Work, bool, bool]] = {
        "ServerLive": (api.ServerLiveRequest, live, False, False),
        "ServerReady": (api.ServerReadyRequest, ready, False, False),
        "ModelReady": (api.ModelReadyRequest, model_ready, True, False),
        "ServerMetadata": (api.ServerMetadataRequest, server, True, False),
        "ModelMetadata": (api.ModelMetadataRequest, model, True, False),
        "ModelInfer": (api.ModelInferRequest, infer, True, True),
    }
    return {
        # Requests come as bytes: what they do not decode to is for us to say.
        name: grpc.unary_unary_rpc_method_handler(
            _Guard(house, f"grpc {name}", kind, work, locked=locked, works=works).serve,
            response_serializer=lambda message: message.SerializeToString(),
        )
        for name, (kind, work, locked, works) in made.items()
    }


class _Guard:
    """What `hocket.serve.guard.Guard` is for HTTP."""

    def __init__(self, house: House, route: str, kind: type[Message], work: Work, *, locked: bool, works: bool) -> None:
        self._house, self._route, self._kind, self._work = house, route, kind, work
        self._locked, self._works = locked, works

    async def serve(self, data: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> Message:
        """Answer one request, or abort it with a code and a sentence."""
        begun_s = time.monotonic()
        status = GONE
        self._house.metrics.begin()
        try:
            reply = await self._answer(data, context, begun_s + self._house.limits.timeout_s)
            status = 200
            return reply
        except Exception as error:  # border: whatever a request does, the server lives and says no more
            failure = failure_of(error)
            status = failure.status
            if status == 500:
                log.error("a request to %s failed", self._route, exc_info=error)
            await context.abort(_CODES.get(status, grpc.StatusCode.INTERNAL), failure.sentence)
            raise
        finally:
            self._house.metrics.end(self._route, status, time.monotonic() - begun_s)

    async def _answer(self, data: bytes, context: "grpc.aio.ServicerContext[Any, Any]", due_s: float) -> Message:
        async with asyncio.timeout(due_s - time.monotonic()):
            if self._locked:
                self._house.keys.check(_header(context, "authorization"))
            with self._house.slots.take() if self._works else nullcontext() as slot:
                return await self._work(self._decoded(data), Call({}, {}, b"", due_s, slot))

    def _decoded(self, data: bytes) -> Message:
        try:
            return self._kind.FromString(data)
        except DecodeError:
            raise RequestError(f"the message is no {self._kind.DESCRIPTOR.name}; send one") from None


def _header(context: "grpc.aio.ServicerContext[Any, Any]", name: str) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == name:
            return value if isinstance(value, str) else value.decode("latin-1")
    return None
