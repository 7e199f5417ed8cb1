"""A server: listens over HTTP and gRPC, and stops without breaking off what is under way."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from hocket.errors import NodeError
from hocket.serve.app import make_app
from hocket.serve.backend import Answerer, Writer
from hocket.serve.guard import House
from hocket.serve.inference.grpc_server import make_server
from hocket.serve.inference.models import Models
from hocket.serve.keys import ApiKeys, check_open
from hocket.serve.settings import Limits

_BACKLOG = 128
_HEAD_BYTES = 64 << 10
_IDLE_S = 15


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, and who may ask."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 = any free one."""
    grpc_port: int | None = None
    """0 = any free one; None = no gRPC."""
    keys: ApiKeys = field(default_factory=ApiKeys)
    open_to_all: bool = False
    """Whether it may listen without keys where other machines can reach it."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server was found to listen."""

    host: str
    port: int
    grpc_port: int | None

    @property
    def url(self) -> str:
        """Of HTTP."""
        return f"http://{_bracketed(self.host)}:{self.port}"

    @property
    def grpc_address(self) -> str | None:
        """Of gRPC; None = there is none."""
        return None if self.grpc_port is None else f"{_bracketed(self.host)}:{self.grpc_port}"


async def serve(
    answerers: Sequence[Answerer] = (),
    writers: Sequence[Writer] = (),
    *,
    place: Place | None = None,
    limits: Limits | None = None,
    stop: asyncio.Event | None = None,
    started: Callable[[Listening], None] = lambda _: None,
) -> None:
    """Serve until told to stop by SIGTERM, SIGINT or an event: then nothing new is taken, and what is under way may
    end within `limits.stop_s`.

    Args:
        answerers: models of tensors.
        writers: models of text.
        place: where; None = at 127.0.0.1:8000, open to this computer.
        limits: what is allowed; None = the defaults.
        stop: stops the server when it is set; signals set it where this is the main thread.
        started: called when requests are taken.

    Raises:
        FormatError: two models have one name, or the place is open to strangers.
        NodeError: an address cannot be had.
    """
    place, limits, stop = place or Place(), limits or Limits(), stop or asyncio.Event()
    check_open(place.host, place.keys, open_to_all=place.open_to_all)
    house = House(place.keys, limits)
    config = uvicorn.Config(
        make_app(house, answerers, writers),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=max(int(limits.stop_s), 1),
        h11_max_incomplete_event_size=_HEAD_BYTES,
        http="h11",
    )
    http = _Server(config)
    with _listen(place.host, place.port) as listener:
        grpc, grpc_port = (
            (None, None)
            if place.grpc_port is None
            else make_server(house, Models(answerers), place.host, place.grpc_port)
        )
        if grpc is not None:
            await grpc.start()
        serving = asyncio.create_task(http.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        with _signals(stop):
            try:
                while not http.started and not serving.done():
                    await asyncio.sleep(0.005)
                started(Listening(place.host, listener.getsockname()[1], grpc_port))
                await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                http.should_exit = True
                await asyncio.gather(serving, *([] if grpc is None else [grpc.stop(limits.stop_s)]))


def read_place(host: str, port: int, grpc_port: int | None, key_file: Path | None, *, open_to_all: bool) -> Place:
    """A place with the keys of a file or the environment.

    Raises:
        FormatError: a key is none, or the place is open to strangers.
    """
    place = Place(host, port, grpc_port, ApiKeys.read(key_file), open_to_all)
    check_open(host, place.keys, open_to_all=open_to_all)
    return place


class _Server(uvicorn.Server):
    """Signals are ours: uvicorn raises them again when it has stopped, and then the process would not exit with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """Set an event on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    caught = []
    for name in (signal.SIGTERM, signal.SIGINT):
        # Only the main thread can have signals.
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(name, stop.set)
            caught.append(name)
    try:
        yield
    finally:
        for name in caught:
            loop.remove_signal_handler(name)


def _bracketed(host: str) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NodeError(f"cannot listen at {host}:{port} ({reason}); choose another address or port") from None
    # asyncio sends small answers at once only on sockets that name their protocol; others wait 40 ms for an
    # acknowledgement between head and body.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())
