"""The tensors of a local folder with safetensors files."""

from pathlib import Path
from typing import Any

import numpy as np

from hocket.errors import FormatError, MissingError


class Folder:
    """Tensors by name, from all of the folder's files; they are read when they are asked for.

    Raises:
        FormatError: a file that is not whole.
        MissingError: the package safetensors is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            file = _opened(path)
            self._files |= dict.fromkeys(file.keys(), file)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def read(self, name: str) -> np.ndarray:
        """A tensor as float32.

        Raises:
            FormatError: it is missing or broken.
        """
        if name not in self._files:
            raise FormatError(f"{self.folder} lacks the tensor {name!r}; fetch the whole model")
        try:
            return np.asarray(self._files[name].get_tensor(name)).astype(np.float32)
        except Exception as error:  # noqa: BLE001 (border: the library raises a kind of its own for each fault)
            raise FormatError(f"tensor {name!r} of {self.folder} cannot be read ({error}); fetch it again") from None


def _opened(path: Path) -> Any:
    try:
        import safetensors
    except ImportError:
        raise MissingError(
            "weights of Hugging Face need the package safetensors, which is missing; install hocket[language]"
        ) from None
    try:
        return safetensors.safe_open(path, framework="numpy")
    except (safetensors.SafetensorError, OSError) as error:
        raise FormatError(f"{path} is not a whole safetensors file ({error}); fetch it again") from None
