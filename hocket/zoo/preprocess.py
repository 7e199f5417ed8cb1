"""From a picture file to the input of an ImageNet classifier, and from its answer to classes."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hocket.errors import FormatError, MissingError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
RESIZED = 256
SIDE = 224


def picture_pixels(path: str | Path) -> npt.NDArray[np.uint8]:
    """The whole picture as 1 x height x width x 3 bytes.

    Raises:
        MissingError: Pillow is not installed.
        FormatError: the file is not a picture that Pillow can read.
    """
    return np.asarray(_open(Path(path)), dtype=np.uint8)[None]


def imagenet_pixels(path: str | Path) -> npt.NDArray[np.uint8]:
    """The picture as 1 x 224 x 224 x 3 bytes: shorter side to 256 pixels, centre crop.

    Raises:
        MissingError: Pillow is not installed.
        FormatError: the file is not a picture that Pillow can read.
    """
    image = _open(Path(path))
    width, height = (RESIZED * length // min(image.size) for length in image.size)
    left, top = round((width - SIDE) / 2), round((height - SIDE) / 2)
    image = image.resize((width, height), resample=_pillow().Resampling.BILINEAR)
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)), dtype=np.uint8)[None]


def imagenet_input(path: str | Path) -> npt.NDArray[np.float32]:
    """The picture as 1 x 3 x 224 x 224 floats: `imagenet_pixels` with ImageNet's mean and deviation taken out.

    Raises:
        MissingError: Pillow is not installed.
        FormatError: the file is not a picture that Pillow can read.
    """
    pixels = imagenet_pixels(path).astype(np.float32) / np.float32(255)
    normal = (pixels - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))


def top_classes(logits: npt.NDArray[np.float32], count: int = 5) -> list[tuple[int, float]]:
    """The likeliest classes with their softmax probabilities, likeliest first.

    >>> top_classes(np.array([[0.0, 2.0, 1.0]], np.float32), 2)
    [(1, 0.6652), (2, 0.2447)]
    """
    flat = logits.reshape(-1).astype(np.float64)
    odds = np.exp(flat - flat.max())
    shares = odds / odds.sum()
    order = np.argsort(-shares, kind="stable")[:count]
    return [(int(index), round(float(shares[index]), 4)) for index in order]


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingError("reading pictures needs Pillow, which is not installed; install hocket[image]") from None
    return Image


def _open(path: Path) -> Any:
    """The picture, wholly decoded, as RGB."""
    pillow = _pillow()
    try:
        with pillow.open(path) as image:
            # Pillow itself refuses only twice this size; a stated size this large is no photograph.
            if image.width * image.height > (pillow.MAX_IMAGE_PIXELS or 1 << 27):
                raise FormatError(f"{path} has {image.width} x {image.height} pixels, too many; give a smaller picture")
            return image.convert("RGB")
    except FileNotFoundError:
        raise FormatError(f"{path} does not exist; give the path of a picture") from None
    except FormatError:
        raise
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise FormatError(f"{path} is not a picture that can be read ({error}); give a PNG or JPEG file") from None
