"""Folders with an ONNX decoder as others export it: its weights are read, and our own graph is built of them.

The exported graph grows its caches by concatenation, or spells attention out in dozens of operators. Only its
weights are taken; `config.json` says the rest. That both compute the same is checked each time, by running both.
"""

from pathlib import Path

import numpy as np
import onnx_ir as ir
from google.protobuf.message import DecodeError

from hocket.errors import FormatError
from hocket.language.config import Config, Precision
from hocket.language.hugging_face import config_of, tokenizer_of
from hocket.language.language_model import LanguageModel
from hocket.language.naming import Source, weights_of
from hocket.language.onnx_decoder_check import compare, probe, scores_of_export
from hocket.language.onnx_decoder_constants import Constant
from hocket.language.onnx_decoder_roles import PACKED, find_weights
from hocket.nouns import decode_json, read_bytes

_FILES = ("model.onnx", "onnx/model.onnx")


def has_exported_decoder(folder: Path) -> bool:
    """Whether a folder has an ONNX model where exporters put it, and no safetensors, which would be read instead."""
    return not any(folder.glob("*.safetensors")) and any((folder / file).is_file() for file in _FILES)


def load_exported_decoder(folder: str | Path, *, precision: Precision = "float32") -> LanguageModel:
    """Read a decoder from a folder with config.json and model.onnx or onnx/model.onnx.

    Args:
        folder: as PyTorch, Optimum or the builder of onnxruntime-genai left it; tokenizer.json if there is one.
        precision: how matrices are stored from now on.

    Raises:
        FormatError: a file is missing or broken, the decoder of a kind that is not read, a weight is not found in the
            graph, or the graph computes something else than a decoder with these weights and this configuration.
    """
    folder = Path(folder)
    settings = folder / "config.json"
    if not settings.is_file():
        raise FormatError(
            f"an exported decoder is read with the config.json of its model, and {folder} has none; copy it there"
        )
    fields = decode_json(read_bytes(settings), name=str(settings))
    path = next((folder / file for file in _FILES if (folder / file).is_file()), folder / _FILES[0])
    exported = _read(path)
    tensors = _Tensors(path, config_of(folder, fields), find_weights(exported.graph))
    config = tensors.config
    # Weights first: a shape that does not fit is told before anything is run.
    model = LanguageModel(config, weights_of(config, tensors), tokenizer_of(folder, fields))
    tokens = probe(config)
    expected = scores_of_export(exported, config, tokens)
    compare(path, model, tokens, expected)
    if precision == config.precision:
        return model
    kept = config.replace(precision=precision)
    return LanguageModel(kept, weights_of(kept, tensors), model.tokenizer)


def _read(path: Path) -> ir.Model:
    try:
        model = ir.load(path.absolute())  # beside a bare file name, data would be looked for everywhere
        count = sum(1 for _ in model.graph)
    except (DecodeError, ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FormatError(f"{path} is not an ONNX model ({reason}); export the model again") from None
    if not count:
        raise FormatError(f"{path} is not an ONNX model (it holds no operator); export the model again")
    return model


class _Tensors(Source):
    """Weights by the names of the builder, float32.

    Raises:
        FormatError: the graph has fewer or more layers than the configuration, or no table or last product.
    """

    def __init__(self, path: Path, config: Config, found: dict[str, Constant]) -> None:
        self._path, self._found = path, found
        self.config = config
        layers = {name.split(".")[1] for name in found if name.startswith("block.")}
        if len(layers) != config.layers:
            raise FormatError(
                f"config.json tells of {config.layers} layers, and weights of {len(layers)} were found in {path}; give"
                " the config.json of this model, exported by PyTorch, Optimum or onnxruntime-genai"
            )
        self.config = config.replace(tied=self._is_tied())

    def _is_tied(self) -> bool:
        """Rounding may untie what config.json ties, so the data decide."""
        head = self._found.get("head")
        if head is None:
            self._given("token_embedding" if self.config.tied else "head")
            return True
        table = self._given("token_embedding")
        if head.tensor is table.tensor and head.turned == table.turned:
            return True
        return head.shape == table.shape and np.array_equal(head.read(), table.read())

    def matrix(self, name: str) -> np.ndarray:
        """[outputs, inputs]."""
        return self._part(name, "")

    def vector(self, name: str) -> np.ndarray:
        """A scale, a bias, or the table of positions."""
        owner, _, suffix = name.rpartition(".")
        return self._part(owner, f".{suffix}")

    def _part(self, owner: str, suffix: str) -> np.ndarray:
        block, _, part = owner.rpartition(".")
        packed = self._found.get(f"{block}.{PACKED}{suffix}")
        widths = {"query": self.config.query_width, "key": self.config.kv_width, "value": self.config.kv_width}
        if part not in widths or packed is None or f"{owner}{suffix}" in self._found:
            return self._given(f"{owner}{suffix}").read()
        if packed.shape[0] != sum(widths.values()):
            raise FormatError(
                f"queries, keys and values of the configuration are {sum(widths.values())} wide together, and"
                f" {packed.name!r} in {self._path} has {packed.shape[0]} rows; give the config.json of this model"
            )
        start = sum(list(widths.values())[: list(widths).index(part)])
        return packed.read()[start : start + widths[part]]

    def _given(self, name: str) -> Constant:
        if name not in self._found:
            words = name.split(".")
            called = f"{'.'.join(words[2:])!r} of layer {words[1]}" if words[0] == "block" else repr(name)
            raise FormatError(
                f"every weight is found in the graph, and {self._path} has none that is the {called}; export"
                " it by PyTorch, Optimum or onnxruntime-genai, with its names"
            )
        return self._found[name]
