"""Copies of caches in the session: a text goes on elsewhere without being read again, and is the same."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from language_nodes import CAPACITY, LAYERS, alone, deployed, program_of, small
from live_sessions import until

from hocket.control.live.mirror import Mirror
from hocket.errors import LateError
from hocket.language.distributed import DistributedReader
from hocket.language.generate import generate
from hocket.language.language_model import LanguageModel
from hocket.language.live import LiveLanguageModel
from hocket.language.session import DecoderSession
from hocket.program import Program
from hocket.runtime.happenings import Rows
from hocket.runtime.wire import Step

PROMPT = [5, 80, 33, 7, 7, 61, 2, 90, 14]
MOST = 12
ENOUGH = 1 << 20
POSITION_BYTES = 2 * LAYERS * 2 * 16 * 4
"""Keys and values of each layer: 2 heads of 16 numbers of 4 bytes."""


def written(
    live: LiveLanguageModel, lose: Callable[[DistributedReader], None], at: int = 4, prompt: Sequence[int] = PROMPT
) -> tuple[list[int], DistributedReader, list[Step]]:
    """A text during which something happens, its reader, and the steps that were asked for after that."""
    found: list[int] = []
    steps: list[Step] = []
    submit = live.session.submit

    def watched(*arguments, step, **named):  # type: ignore[no-untyped-def]
        steps.append(step)
        return submit(*arguments, step=step, **named)

    live.session.submit = watched  # type: ignore[method-assign]
    with live.reader() as reader:
        for token in generate(reader, prompt, most=MOST):
            found.append(token)
            if len(found) == at:
                lose(reader)
                steps.clear()
    return found, reader, steps


@pytest.mark.parametrize("standby", ["ready", "none"])
@pytest.mark.parametrize("lost", ["b", "c"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_text_whose_node_is_lost_goes_on_without_being_read_again(family: str, lost: str, standby: str) -> None:
    model = small(family)
    with deployed(model, "aabbc" if lost == "b" else "abccb", "abc", standby=standby, mirror_bytes=ENOUGH) as live:
        text, reader, steps = written(live, lambda _: live.fleet.launcher.node(lost).stop())
        mirror = live.session._keeper.mirror
        until(lambda: not mirror._copies and not mirror.nbytes)  # the text has ended
    assert text == alone(model, PROMPT, MOST)
    assert (reader.revivals, reader.replays) == (1, 0)
    # At most the step under way when the node was lost, and the one whose rows had not come back, are computed again.
    assert min(step.start for step in steps) >= len(PROMPT) + 4 - 2


def test_a_text_is_read_again_where_that_is_predicted_to_be_quicker() -> None:
    model = small("llama")

    def lose(reader: DistributedReader) -> None:
        reader._reading_s, reader._told_by = 1e-9, 99
        assert reader._bringing_s(10_000) == pytest.approx(10_000 / 125e6)  # over a link of 1 Gbit/s
        live.fleet.launcher.node("b").stop()

    with deployed(model, "aabbb", "abc", standby="ready", mirror_bytes=ENOUGH) as live:
        text, reader, steps = written(live, lose)
    assert text == alone(model, PROMPT, MOST)
    assert (reader.revivals, reader.replays) == (0, 1)
    assert steps[1].start == 0  # the first was the one that failed


def test_a_long_prompt_tells_how_fast_is_read_and_is_gone_on_with_in_pieces() -> None:
    model = small("llama")
    prompt = [int(token) for token in np.arange(30) % 90]
    with deployed(model, "aabbb", "ab", standby="ready", mirror_bytes=ENOUGH) as live, live.reader() as reader:
        reader._piece = 4
        expected = alone(model, prompt, 3)
        first = next(iter(generate(reader, prompt, most=1)))
        assert reader._reading_s > 0
        reader._reading_s = 1.0
        live.fleet.launcher.node("b").stop()
        rest = list(generate(reader, [first], most=2))
        assert [first, *rest] == expected
        assert (reader.revivals, reader.replays) == (1, 0)


@pytest.mark.parametrize("most_bytes", [0, 3 * POSITION_BYTES])
def test_without_a_copy_a_text_is_read_again(most_bytes: int) -> None:
    model = small("gpt2")
    with deployed(model, "aabbb", "ab", standby="ready", mirror_bytes=most_bytes) as live:
        text, reader, _ = written(live, lambda _: live.fleet.launcher.node("b").stop())
    assert text == alone(model, PROMPT, MOST)
    assert (reader.revivals, reader.replays) == (0, 1)


def test_nodes_that_are_lost_one_after_another() -> None:
    model = small("llama")
    with deployed(model, "abbcc", "abcd", standby="none", mirror_bytes=ENOUGH) as live:

        def lose_both(_: DistributedReader) -> None:
            live.fleet.launcher.node("b").stop()
            live.fleet.launcher.node("c").stop()

        text, reader, _ = written(live, lose_both)
        assert text == alone(model, PROMPT, MOST)
        assert (reader.revivals >= 1, reader.replays) == (True, 0)


def test_what_was_read_in_vain_is_not_in_the_copy() -> None:
    model = small("llama")
    with deployed(model, "aabbb", "ab", standby="ready", mirror_bytes=ENOUGH) as live, live.reader() as reader:
        reader.read(PROMPT)
        submit = live.session.submit

        def late(*arguments, **named):  # type: ignore[no-untyped-def]
            submit(*arguments, **named).result()
            raise LateError("a request had no answer in time; allow it more")

        live.session.submit = late  # type: ignore[method-assign]
        with pytest.raises(LateError):
            reader.read([9] * 7)
        live.session.submit = submit  # type: ignore[method-assign]
        reader.read([3])
        live.fleet.launcher.node("b").stop()
        found = reader.read([4])
    assert found == pytest.approx(DecoderSession(model, capacity=CAPACITY).read([*PROMPT, 3, 4]), rel=1e-4, abs=1e-4)


# ------------------------------------------------------------ the copies themselves


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return small("llama")


def made(program: Program, start: int, stop: int) -> list[Rows]:
    """Rows as nodes would send them; each number says whose it is."""
    found = []
    for segment in dict.fromkeys(state.segment for state in program.states):
        states = [state for state in program.states if state.segment == segment]
        parts = [values(state.past, state.shape)[:, :, start:stop].tobytes() for state in states]
        found.append(Rows(segment, start, stop, b"".join(parts)))
    return found


def values(name: str, shape: Sequence[int]) -> np.ndarray:
    place = sum(name.encode())
    return place + np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def kept(mirror: Mirror, program: Program, sequence: int, *spans: tuple[int, int]) -> int:
    mirror.open(sequence)
    for start, stop in spans:
        for rows in made(program, start, stop):
            mirror.keep(program, sequence, rows)
    return mirror.find(sequence).positions


def brought(mirror: Mirror, program: Program, sequence: int, stop: int) -> list[Rows] | None:
    """What all nodes are brought."""
    found = mirror.rows(program, sequence, stop)
    return None if found is None else [rows for pieces in found.values() for rows in pieces]


def test_what_one_program_kept_is_brought_to_the_segments_of_another(model: LanguageModel) -> None:
    mirror, one, other = Mirror(ENOUGH), program_of(model, "aabbc"), program_of(model, "abbbb")
    assert kept(mirror, one, 1, (0, 9), (9, 10)) == 10
    assert brought(mirror, other, 1, 10) == made(other, 0, 10)
    assert brought(mirror, other, 1, 4) == made(other, 0, 4)
    assert brought(mirror, other, 1, 11) is None
    assert brought(mirror, other, 2, 1) is None
    assert mirror.rows(None, 1, 1) is None


def test_large_copies_are_brought_in_pieces(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hocket.control.live.mirror._PIECE_BYTES", 2 * POSITION_BYTES)
    mirror, program = Mirror(ENOUGH), program_of(model, "aaaaa")
    kept(mirror, program, 1, (0, 5))
    assert brought(mirror, program, 1, 5) == [made(program, *span)[0] for span in ((0, 2), (2, 4), (4, 5))]


def test_the_copy_ends_where_one_layer_lacks_something(model: LanguageModel) -> None:
    mirror, program = Mirror(ENOUGH), program_of(model, "aabbc")
    kept(mirror, program, 1, (0, 4))
    first, *_ = made(program, 4, 6)
    mirror.keep(program, 1, first)
    assert mirror.find(1).positions == 4
    assert kept(mirror, program, 1, (7, 9)) == 4  # a gap before it
    assert kept(mirror, program, 1, (4, 6)) == 6
    assert kept(mirror, program, 1, (2, 5)) == 6  # once more changes nothing
    assert brought(mirror, program, 1, 6) == made(program, 0, 6)


def test_memory_is_counted_as_it_is_taken(model: LanguageModel) -> None:
    mirror, program = Mirror(ENOUGH), program_of(model, "aabbc")
    kept(mirror, program, 1, (0, 1))
    assert mirror.find(1).nbytes == mirror.nbytes == 16 * POSITION_BYTES
    kept(mirror, program, 1, *((start, start + 1) for start in range(1, 17)))
    assert mirror.find(1).nbytes == mirror.nbytes == 32 * POSITION_BYTES
    kept(mirror, program, 1, (17, CAPACITY))
    assert mirror.find(1).nbytes == mirror.nbytes == CAPACITY * POSITION_BYTES
    assert brought(mirror, program, 1, CAPACITY) == made(program, 0, CAPACITY)


def test_rows_that_fit_no_state_are_not_taken(model: LanguageModel) -> None:
    mirror, program = Mirror(ENOUGH), program_of(model, "aaaaa")
    mirror.open(1)
    (good,) = made(program, 0, 2)
    for bad in (
        good._replace(segment="none"),
        good._replace(data=bytes(good.data)[:-1]),
        good._replace(stop=3),
        good._replace(start=2, stop=0),
        Rows(good.segment, 0, CAPACITY + 1, bytes((CAPACITY + 1) * POSITION_BYTES)),
    ):
        mirror.keep(program, 1, bad)
        assert mirror.find(1).positions == 0
    mirror.keep(program, 2, good)  # nobody has opened it
    assert mirror.find(2).positions == mirror.nbytes == 0


def test_a_copy_is_passed_on_and_forgotten(model: LanguageModel) -> None:
    mirror, program = Mirror(ENOUGH), program_of(model, "aabbb")
    kept(mirror, program, 1, (0, 4))
    mirror.open(7, heir_of=1)
    mirror.open(8, heir_of=5)
    assert [mirror.find(sequence).positions for sequence in (1, 7, 8)] == [0, 4, 0]
    mirror.forget(1)
    assert mirror.nbytes == 16 * POSITION_BYTES
    mirror.forget(7)
    for rows in made(program, 0, 4):
        mirror.keep(program, 7, rows)  # what still comes of it
    assert (mirror.nbytes, mirror.find(7).positions) == (0, 0)


def test_a_copy_that_is_too_large_is_given_up_and_others_are_not(model: LanguageModel) -> None:
    mirror, program = Mirror(40 * POSITION_BYTES), program_of(model, "aabbb")
    kept(mirror, program, 1, (0, 4))
    assert kept(mirror, program, 2, (0, 16), (16, 17)) == 0
    assert mirror.find(1).positions == 4
    assert kept(mirror, program, 2, (0, 8)) == 0
    mirror.forget(2)
    assert kept(mirror, program, 3, (0, 6)) == 6


def test_without_room_there_are_no_copies(model: LanguageModel) -> None:
    mirror, program = Mirror(0), program_of(model, "aabbb")
    assert kept(mirror, program, 1, (0, 4)) == 0
    assert not mirror._copies
