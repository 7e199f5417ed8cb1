"""What the rewards of a cut are made of: the quality of a text, the load of the device, the cost of moving layers."""

import math
from collections.abc import Sequence

import numpy as np

from hocket.errors import GraphError, PlanError
from hocket.graph import Graph
from hocket.language.language_model import LanguageModel
from hocket.language.lossy import PACKET_BYTES, Crossing
from hocket.language.planning import front_size, layer_count, layer_of


class Quality:
    """How well a text is foretold at a cut and a loss, against the same model without loss: 0 to 1.

    exp(mean surprise without loss - mean surprise with it) = the perplexity without loss / the one with it: the factor,
    in the geometric mean, that is left of the probability of a token. 1 where losses do good by chance.

    Args:
        model: with its weights.
        tokens: the text, at least two.
        seeds: of the losses; the mean is taken over as many readings of the text.
        packet_bytes, window: as in `disturbed_perplexity`.

    Raises:
        GraphError: no seed; when called, whatever `disturbed_perplexity` refuses.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokens: Sequence[int],
        *,
        seeds: Sequence[int] = (0, 1, 2, 3),
        packet_bytes: int = PACKET_BYTES,
        window: int = 512,
    ) -> None:
        if not seeds:
            raise GraphError("a quality is a mean over seeds, got none; give at least one")
        self._model, self._tokens, self._window = model, tuple(tokens), window
        self._seeds, self._packet_bytes = tuple(seeds), packet_bytes
        self._last: tuple[int, Crossing] | None = None

    def __call__(self, cut: int, loss: float) -> float:
        """Of a cut behind so many layers, at a probability of losing a packet."""
        crossing = self._crossing(cut)
        found = [crossing.surprise(loss, seed=seed, packet_bytes=self._packet_bytes) for seed in self._seeds]
        return min(1.0, math.exp(crossing.surprise() - math.fsum(found) / len(found)))

    def _crossing(self, cut: int) -> Crossing:
        # One is kept, not one for each cut: each has a copy of the server's weights.
        if self._last is None or self._last[0] != cut:
            self._last = cut, Crossing(self._model, self._tokens, cut, window=self._window)
        return self._last[1]


def loads(graph: Graph) -> tuple[float, ...]:
    """The share of a decoder's floating-point operations that is on the device, for each cut: 0 to below 1."""
    flops = [operator.flops for operator in graph.operators]
    return tuple(math.fsum(flops[: front_size(graph, cut)]) / graph.flops for cut in range(layer_count(graph) + 1))


def layer_bytes(graph: Graph) -> tuple[int, ...]:
    """Bytes of the weights that each layer has for itself: what all share is on both sides, and caches are no weights.

    The tables of the rotation are shared.
    """
    kept = {buffer.past for buffer in graph.buffers} | {counter.name for counter in graph.counters}
    readers: dict[str, set[int | None]] = {}
    for operator in graph.operators:
        for name in operator.weights:
            readers.setdefault(name, set()).add(layer_of(operator.name))
    return tuple(
        sum(graph.weights[name] for name, layers in readers.items() if layers == {layer} and name not in kept)
        for layer in range(layer_count(graph))
    )


def moving_costs(nbytes: Sequence[int], bytes_per_s: float, *, price_per_s: float = 1.0) -> np.ndarray:
    """What moving the cut costs, in units of the reward: seconds to send the layers between the cuts * a price.

    Args:
        nbytes: of each layer.
        bytes_per_s: of the channel, whichever way they go.
        price_per_s: reward that a second is worth.

    Returns:
        float64 [cut, next cut], symmetric.

    Raises:
        PlanError: no rate, or a negative price.

    >>> moving_costs([10, 30], 20.0).tolist()
    [[0.0, 0.5, 2.0], [0.5, 0.0, 1.5], [2.0, 1.5, 0.0]]
    """
    if not (bytes_per_s > 0 and 0 <= price_per_s < math.inf):
        raise PlanError(
            f"layers move at a rate above 0 and at a price of at least 0, got {bytes_per_s} bytes/s and {price_per_s};"
            " correct them"
        )
    before = np.concatenate([[0.0], np.cumsum(nbytes, dtype=np.float64)])
    return np.asarray(np.abs(before[:, None] - before) / bytes_per_s * price_per_s)
