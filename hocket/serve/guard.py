"""What stands before every route: keys, limits, time, the client's going away, errors, and counting."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from hocket.serve.failures import Failure, RequestError, Shape, failure_of, openai_error
from hocket.serve.keys import ApiKeys
from hocket.serve.metrics import GONE, Metrics
from hocket.serve.settings import Limits
from hocket.serve.slots import Slot, Slots

log = logging.getLogger("hocket.serve")
JSON = "application/json"
_LAST_WORD_S = 1.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has passed the guard."""

    path: Mapping[str, str]
    """Parameters of the path."""
    headers: Mapping[str, str]
    body: bytes
    due_s: float
    """When it has to be answered, on `time.monotonic`."""
    slot: Slot | None
    """None = the route does no work."""

    @property
    def left_s(self) -> float:
        """Seconds until then."""
        return max(self.due_s - time.monotonic(), 1e-3)

    def hold(self, work: "Future[Any]") -> None:
        """Count the request as under way until some work has ended, too."""
        if self.slot is not None:
            self.slot.hold(work)

    def end(self) -> None:
        """Nothing is left but to send the last of the answer."""
        if self.slot is not None:
            self.slot.leave()


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    body: bytes
    status: int = 200
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Events:
    """An answer in pieces, as server-sent events."""

    first: bytes
    """Made before anything is sent, so that what fails early has a status of its own."""
    rest: AsyncGenerator[bytes, None]
    last: bytes
    """Tells the client that the answer is complete."""


Work = Callable[[Call], Awaitable[Reply | Events]]


class House:
    """What all routes of a server share."""

    def __init__(self, keys: ApiKeys, limits: Limits) -> None:
        self.keys, self.limits = keys, limits
        self.slots, self.metrics = Slots(limits.under_way), Metrics()


def json_reply(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Something as JSON."""
    return Reply(msgspec.json.encode(data), status, headers=headers or {})


def event(data: Any) -> bytes:
    """Something as one server-sent event."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


class Guard:
    """An ASGI application for one route.

    Args:
        house: the server's.
        route: its name in the metrics.
        work: what it does.
        shape: of its errors.
        locked: whether it wants a key.
        works: whether it takes a slot.
    """

    def __init__(
        self,
        house: House,
        route: str,
        work: Work,
        *,
        shape: Shape = openai_error,
        locked: bool = True,
        works: bool = False,
    ) -> None:
        self._house, self._route, self._work, self._shape = house, route, work, shape
        self._locked, self._works = locked, works

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun_s = time.monotonic()
        wire = _Wire(send)
        self._house.metrics.begin()
        try:
            await self._serve(scope, receive, wire, begun_s + self._house.limits.timeout_s)
        except asyncio.CancelledError:
            wire.status = wire.status or 503
            raise
        finally:
            self._house.metrics.end(self._route, wire.status, time.monotonic() - begun_s)

    async def _serve(self, scope: Scope, receive: Receive, wire: "_Wire", due_s: float) -> None:
        try:
            headers = Headers(scope=scope)
            if self._locked:
                self._house.keys.check(headers.get("authorization"))
            with self._house.slots.take() if self._works else contextlib.nullcontext() as slot:
                body = await _read_body(headers, receive, self._house.limits.body_bytes, due_s)
                async with asyncio.timeout(due_s - time.monotonic()):
                    call = Call(scope.get("path_params", {}), headers, body, due_s, slot)
                    await _while_there(receive, self._answer(call, wire))
        except _GoneError:
            wire.status = GONE
        except Exception as error:  # border: whatever a request does, the server lives and says no more
            failure = failure_of(error)
            if failure.status == 500:
                log.error("a request to %s failed", self._route, exc_info=error)
            await wire.fail(failure, self._shape)

    async def _answer(self, call: Call, wire: "_Wire") -> None:
        reply = await self._work(call)
        # A client that has all of its answer may ask again at once, and must find the place free.
        if isinstance(reply, Reply):
            call.end()
            await wire.whole(reply)
            return
        async with contextlib.aclosing(reply.rest) as rest:
            await wire.begin(200, {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"})
            await wire.piece(reply.first)
            async for piece in rest:
                await wire.piece(piece)
        call.end()
        await wire.end(reply.last)


class _GoneError(Exception):
    """The client went away."""


class _Wire:
    """The way back to the client, and how far the answer has got on it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def whole(self, reply: Reply) -> None:
        """Send all of an answer."""
        await self.begin(
            reply.status, {"content-type": reply.media, "content-length": str(len(reply.body)), **reply.headers}
        )
        await self._send({"type": "http.response.body", "body": reply.body})

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head."""
        self.status = status
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def piece(self, data: bytes) -> None:
        """Send some of the body; waits while the client does not read."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        """Send the last of the body."""
        await self._send({"type": "http.response.body", "body": data})

    async def fail(self, failure: Failure, shape: Shape) -> None:
        """Tell of a failure, by status or, after the head, as the last event."""
        if not self.status:
            await self.whole(json_reply(shape(failure), failure.status, failure.headers))
            return
        self.status = failure.status
        # A client that reads nothing must not hold this up, too: without an end, the connection is closed.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORD_S):
                await self.end(event(shape(failure)))


async def _while_there(receive: Receive, work: Awaitable[None]) -> None:
    """Do some work, unless the client goes away first.

    Raises:
        _GoneError: it went.
    """
    serving, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((serving, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            raise _GoneError
        serving.result()
    finally:
        for task in (serving, leaving):
            task.cancel()
        await asyncio.gather(serving, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    """Wait until the client is gone."""
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()


async def _read_body(headers: Headers, receive: Receive, most: int, due_s: float) -> bytes:
    """The body of a request.

    Raises:
        RequestError: it is too large or compressed, or does not arrive in time.
        _GoneError: the client went away while it sent it.
    """
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RequestError("a compressed body is not read here; send it without Content-Encoding", 415)
    too_large = RequestError(f"a body has at most {most} bytes here; send less, or in several requests", 413)
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length[:20]) > most:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(due_s - time.monotonic()):
            async for part in _parts(receive):
                parts.append(part)
                size += len(part)
                if size > most:
                    raise too_large
    except TimeoutError:
        raise RequestError("the body took longer than the server allows; send it faster, or less", 408) from None
    return b"".join(parts)


async def _parts(receive: Receive) -> AsyncGenerator[bytes, None]:
    """A body as it arrives."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        yield message.get("body", b"")
        more = message.get("more_body", False)
