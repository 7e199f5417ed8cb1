"""How well a model foretells a text: the measure of what its rounding costs."""

from collections.abc import Sequence

import numpy as np

from hocket.errors import GraphError
from hocket.language.session import DecoderSession


def perplexity(session: DecoderSession, tokens: Sequence[int], *, window: int = 512) -> float:
    """The exponential of the mean of -log(probability of each token, given those before it).

    A model that knows nothing has the size of its vocabulary; 1 is the least.

    Args:
        session: made with `logits="all"`.
        tokens: at least two.
        window: the text is cut into pieces of so many tokens, each read from an empty context; the first token of a
            piece is not foretold. At most the session's capacity.

    Raises:
        GraphError: too few tokens, or a window that does not fit.
    """
    surprise, count = 0.0, 0
    for piece in windows(tokens, window, session.capacity):
        session.rewind()
        scores = session.read(piece[:-1])
        surprise += float(surprises(scores, piece[1:]).sum())
        count += len(piece) - 1
    return float(np.exp(surprise / count))


def windows(tokens: Sequence[int], window: int, most: int) -> list[list[int]]:
    """The pieces of a text that are read together; a last token on its own is not foretold.

    Args:
        tokens: at least two.
        window: tokens of a piece.
        most: that can be read together.

    Raises:
        GraphError: too few tokens, or a window that does not fit.

    >>> windows([5, 6, 7, 8, 9], 2, 10)
    [[5, 6], [7, 8]]
    """
    if len(tokens) < 2 or not 2 <= window <= most:
        raise GraphError(
            f"a window of 2 to {most} tokens and a text of at least 2 are needed, got {window} and {len(tokens)}; give"
            " others"
        )
    pieces = [list(tokens[start : start + window]) for start in range(0, len(tokens), window)]
    return [piece for piece in pieces if len(piece) > 1]


def surprises(scores: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """-log(probability) of each token, float64.

    Args:
        scores: [tokens, vocabulary].
        tokens: one for each row.

    >>> surprises(np.log([[0.5, 0.25, 0.25]]), [1]).round(3).tolist()
    [1.386]
    """
    wide = scores.astype(np.float64)
    highest = wide.max(-1)
    total = np.log(np.exp(wide - highest[:, None]).sum(-1)) + highest
    return np.asarray(total - wide[np.arange(len(tokens)), list(tokens)])
