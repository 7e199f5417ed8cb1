"""Reads PyTorch's older file format without PyTorch.

A `.pth` file is a pickle, and unpickling runs whatever code the file names. Here the pickle is read by a small
interpreter of its own, which knows only what a dictionary of tensors needs: no name in the file is ever looked up.
"""

import io
import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hocket.errors import FormatError

Array = npt.NDArray[Any]

MOST_STEPS = 1 << 22
"""Pickle opcodes that one file may have; a state dict needs some 40 for each tensor."""

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGES = {
    f"torch {kind}Storage": np.dtype(code)
    for kind, code in {
        "Double": "<f8", "Float": "<f4", "Half": "<f2", "Long": "<i8", "Int": "<i4",
        "Short": "<i2", "Char": "i1", "Byte": "u1", "Bool": "?",
    }.items()
}  # fmt: skip
_DICT, _TENSOR, _PARAMETER = (
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
)  # fmt: skip
_MARK: Final = object()


@dataclass(frozen=True, slots=True)
class _Name:
    """An allowed name of a class or function; it stands for itself and is never called."""

    text: str


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage, whose values come later in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Refusal(Exception):  # noqa: N818 - never leaves this file
    """Why the file is not taken."""


def read_pth(path: str | Path) -> dict[str, Array]:
    """The tensors of a state dict in PyTorch's older (not zipped) file format, by name.

    Raises:
        FormatError: not such a file, damaged, or asking for more than tensors.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror}); give the path of a .pth file") from None
    if data.startswith(b"PK"):
        raise FormatError(
            f"{path} is a zipped PyTorch file and only the older format is read; save it again with "
            "torch.save(..., _use_new_zipfile_serialization=False)"
        )
    try:
        return _read(io.BytesIO(data), len(data))
    except (_Refusal, ValueError, OverflowError) as refusal:
        raise FormatError(f"{path} is not a PyTorch state dict: {refusal}; give an unchanged .pth file") from None


def _read(stream: io.BytesIO, size: int) -> dict[str, Array]:
    """The five pickles in their order, then the raw storages."""
    _require(_Machine().run(stream) == _MAGIC, "its first number is not PyTorch's")
    _require(_Machine().run(stream) == _PROTOCOL, f"its protocol is not {_PROTOCOL}")
    system = _Machine().run(stream)
    _require(isinstance(system, dict) and system.get("little_endian") is True, "it is not little-endian")
    machine = _Machine()
    state = machine.run(stream)
    _require(isinstance(state, dict), f"it holds a {type(state).__name__} where a dictionary of tensors is needed")
    values = _read_storages(stream, size, machine.storages)
    return {name: _view(name, tensor, values) for name, tensor in state.items()}


def _read_storages(stream: io.BytesIO, size: int, storages: dict[str, _Storage]) -> dict[str, Array]:
    """For each key in the file's own order its count and its bytes."""
    keys = _Machine().run(stream)
    named = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    _require(named and sorted(keys) == sorted(storages), "its list of storages is not that of its tensors")
    values = {}
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(stream.read(8), "little", signed=True)
        _require(count == storage.count, f"storage {key} has {count} values where {storage.count} are needed")
        _require(count * storage.dtype.itemsize <= size - stream.tell(), f"it ends inside storage {key}")
        values[key] = np.frombuffer(stream.read(count * storage.dtype.itemsize), storage.dtype)
    _require(stream.tell() == size, f"{size - stream.tell()} bytes follow its last storage")
    return values


def _view(name: str, tensor: object, values: dict[str, Array]) -> Array:
    """The tensor as a read-only view of its storage: thousands of tensors that share one cost no more than it."""
    if not isinstance(tensor, _Tensor):
        raise _Refusal(f"{name!r:.80} is a {type(tensor).__name__} and not a tensor")
    # Views that repeat values could ask for any amount of memory later on, from a small file.
    _require(math.prod(tensor.shape) <= tensor.storage.count, f"{name!r:.80} is larger than its storage")
    reach = sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True))
    inside = 0 in tensor.shape or tensor.offset + reach < tensor.storage.count
    _require(inside, f"{name!r:.80} reaches beyond its storage")
    flat = values[tensor.storage.key]
    if 0 in tensor.shape:
        return np.empty(tensor.shape, flat.dtype)
    steps = tuple(stride * flat.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, steps, writeable=False)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise _Refusal(reason)


