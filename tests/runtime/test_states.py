"""What nodes keep for sequences: rows of pools, and steps of several sequences as one run."""

import mmap
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
from language_nodes import CAPACITY, executables_of, small
from onnx import helper

from hocket.errors import GraphError, NodeError
from hocket.program import INPUT, Site, State
from hocket.runtime.executable import Executable
from hocket.runtime.pool import MOST_ROWS, Pool, together
from hocket.runtime.stacking import Values
from hocket.runtime.states import GONE, States
from hocket.runtime.wire import Step

TEXTS = ([5, 80, 33, 7, 7, 61], [3], [80, 2, 2], [11, 12, 13, 14, 15, 16, 17, 18, 19])
"""Their last tokens are steps, the tokens before are prompts."""
BYTES = 3 * 2 * 4 * CAPACITY


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def whole(request: pytest.FixtureRequest) -> Executable:
    return executables_of(small(request.param), "aaaaa")[0]


def states() -> States:
    return States(lambda nbytes: True)


def request(sequence: int, tokens: Sequence[int], start: int) -> tuple[Values, Step]:
    return {"tokens": np.array([tokens], np.int64)}, Step(sequence, start, start + len(tokens))


def last(sequence: int) -> tuple[Values, Step]:
    """The step of a text."""
    text = TEXTS[sequence]
    return request(sequence, text[-1:], len(text) - 1)


def read(kept: States, executable: Executable, sequence: int, tokens: Sequence[int], start: int = 0) -> np.ndarray:
    """Scores of what follows."""
    scores: np.ndarray = kept.step(executable, *request(sequence, tokens, start))["logits"]
    return scores


def with_prompts(executable: Executable, texts: Sequence[Sequence[int]] = TEXTS) -> States:
    kept = states()
    for sequence, text in enumerate(texts):
        # A text of one token gets its row too, which is read again by its step.
        read(kept, executable, sequence, text[:-1] or text)
    kept.runs.clear()
    return kept


def alone(executable: Executable, text: Sequence[int]) -> np.ndarray:
    return read(states(), executable, 0, text)


