"""A decoder cut at a channel that loses packets."""

import itertools
import math

import numpy as np
import pytest
from language_models import reference_logits
from language_nodes import LAYERS, alone, small

from hocket.errors import ClusterError, GraphError
from hocket.language.config import PRESETS
from hocket.language.language_model import LanguageModel
from hocket.language.lossy import Channel, Crossing, disturbed_perplexity, without_lost
from hocket.language.perplexity import perplexity, surprises
from hocket.language.session import DecoderSession

FAMILIES = ["llama", "gpt2"]
MODELS = {family: small(family) for family in FAMILIES}
PROMPT = [5, 17, 80]
# What a model writes itself it foretells well, though its weights are random: only so can losses do harm.
TEXTS = {family: PROMPT + alone(model, PROMPT, 40) for family, model in MODELS.items()}
SHORT_PACKET = 16
BY_FAMILY = pytest.mark.parametrize("family", FAMILIES)


def surprise(family: str, layer: int, loss: float, *, seeds: int = 1, packet_bytes: int = SHORT_PACKET) -> float:
    """Mean over seeds, of the model's own text."""
    crossing = Crossing(MODELS[family], TEXTS[family], layer, window=48)
    return float(np.mean([crossing.surprise(loss, seed=seed, packet_bytes=packet_bytes) for seed in range(seeds)]))


# The channel


@pytest.mark.parametrize(("mean_snr", "threshold"), [(10.0, 1.0), (0.5, 1.0), (4.0, 3.0)])
def test_rayleigh_fading_loses_what_an_exponential_law_says(mean_snr: float, threshold: float) -> None:
    loss = Channel(mean_snr=mean_snr, threshold=threshold).loss
    assert loss == pytest.approx(1 - math.exp(-threshold / mean_snr), rel=1e-12)


def test_with_shape_two_the_law_is_that_of_two_exponentials() -> None:
    x = 2 * 1.5 / 4.0
    assert Channel(mean_snr=4.0, m=2.0, threshold=1.5).loss == pytest.approx(1 - math.exp(-x) * (1 + x), rel=1e-12)


def test_losses_are_as_frequent_as_drawn_ratios_below_the_threshold() -> None:
    channel = Channel(mean_snr=2.0, m=0.7, threshold=1.3)
    ratios = np.random.default_rng(0).gamma(channel.m, channel.mean_snr / channel.m, 200_000)
    assert (ratios < channel.threshold).mean() == pytest.approx(channel.loss, abs=0.005)


def test_a_steadier_channel_loses_less_far_above_the_threshold_and_more_far_below() -> None:
    far, below = ([Channel(mean_snr=snr, m=m).loss for m in (0.5, 1.0, 2.0, 8.0)] for snr in (10.0, 0.3))
    assert far == sorted(far, reverse=True)
    assert below == sorted(below)


def test_without_noise_or_threshold_nothing_is_lost() -> None:
    assert Channel(mean_snr=math.inf).loss == 0
    assert Channel(mean_snr=1.0, threshold=0.0).loss == 0


@pytest.mark.parametrize(
    "wrong", [{"mean_snr": 0.0}, {"mean_snr": math.nan}, {"mean_snr": 1.0, "m": 0.4}, {"mean_snr": 1, "threshold": -1}]
)
def test_a_channel_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ClusterError, match="mean ratio above 0"):
        Channel(**wrong)


# What is lost


def test_packets_are_lost_whole_and_hold_the_numbers_of_one_token() -> None:
    hidden = np.ones((40, 10), np.float32)
    arrived = without_lost(hidden, 0.5, seed=3, packet_bytes=16)
    packets = [arrived[:, :4], arrived[:, 4:8], arrived[:, 8:]]
    assert all(len(set(row)) == 1 for packet in packets for row in packet.tolist())
    assert {tuple(row) for row in arrived[:, [0, 4, 8]].tolist()} == set(itertools.product([0.0, 1.0], repeat=3))


def test_as_many_are_lost_as_the_probability_says_and_less_loss_loses_a_part_of_them() -> None:
    hidden = np.ones((500, 64), np.float32)
    less, more = (without_lost(hidden, loss, seed=1, packet_bytes=4) == 0 for loss in (0.1, 0.3))
    assert more.mean() == pytest.approx(0.3, abs=0.01)
    assert not (less & ~more).any()
    assert less.any()


def test_a_packet_larger_than_a_token_loses_the_token() -> None:
    arrived = without_lost(np.ones((100, 6), np.float32), 0.5, seed=0, packet_bytes=1 << 40)
    assert {tuple(row) for row in arrived.tolist()} == {(0.0,) * 6, (1.0,) * 6}


# The disturbed perplexity


