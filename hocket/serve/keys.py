"""API keys: who may ask."""

import hmac
import os
from collections.abc import Iterable
from pathlib import Path

from hocket.errors import FormatError
from hocket.nouns import read_bytes
from hocket.runtime.zmq_transport import is_loopback
from hocket.serve.failures import RequestError

VARIABLE = "HOCKET_API_KEYS"
"""Environment variable with keys, separated by spaces or commas."""
_LEAST_CHARACTERS = 16


class ApiKeys:
    """The keys that open the server; none = it is open to all who reach it.

    Args:
        keys: each of at least 16 printable ASCII characters.

    Raises:
        FormatError: a key is too short or has other characters.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        given = list(dict.fromkeys(keys))
        for number, key in enumerate(given, 1):
            if len(key) < _LEAST_CHARACTERS or not key.isascii() or not key.isprintable() or " " in key:
                raise FormatError(
                    f"an API key has at least {_LEAST_CHARACTERS} printable ASCII characters, and key {number} has not;"
                    " make one with `openssl rand -hex 24`"
                )
        self._keys = [key.encode() for key in given]

    def __bool__(self) -> bool:
        return bool(self._keys)

    @classmethod
    def read(cls, path: Path | None) -> "ApiKeys":
        """Those of a file, one on each line, `#` before remarks; without a file, those of the environment.

        Raises:
            FormatError: the file cannot be read or has no key, or a key is not one.
        """
        if path is None:
            return cls(os.environ.get(VARIABLE, "").replace(",", " ").split())
        try:
            lines = read_bytes(path).decode().splitlines()
        except UnicodeDecodeError:
            raise FormatError(f"{path} is not text; give a file with one API key on each line") from None
        keys = cls(stripped for line in lines if (stripped := line.partition("#")[0].strip()))
        if not keys:
            raise FormatError(f"{path} has no API key; write one on each line")
        return keys

    def check(self, authorization: str | None) -> None:
        """Let a request with this `Authorization` header pass or refuse it, in a time that tells nothing of the keys.

        Raises:
            RequestError: 401.
        """
        if not self._keys:
            return
        scheme, _, token = (authorization or "").partition(" ")
        found = token.strip().encode()
        # No early end: the time is the same whichever key it is.
        matches = [hmac.compare_digest(found, key) for key in self._keys]
        if scheme.lower() != "bearer" or not any(matches):
            raise RequestError(
                "this server wants an API key; send the header `Authorization: Bearer KEY` with one of its keys",
                401,
                headers={"WWW-Authenticate": "Bearer"},
            )


def check_open(host: str, keys: ApiKeys, *, open_to_all: bool) -> None:
    """Refuse to listen where strangers are, without keys.

    Raises:
        FormatError: the host is no loopback address, there are no keys, and nobody said that it is meant so.
    """
    address = f"tcp://[{host}]:0" if ":" in host else f"tcp://{host}:0"
    if not keys and not open_to_all and not is_loopback(address):
        raise FormatError(
            f"a server at {host} can be reached from other machines and has no API keys; give --api-key-file, set"
            f" {VARIABLE}, listen at 127.0.0.1, or say --open to let everybody in"
        )
