"""Pictures as codecs: uint8 tensors of shape HWC or NHWC with 1 or 3 channels, as PNG or JPEG.

A batch is one tall picture, so a tensor is always one file.
"""

import io
import math

import numpy as np

from hocket.errors import FormatError, PlanError

JPEG_QUALITY = 90
_MOST_SIDE = {"png": 2**31 - 1, "jpeg": 65500}


def encode_picture(codec: str, array: np.ndarray) -> bytes:
    """Write a tensor as a picture.

    Raises:
        PlanError: the tensor is not a picture.
    """
    from PIL import Image

    rows, width, channels = _as_picture(codec, array.dtype, array.shape)
    flat = np.ascontiguousarray(array).reshape((rows, width) if channels == 1 else (rows, width, channels))
    file = io.BytesIO()
    options = {"quality": JPEG_QUALITY} if codec == "jpeg" else {"compress_level": 1}
    Image.fromarray(flat).save(file, codec, **options)
    return file.getvalue()


def decode_picture(codec: str, kind: np.dtype, shape: tuple[int, ...], data: memoryview) -> np.ndarray:
    """Read a picture of exactly the declared shape.

    Raises:
        FormatError: the bytes are not such a picture.
    """
    from PIL import Image

    try:
        rows, width, channels = _as_picture(codec, kind, shape)
        with Image.open(io.BytesIO(data), formats=[codec]) as picture:
            # The header is read and compared before any pixel is decoded.
            if picture.size != (width, rows) or picture.mode != ("L" if channels == 1 else "RGB"):
                raise ValueError(f"it is {picture.mode} of {picture.size}")
            return np.asarray(picture).reshape(shape)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FormatError(
            f"{data.nbytes} bytes are not a {codec} of shape {list(shape)} ({error}); send it whole"
        ) from None


def _as_picture(codec: str, kind: np.dtype, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, width and channels of a tensor seen as one picture."""
    fits = kind == np.uint8 and len(shape) in (3, 4) and shape[-1] in (1, 3) and math.prod(shape) > 0
    if fits:
        rows = math.prod(shape[:-2])
        fits = max(rows, shape[-2]) <= _MOST_SIDE[codec]
    if not fits:
        raise PlanError(
            f"codec {codec!r} takes uint8 pictures of shape HWC or NHWC with 1 or 3 channels,"
            f" got {kind.name} {list(shape)}; use raw or raw+zlib"
        )
    return rows, shape[-2], shape[-1]
