"""Codecs that add noise: as much as the formulas say, of the distribution that they say, on what was cut before."""

import math

import numpy as np
import pytest

from hocket.errors import FormatError, HocketError, NodeError, PlanError
from hocket.runtime import codecs, wire
from hocket.runtime.client import check_welcome
from hocket.runtime.codecs import available, decode, encode, family, lossless, require
from hocket.runtime.noise import Noise, clipped, gaussian_scale, noise_of, noised, spent_delta

LAPLACE = "laplace:epsilon=8:norm=4"
GAUSSIAN = "gaussian:epsilon=8:delta=1e-5:norm=4"
SIGMAS = 5.0
"""A sound test of this many standard errors fails once in two million seeds."""


def seeded(seed: int) -> object:
    return np.random.default_rng(seed).bytes


def test_a_name_says_what_noise_is_added() -> None:
    assert noise_of(LAPLACE) == Noise("laplace", 8.0, 4.0)
    assert noise_of(GAUSSIAN) == Noise("gaussian", 8.0, 4.0, 1e-5)
    assert noise_of("gaussian:epsilon=0.5:delta=1e-6:norm=12.5").epsilon == 0.5


@pytest.mark.parametrize(
    "name",
    ["laplace", "gaussian", "laplace:epsilon=8", "laplace:norm=4:epsilon=8", "laplace:epsilon=8:delta=1e-5:norm=4",
     "gaussian:epsilon=8:norm=4", "laplace:epsilon=-8:norm=4", "laplace:epsilon=0:norm=4", "laplace:epsilon=8:norm=0",
     "gaussian:epsilon=8:delta=1:norm=4", "gaussian:epsilon=8:delta=0:norm=4", "laplace:epsilon=nan:norm=4",
     "laplace:epsilon=8:norm=4:", "laplace:epsilon=8:norm=1e99", "laplace:epsilon=1e9:norm=4",
     "laplace:epsilon=٣:norm=4", "laplace:epsilon=8:norm=4+gzip", "laplacian:epsilon=8:norm=4"],
)  # fmt: skip
def test_a_name_that_asks_for_no_noise_is_refused(name: str) -> None:
    with pytest.raises(PlanError, match=r"noise|no codec"):
        require(name)


def test_the_scale_of_laplace_is_twice_the_norm_over_epsilon() -> None:
    assert Noise("laplace", 8.0, 4.0).scale == 1.0
    assert Noise("laplace", 0.5, 1.0).scale == 4.0


def test_the_scale_of_gauss_is_that_of_the_paper() -> None:
    # The value that the authors' own program gives for (1, 1e-5).
    assert gaussian_scale(1.0, 1e-5) == pytest.approx(3.730632, abs=1e-5)
    # For a vanishing epsilon, delta = 2 P(1 / 2s) - 1: one standard deviation is 0.682689.
    assert gaussian_scale(1e-9, 0.682689492) == pytest.approx(0.5, rel=1e-6)
    assert Noise("gaussian", 1.0, 3.0, 1e-5).scale == pytest.approx(6 * 3.730632, abs=1e-4)


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-9])
def test_where_the_classical_formula_holds_the_analytic_one_needs_less(epsilon: float, delta: float) -> None:
    classical = math.sqrt(2 * math.log(1.25 / delta)) / epsilon
    assert 0.3 * classical < gaussian_scale(epsilon, delta) < classical
    assert spent_delta(epsilon, classical) < delta


def test_the_classical_formula_by_hand() -> None:
    # sqrt(2 ln 125000) = sqrt(2 x 11.7361) = 4.8448
    assert math.sqrt(2 * math.log(1.25 / 1e-5)) == pytest.approx(4.8448, abs=1e-4)


