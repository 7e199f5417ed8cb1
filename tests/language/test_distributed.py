"""Texts over several nodes: the same as on one node wherever the layers are, caches that are given back, limits."""

import threading
import time
from collections.abc import Iterator

import pytest
from language_nodes import (
    CAPACITY,
    LAYERS,
    alone,
    deployed,
    kept_bytes,
    nothing_kept,
    plan_by_layers,
    small,
)

from hocket.errors import GraphError, NodeError
from hocket.language.generate import generate
from hocket.language.language_model import LanguageModel
from hocket.language.live import LiveLanguageModel

PROMPT = [5, 80, 33, 7, 7, 61, 2, 90, 14]
MOST = 12


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def live(request: pytest.FixtureRequest) -> Iterator[LiveLanguageModel]:
    model = small(request.param)
    with deployed(model, ["a"] * LAYERS + ["b", "c"], "abc") as found:
        yield found


@pytest.fixture(scope="module")
def expected(live: LiveLanguageModel) -> list[int]:
    return alone(live.model, PROMPT, MOST)


def have(live: LiveLanguageModel, places: list[str]) -> None:
    live.session.switch(plan_by_layers(live.session.problem, places)).result(30.0)


@pytest.mark.parametrize("cut", range(LAYERS + 3))
def test_two_nodes_write_what_one_writes_wherever_the_cut_is(
    live: LiveLanguageModel, expected: list[int], cut: int
) -> None:
    have(live, ["a"] * cut + ["b"] * (LAYERS + 2 - cut))
    with live.reader() as reader:
        assert list(generate(reader, PROMPT, most=MOST)) == expected
        assert reader.replays == 0


@pytest.mark.parametrize("places", ["aabcc", "bacab", "cbbba"])
def test_three_nodes_write_what_one_writes_also_when_the_text_comes_back(
    live: LiveLanguageModel, expected: list[int], places: str
) -> None:
    have(live, list(places))
    with live.reader() as reader:
        assert list(generate(reader, PROMPT, most=MOST)) == expected


def test_a_prompt_in_pieces_is_read_as_in_one(live: LiveLanguageModel, expected: list[int]) -> None:
    have(live, list("aabbb"))
    for piece in (1, 2, 64):
        with live.reader() as reader:
            reader._piece = piece
            assert list(generate(reader, PROMPT, most=MOST)) == expected


def test_texts_at_once_are_what_each_is_alone(live: LiveLanguageModel) -> None:
    have(live, list("aabbb"))
    prompts = [PROMPT, [3], [80, 2, 2, 2], [11, 12, 13]]
    readers = [live.reader() for _ in prompts]
    texts = [generate(reader, prompt, most=MOST) for reader, prompt in zip(readers, prompts, strict=True)]
    # By turns: each text's token is asked for between two of every other.
    found = list(zip(*texts, strict=True))
    for reader in readers:
        reader.close()
    assert [list(text) for text in zip(*found, strict=True)] == [alone(live.model, p, MOST) for p in prompts]


def test_texts_of_several_threads_are_what_each_is_alone(live: LiveLanguageModel) -> None:
    have(live, list("aabbb"))
    prompts = [[number, 9, 33] for number in range(5)]
    found: dict[int, list[int]] = {}

    def write(number: int) -> None:
        with live.reader() as reader:
            found[number] = list(generate(reader, prompts[number], most=MOST))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert [found[number] for number in range(5)] == [alone(live.model, prompt, MOST) for prompt in prompts]


def test_caches_are_given_back_when_a_text_ends_or_is_abandoned(live: LiveLanguageModel) -> None:
    have(live, list("aabbb"))
    with live.reader() as reader:
        list(generate(reader, PROMPT, most=3))
    with live.reader() as reader:
        next(generate(reader, PROMPT, most=MOST))  # and no more is wanted of it
    assert nothing_kept(live)
    with live.reader() as reader:
        reader.read(PROMPT)
        end_s = time.monotonic() + 20.0
        while not kept_bytes(live) and time.monotonic() < end_s:
            time.sleep(0.05)
        assert kept_bytes(live) >= 2 * LAYERS * 4 * CAPACITY  # keys and values, at least a number for each token
    assert nothing_kept(live)


def test_a_slow_reader_of_a_text_loses_nothing(live: LiveLanguageModel, expected: list[int]) -> None:
    have(live, list("aabbb"))
    found = []
    with live.reader() as slow, live.reader() as other:
        for number, token in enumerate(generate(slow, PROMPT, most=MOST)):
            found.append(token)
            if number == 4:
                assert list(generate(other, PROMPT, most=MOST)) == expected  # the world goes on meanwhile
    assert found == expected


def test_a_full_context_is_told_and_the_text_before_it_is_right(live: LiveLanguageModel) -> None:
    have(live, list("aabbb"))
    with live.reader() as reader:
        found = []
        with pytest.raises(GraphError, match=f"{CAPACITY}"):
            for token in generate(reader, PROMPT, most=2 * CAPACITY):
                found.append(token)
        assert len(found) == CAPACITY - len(PROMPT) + 1
        assert reader.length == CAPACITY
    assert found == alone(live.model, PROMPT, len(found))
    with live.reader() as reader, pytest.raises(GraphError, match="at least one token"):
        reader.read([])
    with live.reader() as reader, pytest.raises(GraphError, match="96"):
        reader.read([96])


def test_a_text_goes_on_with_another_plan(live: LiveLanguageModel, expected: list[int]) -> None:
    have(live, list("aabbb"))
    with live.reader() as reader:
        text = generate(reader, PROMPT, most=MOST)
        found = [next(text) for _ in range(4)]
        have(live, list("cccaa"))
        assert found + list(text) == expected


def test_texts_of_a_session_that_has_ended_fail() -> None:
    model: LanguageModel = small("llama")
    with deployed(model, list("aabbb"), "ab") as live:
        reader = live.reader()
        reader.read(PROMPT)
    with pytest.raises(NodeError):
        reader.read([1])
    reader.close()