def same(found: object, expected: np.ndarray) -> bool:
    assert isinstance(found, dict), found
    made: np.ndarray = found["logits"]
    return made.shape == expected.shape and bool(np.abs(made - expected).max() <= 1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int4"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_steps_of_texts_of_different_lengths_are_one_run_and_what_each_is_alone(family: str, precision: str) -> None:
    (executable,) = executables_of(small(family, precision=precision), "aaaaa")
    kept = with_prompts(executable)
    found = kept.steps(executable, [last(sequence) for sequence in (2, 0, 3, 1)])
    assert kept.runs == {4: 1}
    for values, sequence in zip(found, (2, 0, 3, 1), strict=True):
        expected = alone(executable, TEXTS[sequence])
        tolerance = 1e-5 if precision.startswith("float") else 1e-2  # integers round what enters a product
        assert np.abs(values["logits"] - expected).max() <= tolerance * np.abs(expected).max()


def test_a_row_without_a_step_takes_part_and_loses_nothing(whole: Executable) -> None:
    kept = with_prompts(whole)
    found = kept.steps(whole, [last(0), last(3), last(1)])
    assert kept.runs == {3: 1}
    assert all(same(values, alone(whole, TEXTS[number])) for values, number in zip(found, (0, 3, 1), strict=True))
    assert same(kept.steps(whole, [last(2)])[0], alone(whole, TEXTS[2]))
    for sequence, text in enumerate(TEXTS):
        assert same({"logits": read(kept, whole, sequence, [9], len(text))}, alone(whole, [*text, 9]))


def test_at_least_half_of_a_range_has_a_step() -> None:
    assert together([0, 2, 5, 6], [3] * 10, 8) == [range(7)]
    assert together([0, 7], [3] * 10, 8) == [range(1), range(7, 8)]
    assert together([1, 6, 7, 8, 9], [3] * 10, 8) == [range(1, 10)]
    assert together([], [3] * 10, 8) == []


def test_a_full_row_is_not_in_the_middle_of_a_range() -> None:
    assert together([0, 2, 3], [5, 8, 5, 5], 8) == [range(1), range(2, 4)]
    assert together([0, 1, 2], [5, 8, 5], 8) == [range(3)]  # it has a step itself: an old one once more


def test_what_was_copied_is_gone_on_with_elsewhere(whole: Executable) -> None:
    text = TEXTS[3]
    kept, elsewhere = with_prompts(whole), states()
    for start, stop in ((0, 5), (5, 8)):
        data = kept.copy(whole, Step(3, start, stop))
        assert data is not None
        elsewhere.bring(whole, Step(7, start, stop), memoryview(data))
    assert same({"logits": read(elsewhere, whole, 7, text[8:], 8)}, alone(whole, text))
    assert elsewhere.nbytes == kept.nbytes // len(TEXTS)


def test_nothing_is_copied_that_is_not_kept(whole: Executable) -> None:
    kept = with_prompts(whole)
    assert kept.copy(whole, Step(3, 8, 9)) is None
    assert kept.copy(whole, Step(9, 0, 1)) is None
    kept.release(3)
    assert kept.copy(whole, Step(3, 0, 1)) is None


def test_what_does_not_fit_is_not_brought(whole: Executable) -> None:
    data = with_prompts(whole).copy(whole, Step(3, 0, 8)) or b""
    elsewhere = states()
    for step, sentence in (
        (Step(7, 0, 7), "positions 0 to 6 of these states have"),
        (Step(7, 1, 9), "has not kept positions 0 to 0"),
        (Step(7, 0, CAPACITY + 1), f"at most {CAPACITY} positions"),
        (Step(7, 3, 3), "brought positions that it does not keep"),
    ):
        with pytest.raises(NodeError, match=sentence):
            elsewhere.bring(whole, step, memoryview(data))
    full = States(lambda nbytes: False)
    with pytest.raises(NodeError, match="memory limit"):
        full.bring(whole, Step(7, 0, 8), memoryview(data))


def test_one_sequence_that_is_lost_does_not_fail_the_others(whole: Executable) -> None:
    kept = with_prompts(whole)
    kept.release(2)
    found = kept.steps(whole, [last(sequence) for sequence in range(4)])
    assert isinstance(found[2], NodeError)
    assert f"{GONE} positions 0 to 1 of sequence 2; read the sequence again" in str(found[2])
    assert all(same(found[number], alone(whole, TEXTS[number])) for number in (0, 1, 3))
    assert kept.runs == {3: 1}


def test_one_step_that_fails_does_not_fail_the_others(whole: Executable) -> None:
    kept = with_prompts(whole)
    wrong = request(2, [10**6], len(TEXTS[2]) - 1)
    found = kept.steps(whole, [last(0), last(1), wrong, last(3)])
    assert isinstance(found[2], NodeError) and "failed" in str(found[2])
    assert all(same(found[number], alone(whole, TEXTS[number])) for number in (0, 1, 3))
    assert same(kept.steps(whole, [last(2)])[0], alone(whole, TEXTS[2]))


def test_a_full_row_is_beside_others_and_keeps_what_it_has(whole: Executable) -> None:
    full = [int(token) for token in np.random.default_rng(1).integers(0, 96, CAPACITY)]
    kept = with_prompts(whole, [TEXTS[0], full, TEXTS[2]])
    assert same(kept.steps(whole, [request(1, full[-1:], CAPACITY - 1)])[0], alone(whole, full))
    kept.runs.clear()
    found = kept.steps(whole, [last(0), request(1, [4], CAPACITY), last(2)])
    assert f"at most {CAPACITY} positions" in str(found[1])
    assert same(found[0], alone(whole, TEXTS[0])) and same(found[2], alone(whole, TEXTS[2]))
    assert kept.runs == {1: 2}  # not with the full one between
    # Its last step once more, beside the others: nobody has written over what it has.
    again = kept.steps(whole, [request(1, full[-1:], CAPACITY - 1), request(2, [9], len(TEXTS[2]))])
    assert kept.runs == {1: 2, 2: 1}
    assert same(again[0], alone(whole, full)) and same(again[1], alone(whole, [*TEXTS[2], 9]))


def test_steps_of_one_sequence_are_computed_in_their_order(whole: Executable) -> None:
    kept = with_prompts(whole)
    more = [*TEXTS[0], 44, 45]
    steps = [request(0, more[place : place + 1], place) for place in range(len(more) - 3, len(more))]
    found = kept.steps(whole, [steps[0], last(3), steps[1], steps[2]])
    assert kept.runs == {2: 1, 1: 2}
    assert same(found[1], alone(whole, TEXTS[3])) and same(found[3], alone(whole, more))


def test_rows_are_used_again_and_all_memory_is_given_back(whole: Executable) -> None:
    kept = with_prompts(whole)
    each = kept.nbytes // len(TEXTS)
    assert each >= BYTES and kept.nbytes == len(TEXTS) * each
    kept.release(1)
    kept.release(1)
    read(kept, whole, 7, TEXTS[3][:-1])
    assert kept._kept[7][whole.segment.id].number == 1
    found = kept.steps(whole, [last(0), request(7, TEXTS[3][-1:], len(TEXTS[3]) - 1), last(2)])
    assert kept.runs[3] == 1
    assert same(found[1], alone(whole, TEXTS[3]))
    for sequence in (0, 2, 3, 7):
        kept.release(sequence)
    assert kept.nbytes == 0 and kept._pools == {whole.segment.id: []}


def test_a_sequence_may_end_while_its_step_is_computed(whole: Executable, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, run_kept = with_prompts(whole), whole.run_kept

    def run(inputs: Values, binding: object) -> Values:
        kept.release(3)
        return run_kept(inputs, binding)

    with monkeypatch.context() as patched:
        patched.setattr(whole, "run_kept", run)
        kept.steps(whole, [last(0), last(3), last(2)])
    assert kept.nbytes == 3 * sum(state.nbytes for state in whole.states)
    read(kept, whole, 9, TEXTS[3][:1])
    assert kept._kept[9][whole.segment.id].number == 3
    found = kept.steps(whole, [request(9, TEXTS[3][1:2], 1), last(2)])
    assert same(found[0], alone(whole, TEXTS[3][:2]))
    with pytest.raises(NodeError, match=f"{GONE} positions 2 to 2 of sequence 9"):
        read(kept, whole, 9, [5], 3)


def test_more_sequences_than_a_pool_has_rows_have_another(whole: Executable) -> None:
    count = MOST_ROWS + 3
    kept = with_prompts(whole, [[5, 6, number] for number in range(count)])
    found = kept.steps(whole, [request(number, [number], 2) for number in range(count)])
    assert kept.runs == {MOST_ROWS: 1, 3: 1}
    assert all(same(found[number], alone(whole, [5, 6, number])) for number in range(count))


def test_a_sequence_that_there_is_no_room_for_is_told_and_the_others_begin(whole: Executable) -> None:
    nbytes = sum(state.nbytes for state in whole.states)
    kept = States(lambda more: kept.nbytes + more <= 2 * nbytes)
    found = kept.steps(whole, [request(sequence, [sequence], 0) for sequence in range(3)])
    assert same(found[0], alone(whole, [0])) and same(found[1], alone(whole, [1]))
    assert f"a sequence takes {nbytes} bytes" in str(found[2])
    assert kept.nbytes == 2 * nbytes


def test_segments_that_keep_nothing_are_computed_together_too() -> None:
    head = executables_of(small("llama"), "aaaab")[-1]
    assert head.segment.stacks and not head.states
    (port,) = head.segment.inputs
    generator = np.random.default_rng(0)
    inputs = [{port.tensor: generator.standard_normal((1, 1, 64)).astype(np.float32)} for _ in range(3)]
    kept = states()
    found = kept.steps(head, [(each, Step(number, 9, 10)) for number, each in enumerate(inputs)])
    assert kept.runs == {3: 1}
    assert all(same(values, head.run(each)["logits"]) for values, each in zip(found, inputs, strict=True))


def reshaped(*, stacks: bool, length: int = 1) -> Executable:
    """A model in which the length of axis 0 is fixed."""
    constant = helper.make_tensor("shape", 7, [2], [1, 4])
    node = helper.make_node("Reshape", ["x", "shape"], ["y"], name="y")
    data = tiny.model([node], {"x": ("n", 4)}, {"y": ("n", 4)}, initializers=[constant])
    own = tiny.segment("s", "a", [tiny.port("x", INPUT)], ["y"], stacks=stacks)
    infos = {info.name: info for info in tiny.infos("x", "y", shape=(length, 4))}
    return Executable(own, tiny.artifact("s", data), tiny.no_weights, Site(name="a"), infos)


def test_a_model_that_does_not_stack_as_its_program_says_gives_the_right_answers_one_by_one() -> None:
    executable, kept = reshaped(stacks=True), states()
    inputs = [{"x": np.full((1, 4), number, np.float32)} for number in range(3)]
    found = kept.steps(executable, [(each, Step(number, 0, 1)) for number, each in enumerate(inputs)])
    assert kept.runs == {1: 3}
    for values, each in zip(found, inputs, strict=True):
        np.testing.assert_array_equal(values["y"], each["x"])


def test_a_segment_stacks_only_what_has_one_entry_for_each_request() -> None:
    reshaped(stacks=False, length=2)
    with pytest.raises(GraphError, match=r"segment 's' stacks requests, and axis 0 of 'x' \[2, 4\] is not of length 1"):
        reshaped(stacks=True, length=2)


def resident_bytes() -> int:
    """Shared memory that this process has in use."""
    found = re.search(r"RssShmem:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found.group(1))


@pytest.mark.skipif(not hasattr(mmap, "MADV_REMOVE"), reason="memory is given back on Linux")
def test_free_rows_cost_nothing_and_given_back_ones_neither() -> None:
    state = State(segment="s", past="p", present="q", dtype="float32", shape=(1, 2, 1 << 14, 64))
    assert state.nbytes == 8 << 20
    before = resident_bytes()
    pool = Pool((state,), lambda: None)
    assert resident_bytes() - before < state.nbytes
    rows = [pool.take() for _ in range(3)]
    assert rows == [0, 1, 2]
    for row in rows:
        pool._arrays[0][row] = 1.0
    assert resident_bytes() - before >= 3 * state.nbytes
    pool.give_back(1)
    assert resident_bytes() - before < 3 * state.nbytes
    assert pool._arrays[0][0].min() == pool._arrays[0][2].min() == 1.0
    assert pool.take() == 1 and not pool.unused


def test_fewer_rows_where_memory_cannot_be_reserved_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(segment="s", past="p", present="q", dtype="float32", shape=(1, 2, 3, 4))
    whole_mmap, most = mmap.mmap, 5 * state.nbytes

    def limited(number: int, length: int) -> mmap.mmap:
        if length > most:
            raise OSError(12, "Cannot allocate memory")
        return whole_mmap(number, length)

    monkeypatch.setattr(mmap, "mmap", limited)
    pool = Pool((state,), lambda: None)
    assert [pool.take() for _ in range(4)] == [0, 1, 2, 3] and pool.full
    most = 0
    with pytest.raises(NodeError, match=r"there is no memory for the 96 bytes of a sequence of segment 's'"):
        Pool((state,), lambda: None)
