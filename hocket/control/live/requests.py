"""What happens to requests: they come, are answered, refused, cancelled, late or stuck."""

from dataclasses import replace

from hocket.control.live.audits import checked
from hocket.control.live.events import Answered, Cancelled, Probe, Proceeded, Refused, Release, Released, Submitted
from hocket.control.live.state import Request
from hocket.control.live.turn import LOST, Turn

_PACE = 0.1
"""Weight of the newest answer in the usual time of a request."""


def submitted(turn: Turn, event: Submitted) -> None:
    """A request has come: it waits for room, or learns at once that nothing can serve it."""
    turn.requests[event.request] = Request(event.at_s, event.deadline_s, sequence=event.sequence)
    if turn.trouble:
        turn.fail(event.request, turn.trouble)
        return
    if event.goes_on and event.sequence not in turn.homes and not _follows(turn, event):
        turn.fail(event.request, LOST)
        return
    turn.queue.append(event.request)
    late(turn)
    turn.pump()


def _follows(turn: Turn, event: Submitted) -> bool:
    """Whether another request of its sequence waits to be sent before it."""
    return any(turn.requests[earlier].sequence == event.sequence for earlier in turn.queue)


def released(turn: Turn, event: Released) -> None:
    """A sequence has ended: its states are given back."""
    for request, known in list(turn.requests.items()):
        if known.sequence == event.sequence:
            turn.fail(request, "its sequence has ended; begin another one")
    home = turn.homes.pop(event.sequence, None)
    if home is not None:
        turn.say(Release(*home, event.sequence))


def cancelled(turn: Turn, event: Cancelled) -> None:
    """Nobody waits for it any more."""
    if event.request in turn.requests:
        turn.cancel(event.request)
        turn.pump()


def answered(turn: Turn, event: Answered) -> None:
    """The first answer of a request is given out; of others nobody hears."""
    attempt = (event.run, event.line, event.number)
    request = turn.take_back(attempt)
    if request is not None and request < 0:
        checked(turn, request, attempt)
    if request is None or request not in turn.requests:
        return
    known = turn.requests[request]
    if known.deadline_s < turn.now_s:
        turn.fail(request, _too_late(turn, known), late=True)
        turn.pump()
        return
    if known.tries == 1:
        taken_s = turn.now_s - known.sent_s
        turn.pace_s += _PACE * (taken_s - turn.pace_s) if turn.pace_s else taken_s
    turn.finish(request, attempt)
    turn.pump()


def refused(turn: Turn, event: Refused) -> None:
    """A node could not go on: once it may be the node's fault, twice it is the request's."""
    attempt = (event.run, event.line, event.number)
    request = turn.take_back(attempt)
    if request is None or request not in turn.requests:
        return
    known = turn.requests[request]
    turn.requests[request] = known = replace(known, refusals=(*known.refusals, event.sentence))
    if len(known.refusals) > 1:
        turn.fail(request, event.sentence)
    elif not known.where:
        turn.again(request)
    turn.pump()


def proceeded(turn: Turn, event: Proceeded) -> None:
    """What it waits for comes: it is not stuck."""
    request = turn.runs[event.run].ways[event.line].under.get(event.number) if event.run in turn.runs else None
    if request in turn.requests:
        turn.requests[request] = replace(turn.requests[request], sent_s=turn.now_s)


def late(turn: Turn) -> None:
    """Requests whose deadline has passed."""
    for request, known in list(turn.requests.items()):
        if known.deadline_s <= turn.now_s:
            turn.fail(request, _too_late(turn, known), late=True)


def _too_late(turn: Turn, known: Request) -> str:
    where = "under way" if known.where else "waiting for room"
    return (
        f"a request had no answer within {turn.now_s - known.since_s:.3g} s and was {where} ({known.tries} tries);"
        " allow it more time, or send fewer at once"
    )


def stuck(turn: Turn) -> None:
    """Requests that take much longer than usual: try the ways that they took, and send them again."""
    for request, known in list(turn.requests.items()):
        if not known.where or request in turn.queue:
            continue
        run = known.where[-1][0]
        patience_s = patience(turn, run) * 2 ** (known.tries - 1)
        if turn.now_s - known.sent_s < patience_s or known.tries > turn.rules.retries:
            continue
        if known.doubted_s < known.sent_s:
            turn.requests[request] = replace(known, doubted_s=turn.now_s)
            try_ways(turn, run)
        elif turn.now_s - known.doubted_s > probe_patience(turn, run):
            # Its ways have proved themselves: what was under way has been lost, or its turn never comes.
            for attempt in known.where:
                turn.drop(attempt)
            turn.again(request)
    turn.pump()


def patience(turn: Turn, run: int) -> float:
    """Seconds after which a request of a run is looked into."""
    facts = turn.plans[turn.runs[run].plan]
    window = max(line.window for line in facts.lines)
    return max(turn.rules.stuck_s, turn.rules.stuck_factor * max(facts.value_s * window, turn.pace_s))


def probe_patience(turn: Turn, run: int) -> float:
    """Seconds that a probe may take on a run's ways: it queues behind what is on them."""
    return turn.rules.probe_s + 2 * turn.plans[turn.runs[run].plan].value_s


def try_ways(turn: Turn, run: int) -> None:
    """Send a probe over every way of a run that is not being tried."""
    for hop in sorted(turn.plans[turn.runs[run].plan].hops):
        if hop not in turn.probes and hop not in turn.cut:
            turn.probes[hop] = turn.now_s + probe_patience(turn, run)
            turn.say(Probe(hop, 0, fresh=True))
