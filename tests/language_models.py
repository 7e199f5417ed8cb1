"""Small language models for tests, and what they compute, written once more in plain numpy."""

from collections.abc import Mapping, Sequence

import numpy as np

from hocket.language.config import Config

Weights = Mapping[str, np.ndarray]


def reference_logits(config: Config, weights: Weights, tokens: Sequence[int]) -> np.ndarray:
    """Scores of what follows each token, float64 [tokens, vocabulary]: no cache, no operator of any library."""
    table = weights["token_embedding.weight"].astype(np.float64)
    x = table[list(tokens)]
    if config.family == "gpt2":
        x = x + weights["position_embedding.weight"][: len(tokens)]
    for layer in range(config.layers):
        block = f"block.{layer}"
        x = x + _attention(config, weights, block, _norm(config, weights, f"{block}.attention_norm", x))
        x = x + _mlp(config, weights, block, _norm(config, weights, f"{block}.mlp_norm", x))
    head = table if config.tied else weights["head.weight"].astype(np.float64)
    return _norm(config, weights, "norm", x) @ head.T


def _linear(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    bias = weights.get(f"{name}.bias")
    made = x @ weights[f"{name}.weight"].astype(np.float64)
    return made if bias is None else made + bias


def _norm(config: Config, weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    if config.family == "llama":
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + config.epsilon) * weights[f"{name}.weight"]
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + config.epsilon)
    return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _turned(config: Config, x: np.ndarray) -> np.ndarray:
    """Each pair of a head as a complex number, turned by its position: [tokens, heads, head size]."""
    half = config.head_size // 2
    slowed = np.array(config.rope.divisors or [1.0] * half) * config.rope.factor
    turns = config.rope.base ** (-np.arange(half) / half) / slowed
    angles = np.exp(1j * np.arange(len(x))[:, None, None] * turns)
    pairs = (x[..., :half] + 1j * x[..., half:]) * angles
    return np.concatenate([pairs.real, pairs.imag], axis=-1)


def _attention(config: Config, weights: Weights, block: str, x: np.ndarray) -> np.ndarray:
    count = len(x)
    query, key, value = (
        _linear(weights, f"{block}.{part}", x).reshape(count, -1, config.head_size)
        for part in ("query", "key", "value")
    )
    if config.family == "llama":
        query, key = _turned(config, query), _turned(config, key)
    made = np.empty_like(query)
    for head in range(config.heads):
        kept = head * config.kv_heads // config.heads
        scores = query[:, head] @ key[:, kept].T / np.sqrt(config.head_size)
        scores[np.triu_indices(count, 1)] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        made[:, head] = shares / shares.sum(-1, keepdims=True) @ value[:, kept]
    return _linear(weights, f"{block}.output", made.reshape(count, -1))


def _mlp(config: Config, weights: Weights, block: str, x: np.ndarray) -> np.ndarray:
    up = _linear(weights, f"{block}.up", x)
    if config.family == "llama":
        gate = _linear(weights, f"{block}.gate", x)
        return _linear(weights, f"{block}.down", gate / (1 + np.exp(-gate)) * up)
    bent = 0.5 * up * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
    return _linear(weights, f"{block}.down", bent)
