"""Tokens are chosen as the settings say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.errors import GraphError
from hocket.language.sampling import GREEDY, Sampler, Sampling, kept

CHANCES = np.array([0.05, 0.4, 0.25, 0.2, 0.1])
LOGITS = np.log(CHANCES).astype(np.float32)


def test_greedy_takes_the_likeliest_and_the_first_of_equal_ones() -> None:
    assert Sampler(GREEDY).choose(LOGITS) == 1
    assert Sampler(GREEDY).choose(np.array([1.0, 2.0, 2.0], np.float32)) == 1


@pytest.mark.parametrize(
    ("sampling", "tokens", "chances"),
    [
        (Sampling(temperature=1.0), [1, 2, 3, 4, 0], [0.4, 0.25, 0.2, 0.1, 0.05]),
        (Sampling(temperature=1.0, top_k=2), [1, 2], [0.4 / 0.65, 0.25 / 0.65]),
        (Sampling(temperature=1.0, top_p=0.6), [1, 2], [0.4 / 0.65, 0.25 / 0.65]),
        (Sampling(temperature=1.0, top_p=0.7), [1, 2, 3], [0.4 / 0.85, 0.25 / 0.85, 0.2 / 0.85]),
        (Sampling(temperature=1.0, top_p=0.01), [1], [1.0]),
        (Sampling(temperature=1.0, top_k=3, top_p=0.5), [1, 2], [0.4 / 0.65, 0.25 / 0.65]),
        (Sampling(temperature=0.5, top_k=2), [1, 2], [0.16 / 0.2225, 0.0625 / 0.2225]),
        (Sampling(temperature=1.0, top_k=99), [1, 2, 3, 4, 0], [0.4, 0.25, 0.2, 0.1, 0.05]),
    ],
)
def test_cuts_and_temperature(sampling: Sampling, tokens: list[int], chances: list[float]) -> None:
    found, shares = kept(LOGITS, sampling)
    assert found.tolist() == tokens
    assert shares == pytest.approx(chances, rel=1e-5)


def test_tokens_are_drawn_as_often_as_their_chances_say() -> None:
    sampler = Sampler(Sampling(temperature=1.0, seed=7))
    drawn = np.bincount([sampler.choose(LOGITS) for _ in range(20_000)], minlength=5) / 20_000
    assert np.abs(drawn - CHANCES).max() <= 0.02


def test_the_same_seed_gives_the_same_tokens() -> None:
    def draw(seed: int | None) -> list[int]:
        sampler = Sampler(Sampling(temperature=2.0, seed=seed))
        return [sampler.choose(LOGITS) for _ in range(50)]

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)
    assert draw(None) != draw(None)


def test_small_temperatures_do_not_overflow() -> None:
    scores = np.array([-3e4, 3e4, 2.99e4], np.float32)
    assert Sampler(Sampling(temperature=1e-6, seed=0)).choose(scores) == 1


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40),
    st.floats(0.05, 5),
    st.integers(0, 45),
    st.floats(0.01, 1),
)
def test_what_is_kept_is_the_likeliest_and_adds_up(scores: list[float], heat: float, top_k: int, top_p: float) -> None:
    logits = np.array(scores, np.float32)
    tokens, chances = kept(logits, Sampling(temperature=heat, top_k=top_k, top_p=top_p))
    assert chances.sum() == pytest.approx(1)
    assert len(set(tokens.tolist())) == len(tokens) <= (top_k or len(scores))
    left = np.delete(logits, tokens)
    assert not len(left) or left.max() <= logits[tokens].min()


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.0)])
def test_scores_that_are_no_numbers_are_refused(sampling: Sampling) -> None:
    with pytest.raises(GraphError, match="a finite number, and it is nan"):
        Sampler(sampling).choose(np.array([1.0, np.nan], np.float32))
