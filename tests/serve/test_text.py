"""Text as it grows, against text that is whole."""

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stubs import Parrot

from hocket.serve import Options
from hocket.serve.openai.writing import write
from hocket.serve.text import Detokenizer, StopFinder


def decoded(tokens: Sequence[int]) -> str:
    return bytes(tokens).decode(errors="replace")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd")))
def test_characters_are_whole_and_the_text_is_the_same(text: str) -> None:
    detokenizer = Detokenizer(decoded)
    pieces = [detokenizer.push(byte) for byte in text.encode()]
    assert [piece for piece in pieces if piece] == list(text)
    assert detokenizer.flush() == ""


@given(st.binary(max_size=60))
def test_bytes_that_are_no_text_are_given_too(data: bytes) -> None:
    detokenizer = Detokenizer(decoded)
    found = "".join([*(detokenizer.push(byte) for byte in data), detokenizer.flush()])
    whole = decoded(data)
    # Which of several broken bytes share one U+FFFD may differ; what is text may not.
    assert [c for c in found if c.isascii()] == [c for c in whole if c.isascii()]


def test_a_space_before_a_word_depends_on_the_word_before_it() -> None:
    words = ["one", "two", "three"]
    detokenizer = Detokenizer(lambda tokens: " ".join(words[token] for token in tokens))
    assert [detokenizer.push(token) for token in (0, 1, 2)] == ["one", " two", " three"]


def test_a_long_text_costs_no_more_for_each_token() -> None:
    longest = 0

    def decode(tokens: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(tokens))
        return decoded(tokens)

    detokenizer = Detokenizer(decode)
    for byte in ("né" * 1000).encode():
        detokenizer.push(byte)
    assert longest <= 4


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=4), st.data())
def test_a_text_ends_before_its_first_stop_string(text: str, stops: list[str], data: st.DataObject) -> None:
    finder = StopFinder(stops)
    given_text, rest = "", text
    while rest and not finder.found:
        size = data.draw(st.integers(1, len(rest)))
        given_text += finder.push(rest[:size])
        rest = rest[size:]
    found = finder.found
    given_text += finder.flush()
    places = [text.find(stop) for stop in stops if stop in text]
    assert found == bool(places)
    if not places:
        assert given_text == text
    else:
        # A later piece may show a stop string that begins earlier than one that was already complete.
        assert any(text[: len(given_text)] == given_text and text.startswith(s, len(given_text)) for s in stops)
        assert not any(stop in given_text for stop in stops)


@pytest.mark.parametrize(("most", "reason"), [(3, "length"), (5, "length"), (6, "stop")])
def test_the_last_piece_says_why(most: int, reason: str) -> None:
    pieces = list(write(Parrot(), [*b"hello", 0], Options(max_tokens=most), threading.Event()))
    assert [piece.finish for piece in pieces] == [None] * min(most, 5) + [reason]
    assert "".join(piece.text for piece in pieces) == "hello"[:most]
    assert pieces[-1].tokens == min(most, 5)


def test_half_a_character_at_the_end_is_told() -> None:
    pieces = list(write(Parrot(), list("é".encode()), Options(max_tokens=1), threading.Event()))
    assert "".join(piece.text for piece in pieces) == "\ufffd"


def test_closing_the_text_closes_the_writer() -> None:
    parrot, stop = Parrot(), threading.Event()
    pieces = write(parrot, list(b"abc"), Options(max_tokens=100), stop)
    next(pieces)
    pieces.close()
    assert parrot.stopped.is_set() and stop.is_set()


def test_a_stop_that_is_set_ends_the_text_without_a_reason() -> None:
    stop = threading.Event()
    pieces = write(Parrot(), list(b"abc"), Options(max_tokens=100), stop)
    next(pieces)
    stop.set()
    assert list(pieces) == []
