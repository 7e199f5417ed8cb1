"""Continuing a text, token by token."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from hocket.errors import GraphError
from hocket.language.sampling import GREEDY, Sampler, Sampling


class Reader(Protocol):
    """What reads tokens and tells the scores of the next, on one node or on many."""

    def read(self, tokens: Sequence[int]) -> np.ndarray:
        """Read more tokens; the scores of what follows, [vocabulary]."""


def generate(
    reader: Reader,
    prompt: Sequence[int],
    sampling: Sampling = GREEDY,
    *,
    most: int,
    ends: Iterable[int] = (),
) -> Iterator[int]:
    """The tokens that follow a prompt; each is chosen when it is asked for.

    Args:
        reader: reads on from where it stands.
        prompt: at least one token.
        sampling: how tokens are chosen.
        most: tokens at most.
        ends: tokens at which the text ends; they are not given.

    Raises:
        GraphError: from the reader: an unknown token, or a context that is full.
    """
    if most < 1:
        raise GraphError(f"a continuation has at least 1 token, got {most}; ask for more")
    sampler, last = Sampler(sampling), frozenset(ends)
    new: Sequence[int] = prompt
    for _ in range(most):
        token = sampler.choose(reader.read(new))
        if token in last:
            return
        yield token
        new = [token]
