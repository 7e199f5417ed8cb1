"""What a decoder still foretells when its hidden state crosses a fading channel that loses packets.

The decoder is cut behind some of its layers: a device has the embedding and these layers, a server has the others, the
last normalisation and the output. What the channel loses of the hidden state is zero at the server.

Source: Y. Chen, R. Li, X. Yu, Z. Zhao, H. Zhang, "Adaptive Layer Splitting for Wireless LLM Inference in Edge
Computing: A Model-Based Reinforcement Learning Approach", arXiv:2406.02616. Their published code loses each number of
the hidden state on its own: `packet_bytes=4`.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import gammainc

from hocket.errors import ClusterError, GraphError
from hocket.graph import Graph
from hocket.graph.execute import Runner
from hocket.graph.topology import live
from hocket.language.language_model import LanguageModel
from hocket.language.perplexity import surprises, windows
from hocket.language.planning import front_size
from hocket.language.session import check_tokens
from hocket.nouns import Value
from hocket.plan.build import subgraph

PACKET_BYTES = 1024
"""Of a packet, where nobody says otherwise: with its headers it fits an Ethernet frame of 1500 bytes."""


class Channel(Value, frozen=True):
    """A channel with Nakagami-m fading: a packet is lost when its signal-to-noise ratio is below a threshold.

    The ratio is gamma distributed with shape m, stays as it is during a packet, and is drawn anew for the next one
    (M. Nakagami, "The m-Distribution", 1960).

    Raises:
        ClusterError: a number out of its range.

    >>> round(Channel(mean_snr=10.0).loss, 6), round(1 - math.exp(-1 / 10), 6)
    (0.095163, 0.095163)
    """

    mean_snr: float
    """Mean power of the signal / power of the noise, above 0; not in decibels."""
    m: float = 1.0
    """How steady it is, at least 0.5: 1 = Rayleigh fading; the larger, the steadier."""
    threshold: float = 1.0
    """The least ratio at which a packet arrives; a perfect code of r bit/s for each hertz needs 2^r - 1."""

    def __post_init__(self) -> None:
        if not (self.mean_snr > 0 and 0.5 <= self.m < math.inf and 0 <= self.threshold < math.inf):
            raise ClusterError(
                "a channel has a mean ratio above 0, a shape of at least 0.5 and a threshold of at least 0, got"
                f" {self.mean_snr}, {self.m} and {self.threshold}; correct them"
            )

    @property
    def loss(self) -> float:
        """Probability that a packet is lost, 0 to 1: P(m, m threshold / mean), the regularised incomplete gamma
        function."""
        return float(gammainc(self.m, self.m * self.threshold / self.mean_snr))


def disturbed_perplexity(
    model: LanguageModel,
    tokens: Sequence[int],
    layer: int,
    loss: float,
    *,
    seed: int = 0,
    packet_bytes: int = PACKET_BYTES,
    window: int = 512,
) -> float:
    """The perplexity of a text when the hidden state behind some layers loses packets.

    For many losses of the same text at the same cut, make one `Crossing`.

    Args:
        model: with its weights.
        tokens: at least two.
        layer: layers on the device, 0 to all of them. 0 = the embedding crosses, all = the last hidden state.
        loss: probability that a packet is lost.
        seed: of the losses; with the same seed, what is lost at one probability is lost at a greater one too.
        packet_bytes: a multiple of 4. The state of a token is sent in packets of its own, the last maybe shorter.
        window: as in `perplexity`; at most the model's context.

    Raises:
        GraphError: no weights, or a text, cut, probability, packet or window that does not fit.
    """
    crossing = Crossing(model, tokens, layer, window=window)
    return math.exp(crossing.surprise(loss, seed=seed, packet_bytes=packet_bytes))


class Crossing:
    """A text in a decoder that is cut: the device's part is computed once, the server's part for each loss.

    Args:
        model: with its weights.
        tokens: at least two.
        layer: layers on the device, 0 to all of them.
        window: tokens that are read together, as in `perplexity`.

    Raises:
        GraphError: no weights, or a text, cut or window that does not fit.
    """

    def __init__(self, model: LanguageModel, tokens: Sequence[int], layer: int, *, window: int = 512) -> None:
        self._pieces = _read_pieces(model, tokens, window)
        self._length = len(self._pieces[0]) - 1
        whole = model.model(sequence=self._length, capacity=self._length, logits="all")
        graph = whole.graph
        front = front_size(graph, layer)
        self._crosses = next(name for name in live(graph, range(front)) if name in graph.producer)
        # Nothing was read before, so the caches are empty; they and the counters are wherever a layer is.
        self._kept = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in graph.inputs}
        self._kept["last_position"] += self._length - 1
        self._kept["total_length"] += self._length
        device, server = _needs(graph, range(front)), _needs(graph, range(front, len(graph.operators)))
        names = [operator.name for operator in graph.operators]
        self._hidden = self._states(Runner(whole, subgraph(whole, names[:front], device, [self._crosses])), device)
        self._reads = [name for name in server if name in self._kept]
        self._server = Runner(whole, subgraph(whole, names[front:], server, ["logits"]))

    def surprise(self, loss: float = 0.0, *, seed: int = 0, packet_bytes: int = PACKET_BYTES) -> float:
        """The mean of -log(probability of each token, given what arrives of those before it), in nats.

        Args:
            loss: probability that a packet is lost.
            seed: of the losses.
            packet_bytes: a multiple of 4.

        Raises:
            GraphError: a probability or a packet that does not fit.
        """
        arrived = without_lost(self._hidden, loss, seed=seed, packet_bytes=packet_bytes)
        rest = {name: self._kept[name] for name in self._reads}
        total, count = 0.0, 0
        for piece, hidden in zip(self._pieces, arrived, strict=True):
            scores = self._server.run({**rest, self._crosses: hidden[None]})["logits"][0]
            total += float(surprises(scores[: len(piece) - 1], piece[1:]).sum())
            count += len(piece) - 1
        return total / count

    def _states(self, device: Runner, needs: Sequence[str]) -> np.ndarray:
        """What the device sends of each piece, float32 [pieces, tokens, width]."""
        states = []
        for piece in self._pieces:
            # A last piece may be shorter; no token sees those behind it, so they may be anything.
            read = [*piece[:-1], *[0] * (self._length + 1 - len(piece))]
            given = {**self._kept, "tokens": np.array([read], np.int64)}
            states.append(device.run({name: given[name] for name in needs})[self._crosses][0])
        return np.stack(states)


def without_lost(hidden: np.ndarray, loss: float, *, seed: int, packet_bytes: int) -> np.ndarray:
    """Hidden states with zeros for what was in packets that are lost.

    Args:
        hidden: [..., width], one row for each token.
        loss: probability of each packet, independent of the others.
        seed: of the losses.
        packet_bytes: a multiple of the bytes of a number.

    Raises:
        GraphError: no probability, no seed, or no whole numbers in a packet.

    >>> without_lost(np.ones((1, 3), np.float32), 1.0, seed=0, packet_bytes=8).tolist()
    [[0.0, 0.0, 0.0]]
    """
    if not 0 <= loss <= 1 or seed < 0:
        raise GraphError(f"a loss is a probability and a seed at least 0, got {loss} and {seed}; correct them")
    if packet_bytes < hidden.itemsize or packet_bytes % hidden.itemsize:
        raise GraphError(
            f"a packet holds whole numbers of {hidden.itemsize} bytes, got one of {packet_bytes}; give a multiple"
        )
    width, numbers = hidden.shape[-1], packet_bytes // hidden.itemsize
    lost = np.random.default_rng(seed).random((*hidden.shape[:-1], -(-width // numbers))) < loss
    return np.where(np.repeat(lost, min(numbers, width), axis=-1)[..., :width], np.zeros_like(hidden), hidden)


def _read_pieces(model: LanguageModel, tokens: Sequence[int], window: int) -> list[list[int]]:
    """What is read together, as `perplexity` cuts a text."""
    if not model.weights:
        raise GraphError(f"foretelling takes weights, and {model.config.name!r} has none; load a model with weights")
    pieces = windows(tokens, window, model.config.context)
    check_tokens(tokens, model.config.vocabulary, 0, len(tokens))
    return pieces


def _needs(graph: Graph, operators: range) -> list[str]:
    """The activations that operators in a row read and do not make."""
    read = dict.fromkeys(name for position in operators for name in graph.operators[position].inputs)
    return [name for name in read if graph.producer.get(name, -1) not in operators]
