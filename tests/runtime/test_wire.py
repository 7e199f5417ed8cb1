import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hocket.errors import FormatError
from hocket.runtime import wire

DATA = wire.Data("p", 3, 0, 7, 5, 1.5, 0.0, wire.Tensor("float32", (1, 4), "int8", (0.0, 1.0)))

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9)
NESTED = st.recursive(
    LEAVES | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def test_a_message_survives_the_wire() -> None:
    frames = wire.pack(DATA, [b"abc"])
    assert wire.unpack(frames) == (DATA, [b"abc"])
    assert wire.unpack([memoryview(frame) for frame in frames])[0] == DATA


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_random_frames_are_refused(frames: list[bytes]) -> None:
    with pytest.raises(FormatError):
        wire.unpack(frames)


@given(NESTED)
@settings(max_examples=300)
def test_well_formed_msgpack_of_the_wrong_kind_is_refused(value: object) -> None:
    with pytest.raises(FormatError, match=r"a header does not decode"):
        wire.unpack([wire.MAGIC + msgspec.msgpack.encode(value)])


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_gives_a_message_or_one_error(place: int, change: int) -> None:
    header = bytearray(wire.pack(DATA)[0])
    header[place % len(header)] ^= change
    with contextlib.suppress(FormatError):
        wire.unpack([bytes(header)])


@given(st.integers(0, 100))
def test_a_truncated_header_is_refused(keep: int) -> None:
    header = wire.pack(DATA)[0]
    if keep < len(header):
        with pytest.raises(FormatError):
            wire.unpack([header[:keep]])


def test_headers_and_counts_are_bounded() -> None:
    with pytest.raises(FormatError, match=r"a header of 1048577 bytes is not hocket's"):
        wire.unpack([wire.MAGIC + bytes(wire.MOST_HEADER_BYTES - 3)])
    with pytest.raises(FormatError, match=r"a message has 1 to 4097 frames, got 5000"):
        wire.unpack([b""] * 5000)
    with pytest.raises(FormatError, match=r"a header does not decode"):
        wire.unpack([wire.MAGIC + msgspec.msgpack.encode(["data", "p", 3, 0, -1, 5, 1.5, 0.0, None])])


def test_every_message_has_its_own_tag() -> None:
    tags = [kind.__struct_config__.tag for kind in wire.Message.__subclasses__()]
    assert len(set(tags)) == len(tags)
