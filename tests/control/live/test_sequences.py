"""Requests of sequences: which go on, which wait, and what is left when a sequence has ended."""

from collections.abc import Sequence

from stage import PLANS

from hocket.control.live import events
from hocket.control.live.state import Rules, State
from hocket.control.live.step import begin, step
from hocket.control.live.turn import LOST

NODES = {"a": "1", "b": "1", "c": "1"}
LONG_S = 1e3


def run_of(
    *happened: events.Event, ready: bool = True, rules: Rules | None = None
) -> tuple[State, list[events.Command]]:
    """What is decided after some events; the first plan is in force first, unless it is not ready."""
    state, _ = begin(PLANS[0], NODES, 0.0, rules=rules or Rules(standby="none"))
    (number,) = state.runs
    found: list[events.Command] = []
    for event in [*([events.Ready(0.1, number)] if ready else []), *happened]:
        state, commands = step(state, event)
        found += commands
    return state, found


def asked(request: int, sequence: int = 7, *, goes_on: bool = False, at_s: float = 1.0) -> events.Submitted:
    return events.Submitted(at_s, request, LONG_S, sequence, goes_on)


def failed(commands: Sequence[events.Command]) -> dict[int, str]:
    return {each.request: each.sentence for each in commands if isinstance(each, events.Fail)}


def test_a_step_goes_on_only_where_its_sequence_is() -> None:
    state, commands = run_of(asked(0), asked(1, goes_on=True), asked(2, sequence=8, goes_on=True))
    assert failed(commands) == {2: LOST}
    assert set(state.homes) == {7}


def test_a_step_waits_behind_the_beginning_of_its_sequence() -> None:
    state, commands = run_of(asked(0), asked(1, goes_on=True), ready=False)
    assert (failed(commands), state.queue) == ({}, (0, 1))


def test_a_sequence_that_has_ended_leaves_nothing() -> None:
    window = PLANS[0].lines[0].window
    asks = [asked(0), *(asked(number, goes_on=True) for number in range(1, window + 3))]
    state, commands = run_of(*asks, events.Released(2.0, 7))
    assert failed(commands) == dict.fromkeys(range(window + 3), "its sequence has ended; begin another one")
    assert (state.requests, state.queue, state.homes) == ({}, (), {})
    assert [each.sequence for each in commands if isinstance(each, events.Release)] == [7]


def test_a_request_that_proceeds_is_not_stuck() -> None:
    rules = Rules(standby="none", stuck_s=1.0, quiet_s=1e6)
    sent = {}
    for proceeds in (False, True):
        happened: list[events.Event] = [asked(0)]
        for at_s in (1.5, 2.0, 2.5, 3.0, 3.5, 4.0):
            happened += [events.Proceeded(at_s, 1, 0, 0)] if proceeds else []
            happened += [*(events.Heard(at_s, node, "1") for node in NODES), events.Tick(at_s, 0.0)]
        _, commands = run_of(*happened, rules=rules)
        first = next(each for each in commands if isinstance(each, events.Send))
        assert (first.run, first.line, first.number) == (1, 0, 0)
        sent[proceeds] = sum(isinstance(each, events.Probe) for each in commands)
    assert sent[True] == 0 < sent[False]
