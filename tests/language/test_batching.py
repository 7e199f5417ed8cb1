"""Texts at once on nodes: their steps are computed together, and each is what it is alone."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from language_nodes import alone, deployed, executables_of, nothing_kept, small

from hocket.language.generate import generate
from hocket.language.language_model import LanguageModel
from hocket.language.live import LiveLanguageModel
from hocket.runtime.deployment import Deployment
from hocket.runtime.executable import Executable
from hocket.runtime.states import States

PROMPTS = ([5, 80, 33, 7, 7, 61, 2], [3], [80, 2, 2, 2], [11, 12, 13])
MOST = 12


class Watched:
    """What nodes computed at once; the first step of one token is held until every text has one there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept: list[States] = []
        self._ready = threading.Semaphore(0)
        self._held = False
        init, feed, run = States.__init__, Deployment.feed, Executable.run_kept

        def made(states: States, room: Callable[[int], bool]) -> None:
            init(states, room)
            self.kept.append(states)

        def fed(deployment: Deployment, message: Any, buffers: Any) -> None:
            feed(deployment, message, buffers)
            if message.step is not None and message.step.start and message.step.stop - message.step.start == 1:
                self._ready.release()

        def ran(executable: Executable, inputs: Any, binding: Any) -> Any:
            tokens = inputs.get("tokens")
            if not self._held and tokens is not None and tokens.shape == (1, 1) and inputs["total_length"][0] > 1:
                self._held = True
                for _ in PROMPTS:
                    self._ready.acquire(timeout=20.0)
            return run(executable, inputs, binding)

        monkeypatch.setattr(States, "__init__", made)
        monkeypatch.setattr(Deployment, "feed", fed)
        monkeypatch.setattr(Executable, "run_kept", ran)

    @property
    def runs(self) -> Counter[int]:
        """How often so many steps were computed at once."""
        return sum((states.runs for states in self.kept), Counter())


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


@pytest.fixture(params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return small(request.param)


def write(
    live: LiveLanguageModel, most: Sequence[int], each: Callable[[int, Any, int], None] = lambda *_: None
) -> list[list[int]]:
    """A text of each prompt by a thread of its own; `each` is told number, reader and length after every token."""
    found: list[list[int]] = [[] for _ in PROMPTS]
    begun = threading.Barrier(len(PROMPTS))  # no step is held before all prompts have been read

    def text(number: int) -> None:
        with live.reader() as reader:
            for token in generate(reader, PROMPTS[number], most=most[number]):
                found[number].append(token)
                if len(found[number]) == 1:
                    begun.wait(20.0)
                each(number, reader, len(found[number]))

    threads = [threading.Thread(target=text, args=(number,)) for number in range(len(PROMPTS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    return found


@pytest.mark.parametrize("places", ["aaaaa", "aabbb", "aaaab"])
def test_steps_that_wait_for_a_segment_are_computed_together(
    watched: Watched, model: LanguageModel, places: str
) -> None:
    most = [MOST, MOST, 5, MOST]  # one ends in the middle
    with deployed(model, places, "".join(sorted(set(places)))) as live:
        found = write(live, most)
        assert nothing_kept(live)
    assert found == [alone(model, prompt, count) for prompt, count in zip(PROMPTS, most, strict=True)]
    together = sum(count for size, count in watched.runs.items() if size > 1)
    assert together >= 1
    # On each of two nodes no more than half of the texts, so that the other has some too.
    assert max(watched.runs) <= (len(PROMPTS) if places == "aaaaa" else len(PROMPTS) // 2)


def test_a_text_that_is_lost_is_read_again_while_the_others_go_on(watched: Watched, model: LanguageModel) -> None:
    replays: dict[int, int] = {}

    def lose(number: int, reader: Any, length: int) -> None:
        if number == 1 and length == 4:
            live.session.end_sequence(reader._sequence)
        replays[number] = reader.replays

    with deployed(model, "aabbb", "ab") as live:
        found = write(live, [MOST] * len(PROMPTS), lose)
    assert found == [alone(model, prompt, MOST) for prompt in PROMPTS]
    assert replays == {0: 0, 1: 1, 2: 0, 3: 0}


def test_a_prompt_beside_steps_is_read_as_it_is_alone(watched: Watched, model: LanguageModel) -> None:
    prompt = [int(token) for token in range(30)]
    late: list[int] = []

    def join(number: int, reader: Any, length: int) -> None:
        if number == 0 and length == 3:
            with live.reader() as other:
                late.extend(generate(other, prompt, most=4))

    with deployed(model, "aaaaa", "a") as live:
        found = write(live, [MOST] * len(PROMPTS), join)
    assert found == [alone(model, text, MOST) for text in PROMPTS]
    assert late == alone(model, prompt, 4)


def test_each_step_of_a_group_is_in_the_trace(watched: Watched) -> None:
    with deployed(small("llama"), "aaaaa", "a") as live:
        write(live, [MOST] * len(PROMPTS))
        computed: list[int] = []
        end_s = time.monotonic() + 20.0  # nodes tell it from time to time
        while len(computed) < MOST * len(PROMPTS) and time.monotonic() < end_s:
            computed = [span.request for span in live.session.spans() if span.kind == "compute"]
            time.sleep(0.05)
        answered = [span.request for span in live.session.spans() if span.kind == "request"]
    assert max(watched.runs) > 1
    assert sorted(computed) == sorted(answered) == list(range(MOST * len(PROMPTS)))


def test_every_segment_of_a_divided_decoder_stacks(model: LanguageModel) -> None:
    for places in ("abcde", "aaaaa", "abababab"[:5]):
        assert all(executable.segment.stacks for executable in executables_of(model, places))
