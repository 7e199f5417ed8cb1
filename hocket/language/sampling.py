"""Choosing the next token from its scores."""

from typing import Annotated

import msgspec
import numpy as np

from hocket.errors import GraphError
from hocket.nouns import Value


class Sampling(Value, frozen=True):
    """How the next token is chosen."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0
    """0 = always the likeliest; 1 = as the model says."""
    top_k: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Only so many of the likeliest; 0 = all."""
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Only the fewest likeliest that have this probability together (Holtzman et al. 2020, arXiv:1904.09751)."""
    seed: Annotated[int, msgspec.Meta(ge=0, lt=1 << 64)] | None = None
    """The same choices for the same scores; None = others each time."""


GREEDY = Sampling()


class Sampler:
    """Chooses tokens one after the other.

    >>> Sampler(GREEDY).choose(np.array([0.1, 2.0, 1.0], np.float32))
    1
    """

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = np.random.default_rng(sampling.seed)

    def choose(self, logits: np.ndarray) -> int:
        """The next token.

        Args:
            logits: one score for each token, [vocabulary].

        Raises:
            GraphError: no score is a finite number.
        """
        sampling = self._sampling
        if sampling.temperature == 0:
            token = int(np.argmax(logits))
            _check(logits[token])
            return token
        tokens, chances = kept(logits, sampling)
        place = int(np.searchsorted(np.cumsum(chances), self._random.random(), side="right"))
        return int(tokens[min(place, len(tokens) - 1)])  # the sum of the chances may be a little less than 1


def kept(logits: np.ndarray, sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that may be chosen, likeliest first, and their probabilities, which add up to 1.

    Probabilities are those after the temperature; `top_k` cuts before `top_p`.

    >>> tokens, chances = kept(np.log([0.1, 0.6, 0.3]), Sampling(temperature=1.0, top_k=2))
    >>> tokens.tolist(), chances.round(3).tolist()
    ([1, 2], [0.667, 0.333])
    """
    scores = logits.astype(np.float64)
    _check(scores.max())
    count = len(scores)
    if 0 < sampling.top_k < count:
        tokens = np.argpartition(-scores, sampling.top_k - 1)[: sampling.top_k]
        tokens = tokens[np.argsort(-scores[tokens], kind="stable")]
    else:
        tokens = np.argsort(-scores, kind="stable")
    scores = scores[tokens]
    # The highest score is taken off before it is divided: a small temperature overflows otherwise.
    chances = np.exp((scores - scores[0]) / sampling.temperature)
    chances /= chances.sum()
    if sampling.top_p < 1:
        enough = int(np.searchsorted(np.cumsum(chances), sampling.top_p)) + 1
        tokens, chances = tokens[:enough], chances[:enough] / chances[:enough].sum()
    return tokens, chances


def _check(highest: float) -> None:
    if not np.isfinite(highest):
        raise GraphError(f"the highest score is a finite number, and it is {highest}; check the model's weights")
