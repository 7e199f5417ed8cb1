"""Spot checks: some answered requests are computed again by another run, and what comes of it is compared.

A node that changes results (or computes wrongly) is in one of two runs that disagree. Which of the two was wrong tells
a judge: a third run without any node in doubt, which answers the same request. Trusted nodes are never accused.
"""

import math

from hocket.control.live.events import Again, Check, Compare, Compared, Judged, Tell
from hocket.control.live.state import Trial
from hocket.control.live.turn import Attempt, Turn

_KEPT = 32
_PATIENCE_S = 5.0


def check(turn: Turn, event: Check) -> None:
    """A request that a run has answered shall be computed again, by nodes as different as can be."""
    first = turn.runs.get(event.run)
    if first is None:
        return
    own = _accusable(turn, first.plan)
    able = [
        (-len(own ^ _accusable(turn, run.plan)), number)
        for number, run in turn.runs.items()
        if run.ready and turn.sound(run.plan) and run.ways[0].room and own != _accusable(turn, run.plan)
    ]
    if able:
        _again(turn, event.check, min(able)[1])
    else:
        turn.count("unchecked")


def checked(turn: Turn, request: int, attempt: Attempt) -> None:
    """The second answer has come."""
    turn.say(Compare(-1 - request, *attempt))


def overdue(turn: Turn) -> None:
    """Checks whose answer does not come."""
    for attempt, until_s in list(turn.checks.items()):
        if until_s < turn.now_s:
            turn.drop(attempt)
            turn.count("unchecked")


def compared(turn: Turn, event: Compared) -> None:
    """The answers of two runs are the same, or are not."""
    turn.count("checked")
    if event.agree or any(plan not in turn.plans for plan in event.plans):
        return
    turn.count("disagreed")
    _accuse(turn, _accusable(turn, event.plans[0]) ^ _accusable(turn, event.plans[1]))
    names = ", ".join(sorted(turn.doubted))
    turn.say(Tell(f"two runs disagree about a request; it may be {names}"))
    if len(turn.doubted) > 1 and turn.case is None:
        turn.case = (event.check, event.plans)


def try_case(turn: Turn) -> None:
    """Let the judge, once it is ready, answer the request about which two runs disagreed."""
    if turn.case is None or turn.judge is None:
        return
    for number, run in turn.runs.items():
        if run.plan == turn.judge and run.ready and turn.sound(run.plan) and run.ways[0].room:
            check_number, turn.case = turn.case[0], None
            _again(turn, check_number, number)
            return


def judged(turn: Turn, event: Judged) -> None:
    """Nodes of a run that was wrong about a request of which the judge knows the answer are accused."""
    for plan, right in zip(event.plans, event.right, strict=True):
        if not right and plan in turn.plans:
            turn.trials = ()
            _accuse(turn, _accusable(turn, plan) - _accusable(turn, event.judge))


def _again(turn: Turn, number: int, run: int) -> None:
    place = turn.place(-1 - number, run, 0)
    patience_s = _PATIENCE_S + turn.rules.stuck_factor * turn.plans[turn.runs[run].plan].value_s
    turn.checks[run, 0, place] = turn.now_s + patience_s
    turn.say(Again(number, run, 0, place))


def _accuse(turn: Turn, nodes: frozenset[str]) -> None:
    turn.trials = (*turn.trials, Trial(turn.now_s, nodes))[-_KEPT:]
    turn.doubted = suspects(turn.trials)
    if not turn.doubted:  # no single node explains all of them: the newest counts
        turn.trials = turn.trials[-1:]
        turn.doubted = nodes


def convicted(turn: Turn) -> str | None:
    """The one node that every disagreement is about; None = there is none, or it is not clear yet."""
    return next(iter(turn.doubted)) if len(turn.doubted) == 1 else None


def suspects(trials: tuple[Trial, ...]) -> frozenset[str]:
    """The nodes that each accusation is about.

    >>> sorted(suspects((Trial(0.0, frozenset("bc")), Trial(1.0, frozenset("bd")))))
    ['b']
    """
    found = trials[0].accused if trials else frozenset()
    for trial in trials[1:]:
        found &= trial.accused
    return found


def chance_of_catching(share: float, tampering: float, requests: int) -> float:
    """Probability that a node is found to differ at least once: 1 - (1 - share * tampering) ** requests.

    Args:
        share: of the requests that are computed again, 0 to 1.
        tampering: share of its results that the node changes, 0 to 1; it does not know which are checked.
        requests: that go through it.

    >>> round(chance_of_catching(0.02, 0.5, 300), 3)
    0.951
    """
    return 1.0 - (1.0 - share * tampering) ** requests


def share_for(chance: float, tampering: float, requests: int) -> float:
    """Share of the requests to check so that a node is found with some probability; more than 1 = it cannot be done.

    >>> round(share_for(0.95, 0.5, 300), 4)
    0.0199
    """
    return (1.0 - math.exp(math.log1p(-chance) / requests)) / tampering


def _accusable(turn: Turn, plan: int) -> frozenset[str]:
    """Nodes of a plan that are not trusted: the task's own ends are."""
    facts = turn.plans[plan]
    return facts.nodes - facts.sources - turn.rules.trusted
