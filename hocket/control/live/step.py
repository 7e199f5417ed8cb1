"""`step`: what has happened goes in, what is to be done comes out.

No clock, socket or thread is in here: time arrives in the events. The same function is driven by a live session, by
`rehearse` and by recorded events.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hocket.control.live import audits, goals, health, requests
from hocket.control.live.events import (
    Answered,
    Cancelled,
    Check,
    Command,
    Compared,
    Event,
    Gone,
    Heard,
    Judged,
    Pardoned,
    Probed,
    Proceeded,
    Ready,
    Refused,
    Released,
    Submitted,
    Thought,
    Tick,
    Unready,
    Wanted,
    Watched,
)
from hocket.control.live.facts import Facts, World
from hocket.control.live.policy import Policy, Static
from hocket.control.live.sight import Sight
from hocket.control.live.state import Health, Rules, State
from hocket.control.live.suspicion import Flapping, Heartbeats
from hocket.control.live.turn import Turn


def begin(
    facts: Facts,
    nodes: Mapping[str, str],
    at_s: float,
    *,
    rules: Rules | None = None,
    policy: Policy | None = None,
    stated: World | None = None,
) -> tuple[State, tuple[Command, ...]]:
    """The first state: one plan, to be brought to its nodes.

    Args:
        facts: of the plan.
        nodes: every node that may be used -> its instance.
        at_s: now.
        rules: how careful to be.
        policy: when to have another plan.
        stated: rates of all ways as the cluster states them.

    Returns:
        The state, and what is to be done.
    """
    chosen = policy or Static()
    health_of = {node: Health(Heartbeats.began(at_s), Flapping(), instance=name) for node, name in nodes.items()}
    state = State(
        rules or Rules(),
        chosen,
        now_s=at_s,
        sight=Sight.of(stated or World()),
        memory=chosen.begin(),
        nodes=health_of,
        plans={facts.plan: facts},
        home=facts.plan,
        goal=facts.plan,
    )
    turn = Turn(state, at_s)
    turn.prepare(facts.plan)
    return turn.done()


def step(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """The next state, and what is to be done, after an event."""
    turn = Turn(state, event.at_s)
    _HANDLERS[type(event)](turn, event)
    turn.collect()
    return turn.done()


def calm(state: State) -> bool:
    """Whether the goal is in force and ready for the next loss: nothing is being prepared, tried or thought about."""
    if state.active is None or state.runs[state.active].plan != state.goal or state.questions or state.probes:
        return False
    facts = state.plans[state.goal]
    ready = all(run.ready for run in state.runs.values())
    known = state.rules.standby == "none" or (facts.nodes - facts.sources) <= state.spares.keys()
    return ready and known and all(health.status == "up" for health in state.nodes.values())


def _tick(turn: Turn, event: Tick) -> None:
    health.watch_nodes(turn, event)
    health.watch_ways(turn)
    requests.late(turn)
    requests.stuck(turn)
    audits.overdue(turn)
    audits.try_case(turn)
    goals.pause(turn)
    if turn.active is None and not turn.trouble:
        goals.recover(turn)  # what could not be prepared may be tried again by now
    else:
        goals.look_ahead(turn)
    goals.look_around(turn)
    turn.elect()
    turn.pump()


_HANDLERS: Mapping[type[Event], Callable[[Turn, Any], None]] = {
    Submitted: requests.submitted,
    Released: requests.released,
    Cancelled: requests.cancelled,
    Check: audits.check,
    Compared: health.compared,
    Judged: health.judged,
    Pardoned: health.pardoned,
    Answered: requests.answered,
    Refused: requests.refused,
    Proceeded: requests.proceeded,
    Ready: goals.ready,
    Unready: health.unready,
    Heard: health.heard,
    Gone: health.gone,
    Tick: _tick,
    Watched: goals.watched,
    Probed: health.probed,
    Thought: goals.thought,
    Wanted: goals.wanted,
}
