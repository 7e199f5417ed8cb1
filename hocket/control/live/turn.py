"""One turn of the decisions: a draft of the next state, the moves that change it, and the commands they lead to.

Handlers of events (`requests`, `health`, `goals`) are written in these moves. The draft is mutable and lives inside
one call of `step`.
"""

from dataclasses import fields, replace

from hocket.control.live.events import Command, Drop, Fail, Finish, Forget, Prepare, Send, Tell
from hocket.control.live.facts import Facts, Hop
from hocket.control.live.state import Health, Request, Run, State, Way

LOST = "the states of its sequence are lost; read the sequence again from its beginning"
Attempt = tuple[int, int, int]
"""Run, line, number."""


class Turn:
    """A draft of a state.

    Args:
        state: that it begins with; it stays as it is.
        now_s: the moment of the event.
    """

    def __init__(self, state: State, now_s: float) -> None:
        self.rules, self.policy, self.memory = state.rules, state.policy, state.memory
        self.now_s = max(now_s, state.now_s)
        self.sight = state.sight
        self.nodes: dict[str, Health] = dict(state.nodes)
        self.cut: dict[Hop, float] = dict(state.cut)
        self.probes: dict[Hop, float] = dict(state.probes)
        self.plans: dict[int, Facts] = dict(state.plans)
        self.spoiled: dict[int, float] = dict(state.spoiled)
        self.runs: dict[int, Run] = dict(state.runs)
        self.spares: dict[str, int | None] = dict(state.spares)
        self.requests: dict[int, Request] = dict(state.requests)
        self.questions = dict(state.questions)
        self.counts: dict[str, int] = dict(state.counts)
        self.checks: dict[Attempt, float] = dict(state.checks)
        self.homes: dict[int, tuple[int, int]] = dict(state.homes)
        self.queue: list[int] = list(state.queue)
        self.active, self.home, self.goal, self.paused = state.active, state.home, state.goal, state.paused
        self.next, self.trouble, self.pace_s = state.next, state.trouble, state.pace_s
        self.considered_s = state.considered_s
        self.trials, self.doubted, self.banned = state.trials, state.doubted, state.banned
        self.case, self.judge = state.case, state.judge
        self.commands: list[Command] = []

    def done(self) -> tuple[State, tuple[Command, ...]]:
        """The next state, and what is to be done."""
        values = {field.name: getattr(self, field.name) for field in fields(State)}
        return State(**{**values, "queue": tuple(self.queue)}), tuple(self.commands)

    def say(self, command: Command) -> None:
        """Something is to be done."""
        self.commands.append(command)

    def count(self, what: str, times: int = 1) -> None:
        """It has happened again."""
        self.counts[what] = self.counts.get(what, 0) + times

    def number(self) -> int:
        """A number that nothing has had."""
        self.next += 1
        return self.next - 1

    # ------------------------------------------------------------ requests

    def send(self, request: int, run: int) -> bool:
        """Send a request into a run; False = the line whose turn it is has no room."""
        there, known = self.runs[run], self.requests[request]
        total = sum(way.sent for way in there.ways) + 1
        line = max(range(len(there.ways)), key=lambda i: (there.ways[i].fraction * total - there.ways[i].sent, -i))
        if known.sequence is not None:
            run, line = self.homes.get(known.sequence, (run, line))
        if not self.runs[run].ways[line].room:
            return False
        if known.sequence is not None:
            self.homes[known.sequence] = (run, line)
        number = self.place(request, run, line)
        self.requests[request] = replace(
            known, sent_s=self.now_s, tries=known.tries + 1, where=(*known.where, (run, line, number))
        )
        if known.tries:
            self.count("resent")
        self.say(Send(request, run, line, number))
        return True

    def place(self, request: int, run: int, line: int) -> int:
        """Let a request be under way in a line that has room; its number there."""
        way = self.runs[run].ways[line]
        self._put(run, line, replace(way, next=way.next + 1, sent=way.sent + 1, under={**way.under, way.next: request}))
        return way.next

    def finish(self, request: int, attempt: Attempt) -> None:
        """A request has its answer."""
        self.count("answered")
        self._close(request, attempt)
        self.say(Finish(request, *attempt))

    def fail(self, request: int, sentence: str, *, late: bool = False) -> None:
        """A request will have none."""
        self.count("late" if late else "failed")
        self._close(request, None)
        self.say(Fail(request, sentence, late))

    def cancel(self, request: int) -> None:
        """Nobody waits for it."""
        self._close(request, None)

    def again(self, request: int) -> None:
        """Let a request be sent once more, before all that came after it."""
        if request not in self.queue:
            later = next((i for i, other in enumerate(self.queue) if other > request), len(self.queue))
            self.queue.insert(later, request)

    def take_back(self, attempt: Attempt) -> int | None:
        """A try has ended; whose it was, unless that was known."""
        run, line, number = attempt
        there = self.runs.get(run)
        if there is None or line >= len(there.ways) or number not in there.ways[line].under:
            return None
        under = dict(there.ways[line].under)
        request = under.pop(number)
        self.checks.pop(attempt, None)
        self._put(run, line, replace(there.ways[line], under=under))
        known = self.requests.get(request)
        if known is not None:
            self.requests[request] = replace(known, where=tuple(other for other in known.where if other != attempt))
        return request

    def drop(self, attempt: Attempt) -> None:
        """Whatever comes of a try is not wanted any more."""
        self.take_back(attempt)
        self.say(Drop(attempt[0], attempt[1], (attempt[2],)))

    def pump(self) -> None:
        """Send what can be sent."""
        waiting, self.queue = self.queue, []
        full: set[int] = set()
        for position, request in enumerate(waiting):
            run = self._run_for(request)
            if run is None or run in full or not self.send(request, run):
                self.queue.append(request)
                full |= set() if run is None else {run}
                if not self.homes:  # nobody behind it could go anywhere else
                    self.queue += waiting[position + 1 :]
                    return

    def _run_for(self, request: int) -> int | None:
        sequence = self.requests[request].sequence
        if sequence in self.homes:
            return self.homes[sequence][0]
        return None if self.paused else self.active

    def _close(self, request: int, answered: Attempt | None) -> None:
        known = self.requests.pop(request)
        if request in self.queue:
            self.queue.remove(request)
        for attempt in known.where:
            if attempt != answered:
                self.drop(attempt)

    def _put(self, run: int, line: int, way: Way) -> None:
        there = self.runs[run]
        self.runs[run] = replace(there, ways=(*there.ways[:line], way, *there.ways[line + 1 :]))

    # ------------------------------------------------------------ runs

    def prepare(self, plan: int) -> int:
        """Bring a plan to its nodes, unless it is there or on its way; the run's number."""
        for number, run in self.runs.items():
            if run.plan == plan and self.sound(plan):
                return number
        number = self.number()
        ways = tuple(Way(line.window, line.fraction) for line in self.plans[plan].lines)
        self.runs[number] = Run(plan, ways, self.now_s)
        self.say(Prepare(number, plan))
        return number

    def forget(self, run: int) -> None:
        """Give a run up, with all that is under way in it."""
        self.abandon(run)
        del self.runs[run]
        if self.active == run:
            self.active = None
        self.say(Forget(run))

    def abandon(self, run: int) -> None:
        """Whatever is under way in a run is sent again elsewhere; sequences that it kept have to begin again."""
        lost = {sequence for sequence, (home, _) in self.homes.items() if home == run}
        self.homes = {sequence: home for sequence, home in self.homes.items() if sequence not in lost}
        for line, way in enumerate(self.runs[run].ways):
            numbers = tuple(way.under)
            for number in numbers:
                request = self.take_back((run, line, number))
                if request in self.requests and self.requests[request].sequence in lost:
                    self.fail(request, LOST)
                elif request in self.requests and not self.requests[request].where:
                    self.again(request)
            if numbers:
                self.say(Drop(run, line, numbers))

    def sound(self, plan: int) -> bool:
        """Whether nothing that a plan uses is known to be broken."""
        facts = self.plans[plan]
        down = any(self.nodes[node].status == "down" for node in facts.nodes if node in self.nodes)
        return not down and facts.hops.isdisjoint(self.cut)

    def doubts(self, plan: int) -> int:
        """How many nodes of a plan are not relied on."""
        known = (self.nodes[node] for node in self.plans[plan].nodes if node in self.nodes)
        return sum(health.status == "suspect" or health.trusted_s > self.now_s for health in known)

    def usable(self, plan: int) -> bool:
        """Whether a plan may be prepared now."""
        return self.sound(plan) and self.spoiled.get(plan, 0.0) <= self.now_s

    def elect(self) -> None:
        """Let the best run that can be relied on be in force."""
        able = [number for number, run in self.runs.items() if run.ready and self.sound(run.plan)]
        best = min(able, key=self._rank, default=None)
        former = self.active
        if best == former:
            return
        self.active = best
        if best is None:
            return
        if former is not None or self.runs[best].used_s < 0:
            self.count("switches")
        if former is not None and former in self.runs and self.doubts(self.runs[former].plan):
            self._hedge(former)
        self.runs[best] = replace(self.runs[best], used_s=self.now_s)
        plan = self.runs[best].plan
        self.say(Tell(f"plan {plan} is in force, over {', '.join(sorted(self.plans[plan].nodes))}"))

    def _rank(self, run: int) -> tuple[int, bool, float, int]:
        plan = self.runs[run].plan
        return self.doubts(plan), plan != self.goal, self.plans[plan].value, run

    def _hedge(self, run: int) -> None:
        """What is under way in a run that is not relied on goes elsewhere as well; the first answer counts."""
        for way in self.runs[run].ways:
            for request in way.under.values():
                if request in self.requests and self.requests[request].sequence is None:
                    self.again(request)

    def collect(self) -> None:
        """Let go of runs that nothing needs."""
        idle = [
            number
            for number, run in self.runs.items()
            if run.idle
            and not self._keeps(number)
            and number != self.active
            and not self._needed(run)
            and not (self._coming(run))
        ]
        idle.sort(key=lambda number: -self.runs[number].used_s)
        for number in idle[self.rules.keep :]:
            self.forget(number)

    def _keeps(self, run: int) -> bool:
        """Whether it keeps states of a sequence."""
        return any(home == run for home, _ in self.homes.values())

    def _needed(self, run: Run) -> bool:
        if run.plan in (self.goal, self.judge):
            return True
        return self.rules.spare_runs and run.plan in self.spares.values()

    def _coming(self, run: Run) -> bool:
        """Whether it is being prepared, and is of use."""
        return not run.ready and self.sound(run.plan)
