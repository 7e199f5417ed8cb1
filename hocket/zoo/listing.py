"""The models that come with hocket."""

import difflib
from pathlib import Path

from hocket.errors import GraphError

_FOLDER = Path(__file__).parent / "models"
NAMES = tuple(sorted(path.stem for path in _FOLDER.glob("*.onnx")))


def model_path(name: str) -> Path:
    """The ONNX file of a zoo model.

    Raises:
        GraphError: there is none of that name.
    """
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, 1)
        remedy = f"did you mean {close[0]!r}?" if close else "`hocket zoo` lists them"
        raise GraphError(f"the zoo has no model {name!r}; {remedy}")
    return _FOLDER / f"{name}.onnx"
