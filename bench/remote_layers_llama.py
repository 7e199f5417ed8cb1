"""The llama.cpp side of bench/remote_layers.py: a worker of its RPC backend, or the reader that divides a model on two.

    python bench/remote_layers_llama.py serve HOST:PORT
    python bench/remote_layers_llama.py read FILE.gguf FIRST ALL HOST:PORT HOST:PORT

Needs llama_cpp, built with GGML_RPC. The reader takes {"prompt": tokens, "most": count} and tells the tokens that
follow and when each came.
"""

import ctypes
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

CAPACITY = 256
_FOLDER = Path(llama_cpp.__file__).parent / "lib"
_CPU = 0
"""Of ggml's kinds of devices."""
_ERROR = 4
"""Of ggml's levels of messages."""


def library(name: str, function: str, result: Any, *arguments: Any) -> Any:
    """A function of ggml that the package has no name for."""
    found = getattr(ctypes.CDLL(str(_FOLDER / f"lib{name}.so")), function)
    found.restype, found.argtypes = result, arguments
    return found


@llama_cpp.llama_log_callback
def log(level: int, text: bytes, _: Any) -> None:
    """Errors alone: the rest is hundreds of lines."""
    if level == _ERROR:
        sys.stderr.write(text.decode(errors="replace"))


def serve(endpoint: str) -> None:
    """Serve one device with one thread until nobody gives lines any more."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    device = library("ggml", "ggml_backend_dev_by_type", ctypes.c_void_p, ctypes.c_int)(_CPU)
    devices = (ctypes.c_void_p * 1)(device)
    start = library(
        "ggml-rpc", "ggml_backend_rpc_start_server", None,
        ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p,
    )  # fmt: skip
    start(endpoint.encode(), None, 1, 1, devices)


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


class Reader:
    """A model whose layers are on two workers; this process computes no layer.

    Args:
        path: a GGUF file.
        first: layers of the first worker; the other has the rest and the scores.
        layers: of the model.
        endpoints: of the workers.
    """

    def __init__(self, path: str, first: int, layers: int, endpoints: Sequence[str]) -> None:
        llama_cpp.llama_log_set(log, None)
        llama_cpp.llama_backend_init()
        add = library("ggml-rpc", "ggml_backend_rpc_add_server", ctypes.c_void_p, ctypes.c_char_p)
        register = library("ggml", "ggml_backend_register", None, ctypes.c_void_p)
        device = library("ggml-base", "ggml_backend_reg_dev_get", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
        workers = [add(endpoint.encode()) for endpoint in endpoints]
        for worker in workers:
            register(worker)
        self._devices = (ctypes.c_void_p * 3)(*(device(worker, 0) for worker in workers), None)
        parameters = llama_cpp.llama_model_default_params()
        # The scores count as one more layer. A half keeps the border off the layers' own numbers, which are rounded.
        self._shares = (ctypes.c_float * llama_cpp.llama_max_devices())(first - 0.5, layers + 1 - first + 0.5)
        parameters.devices = ctypes.cast(self._devices, ctypes.c_void_p)
        parameters.n_gpu_layers = layers + 1
        parameters.split_mode = llama_cpp.LLAMA_SPLIT_MODE_LAYER
        parameters.tensor_split = self._shares
        self._model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
        context = llama_cpp.llama_context_default_params()
        context.n_ctx = CAPACITY
        context.n_threads = context.n_threads_batch = 1
        self._context = llama_cpp.llama_init_from_model(self._model, context)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))

    def continue_text(self, prompt: Sequence[int], most: int) -> tuple[list[int], list[float]]:
        """The likeliest tokens, one after the other, and when each came."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        tokens: list[int] = []
        times_s: list[float] = []
        new = list(prompt)
        for _ in range(most):
            array = (llama_cpp.llama_token * len(new))(*new)
            if llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(array, len(new))):
                raise RuntimeError("llama.cpp cannot read these tokens")
            scores = llama_cpp.llama_get_logits_ith(self._context, -1)
            new = [int(np.argmax(np.ctypeslib.as_array(scores, (self._vocabulary,))))]
            times_s.append(time.perf_counter())
            tokens += new
        return tokens, times_s


def read(path: str, first: str, layers: str, *endpoints: str) -> None:
    """Answer each line."""
    reader = Reader(path, int(first), int(layers), endpoints)
    print(json.dumps({"version": llama_cpp.__version__}), flush=True)
    for line in sys.stdin:
        tokens, times_s = reader.continue_text(**json.loads(line))
        print(json.dumps({"tokens": tokens, "times_s": times_s}), flush=True)


if __name__ == "__main__":
    {"serve": serve, "read": read}[sys.argv[1]](*sys.argv[2:])
