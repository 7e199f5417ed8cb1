"""The command that measures what tensors give away of private inputs."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hocket import view
from hocket.cli.common import Json, ModelArgument, Shapes, parse_shapes, print_json, progress_bar, read_model
from hocket.errors import FormatError
from hocket.privacy import leakage as measure_leakage
from hocket.privacy.inversion import Attack


def leakage(
    model: ModelArgument,
    tensor: Annotated[
        list[str] | None, typer.Option(help="Attack this tensor; default: every place where the model can be cut.")
    ] = None,
    codec: Annotated[list[str] | None, typer.Option(help="As this codec leaves it; default raw.")] = None,
    inputs: Annotated[
        Path | None, typer.Option(help="A .npy file, count x shape of the input; without it drawings.")
    ] = None,
    held_out: Annotated[float, typer.Option(help="Share of the inputs that the attacker has not.")] = 0.25,
    steps: Annotated[int, typer.Option(min=1, help="How long the attacker learns.")] = Attack().steps,
    shape: Shapes = None,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the table here.")] = None,
    json: Json = False,
) -> None:
    """Measure how much of the input an attack gets back from tensors; problem files read the table."""
    with progress_bar(quiet=json) as tell:
        table = measure_leakage(
            read_model(model, parse_shapes(shape)),
            tensor or None,
            _array(inputs),
            codecs=tuple(codec or ["raw"]),
            held_out=held_out,
            attack=Attack(steps=steps),
            seed=seed,
            progress=tell,
        )
    if output:
        table.save(output)
    if json:
        print_json(table)
        return
    rows: list[dict[str, Any]] = [
        {
            "tensor": entry.tensor,
            "codec": entry.codec,
            "depth": entry.depth,
            "leakage": f"{entry.leakage:.3f}",
            "ssim": "" if entry.ssim is None else f"{entry.ssim:.3f}",
            "answers changed": "" if entry.changed is None else f"{100 * entry.changed:.1f} %",
        }
        for entry in table.entries
    ]
    view.print_table(f"{table.model}: what {table.held_out} inputs leak, {table.attack}", rows)


def _array(path: Path | None) -> np.ndarray | None:
    """Numbers from a file, and nothing that has to be executed."""
    if path is None:
        return None
    try:
        found = np.load(path, allow_pickle=False)
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror}); give the path of a readable file") from None
    except (ValueError, EOFError):
        raise FormatError(f"{path} is no array of numbers; write it with numpy.save") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        raise FormatError(f"{path} is no array of numbers; write it with numpy.save")
    return found


COMMANDS = (leakage,)
