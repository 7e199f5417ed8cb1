"""What happens to nodes and to the ways between them: they fall silent, end, lead nowhere, come back."""

from dataclasses import replace

from hocket.control.live import audits
from hocket.control.live.events import Compared, Gone, Heard, Judged, Pardoned, Probe, Probed, Tell, Tick, Unready
from hocket.control.live.goals import recover, think, world_of
from hocket.control.live.state import Asked
from hocket.control.live.suspicion import Heartbeats
from hocket.control.live.turn import Turn


def heard(turn: Turn, event: Heard) -> None:
    """A node is there."""
    if event.node in turn.banned:
        return
    health = turn.nodes[event.node]
    restarted = bool(health.instance) and health.instance != event.instance
    beats = health.beats.heard(event.at_s)
    if restarted:
        _lose_runs(turn, event.node)
    if health.status == "down":
        _back(turn, event, restarted=restarted)
        return
    turn.nodes[event.node] = replace(health, beats=beats, instance=event.instance, status="up")
    if restarted:
        turn.say(Tell(f"node {event.node!r} has been restarted"))
        _fell(turn, event.node, "it was restarted")
        _back(turn, event, restarted=True)
    elif health.status == "suspect":
        turn.elect()
        turn.pump()


def gone(turn: Turn, event: Gone) -> None:
    """A node has ended, or the connection to it has."""
    if turn.nodes[event.node].status != "down":
        _fall(turn, event.node, event.sentence)


def watch_nodes(turn: Turn, event: Tick) -> None:
    """Nodes that have been silent for too long."""
    if event.paused_s:
        for node, health in turn.nodes.items():
            turn.nodes[node] = replace(health, beats=health.beats.forgive(turn.now_s))
        turn.probes = {hop: until_s + event.paused_s for hop, until_s in turn.probes.items()}
    for node, health in list(turn.nodes.items()):
        if health.status == "down":
            continue
        level = health.beats.level(turn.now_s)
        if level >= turn.rules.dead:
            _fall(turn, node, f"it has been silent for {health.beats.silence_s(turn.now_s):.2g} s")
        elif level >= turn.rules.suspect and health.status == "up":
            turn.nodes[node] = replace(health, status="suspect")
            turn.elect()
            turn.pump()


def watch_ways(turn: Turn) -> None:
    """Probes that have not come, and ways that should be tried again."""
    lost = [hop for hop, until_s in turn.probes.items() if until_s < turn.now_s]
    for hop in lost:
        del turn.probes[hop]
        ends_up = all(turn.nodes[node].status != "down" for node in hop if node in turn.nodes)
        if hop in turn.cut:
            turn.cut[hop] = turn.now_s
        elif ends_up:
            turn.cut[hop] = turn.now_s
            turn.say(Tell(f"nothing gets from {hop[0]!r} to {hop[1]!r}"))
            _break(turn)
    for hop, tried_s in turn.cut.items():
        if turn.now_s - tried_s >= turn.rules.look_s and hop not in turn.probes:
            turn.probes[hop] = turn.now_s + turn.rules.look_s
            turn.say(Probe(hop, 0, fresh=True))


def probed(turn: Turn, event: Probed) -> None:
    """A way leads where it should."""
    turn.probes.pop(event.hop, None)
    if turn.cut.pop(event.hop, None) is not None:
        turn.say(Tell(f"the way from {event.hop[0]!r} to {event.hop[1]!r} is open again"))
        _mended(turn)


def compared(turn: Turn, event: Compared) -> None:
    """Two answers to one request have been compared."""
    audits.compared(turn, event)
    _sentence(turn)


def judged(turn: Turn, event: Judged) -> None:
    """A third answer has come to a request about which two runs disagreed."""
    audits.judged(turn, event)
    _sentence(turn)


def _sentence(turn: Turn) -> None:
    """A node that must have changed an answer is not used any more; while it is not clear which, ask for a judge."""
    guilty = audits.convicted(turn)
    if guilty is not None and guilty not in turn.banned:
        turn.banned |= {guilty}
        turn.trials, turn.doubted, turn.case, turn.judge = (), frozenset(), None, None
        _fall(turn, guilty, "its answers differ from those of others; pardon it once it can be trusted again")
    elif turn.case is not None and not any(asked.purpose == "judge" for asked in turn.questions.values()):
        world = world_of(turn)
        think(turn, Asked("judge"), "spare", replace(world, missing=world.missing | turn.doubted))


def pardoned(turn: Turn, event: Pardoned) -> None:
    """A node may be used again, once it is heard."""
    turn.banned -= {event.node}


def unready(turn: Turn, event: Unready) -> None:
    """A run cannot begin, or has been lost by a node."""
    run = turn.runs.get(event.run)
    if run is None:
        return
    if not run.ready:
        wait_s = 2 * max(turn.spoiled.get(run.plan, 0.0) - run.begun_s, turn.rules.look_s)
        turn.spoiled[run.plan] = turn.now_s + wait_s
        turn.say(Tell(f"plan {run.plan} cannot be prepared: {event.sentence}"))
    turn.forget(event.run)
    turn.elect()
    recover(turn)
    turn.pump()


def _fall(turn: Turn, node: str, sentence: str) -> None:
    """A node is down: what needs it is given up, and another run takes over."""
    turn.count("losses")
    turn.say(Tell(f"node {node!r} is down: {sentence}"))
    _fell(turn, node, sentence)
    _break(turn)


def _fell(turn: Turn, node: str, sentence: str) -> None:
    health = turn.nodes[node]
    turn.nodes[node] = replace(health, status="down", flaps=health.flaps.fell(turn.now_s), sentence=sentence)


def _break(turn: Turn) -> None:
    """Something has broken: runs that need it are left."""
    for number, run in list(turn.runs.items()):
        if not turn.sound(run.plan):
            turn.abandon(number)
            if not run.ready or run.plan != turn.goal:
                turn.forget(number)
    turn.elect()
    recover(turn)
    turn.pump()


def _back(turn: Turn, event: Heard, *, restarted: bool) -> None:
    """A node that was down is there again; it has to behave for a while if it has come and gone before."""
    health = turn.nodes[event.node]
    trusted_s = turn.now_s + health.flaps.wait_s(turn.now_s)
    turn.nodes[event.node] = replace(
        health,
        beats=Heartbeats.began(event.at_s),
        status="up",
        instance=event.instance,
        trusted_s=trusted_s,
        sentence="",
    )
    turn.say(Tell(f"node {event.node!r} is back{', restarted' if restarted else ''}"))
    _mended(turn)


def _mended(turn: Turn) -> None:
    """The world is better than it was: what was given up may work again."""
    turn.trouble = ""
    turn.spares = {node: plan for node, plan in turn.spares.items() if plan is not None}
    turn.elect()
    recover(turn)
    turn.pump()


def _lose_runs(turn: Turn, node: str) -> None:
    """A node has been restarted: it has forgotten every run."""
    for number, run in list(turn.runs.items()):
        if node in turn.plans[run.plan].nodes:
            turn.forget(number)
