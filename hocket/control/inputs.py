"""Inputs of a model from a file: numpy arrays, or a picture."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hocket.errors import FormatError
from hocket.graph import Graph
from hocket.graph.execute import checked_inputs
from hocket.zoo.preprocess import imagenet_input

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_STARTS = (b"\x93NUMPY", b"PK")


def read_inputs(graph: Graph, path: str | Path) -> dict[str, np.ndarray]:
    """Read the inputs of a model.

    Args:
        graph: says what they must be.
        path: `.npy` for a model with one input, `.npz` with an array for each, or a picture for a model whose one
            input is 1x3xHxW float32 (scaled and normalised as ImageNet classifiers expect) or 1xHxWx3 uint8.

    Raises:
        FormatError: not such a file.
        GraphError: the arrays are not the inputs of the model.
    """
    path = Path(path)
    if path.suffix.lower() in PICTURES:
        return checked_inputs(graph, {_only(graph, path): imagenet_input(path)})
    data = _arrays(path)
    if isinstance(data, np.ndarray):
        data = {_only(graph, path): data}
    return checked_inputs(graph, data)


def _arrays(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of an `.npy` file, or those of an `.npz` file by their names."""
    try:
        # Opened here, because numpy leaves a broken archive open.
        with path.open("rb") as file:
            if not file.peek(8).startswith(_STARTS):
                raise ValueError("it starts like neither .npy nor .npz")
            data = np.load(file, allow_pickle=False)
            return data if isinstance(data, np.ndarray) else {name: _member(data, name) for name in data.files}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, MemoryError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reason = " ".join(said.split())[:120]
        raise FormatError(f"{path} holds no numpy arrays ({reason}); give an .npy, .npz or picture file") from None


def _member(data: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    array = data[name]
    if not isinstance(array, np.ndarray):  # numpy hands on what is no array as bytes
        raise ValueError(f"{name} is no array")
    return array


def _only(graph: Graph, path: Path) -> str:
    if len(graph.inputs) != 1:
        names = ", ".join(tensor.name for tensor in graph.inputs)
        raise FormatError(f"{path} holds one array and the model has the inputs {names}; give an .npz with all of them")
    return graph.inputs[0].name
