"""How a tensor travels: as it is, with fewer bits or with noise, compressed without loss, or as a picture.

A codec's name is a quantiser (`raw`, `float16`, `int8`, `bits1` ... `bits8`) or a mechanism with its parameters
(`laplace:epsilon=8:norm=4`, see `runtime.noise`), optionally followed by a compressor (`+zlib`, `+zstd`, `+lz4`), or a
picture format (`png`, `jpeg`) for uint8 tensors of shape HWC or NHWC.

Quantisers work on floating-point tensors; each has one scale for the whole tensor, from its least and largest finite
value. NaN becomes the zero of the tensor's range, an infinity the end of it. What arrives is never trusted: sizes
are computed from the declared shape and checked before anything is allocated.
"""

import importlib.util
import math
import sys
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from hocket.errors import FormatError, MissingError, PlanError
from hocket.runtime.noise import MECHANISMS, noise_of, noised
from hocket.runtime.pictures import decode_picture, encode_picture

Buffer = bytes | memoryview
Meta = tuple[float, ...]
"""What the decoder must know besides the declared dtype and shape: (least value, step) of a quantiser."""

QUANTISERS = ("raw", "float16", "int8", *(f"bits{bits}" for bits in range(1, 9)))
PICTURES = ("png", "jpeg")
DTYPES = frozenset(
    ["bool", "float16", "float32", "float64", "complex64", "complex128"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
_ZLIB_LEVEL = 1  # level 6 gains a few per cent on activations and takes about four times as long
_PACKAGES = {"zstd": "zstandard", "lz4": "lz4"}


@cache
def available() -> tuple[str, ...]:
    """Names of the codecs that this node can both write and read, those that add noise without their parameters."""
    packers = ["", "+zlib", *(f"+{name}" for name, package in _PACKAGES.items() if _has(package))]
    pictures = PICTURES if _has("PIL") else ()
    return (*(quantiser + packer for quantiser in (*QUANTISERS, *MECHANISMS) for packer in packers), *pictures)


def family(codec: str) -> str:
    """What a node must have to understand a codec: its name without parameters.

    >>> family("laplace:epsilon=8:norm=4+zlib"), family("bits4")
    ('laplace+zlib', 'bits4')
    """
    quantiser, plus, packer = codec.partition("+")
    return quantiser.partition(":")[0] + plus + packer


def require(codec: str) -> None:
    """Refuse a codec that this node lacks.

    Raises:
        PlanError: there is no such codec, or it has no such parameters.
        MissingError: its package is not installed here.
    """
    quantiser, _, packer = codec.partition("+")
    mechanism = quantiser.partition(":")[0]
    if mechanism in MECHANISMS:
        noise_of(quantiser)
    known = family(codec) if mechanism in MECHANISMS else codec
    if known in available():
        return
    package = _PACKAGES.get(packer, "pillow" if codec in PICTURES else "")
    if package and (mechanism in (*QUANTISERS, *MECHANISMS) or codec in PICTURES):
        raise MissingError(f"codec {codec!r} needs the package {package!r}, which is not installed; install it")
    raise PlanError(f"there is no codec {codec!r}; use one of {', '.join(available())}")


def lossless(codec: str) -> bool:
    """Whether the decoded tensor equals the encoded one bit for bit."""
    return codec.partition("+")[0] in ("raw", "png")


def encode(codec: str, array: np.ndarray) -> tuple[list[Buffer], Meta]:
    """Write a tensor.

    Returns:
        The bytes, as buffers that may share the array's memory, and the decoder's metadata.

    Raises:
        PlanError: the codec does not exist or does not fit the tensor.
        MissingError: its package is not installed.
    """
    require(codec)
    if codec in PICTURES:
        return [encode_picture(codec, array)], ()
    quantiser, _, packer = codec.partition("+")
    codes, meta = _quantise(quantiser, array)
    data = bytes_of(codes)
    return [_packer(packer)(data)] if packer else [data], meta


_MOST_ELEMENTS = 1 << 50


def decode(codec: str, dtype: str, shape: Sequence[int], buffers: Sequence[Buffer], meta: Meta) -> np.ndarray:
    """Read a tensor, of the declared type and shape or not at all.

    Raises:
        FormatError: the bytes do not hold such a tensor.
        PlanError: the codec does not exist.
        MissingError: its package is not installed.
    """
    require(codec)
    if dtype not in DTYPES:
        raise FormatError(f"a tensor has a plain numpy type, not {dtype!r}; give one like float32")
    kind, shape = np.dtype(dtype), tuple(shape)
    # numpy refuses even an empty array whose other lengths multiply to more than it can address.
    if any(length < 0 for length in shape) or math.prod(max(length, 1) for length in shape) >= _MOST_ELEMENTS:
        raise FormatError(f"a tensor has fewer than 2^50 elements, got the shape {list(shape)}; send it in parts")
    if codec in PICTURES:
        return decode_picture(codec, kind, shape, _one(buffers))
    quantiser, _, packer = codec.partition("+")
    coded = kind if quantiser == "raw" else _coded_type(quantiser, kind)
    count = math.prod(shape)
    nbytes = _packed_bytes(quantiser, count) if quantiser.startswith("bits") else count * coded.itemsize
    data = _unpack(packer, _one(buffers), nbytes) if packer else _one(buffers)
    if data.nbytes != nbytes:
        raise FormatError(
            f"a {codec} tensor of shape {list(shape)} takes {nbytes} bytes, got {data.nbytes}; send it whole"
        )
    flat = np.frombuffer(data, coded)
    if not flat.flags.aligned:
        flat = flat.copy()
    return _dequantise(quantiser, flat, kind, count, meta).reshape(shape)


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array in row-major order; a contiguous one is not copied."""
    flat: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return memoryview(flat)


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _one(buffers: Sequence[Buffer]) -> memoryview:
    """Several buffers as one; a single buffer is not copied."""
    if len(buffers) == 1:
        return memoryview(buffers[0]).cast("B")
    return memoryview(b"".join(buffers))


# ---------------------------------------------------------------- quantisers


def _levels(quantiser: str) -> int:
    return 255 if quantiser == "int8" else 2 ** int(quantiser.removeprefix("bits")) - 1


def _packed_bytes(quantiser: str, count: int) -> int:
    return -(-count * int(quantiser.removeprefix("bits")) // 8)


def _coded_type(quantiser: str, kind: np.dtype) -> np.dtype:
    if kind.kind != "f":
        raise FormatError(f"codec {quantiser!r} is for floating-point tensors, got {kind.name}; use raw or raw+zlib")
    if quantiser.startswith(MECHANISMS):
        return kind
    return np.dtype(np.float16) if quantiser == "float16" else np.dtype(np.uint8)


def _quantise(quantiser: str, array: np.ndarray) -> tuple[np.ndarray, Meta]:
    if quantiser == "raw":
        return array, ()
    if array.dtype.kind != "f":
        raise PlanError(f"codec {quantiser!r} is for floating-point tensors, got {array.dtype.name}; use raw or png")
    if quantiser.startswith(MECHANISMS):
        return noised(noise_of(quantiser), array), ()
    if quantiser == "float16":
        most = np.finfo(np.float16).max
        return np.asarray(np.clip(array, -most, most), np.float16), ()
    levels = _levels(quantiser)
    low, step = _scale(array, levels)
    exact = np.dtype(np.float64 if array.dtype == np.float64 else np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # infinity - infinity; replaced in the next line
        codes: np.ndarray = (array.reshape(-1).astype(exact) - low) / step
    codes = np.nan_to_num(codes, copy=False, nan=-low / step, posinf=levels, neginf=0)
    codes = np.clip(np.rint(codes, out=codes), 0, levels, out=codes).astype(np.uint8)
    if quantiser == "int8":
        return codes, (low, step)
    return _pack_bits(codes, levels.bit_length()), (low, step)


def _scale(array: np.ndarray, levels: int) -> tuple[float, float]:
    """Least finite value and the step between two codes; the step of a constant tensor is 1."""
    if array.size == 0:
        return 0.0, 1.0
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = array[np.isfinite(array)]
        if finite.size == 0:
            return 0.0, 1.0
        low, high = float(finite.min()), float(finite.max())
    # Not (high - low) / levels, which may overflow; with one level even this may.
    step = min(high / levels - low / levels, sys.float_info.max)
    return low, step if step >= 1e-30 else 1.0


def _dequantise(quantiser: str, codes: np.ndarray, kind: np.dtype, count: int, meta: Meta) -> np.ndarray:
    if quantiser == "raw":
        if kind.kind == "b" and codes.view(np.uint8).max(initial=0) > 1:
            raise FormatError("a boolean tensor holds bytes 0 and 1 only; send it as the encoder writes it")
        return codes
    if quantiser == "float16" or quantiser.startswith(MECHANISMS):
        return codes.astype(kind, copy=False)
    if len(meta) != 2 or not all(math.isfinite(number) for number in meta):
        raise FormatError(f"codec {quantiser!r} needs two finite numbers, least value and step, got {meta}")
    if quantiser != "int8":
        codes = _unpack_bits(codes, _levels(quantiser).bit_length(), count)
    low, step = meta
    # One table of all values instead of arithmetic on every element.
    with np.errstate(over="ignore"):
        table = (low + step * np.arange(_levels(quantiser) + 1)).astype(kind)
    values: np.ndarray = table[codes]
    return values


def _pack_bits(codes: np.ndarray, bits: int) -> np.ndarray:
    planes = np.unpackbits(codes[:, None], axis=1)[:, 8 - bits :]
    return np.packbits(planes.reshape(-1))


def _unpack_bits(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    planes = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    shifts = (1 << np.arange(bits - 1, -1, -1)).astype(np.uint8)
    codes: np.ndarray = (planes * shifts).sum(axis=1, dtype=np.uint8)
    return codes


# ---------------------------------------------------------------- compressors


def _packer(name: str) -> Callable[[memoryview], bytes]:
    if name == "zlib":
        return lambda data: zlib.compress(data, _ZLIB_LEVEL)
    if name == "zstd":
        import zstandard

        return lambda data: bytes(zstandard.ZstdCompressor(level=1).compress(data))
    import lz4.block

    return lambda data: bytes(lz4.block.compress(data, store_size=False))


def _unpack(name: str, data: memoryview, nbytes: int) -> memoryview:
    """Decompress into at most `nbytes`, so that a small message cannot become a large tensor."""
    unpackers = {"zlib": _unzlib, "zstd": _unzstd, "lz4": _unlz4}
    try:
        return unpackers[name](data, nbytes)
    except (zlib.error, ValueError, EOFError, MemoryError, OverflowError) as error:
        raise FormatError(
            f"{data.nbytes} bytes are not {name} data of {nbytes} bytes ({error}); send them whole"
        ) from None


def _unlz4(data: memoryview, nbytes: int) -> memoryview:
    import lz4.block

    try:
        return memoryview(lz4.block.decompress(data, uncompressed_size=nbytes))
    except lz4.block.LZ4BlockError as error:
        raise ValueError(str(error)) from None


def _unzlib(data: memoryview, nbytes: int) -> memoryview:
    inflater = zlib.decompressobj()
    out = inflater.decompress(data, nbytes) if nbytes else b""
    if nbytes and (not inflater.eof and inflater.decompress(inflater.unconsumed_tail, 1)):
        raise ValueError("it holds more")
    return memoryview(out)


def _unzstd(data: memoryview, nbytes: int) -> memoryview:
    import zstandard

    try:
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(data) as reader:
            out = reader.read(nbytes + 1)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    if len(out) > nbytes:
        raise ValueError("it holds more")
    return memoryview(out)
