"""Opening a language model, planned or not, and putting it on its nodes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from hocket.control.live.deploy import deploy
from hocket.control.live.session import LiveSession
from hocket.errors import FormatError, GraphError, PlanError
from hocket.graph.model import Model
from hocket.language.config import PRESETS, Precision
from hocket.language.distributed import DistributedReader
from hocket.language.divided import candidates_of, dividable
from hocket.language.gguf_file import load_gguf
from hocket.language.hugging_face import load_folder
from hocket.language.language_model import LanguageModel
from hocket.language.onnx_decoder import has_exported_decoder, load_exported_decoder
from hocket.language.planning import capacity_of
from hocket.runtime.fleet import Fleet
from hocket.solvers import Solution
from hocket.zoo.assets import ASSETS, fetch

PUBLISHED = tuple(name for name, asset in ASSETS.items() if asset.file.endswith(".gguf"))
"""Trained models that are fetched by name."""


def is_language_model(name: str) -> bool:
    """Whether `read_language_model` is meant where ONNX files are read too."""
    path = Path(name)
    return path.is_dir() or path.suffix == ".gguf" or name in PRESETS or name in PUBLISHED


def read_language_model(name: str, precision: str = "float32") -> LanguageModel:
    """A GGUF file, a folder of Hugging Face or with an ONNX export, a published model, or a preset with random weights.

    Args:
        name: which.
        precision: float32, float16, int8 or int4: how matrices are stored from now on, whatever the file has.

    Raises:
        FormatError: none of them, a broken file, or no such precision.
        AssetError: a published model cannot be fetched.
        MissingError: a package that reads it is not installed.
    """
    known = {given: given for given in get_args(Precision)}
    if precision not in known:
        raise FormatError(f"a precision is {', '.join(known)}, got {precision!r}; choose one of them")
    kept: Precision = known[precision]
    path = Path(name)
    if path.is_dir():
        load = load_exported_decoder if has_exported_decoder(path) else load_folder
        return load(path, precision=kept)
    if path.suffix == ".onnx":
        raise FormatError(
            f"an exported decoder is given by the folder with its config.json, and {name} is a file; give that folder"
        )
    if path.is_file():
        return load_gguf(path, precision=kept)
    if name in PUBLISHED:
        return load_gguf(fetch(name), precision=kept)
    if name in PRESETS:
        return LanguageModel(PRESETS[name].replace(precision=kept)).with_random_weights()
    raise FormatError(
        f"a language model is a GGUF file, a folder with config.json, or one of {', '.join((*PUBLISHED, *PRESETS))},"
        f" and {name!r} is none; correct the path"
    )


class LiveLanguageModel:
    """A language model on its nodes; it reads several texts at once, each with caches of its own.

    Args:
        model: with its weights.
        session: of the model that `dividable` made of it.
        fleet: its nodes.
        capacity: most tokens of a text.
    """

    def __init__(self, model: LanguageModel, session: LiveSession, fleet: Fleet, capacity: int) -> None:
        self.model, self.session, self.fleet, self.capacity = model, session, fleet, capacity

    def reader(self) -> DistributedReader:
        """One text; close it to give its caches back."""
        return DistributedReader(self.session, vocabulary=self.model.config.vocabulary, capacity=self.capacity)


@contextmanager
def open_language_model(
    solution: Solution, model: LanguageModel, *, divided: Model | None = None, **options: Any
) -> Iterator[LiveLanguageModel]:
    """Deploy a language model and keep it alive; what was started ends with the context.

    Args:
        solution: of a problem that `language_problem` made.
        model: with its weights.
        divided: what `dividable` made of it, to save its making.
        options: as for `hocket.deploy`.

    Raises:
        GraphError: no weights, or a plan of something else than a language model.
        PlanError: the plan is of another model.
        NodeError: a node cannot be started or reached.
    """
    if not model.weights:
        raise GraphError(f"generating takes weights, and {model.config.name!r} has none; load a model with weights")
    task = solution.problem.task
    capacity = capacity_of(task.graph)
    if divided is None:
        candidates = candidates_of(task.graph)
        divided = dividable(model, capacity=min(capacity, model.config.context), candidates=candidates)
    if divided.graph.weights != task.graph.weights:
        raise PlanError(
            f"a plan is run with the model that it is for, and {model.config.name!r} has other weights than"
            f" {task.name!r}; plan it anew"
        )
    with deploy(solution, models=divided, **options) as live:
        yield LiveLanguageModel(model, live.session, live.fleet, capacity)
