"""Nodes that announce themselves in the local network (multicast DNS, RFC 6762 and 6763), and who looks for them.

Anybody in the network can announce anything under any name. So what is found here is an offer and proves nothing: a
key becomes trusted by being on a list or by a person who compares it, never by having been announced.
"""

import contextlib
import ipaddress
import os
import re
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hocket.errors import FormatError, MissingError, NodeError
from hocket.runtime import wire
from hocket.runtime.keys import join_token, load_public

SERVICE = "_hocket._tcp.local."
PLAINTEXT = "plaintext"
_MOST_FOUND = 256
_MOST_NAME = 100
_QUESTION_MS = 1000


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a node says of itself; it holds no secret."""

    name: str
    address: str
    """Such as `tcp://192.168.1.7:7000`."""
    key: str
    """CURVE public key; empty = plaintext."""
    version: int = wire.VERSION
    """Of the protocol."""
    cores: int = 0
    """0 = not told."""

    @property
    def token(self) -> str:
        """With what the node can be reached: a join token, or the address of one without encryption."""
        return join_token(self.address, self.key) if self.key else self.address


@contextlib.contextmanager
def advertised(name: str, address: str, key: str = "") -> Iterator[None]:
    """Announce a node for as long as the context lasts.

    A node that listens at one address is announced on that interface only, one on all of them (0.0.0.0) on all.

    Args:
        name: of the node.
        address: where it listens.
        key: its public key; empty = plaintext.

    Raises:
        MissingError: zeroconf is not installed.
        NodeError: the address cannot be announced, or the system lets nobody multicast.
    """
    package = _package()
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 0
    try:
        hosts = _own_addresses() if ipaddress.ip_address(host).is_unspecified else [host]
    except ValueError:
        raise NodeError(f"{address!r} has no number for an address; listen at one like tcp://0.0.0.0:7000") from None
    # Two nodes may bear one name, and two hosts too: what is announced has to differ.
    label = f"{_label(name)}-{secrets.token_hex(3)}"
    info = package.ServiceInfo(
        SERVICE,
        f"{label}.{SERVICE}",
        port=port,
        parsed_addresses=hosts,
        server=f"{label}.local.",
        properties={
            "name": name[:_MOST_NAME],
            "version": str(wire.VERSION),
            "key": key or PLAINTEXT,
            "cores": str(os.cpu_count() or 0),
        },
    )
    with _opened(package, hosts) as announcer:
        announcer.register_service(info)
        yield


def discover(seconds: float = 3.0, interfaces: Sequence[str] | None = None) -> list[Announcement]:
    """Listen for nodes.

    Args:
        seconds: how long.
        interfaces: addresses of the interfaces to listen on; None = all.

    Returns:
        What was announced and makes sense, by name.

    Raises:
        MissingError: zeroconf is not installed.
        NodeError: the system lets nobody multicast.
    """
    package = _package()
    names: dict[str, None] = {}

    def heard(name: str, state_change: object, **_: object) -> None:
        if state_change is package.ServiceStateChange.Removed:
            names.pop(name, None)
        elif len(names) < _MOST_FOUND:
            names[name] = None

    found = []
    with _opened(package, interfaces) as listener:
        # Answers to all: one to us alone may be given to another process of this computer that listens, too.
        to_all = package.DNSQuestionType.QM
        browser = package.ServiceBrowser(listener, SERVICE, handlers=[heard], question_type=to_all)
        time.sleep(seconds)
        browser.cancel()
        for name in sorted(names):
            info = listener.get_service_info(SERVICE, name, timeout=_QUESTION_MS, question_type=to_all)
            if info is not None:
                with contextlib.suppress(FormatError):  # somebody else's service, or nonsense
                    found.append(read(info.parsed_addresses(), info.port, info.properties))
    return sorted(found, key=lambda each: (each.name, each.address))


def read(addresses: Sequence[str], port: int | None, properties: Mapping[bytes, bytes | None]) -> Announcement:
    """An announcement out of what came over the network.

    Raises:
        FormatError: it is not one of a node.
    """
    texts = {
        key.decode("ascii", "replace"): (value or b"").decode("utf-8", "replace") for key, value in properties.items()
    }
    key = texts.get("key", "")
    name = texts.get("name", "")
    if not (0 < len(name) <= _MOST_NAME and name.isprintable()):
        raise FormatError(f"a node has a name of 1 to {_MOST_NAME} characters, got {name[:20]!r}; ignore it")
    if not addresses or not port:
        raise FormatError(f"node {name!r} says no place where it listens; ignore it")
    if key != PLAINTEXT and len(key) != 40:
        raise FormatError(f"node {name!r} says neither a key of 40 characters nor that it has none; ignore it")
    host = addresses[0]
    return Announcement(
        name,
        f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}",
        "" if key == PLAINTEXT else load_public(key),
        _count(texts.get("version", "")),
        _count(texts.get("cores", "")),
    )


def publics(source: str) -> list[str]:
    """Public keys that a `.pub` file, a folder of them, or the text of one gives.

    Raises:
        FormatError: it gives none.
    """
    path = Path(source)
    if path.is_dir():
        return [load_public(file) for file in sorted(path.glob("*.pub"))]
    return [load_public(source)]


def split_trusted(
    found: Sequence[Announcement], allow: Collection[str], *, plaintext: bool = False
) -> tuple[list[Announcement], list[Announcement]]:
    """Those whose keys are on the list (with `plaintext` also those without any), and those who are strangers."""
    trusted = [each for each in found if (each.key in allow if each.key else plaintext)]
    return trusted, [each for each in found if each not in trusted]


def _count(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0


def _label(name: str) -> str:
    """A name as one label of DNS: at most 63 bytes, no dots."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)[:50].strip("-_") or "node"


def _own_addresses() -> list[str]:
    """IPv4 addresses of this computer that others can reach; those of loopback where there are no others."""
    import ifaddr

    every = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
    return [address for address in every if not ipaddress.ip_address(address).is_loopback] or every


def _package() -> Any:
    try:
        import zeroconf
    except ImportError:
        raise MissingError(
            "to announce and to find nodes needs zeroconf, which is not installed; install hocket[discover]"
        ) from None
    return zeroconf


@contextlib.contextmanager
def _opened(package: Any, interfaces: Sequence[str] | None) -> Iterator[Any]:
    """A responder on some interfaces; what it announced is taken back in the end."""
    try:
        responder = package.Zeroconf(interfaces=interfaces or package.InterfaceChoice.All)
    except OSError as error:
        raise NodeError(f"multicast cannot be used here ({error}); give the nodes' addresses by hand") from None
    try:
        yield responder
    finally:
        responder.close()
