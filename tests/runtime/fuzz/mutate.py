"""Real messages, changed: the changes that a broken or hostile sender would make, drawn from a seeded generator."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec

from hocket.runtime import wire

Frames = list[bytes]

ODD: tuple[Any, ...] = (
    *(0, -1, 1, 255, 2**31, 2**48, 2**48 + 1, 2**63, 2**64 - 1, -(2**63)),
    *(0.0, -0.0, float("nan"), float("inf"), -float("inf"), 5e-324, 1.7e308),
    *("", "x", "p", "a" * 512, "a" * 5000, "\x00", "\ud7ff", "../../etc/passwd", "raw+zlib", "float64", "object"),
    *(None, True, False, b"", b"\xff" * 40, [], [[]], {}, {"": None}, [0] * 40, [2**40] * 32, ["raw"] * 9),
)


def changed_frames(frames: Sequence[bytes], random: Random) -> Frames:
    """One message with one to three changes; sometimes none, which is a repetition."""
    result = [bytes(frame) for frame in frames]
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        result = random.choice(_CHANGES)(result, random)
    return result


def changed_bytes(data: bytes, random: Random) -> bytes:
    """Some bytes flipped, lost, repeated or inserted."""
    if not data:
        return random.randbytes(random.randrange(9))
    start = random.randrange(len(data))
    stop = min(len(data), start + random.randrange(1, 17))
    kind = random.randrange(5)
    if kind == 0:
        return data[:start] + bytes([data[start] ^ 1 << random.randrange(8)]) + data[start + 1 :]
    if kind == 1:
        return data[:start]
    if kind == 2:
        return data[:start] + data[stop:]
    if kind == 3:
        return data[:stop] + data[start:]
    return data[:start] + random.randbytes(stop - start) + data[start:]


def changed_value(value: Any, random: Random) -> Any:
    """A tree of lists and dictionaries with one place in it replaced, dropped or doubled."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        if random.random() < 0.1:
            return {other: item for other, item in value.items() if other != key}
        return {**value, key: changed_value(value[key], random)}
    if isinstance(value, list | tuple) and value and random.random() < 0.9:
        items, index = list(value), random.randrange(len(value))
        kind = random.random()
        if kind < 0.05:
            del items[index]
        elif kind < 0.1:
            items.insert(index, items[index])
        else:
            items[index] = changed_value(items[index], random)
        return items
    if isinstance(value, int) and not isinstance(value, bool) and random.random() < 0.5:
        return value + random.choice((-1, 1, 2, 1000))
    return random.choice(ODD)


def _header_value(frames: Frames, random: Random) -> Frames:
    try:
        value = msgspec.msgpack.decode(frames[0][len(wire.MAGIC) :])
        header = wire.MAGIC + msgspec.msgpack.encode(changed_value(value, random))
    except (msgspec.MsgspecError, RecursionError, OverflowError, IndexError, UnicodeError):
        return _header_bytes(frames, random)
    return [header, *frames[1:]]


def _header_bytes(frames: Frames, random: Random) -> Frames:
    return [changed_bytes(frames[0] if frames else b"", random), *frames[1:]]


def _buffer_bytes(frames: Frames, random: Random) -> Frames:
    if len(frames) < 2:
        return [*frames, random.randbytes(random.randrange(40))]
    index = random.randrange(1, len(frames))
    return [*frames[:index], changed_bytes(frames[index], random), *frames[index + 1 :]]


def _frames(frames: Frames, random: Random) -> Frames:
    kind = random.randrange(4)
    if kind == 0:
        return frames[: random.randrange(len(frames) + 1)]
    if kind == 1:
        return frames + frames[-1:] * random.randrange(1, 4)
    if kind == 2:
        return random.sample(frames, len(frames))
    return [*frames[:1], *([b""] * random.randrange(4)), *frames[1:]]


_CHANGES: tuple[Callable[[Frames, Random], Frames], ...] = (
    *((_header_value,) * 5),
    *((_header_bytes,) * 2),
    *((_buffer_bytes,) * 2),
    _frames,
)