@pytest.mark.parametrize(("epsilon", "scale"), [(0.5, 3.0), (1.0, 1.0), (4.0, 0.6), (30.0, 0.2), (800.0, 0.026)])
def test_the_delta_of_gauss_is_the_expectation_over_the_loss(epsilon: float, scale: float) -> None:
    """Another way to it: delta = E max(0, 1 - exp(epsilon - L)) for a loss L ~ N(1 / 2s^2, 1 / s^2)."""
    mean, deviation = 1 / (2 * scale**2), 1 / scale
    loss = np.linspace(mean - 12 * deviation, mean + 12 * deviation, 400_001)
    density = np.exp(-(((loss - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))
    gain = -np.expm1(np.minimum(epsilon - loss, 0.0))
    expected = float((gain * density).sum() * (loss[1] - loss[0]))
    assert spent_delta(epsilon, scale) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("epsilon", [1e-3, 1.0, 100.0, 1e4, 1e6])
def test_more_epsilon_needs_less_noise_and_none_of_it_overflows(epsilon: float) -> None:
    scale = gaussian_scale(epsilon, 1e-5)
    assert scale > 0 and spent_delta(epsilon, scale) <= 1e-5
    assert spent_delta(epsilon, scale * (1 - 1e-6)) > 1e-5
    assert gaussian_scale(epsilon * 2, 1e-5) < scale


def test_no_output_tells_two_inputs_apart_by_more_than_epsilon_says() -> None:
    """Laplace: the log-ratio of the densities of any output, for any two inputs, is at most epsilon, and reaches it."""
    noise, rng, most = noise_of(LAPLACE), np.random.default_rng(1), 0.0
    ends = [np.array([100.0, 0, 0]), np.array([-100.0, 0, 0])]
    for pair in [ends, *(rng.normal(0, 5, (2, 3)) for _ in range(200))]:
        one, other = (clipped(noise, each) for each in pair)
        for seen in rng.normal(0, 8, (50, 3)):
            most = max(most, float((np.abs(seen - other) - np.abs(seen - one)).sum() / noise.scale))
    assert 0.9 * noise.epsilon < most <= noise.epsilon * (1 + 1e-9)


def test_the_noise_of_laplace_has_its_moments() -> None:
    count = 200_000
    noise = noise_of(LAPLACE)
    found = noised(noise, np.zeros(count), seeded(3))
    # Variance 2 b^2 with kurtosis 6, mean of |x| b with variance b^2.
    assert abs(found.mean()) < SIGMAS * math.sqrt(2 / count)
    assert abs(found.var() - 2) < SIGMAS * math.sqrt((24 - 4) / count)
    assert abs(np.abs(found).mean() - 1) < SIGMAS / math.sqrt(count)
    assert abs((found > 0).mean() - 0.5) < SIGMAS * 0.5 / math.sqrt(count)
    # P(|x| > 3 b) = exp(-3)
    tail = math.exp(-3)
    assert abs((np.abs(found) > 3).mean() - tail) < SIGMAS * math.sqrt(tail * (1 - tail) / count)


def test_the_noise_of_gauss_has_its_moments_and_no_value_follows_from_another() -> None:
    count = 200_001
    noise = noise_of(GAUSSIAN)
    found = noised(noise, np.zeros(count), seeded(4)) / noise.scale
    assert abs(found.mean()) < SIGMAS / math.sqrt(count)
    assert abs(found.var() - 1) < SIGMAS * math.sqrt(2 / count)
    assert abs((np.abs(found) > 1.959964).mean() - 0.05) < SIGMAS * math.sqrt(0.05 * 0.95 / count)
    half = count // 2  # the two halves come from the same pairs
    assert abs(np.corrcoef(found[:half], found[half : 2 * half])[0, 1]) < SIGMAS / math.sqrt(half)
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < SIGMAS / math.sqrt(count)


@pytest.mark.parametrize("codec", [LAPLACE, GAUSSIAN])
def test_a_tensor_is_cut_to_its_norm_and_a_short_one_stays(codec: str) -> None:
    noise, order = noise_of(codec), 1 if codec == LAPLACE else 2
    rng = np.random.default_rng(2)
    long, short = rng.normal(0, 10, (3, 5, 7)), rng.normal(0, 1e-3, (3, 5, 7))
    assert np.linalg.norm(clipped(noise, long).ravel(), order) == pytest.approx(4.0)
    np.testing.assert_array_equal(clipped(noise, short), short)
    odd = clipped(noise, np.array([np.nan, np.inf, -np.inf, 1e300, 1.0]))
    assert np.isfinite(odd).all() and odd[0] == 0 and np.linalg.norm(odd, order) <= 4.0 * (1 + 1e-12)


@pytest.mark.parametrize("codec", [LAPLACE, GAUSSIAN, LAPLACE + "+zlib"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_arrives_is_the_noised_tensor_in_its_type(codec: str, dtype: str) -> None:
    array = np.random.default_rng(5).normal(size=(2, 3, 4)).astype(dtype)
    buffers, meta = encode(codec, array)
    assert meta == ()
    first = decode(codec, dtype, array.shape, [bytes(part) for part in buffers], meta)
    assert (first.dtype, first.shape) == (array.dtype, array.shape) and np.isfinite(first).all()
    buffers, meta = encode(codec, array)
    second = decode(codec, dtype, array.shape, [bytes(part) for part in buffers], meta)
    assert (first != second).any(), "noise is fresh for every tensor that is released"
    assert not lossless(codec)


def test_an_empty_tensor_and_a_number_travel_too() -> None:
    for shape in ((0, 3), ()):
        buffers, meta = encode(LAPLACE, np.zeros(shape, np.float32))
        assert decode(LAPLACE, "float32", shape, [bytes(part) for part in buffers], meta).shape == shape


def test_noise_is_for_floats_and_bytes_that_are_too_few_are_refused() -> None:
    with pytest.raises(PlanError, match="floating-point"):
        encode(GAUSSIAN, np.zeros(3, np.int64))
    with pytest.raises(FormatError, match="floating-point"):
        decode(GAUSSIAN, "int64", (3,), [bytes(24)], ())
    with pytest.raises(FormatError, match="takes 12 bytes, got 8"):
        decode(GAUSSIAN, "float32", (3,), [bytes(8)], ())


def test_nodes_advertise_mechanisms_and_an_old_node_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"laplace", "gaussian", "gaussian+zlib"} <= set(available())
    assert family(GAUSSIAN + "+zlib") == "gaussian+zlib" and family("bits4") == "bits4"

    def welcome(names: tuple[str, ...]) -> wire.Welcome:
        fields = {"version": wire.VERSION, "codecs": names, "providers": ()}
        made = {name: fields.get(name, "") for name in wire.Welcome.__struct_fields__}
        return wire.Welcome(**made)

    old = tuple(name for name in available() if not name.startswith(("laplace", "gaussian")))
    check_welcome("new", welcome(available()), {family(GAUSSIAN)}, set(), "")
    with pytest.raises(NodeError, match="'old' lacks codec 'gaussian'"):
        check_welcome("old", welcome(old), {family(GAUSSIAN)}, set(), "")
    monkeypatch.setattr(codecs, "available", lambda: old)
    for refused in (lambda: encode(GAUSSIAN, np.zeros(3)), lambda: decode(GAUSSIAN, "float64", (3,), [bytes(24)], ())):
        with pytest.raises(HocketError, match="there is no codec"):
            refused()
