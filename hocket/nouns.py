"""The base of every value that hocket passes on or writes to a file.

A noun is a frozen `msgspec.Struct`: typed fields, equality by value, fast and checked decoding.
A noun with a `tag` is a file format: its JSON carries `"format": "hocket.plan/1"`.
"""

import json
import math
import os
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

import msgspec

from hocket.errors import FormatError, HocketError
from hocket.units import shown

MOST_BYTES = 1 << 30  # larger than any plan, profile or trace; a file beyond it is not one of ours

_MOST_SENTENCE = 300
_FIRST_USE = threading.Lock()  # msgspec learns a type when it is first used, and crashes if two threads do so at once


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen value; `replace` gives a changed copy."""

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


class Noun(Value, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="format"):
    """A value with a file format of its own, told by its `format` field."""

    def to_json(self) -> str:
        """Write as indented JSON with a stable order of keys."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes, *, name: str = "the text") -> Self:
        """Read JSON, checking every field.

        Raises:
            FormatError: not JSON, another format or version, or a field of the wrong type.
        """
        data = decode_json(text, name=name)
        expected, found = cls.__struct_config__.tag, data.get("format")
        if found != expected:
            raise FormatError(
                f"{name} has format {shown(found)} where {expected!r} is needed; give the right kind of file"
            )
        try:
            with _FIRST_USE:
                return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, HocketError):  # a noun that refused itself has said it all
                raise FormatError(f"{name}: {_shortened(str(error.__cause__))}") from None
            raise FormatError(f"{name} is not a valid {expected}: {complaint(error)}; correct that field") from None
        except (OverflowError, RecursionError, ValueError) as error:
            raise FormatError(f"{name} is not a valid {expected}: {error}; correct that field") from None

    def save(self, path: str | Path) -> Path:
        """Write the file whole or not at all."""
        return write_whole(path, self.to_json().encode() + b"\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file of this format."""
        return cls.from_json(read_bytes(path), name=str(path))


def complaint(error: Exception) -> str:
    """What msgspec says of a wrong value, as part of a sentence of one line."""
    return _shortened(str(error).replace("`", "'").replace(" - at", " at"))


def _shortened(text: str) -> str:
    """One line, without the middle of what is too long to read: a name in a broken file may be anything."""
    text = " ".join(text.split())
    half = _MOST_SENTENCE // 2
    return text if len(text) <= _MOST_SENTENCE else f"{text[:half]}...{text[-half:]}"


def decode_json(text: str | bytes, *, name: str) -> dict[str, Any]:
    """Read a JSON object or refuse it in one sentence."""
    try:
        data = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is not JSON ({error}); give a file that hocket wrote") from None
    if not isinstance(data, dict):
        raise FormatError(f"{name} holds a JSON {type(data).__name__}, not an object; give a file that hocket wrote")
    return data


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def read_bytes(path: str | Path) -> bytes:
    """Read a file that should be small enough to be one of ours."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror}); give the path of a readable file") from None
    except ValueError:
        raise FormatError(f"{shown(str(path))} is no path; give the path of a readable file") from None
    if len(data) > MOST_BYTES:
        raise FormatError(f"{path} has more than {MOST_BYTES} bytes, the most of hocket's own files; give another file")
    return data


def write_whole(path: str | Path, data: bytes) -> Path:
    """Write a file so that a reader sees the old one or the new one, never half of it.

    Raises:
        FormatError: the folder is missing or not writable.
    """
    path = Path(path)
    if "\0" in str(path):
        raise FormatError(f"{shown(str(path))} is no path; give a path in a writable folder")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            # mkstemp makes the file private; give it the mode any new file would have.
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as error:
        raise FormatError(f"{path} cannot be written ({error.strerror}); give a path in a writable folder") from None
    return path
