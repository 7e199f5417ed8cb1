"""From a PyTorch module to an ONNX file, keeping the module paths."""

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hocket.errors import FormatError, GraphError, MissingError

SCOPES = "pkg.torch.onnx.name_scopes"
"""Node metadata in which the exporter keeps the path of the module that a node came from."""


def capture(module: Any, args: Sequence[Any], path: str | Path, *, opset: int | None = None) -> Path:
    """Export a PyTorch module, in evaluation mode, to an ONNX file that hocket can read.

    Args:
        module: a `torch.nn.Module`; its mode is the same afterwards.
        args: example inputs, one for each parameter of `forward`, or a single tensor; their shapes become fixed.
        path: the ONNX file to write; weights beyond 2 GB go to a second file beside it.
        opset: ONNX operator set; PyTorch's choice if not given.

    Raises:
        MissingError: PyTorch or its exporter is not installed.
        GraphError: PyTorch cannot export this module.
        FormatError: the file cannot be written.
    """
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise GraphError(f"a torch.nn.Module is needed and this is a {type(module).__name__}; give the module itself")
    example = (args,) if isinstance(args, torch.Tensor) else tuple(args)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        program = torch.onnx.export(module, example, dynamo=True, opset_version=opset, verbose=False)
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        raise GraphError(
            f"PyTorch cannot export {type(module).__name__}: {_first_line(error)}; "
            "change the module, or give a model that is ONNX already"
        ) from error
    finally:
        for part, mode in modes:
            part.training = mode
    _keep_paths_only(program.model)
    return _save(program, Path(path))


def _torch() -> Any:
    missing = [name for name in ("torch", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingError(
            f"capturing a module needs {' and '.join(missing)}, not installed here; install hocket[torch]"
        )
    import torch

    return torch


def _first_line(error: Exception) -> str:
    """What went wrong first; the exporter's report goes on for pages."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0].rstrip(".;") if lines else type(cause).__name__


def _keep_paths_only(model: Any) -> None:
    """Of the exporter's metadata keep the module paths: the rest is large and names folders of this computer."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        scopes = node.metadata_props.get(SCOPES)
        node.metadata_props.clear()
        if scopes is not None:
            node.metadata_props[SCOPES] = scopes


def _save(program: Any, path: Path) -> Path:
    """Write beside the target, then move: the file at `path` is the old one or the new one."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            program.save(Path(folder) / path.name)
            written = sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name)
            for file in written:  # the weights first, the model that refers to them last
                file.replace(path.with_name(file.name))
    except OSError as error:
        raise FormatError(f"{path} cannot be written ({error.strerror}); give a path in a writable folder") from None
    return path
