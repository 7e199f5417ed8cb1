import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hocket.errors import FormatError, HocketError, PlanError
from hocket.runtime.codecs import available, decode, encode, lossless

FLOATS = [codec for codec in available() if codec.partition("+")[0] not in ("png", "jpeg", "laplace", "gaussian")]


def round_trip(codec: str, array: np.ndarray) -> np.ndarray:
    buffers, meta = encode(codec, array)
    return decode(codec, array.dtype.name, array.shape, [bytes(b) for b in buffers], meta)


@pytest.mark.parametrize("codec", FLOATS)
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (3, 5, 7)])
def test_every_codec_keeps_type_shape_and_its_error_bound(codec: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    out = round_trip(codec, array)
    assert out.dtype == array.dtype and out.shape == array.shape
    quantiser = codec.partition("+")[0]
    levels = (
        {"raw": 0, "float16": 0, "int8": 255}.get(quantiser) if "bits" not in quantiser else 2 ** int(quantiser[4:]) - 1
    )
    span = float(np.ptp(array)) if array.size else 0.0
    bound = span / levels / 2 * 1.001 if levels else (0 if quantiser == "raw" else 2e-3 * max(span, 4))
    assert np.abs(out - array).max(initial=0) <= bound + 1e-7


@given(
    hnp.arrays(st.sampled_from([np.float32, np.float64, np.float16]), hnp.array_shapes(max_side=6)),
    st.sampled_from(FLOATS),
)
@settings(max_examples=200, deadline=None)
def test_any_floats_travel_without_warnings_and_stay_within_their_range(array: np.ndarray, codec: str) -> None:
    out = round_trip(codec, array)
    if lossless(codec):
        np.testing.assert_array_equal(out, array)
    elif codec.startswith(("int8", "bits")):
        assert (
            np.isfinite(out).all() or not np.isfinite(np.float64(array)).all() or np.abs(np.float64(array)).max() > 6e4
        )


def test_nan_becomes_zero_and_infinities_the_ends_of_the_range() -> None:
    array = np.array([-1.0, np.nan, np.inf, -np.inf, 3.0], np.float32)
    np.testing.assert_allclose(round_trip("int8", array), [-1, 0, 3, -1, 3], atol=4 / 255)


@pytest.mark.parametrize("value", [0.0, 7.5, -3e38, np.nan])
def test_a_constant_tensor_is_exact_and_one_without_finite_values_is_zero(value: float) -> None:
    array = np.full((4, 4), value, np.float32)
    np.testing.assert_allclose(round_trip("bits3", array), np.nan_to_num(array), rtol=1e-6)


def test_codes_take_the_bits_that_their_names_say() -> None:
    array = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert len(encode("bits3", array)[0][0]) == 375
    assert len(encode("int8", array)[0][0]) == 1000


def test_raw_shares_the_memory_of_the_array() -> None:
    array = np.arange(6, dtype=np.float32)
    (buffer,), _ = encode("raw", array)
    assert np.shares_memory(np.frombuffer(buffer, np.float32), array)


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "complex64"])
def test_raw_takes_every_plain_type(dtype: str) -> None:
    array = np.array([[0, 1], [1, 1]]).astype(dtype)
    np.testing.assert_array_equal(round_trip("raw+zlib", array), array)


@pytest.mark.parametrize("shape", [(4, 6, 3), (2, 5, 7, 3), (5, 4, 1)])
def test_png_is_lossless_and_jpeg_is_near(shape: tuple[int, ...]) -> None:
    ramp = np.linspace(0, 255, int(np.prod(shape[:-1]))).reshape(*shape[:-1], 1)
    array = np.broadcast_to(ramp, shape).astype(np.uint8)
    np.testing.assert_array_equal(round_trip("png", array), array)
    assert np.abs(round_trip("jpeg", array).astype(int) - array).max() < 60


def test_a_picture_of_another_shape_is_refused_before_it_is_decoded() -> None:
    (data,), _ = encode("png", np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(FormatError, match=r"bytes are not a png of shape \[5, 5, 3\] \(it is RGB of \(50, 50\)\)"):
        decode("png", "uint8", (5, 5, 3), [data], ())


@pytest.mark.parametrize("packer", sorted({codec.partition("+")[2] for codec in available()} - {""}))
def test_a_decompression_bomb_is_bounded_by_the_declared_size(packer: str) -> None:
    (bomb,), _ = encode(f"raw+{packer}", np.zeros(50_000_000, np.uint8))
    with pytest.raises(FormatError, match=f"are not {packer} data of 16 bytes"):
        decode(f"raw+{packer}", "float32", (4,), [bomb], ())


def test_a_short_tensor_is_refused() -> None:
    with pytest.raises(FormatError, match=r"a raw tensor of shape \[4\] takes 16 bytes, got 15; send it whole"):
        decode("raw", "float32", (4,), [bytes(15)], ())
    with pytest.raises(FormatError, match=r"takes 16 bytes, got 8"):
        decode("raw+zlib", "float32", (4,), [zlib.compress(bytes(8))], ())


@given(
    st.sampled_from(available()),
    st.sampled_from(["float32", "uint8", "int64", "bool", "object", "V8", ""]),
    st.lists(st.integers(0, 2**40), max_size=4),
    st.lists(st.binary(max_size=64), max_size=3),
    st.lists(st.floats(), max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_hostile_tensors_are_refused_in_words(
    codec: str, dtype: str, shape: list[int], buffers: list[bytes], meta: list[float]
) -> None:
    try:
        out = decode(codec, dtype, shape, buffers, tuple(meta))
    except HocketError as error:
        assert str(error)
    else:
        assert out.dtype.name == dtype and out.shape == tuple(shape)


def test_codecs_that_do_not_exist_or_fit_are_refused() -> None:
    with pytest.raises(PlanError, match=r"there is no codec 'bits9'; use one of raw, raw\+zlib"):
        encode("bits9", np.zeros(3, np.float32))
    with pytest.raises(PlanError, match=r"codec 'int8' is for floating-point tensors, got int64; use raw or png"):
        encode("int8", np.zeros(3, np.int64))
    with pytest.raises(PlanError, match=r"codec 'png' takes uint8 pictures .* got float32 \[3\]"):
        encode("png", np.zeros(3, np.float32))