class _Machine:
    """Runs one pickle on a stack, as the pickle format prescribes, for the opcodes that tensors need."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, _Storage] = {}

    def run(self, stream: io.BytesIO) -> Any:
        """The object that the pickle makes; the stream is left behind its end."""
        code = ""
        for step in range(MOST_STEPS):
            if code == "STOP":
                _require(len(self.stack) == 1 and self.stack[0] is not _MARK, "its steps leave no single result")
                return self.stack[0]
            code, argument = _next_opcode(stream)
            try:
                self._step(code, argument)
            except (IndexError, KeyError, TypeError):
                raise _Refusal(f"its step {step}, {code}, does not fit those before") from None
        raise _Refusal(f"it has more than {MOST_STEPS} steps")

    def _step(self, code: str, argument: Any) -> None:
        if code in _PUSHES:
            self.stack.append(_PUSHES[code](argument))
        elif code in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif code in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif code in _ACTIONS:
            _ACTIONS[code](self)

    def _since_mark(self) -> list[Any]:
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            _require(start >= 0, "a mark is missing")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def take(self, count: int) -> None:
        """Join the last items to a tuple."""
        items = [self.stack.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def join(self) -> None:
        """Join the items since the mark to a tuple."""
        self.stack.append(tuple(self._since_mark()))

    def set_items(self) -> None:
        """Put the pairs since the mark into the dictionary below it."""
        items = self._since_mark()
        target = self.stack[-1]
        _require(isinstance(target, dict) and len(items) % 2 == 0, "items are set in no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            _require(isinstance(key, str), f"a key is a {type(key).__name__} and not a name")
            target[key] = value

    def set_item(self) -> None:
        """Put the one pair on top into the dictionary below."""
        self.stack.insert(len(self.stack) - 2, _MARK)
        self.set_items()

    def extend(self) -> None:
        """Append the items since the mark to the list below it."""
        items = self._since_mark()
        _require(isinstance(self.stack[-1], list), "items are appended to no list")
        self.stack[-1].extend(items)

    def append(self) -> None:
        """Append the item on top to the list below."""
        self.stack.insert(len(self.stack) - 1, _MARK)
        self.extend()

    def forget(self) -> None:
        """Drop the attributes of a dictionary: PyTorch keeps version numbers there."""
        self.stack.pop()
        _require(isinstance(self.stack[-1], dict), "attributes are set of something that has none")

    def storage(self) -> None:
        """Note the storage that a persistent id describes."""
        what, kind, key, _, count, view = self.stack.pop()
        known = isinstance(kind, _Name) and kind.text in _STORAGES
        _require(what == "storage" and known and view is None, "a persistent id is not a whole storage")
        _require(isinstance(key, str) and _is_size(count), "a storage has no key or no size")
        storage = _Storage(key, _STORAGES[kind.text], count)
        _require(self.storages.setdefault(key, storage) == storage, f"storage {key!r:.40} is described twice")
        self.stack.append(storage)

    def call(self) -> None:
        """Make the dictionary or tensor that a call of an allowed name would make."""
        arguments, name = self.stack.pop(), self.stack.pop()
        if name == _Name(_DICT) and arguments == ():
            self.stack.append({})
        elif name == _Name(_TENSOR) and isinstance(arguments, tuple):
            self.stack.append(_tensor(*arguments[:4]))
        elif name == _Name(_PARAMETER) and isinstance(arguments[0], _Tensor):
            self.stack.append(arguments[0])
        else:
            raise _Refusal("it calls something that makes no tensor")


def _next_opcode(stream: io.BytesIO) -> tuple[str, Any]:
    """The next opcode and its argument, which is not even looked at if no tensor needs such an opcode."""
    byte = stream.read(1)
    _require(byte != b"", "it ends before its last step")
    opcode = _OPCODES.get(byte.decode("latin-1"))
    if opcode is None or opcode.name not in _KNOWN:
        raise _Refusal(f"it asks for {opcode.name if opcode else byte!r}, which no tensor needs")
    if opcode.name == "GLOBAL":  # pickletools would treat backslashes as escapes
        module, name = (stream.readline(200).rstrip(b"\n").decode("latin-1") for _ in range(2))
        return "GLOBAL", f"{module} {name}"
    return opcode.name, opcode.arg.reader(stream) if opcode.arg else None


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 48


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> _Tensor:
    tuples = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 16
    if not (isinstance(storage, _Storage) and tuples and all(map(_is_size, (offset, *shape, *strides)))):
        raise _Refusal("a tensor's storage, shape and strides do not fit one another")
    return _Tensor(storage, offset, shape, strides)


def _allowed(name: str) -> _Name:
    if name not in (_DICT, _TENSOR, _PARAMETER, *_STORAGES):
        raise _Refusal(f"it asks for {name.replace(' ', '.')!r:.80}, and only tensors are read, no code")
    return _Name(name)


_PUSHES: dict[str, Callable[[Any], Any]] = {
    "GLOBAL": _allowed, "MARK": lambda _: _MARK, "NONE": lambda _: None,
    "NEWTRUE": lambda _: True, "NEWFALSE": lambda _: False,
    "EMPTY_TUPLE": lambda _: (), "EMPTY_LIST": lambda _: [], "EMPTY_DICT": lambda _: {},
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"), lambda value: value),
}  # fmt: skip
_ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "TUPLE": _Machine.join, "TUPLE1": lambda machine: machine.take(1), "TUPLE2": lambda machine: machine.take(2),
    "TUPLE3": lambda machine: machine.take(3), "SETITEMS": _Machine.set_items, "SETITEM": _Machine.set_item,
    "APPENDS": _Machine.extend, "APPEND": _Machine.append, "BUILD": _Machine.forget,
    "BINPERSID": _Machine.storage, "REDUCE": _Machine.call,
}  # fmt: skip
_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_KNOWN = {"PROTO", "STOP", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", *_PUSHES, *_ACTIONS}
