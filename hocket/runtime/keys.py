"""CURVE keys as files, and the one line that lets a node be reached.

`NAME.key` holds both halves and is for its owner alone; `NAME.pub` holds the public half and may be given away.
"""

import binascii
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from hocket.errors import FormatError

_HEAD = "hocket-key/1"
_TOKEN = re.compile(r"hocket1:(tcp://[^\s#]{1,300}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Keys:
    """A CURVE key pair, each half as 40 characters of Z85."""

    public: str
    secret: str = field(repr=False)


def make_keys() -> Keys:
    """A fresh key pair."""
    public, secret = zmq.curve_keypair()
    return Keys(public.decode(), secret.decode())


def save_keys(folder: str | Path, name: str, keys: Keys | None = None) -> Keys:
    """Write `NAME.key` (mode 0600) and `NAME.pub`; existing files are not overwritten.

    Raises:
        FormatError: the files exist, or cannot be written.
    """
    keys = keys or make_keys()
    secret, public = Path(folder) / f"{name}.key", Path(folder) / f"{name}.pub"
    try:
        secret.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"{_HEAD} secret\n{keys.public}\n{keys.secret}\n")
        public.write_text(f"{_HEAD} public\n{keys.public}\n")
    except FileExistsError:
        raise FormatError(f"{secret} exists and a key is never overwritten; remove it or choose another name") from None
    except OSError as error:
        raise FormatError(f"{secret} cannot be written ({error.strerror}); give a writable folder") from None
    return keys


def load_keys(path: str | Path) -> Keys:
    """Read a `.key` file.

    Raises:
        FormatError: it is not one, or others than its owner may read it.
    """
    path = Path(path)
    lines = _lines(path, "secret", 3)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise FormatError(f"{path} has mode {mode:04o} and a secret key is for its owner alone; run chmod 600 on it")
    keys = Keys(_checked(lines[1], path), _checked(lines[2], path))
    if zmq.curve_public(keys.secret.encode()).decode() != keys.public:
        raise FormatError(f"{path} holds two halves that do not belong together; make new keys")
    return keys


def load_public(source: str | Path) -> str:
    """A public key, from a `.pub` file or given as its 40 characters.

    Raises:
        FormatError: it is neither.
    """
    if isinstance(source, str) and len(source) == 40 and not Path(source).exists():
        return _checked(source, source)
    return _checked(_lines(Path(source), "public", 2)[1], source)


def join_token(address: str, public: str) -> str:
    """One line with which others can reach a node: its address and its public key.

    >>> join_token("tcp://pi:7000", "0" * 40)[:24]
    'hocket1:tcp://pi:7000:00'
    """
    return f"hocket1:{address}:{z85.decode(public).hex()}"


def read_token(token: str) -> tuple[str, str]:
    """Address and public key of a join token.

    Raises:
        FormatError: it is not one.
    """
    match = _TOKEN.fullmatch(token.strip())
    if match is None:
        raise FormatError(f"{token[:80]!r} is not a join token; give the line that the node printed, hocket1:tcp://...")
    return match[1], z85.encode(binascii.unhexlify(match[2])).decode()


def _lines(path: Path, kind: str, count: int) -> list[str]:
    try:
        text = path.read_text()[:1000]
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read as a {kind} key ({error}); give a key file") from None
    lines = text.split("\n")
    if lines[0] != f"{_HEAD} {kind}" or len(lines) < count:
        raise FormatError(f"{path} is not a {kind} key of hocket; give a file that `hocket keys` wrote")
    return lines


def _checked(key: str, source: object) -> str:
    try:
        if len(key) == 40 and len(z85.decode(key)) == 32:
            return key
    except (ValueError, KeyError):
        pass
    raise FormatError(f"{source} does not hold a CURVE key of 40 characters; make one with `hocket keys`")