@BY_FAMILY
@pytest.mark.parametrize("layer", range(LAYERS + 1))
@pytest.mark.parametrize("window", [48, 20, 42])  # one piece; a shorter last piece; a last token on its own
def test_without_loss_the_perplexity_is_that_of_the_model(family: str, layer: int, window: int) -> None:
    model, text = MODELS[family], TEXTS[family]
    session = DecoderSession(model, capacity=window, logits="all")
    found = disturbed_perplexity(model, text, layer, 0.0, window=window)
    assert found == pytest.approx(perplexity(session, text, window=window), rel=1e-5)


@pytest.mark.parametrize("precision", ["float16", "int8", "int4"])
def test_without_loss_it_is_that_of_the_model_at_any_precision(precision: str) -> None:
    model, text = small("llama", precision=precision), TEXTS["llama"]
    session = DecoderSession(model, capacity=48, logits="all")
    found = disturbed_perplexity(model, text, 2, 0.0, window=48)
    assert found == pytest.approx(perplexity(session, text, window=48), rel=1e-5)


@pytest.mark.parametrize("layer", range(LAYERS + 1))
def test_if_all_is_lost_a_model_without_biases_knows_nothing(layer: int) -> None:
    found = disturbed_perplexity(MODELS["llama"], TEXTS["llama"], layer, 1.0, window=48)
    assert found == pytest.approx(MODELS["llama"].config.vocabulary, rel=1e-5)


@pytest.mark.parametrize("layer", range(LAYERS + 1))
def test_if_all_is_lost_the_server_computes_its_own_layers_on_zeros(layer: int) -> None:
    model, text = MODELS["gpt2"], TEXTS["gpt2"]
    weights = {name: value for name, value in model.weights.items() if name.startswith("norm.")}
    for number in range(layer, LAYERS):
        own = f"block.{number}."
        weights |= {name.replace(own, f"block.{number - layer}."): value
                    for name, value in model.weights.items() if name.startswith(own)}  # fmt: skip
    weights |= {f"{name}_embedding.weight": np.zeros_like(model.weights[f"{name}_embedding.weight"])
                for name in ("token", "position")}  # fmt: skip
    weights["head.weight"] = model.weights["token_embedding.weight"]
    rest = model.config.replace(layers=LAYERS - layer, tied=False)
    expected = surprises(reference_logits(rest, weights, text[:-1]), text[1:]).mean()
    assert surprise("gpt2", layer, 1.0) == pytest.approx(expected, rel=1e-4)


def test_it_is_that_of_the_model_whose_embedding_has_the_same_gaps() -> None:
    # At cut 0 of the llama family the hidden state is the table's rows, so a row of zeros is a lost token.
    model, text = MODELS["llama"], list(range(40))
    crossing = Crossing(model, text, 0, window=48)
    weights = {name: value.copy() for name, value in model.weights.items()}
    config, width = model.config.replace(tied=False), model.config.width
    weights["head.weight"] = weights["token_embedding.weight"].copy()
    kept = without_lost(np.ones((1, len(text) - 1, width), np.float32), 0.3, seed=5, packet_bytes=4 * width)[0, :, 0]
    assert 0 < kept.sum() < len(kept)
    weights["token_embedding.weight"][text[:-1]] *= kept[:, None]
    expected = surprises(reference_logits(config, weights, text[:-1]), text[1:]).mean()
    assert crossing.surprise(0.3, seed=5, packet_bytes=4 * width) == pytest.approx(expected, rel=1e-4)


@BY_FAMILY
@pytest.mark.parametrize("layer", range(LAYERS + 1))
def test_more_loss_foretells_less_on_average(family: str, layer: int) -> None:
    found = [surprise(family, layer, loss, seeds=10) for loss in (0.0, 0.1, 0.2, 0.4, 0.6)]
    assert found == sorted(found)
    assert found[-1] > found[0] + 1.0


def test_the_same_seed_loses_the_same_and_another_loses_other_packets() -> None:
    crossing = Crossing(MODELS["gpt2"], TEXTS["gpt2"], 1, window=48)
    first, again, other = (crossing.surprise(0.3, seed=seed, packet_bytes=SHORT_PACKET) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": 4}, "a device has 0 to 3 layers"),
        ({"layer": -1}, "a device has 0 to 3 layers"),
        ({"loss": 1.1}, "a loss is a probability"),
        ({"loss": math.nan}, "a loss is a probability"),
        ({"seed": -1}, "a seed at least 0"),
        ({"packet_bytes": 6}, "whole numbers of 4 bytes"),
        ({"packet_bytes": 0}, "whole numbers of 4 bytes"),
        ({"tokens": [1]}, "a text of at least 2"),
        ({"tokens": [1, 96]}, "tokens are 0 to 95"),
        ({"window": 65}, "a window of 2 to 64 tokens"),
        ({"model": LanguageModel(PRESETS["tiny_llama"])}, "foretelling takes weights"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    given = {"model": MODELS["llama"], "tokens": [1, 2, 3], "layer": 1, "loss": 0.1, "window": 48, **change}
    with pytest.raises(GraphError, match=message):
        disturbed_perplexity(**given)  # type: ignore[arg-type]
