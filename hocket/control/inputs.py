"""Inputs of a model from a file: numpy arrays, or a picture."""

import zipfile
from pathlib import Path

import numpy as np

from hocket.errors import FormatError
from hocket.graph import Graph
from hocket.graph.execute import checked_inputs
from hocket.zoo.preprocess import imagenet_input

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


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
    try:
        data = np.load(path, allow_pickle=False)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        reason = " ".join(str(error).split())[:120]
        raise FormatError(f"{path} holds no numpy arrays ({reason}); give an .npy, .npz or picture file") from None
    if isinstance(data, np.ndarray):
        return checked_inputs(graph, {_only(graph, path): data})
    with data:
        return checked_inputs(graph, {name: data[name] for name in data.files})


def _only(graph: Graph, path: Path) -> str:
    if len(graph.inputs) != 1:
        names = ", ".join(tensor.name for tensor in graph.inputs)
        raise FormatError(f"{path} holds one array and the model has the inputs {names}; give an .npz with all of them")
    return graph.inputs[0].name
