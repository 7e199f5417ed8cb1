"""Which plan should be in force: after a loss, for the next loss, and when the world has moved."""

import math
from collections.abc import Mapping
from dataclasses import replace

from hocket.control.live.events import Probe, Ready, Store, Tell, Think, Thought, Wanted, Watched
from hocket.control.live.facts import Facts, Hop, World
from hocket.control.live.sight import Late
from hocket.control.live.state import Asked, Run
from hocket.control.live.turn import Turn
from hocket.control.live.wishes import View

_OVERDUE = 2.0
"""Times the usual latency: a request that has been under way for longer says that a link has become slow."""


def world_of(turn: Turn) -> World:
    """The world as it is known now."""
    missing = frozenset(node for node, health in turn.nodes.items() if health.status == "down")
    return turn.sight.world(missing, frozenset(turn.cut))


def recover(turn: Turn) -> None:
    """See to it that a run is in force or on its way; called whenever something has broken or mended."""
    if turn.paused:
        return
    if turn.usable(turn.goal):
        turn.prepare(turn.goal)
    if turn.active is not None or any(turn.sound(run.plan) for run in turn.runs.values()):
        return
    sources = turn.plans[turn.home].sources
    absent = sorted(node for node in sources if turn.nodes[node].status == "down")
    if absent:
        give_up(
            turn,
            f"node {absent[0]!r} brings the inputs or needs the outputs, and is down"
            f" ({turn.nodes[absent[0]].sentence}); start it again",
        )
        return
    known = [plan for plan in turn.plans if turn.usable(plan)]
    least = min((turn.doubts(plan) for plan in known), default=0)
    chosen = turn.rules.recovery.choose([turn.plans[plan] for plan in known if turn.doubts(plan) == least])
    best = None if chosen is None else chosen.plan
    if best is not None:
        turn.prepare(best)
    elif not any(asked.purpose == "recover" for asked in turn.questions.values()):
        think(turn, Asked("recover"), "best", world_of(turn))


def give_up(turn: Turn, sentence: str) -> None:
    """No plan can run: whoever waits learns why; what has come back later ends this."""
    if turn.trouble != sentence:
        turn.say(Tell(sentence))
    turn.trouble = sentence
    for request in list(turn.requests):
        turn.fail(request, sentence)


def ready(turn: Turn, event: Ready) -> None:
    """A run can begin."""
    run = turn.runs.get(event.run)
    if run is None:
        return
    turn.runs[event.run] = replace(run, ready=True)
    turn.spoiled.pop(run.plan, None)
    if turn.paused and run.plan == turn.goal:
        turn.paused = False
    turn.elect()
    turn.pump()


def wanted(turn: Turn, event: Wanted) -> None:
    """Somebody wants a plan."""
    turn.plans[event.facts.plan] = event.facts
    turn.home = event.facts.plan
    turn.spoiled.pop(event.facts.plan, None)
    aim(turn, event.facts.plan)


def aim(turn: Turn, plan: int) -> None:
    """Let a plan be the goal: prepare it beside what runs, or in place of it."""
    if plan == turn.goal and any(run.plan == plan for run in turn.runs.values()):
        return
    turn.goal = plan
    turn.spares = {}
    if turn.rules.pause and turn.active is not None:
        turn.paused = True
    else:
        recover(turn)
    turn.elect()
    turn.pump()


def pause(turn: Turn) -> None:
    """The baseline's way to switch: nothing runs any more, so take the old runs down and begin to load the new one."""
    if not turn.paused:
        return
    if not turn.usable(turn.goal):
        turn.paused = False
        recover(turn)
        return
    if not all(run.idle for run in turn.runs.values()):
        return
    if any(run.plan == turn.goal for run in turn.runs.values()):
        return
    for number in list(turn.runs):
        turn.forget(number)
    turn.prepare(turn.goal)


# ------------------------------------------------------------ questions and answers


def think(turn: Turn, asked: Asked, kind: str, world: World, factors: tuple[float, ...] = ()) -> None:
    """Ask the planner."""
    number = turn.number()
    turn.questions[number] = asked
    turn.say(Think(number, kind, world, turn.goal, factors))


def thought(turn: Turn, event: Thought) -> None:
    """The planner has answered."""
    asked = turn.questions.pop(event.question, None)
    if asked is None:
        return
    for facts in event.plans:
        turn.plans.setdefault(facts.plan, facts)
    best = turn.rules.recovery.choose(event.plans) if asked.purpose in ("spare", "recover") else _first(event)
    if asked.purpose == "spare":
        _spare(turn, asked.node, best, event.sentence)
    elif asked.purpose == "judge":
        if best is not None and turn.doubted and turn.usable(best.plan):
            turn.judge = best.plan
            turn.prepare(best.plan)
    elif asked.purpose == "recover":
        if best is not None and turn.usable(best.plan):
            turn.prepare(best.plan)
        elif best is None and world_of(turn).missing:
            give_up(turn, event.sentence)
        elif best is None:
            turn.say(Tell(event.sentence))
        else:
            recover(turn)
    else:
        turn.memory, goal = turn.policy.weigh(turn.memory, view_of(turn, {}), event)
        if goal is not None and turn.usable(goal):
            aim(turn, goal)
    turn.elect()
    turn.pump()


