"""Continuing texts on one node: the same tokens as without caches, ends, limits."""

from collections.abc import Sequence

import numpy as np
import pytest
from language_models import reference_logits

from hocket.errors import GraphError
from hocket.language.config import PRESETS
from hocket.language.generate import generate
from hocket.language.language_model import LanguageModel
from hocket.language.sampling import Sampling
from hocket.language.session import DecoderSession

PROMPT = [5, 80, 33]


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_gpt2"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return LanguageModel(PRESETS[request.param]).with_random_weights()


def without_caches(model: LanguageModel, count: int) -> list[int]:
    """The likeliest continuation, all of the text read again for each token."""
    tokens = list(PROMPT)
    for _ in range(count):
        tokens.append(int(np.argmax(reference_logits(model.config, model.weights, tokens)[-1])))
    return tokens[len(PROMPT) :]


def test_greedy_texts_equal_those_without_caches(model: LanguageModel) -> None:
    session = DecoderSession(model)
    expected = without_caches(model, 30)
    assert list(generate(session, PROMPT, most=30)) == expected
    session.rewind()
    assert list(generate(session, PROMPT, most=30)) == expected


def test_a_text_goes_on_where_it_was_rewound_to(model: LanguageModel) -> None:
    session = DecoderSession(model)
    first = list(generate(session, PROMPT, most=10))
    assert session.length == len(PROMPT) + 9  # the last token was given and not yet read
    session.rewind(len(PROMPT) + 4)
    assert list(generate(session, [first[4]], most=5)) == first[5:]
    with pytest.raises(GraphError, match="keep fewer"):
        session.rewind(100)


def test_long_prompts_are_read_in_pieces(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = [int(token) for token in np.random.default_rng(2).integers(0, 96, 40)]
    expected = DecoderSession(model).read(prompt)
    monkeypatch.setattr("hocket.language.session._PIECE", 7)
    found = DecoderSession(model).read(prompt)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_text_ends_at_a_token_that_ends_it(model: LanguageModel) -> None:
    tokens = without_caches(model, 30)
    end = tokens[6]
    assert list(generate(DecoderSession(model), PROMPT, most=30, ends=[end])) == tokens[: tokens.index(end)]


def test_sampled_texts_are_repeated_by_their_seed(model: LanguageModel) -> None:
    def text(seed: int) -> list[int]:
        sampling = Sampling(temperature=1.5, top_k=20, top_p=0.9, seed=seed)
        return list(generate(DecoderSession(model), PROMPT, sampling, most=20))

    assert text(1) == text(1)
    assert len({tuple(text(seed)) for seed in range(4)}) > 1


def test_tokens_are_chosen_when_they_are_asked_for() -> None:
    read: list[int] = []

    class Counting:
        def read(self, tokens: Sequence[int]) -> np.ndarray:
            read.extend(tokens)
            return np.eye(4, dtype=np.float32)[len(read) % 4]

    text = generate(Counting(), [0, 0], most=10)
    assert read == []
    assert [next(text), next(text)] == [2, 3]
    assert read == [0, 0, 2]


def test_a_full_context_is_a_clear_error(model: LanguageModel) -> None:
    session = DecoderSession(model, capacity=8)
    text = generate(session, PROMPT, most=30)
    assert [next(text) for _ in range(6)] == without_caches(model, 6)
    with pytest.raises(GraphError, match="at most 8 tokens together, and these would be 9; shorten the prompt"):
        next(text)


@pytest.mark.parametrize(
    ("tokens", "telling"),
    [([], "at least one token"), ([1, 96], "tokens are 0 to 95, got 96"), ([-1], "got -1"), ([1] * 65, "at most 64")],
)
def test_tokens_that_cannot_be_read_are_refused(model: LanguageModel, tokens: list[int], telling: str) -> None:
    with pytest.raises(GraphError, match=telling):
        DecoderSession(model).read(tokens)


def test_what_cannot_be_generated_is_refused(model: LanguageModel) -> None:
    with pytest.raises(GraphError, match="at least 1 token"):
        next(generate(DecoderSession(model), PROMPT, most=0))
    with pytest.raises(GraphError, match="has none; load a model with weights"):
        DecoderSession(LanguageModel(model.config))
    with pytest.raises(GraphError, match="1 to 64 tokens, got 65"):
        DecoderSession(model, capacity=65)


def test_past_and_present_are_the_same_memory(model: LanguageModel) -> None:
    session = DecoderSession(model, capacity=16)
    session.read(PROMPT)
    before = [cache.copy() for cache in session._caches]
    session.read([7])
    for old, new in zip(before, session._caches, strict=True):
        assert np.array_equal(old[:, :, :3], new[:, :, :3])
        assert not np.array_equal(old[:, :, 3], new[:, :, 3])
        assert not new[:, :, 4:].any()
