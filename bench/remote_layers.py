"""A language model of four bits over two workers against llama.cpp's RPC backend, tokens per second.

`HOCKET_LLAMA_CPP` names a Python that has llama_cpp with that backend: `python -m venv llama`, then
`CMAKE_ARGS="-DGGML_RPC=ON -DLLAVA_BUILD=OFF" llama/bin/pip install --no-binary llama-cpp-python llama-cpp-python`.
"""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from bench.cutting import CPUS
from bench.language import even
from bench.peers import Peer, has, pairs_of, row, skipped
from bench.setup import two_nodes
from bench.table import Row
from bench.texts import Text, ours, theirs
from hocket.control.live.state import Rules
from hocket.cost import Problem, evaluate
from hocket.graph.model import Model
from hocket.language.divided import dividable
from hocket.language.gguf_file import load_gguf
from hocket.language.language_model import LanguageModel
from hocket.language.live import LiveLanguageModel, open_language_model
from hocket.language.planning import language_problem
from hocket.solvers import Solution
from hocket.zoo.assets import fetch

CAPACITY, TOKENS, PAIRS, TARGET = 256, 32, 9, 1.0
PROMPT = "Once upon a time"
FIGURE = "SmolLM2 135M, 4 bits, 2 workers: tokens/s / llama.cpp RPC"
_PATIENCE_S = 60.0


def rows() -> list[Row]:
    """One row."""
    return [compared(PAIRS)]


def compared(pairs: int) -> Row:
    """Tokens per second of both, in alternating pairs."""
    python = os.environ.get("HOCKET_LLAMA_CPP", "")
    if not python or not has(python, "llama_cpp"):
        return skipped(FIGURE, TARGET, "no llama.cpp; name a Python that has llama_cpp in HOCKET_LLAMA_CPP")
    path = fetch("smollm2_135m_instruct")
    model = load_gguf(path, precision="int4")
    prompt = model.tokenizer.encode(PROMPT) if model.tokenizer else []
    layers = model.config.layers
    with _live(model) as live, _llama(python, path, layers) as (reader, version):
        same = _same(_ours(live, prompt).tokens, theirs(reader, prompt, TOKENS).tokens)
        rates = pairs_of(
            lambda: _ours(live, prompt).tokens_per_s, lambda: theirs(reader, prompt, TOKENS).tokens_per_s, pairs
        )
    note = (
        f"{layers // 2} of {layers} layers on each, 1 thread each, loopback, nothing emulated; {len(prompt)} tokens,"
        f" then {TOKENS} chosen greedily, the first not counted; llama-cpp-python {version}. Weights differ: theirs as"
        " in the file (Q4_1: blocks of 32 with a scale and a float minimum; scores Q8_0), ours int4 of ONNX Runtime"
        f" made from these, scores too, which costs accuracy; the first {same} tokens are the same"
    )
    return row(FIGURE, rates, TARGET, "tokens/s", note)


@contextmanager
def _live(model: LanguageModel) -> Iterator[LiveLanguageModel]:
    divided: Model = dividable(model, capacity=CAPACITY)
    problem: Problem = language_problem(divided.graph, two_nodes(), capacity=CAPACITY)
    plan = even(problem, list(CPUS))
    solution = Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="chain_dp")
    rules = Rules(standby="none", keep=8)
    options = {"policy": "static", "rules": rules, "emulate": False, "cpus": CPUS}
    with open_language_model(solution, model, divided=divided, **options) as live:
        yield live


@contextmanager
def _llama(python: str, path: Path, layers: int) -> Iterator[tuple[Peer, str]]:
    """Two workers and their reader, and the version of the package."""
    script = "remote_layers_llama.py"
    endpoints = [f"127.0.0.1:{port}" for port in _free_ports(len(CPUS))]
    with ExitStack() as stack:
        for endpoint, cpu in zip(endpoints, CPUS.values(), strict=True):
            stack.enter_context(Peer(python, script, ["serve", endpoint], cpu))
        for endpoint in endpoints:
            _wait_for(endpoint)
        reader = stack.enter_context(
            Peer(python, script, ["read", str(path), str(layers // 2), str(layers), *endpoints])
        )
        yield reader, str(reader.answer()["version"])


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = [stack.enter_context(closing(socket.create_server(("127.0.0.1", 0)))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in found]


def _wait_for(endpoint: str) -> None:
    """Until somebody takes connections there."""
    host, _, port = endpoint.partition(":")
    end_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.1)


def _ours(live: LiveLanguageModel, prompt: Sequence[int]) -> Text:
    with live.reader() as reader:
        return ours(reader, prompt, TOKENS)


def _same(mine: Sequence[int], yours: Sequence[int]) -> int:
    """How many tokens are the same before the first that is not."""
    return next((i for i, (one, other) in enumerate(zip(mine, yours, strict=True)) if one != other), len(mine))