def _first(event: Thought) -> Facts | None:
    return event.plans[0] if event.plans else None


def _spare(turn: Turn, node: str, best: Facts | None, sentence: str) -> None:
    turn.spares[node] = best.plan if best is not None else None
    if best is None:
        turn.say(Tell(f"without node {node!r} nothing runs: {sentence}"))
    elif turn.rules.standby == "weights" and not turn.rules.spare_runs:
        turn.say(Store(best.plan))
    elif turn.rules.spare_runs and turn.usable(best.plan):
        if fits(turn, best.plan):
            turn.prepare(best.plan)
        else:
            turn.say(Tell(f"plan {best.plan}, for the loss of {node!r}, has no room beside the others; not loaded"))


def fits(turn: Turn, plan: int) -> bool:
    """Whether a plan's memory is free beside that of all runs."""
    plans = {run.plan for run in turn.runs.values()} | {plan}
    for node, most in turn.rules.memory_bytes.items():
        if sum(turn.plans[each].memory_bytes.get(node, 0) for each in plans) > most:
            return False
    return True


def look_around(turn: Turn) -> None:
    """Let the policy know that time has passed, and try a way over which nothing has gone for long."""
    if turn.now_s - turn.considered_s >= turn.rules.watch_s:
        consider(turn, {})
    for hop in turn.sight.quiet(turn.now_s, turn.rules.quiet_s):
        apart = any(turn.nodes[node].status == "down" for node in hop if node in turn.nodes)
        if not apart and hop not in turn.probes and hop not in turn.cut:
            turn.probes[hop] = turn.now_s + turn.rules.quiet_s
            turn.say(Probe(hop, turn.rules.probe_bytes, fresh=False))
            return


def look_ahead(turn: Turn) -> None:
    """Ask for a plan for the next loss, one at a time, while nothing more urgent is going on."""
    if (
        (turn.rules.standby == "none" and not turn.rules.spare_runs)
        or turn.questions
        or turn.active is None
        or turn.paused
    ):
        return
    if turn.runs[turn.active].plan != turn.goal or any(not run.ready for run in turn.runs.values()):
        return
    facts = turn.plans[turn.goal]
    for node in sorted(facts.nodes - facts.sources):
        if node not in turn.spares:
            world = world_of(turn)
            think(turn, Asked("spare", node), "spare", replace(world, missing=world.missing | {node}))
            return


# ------------------------------------------------------------ the world moves


def watched(turn: Turn, event: Watched) -> None:
    """Transfers and computations were seen."""
    turn.sight = turn.sight.seen(event.samples, event.computed)
    world, fresh = world_of(turn), dict[Hop | str, float]()
    for hop, rate in turn.sight.fresh.items():
        fresh[hop] = rate
    for node in {each.node for each in event.computed}:
        fresh[node] = world.loads[node]
    consider(turn, fresh)


def consider(turn: Turn, fresh: Mapping[Hop | str, float]) -> None:
    """Let the policy look at the world."""
    busy = any(asked.purpose == "policy" for asked in turn.questions.values())
    turn.considered_s = turn.now_s
    turn.sight = replace(turn.sight, late=overdue(turn))
    turn.memory, wish = turn.policy.see(turn.memory, view_of(turn, fresh))
    if wish is None:
        return
    if wish.plan is not None:
        if turn.usable(wish.plan):
            aim(turn, wish.plan)
    elif not busy:
        think(turn, Asked("policy"), wish.kind, world_of(turn), wish.factors)


def overdue(turn: Turn) -> dict[Hop, Late]:
    """Ways over which something should have come by now: of each run, the one that takes longest.

    A link that stands still would otherwise never be seen to be slow: nothing arrives that could tell.
    """
    found: dict[Hop, Late] = {}
    for run in turn.runs.values():
        facts = turn.plans[run.plan]
        sent = [turn.requests[each].sent_s for way in run.ways for each in way.under.values() if each in turn.requests]
        if not sent or not facts.carried:
            continue
        waited_s = turn.now_s - min(sent)
        if waited_s > _OVERDUE * max(facts.value_s, turn.pace_s):
            rates = {**turn.sight.stated, **turn.sight.world(frozenset(), frozenset()).rates}
            hop = max(facts.carried, key=lambda each: facts.carried[each] / rates.get(each, math.inf))
            found[hop] = Late(turn.now_s, round(facts.carried[hop]), waited_s)
    return found


def view_of(turn: Turn, fresh: Mapping[Hop | str, float]) -> View:
    """What a policy may see."""
    run: Run | None = turn.runs.get(turn.active) if turn.active is not None else None
    return View(
        now_s=turn.now_s,
        world=world_of(turn),
        sight=turn.sight,
        plans=turn.plans,
        goal=turn.goal,
        home=turn.home,
        active=run.plan if run is not None else None,
        busy=any(asked.purpose == "policy" for asked in turn.questions.values()),
        answered=turn.counts.get("answered", 0),
        fresh=fresh,
    )
