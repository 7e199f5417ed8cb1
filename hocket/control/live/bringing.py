"""Bringing plans to nodes, and asking the planner: what of a live session's commands takes long, on other threads."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from hocket.control.live import events
from hocket.control.live.facts import World
from hocket.control.live.planner import Planner, Question, Reply
from hocket.control.live.shelf import Made, Shelf
from hocket.control.live.thinking import Manner
from hocket.cost import Problem
from hocket.errors import HocketError
from hocket.plan import Plan
from hocket.program import Program
from hocket.runtime.crew import Crew

Later = Callable[[Callable[[], None]], None]
"""Does something on the session's own thread, soon; may be called from any."""


class Bringer:
    """Makes programs and models of plans beside the loop, and hands them to the crew on it.

    Args:
        crew: has the nodes.
        shelf: has the plans.
        later: back to the session's thread.
        happen: something has happened to a run.
    """

    def __init__(self, crew: Crew, shelf: Shelf, later: Later, happen: Callable[[events.Event], None]) -> None:
        self._crew, self._shelf, self._later, self._happen = crew, shelf, later, happen
        self._lines: dict[int, Sequence[Made]] = {}
        self._wanted: set[int] = set()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="hocket-builder")

    def prepare(self, run: int, plan: int) -> None:
        """Bring a plan to its nodes as a run."""
        self._wanted.add(run)

        def deploy(made: list[Made]) -> None:
            if run in self._wanted:
                self._lines[run] = made
                for line, each in enumerate(made):
                    self._crew.prepare((run, line), each.program, each.artifacts, each.weights.weight)

        self._make(plan, deploy, lambda sentence: self._happen(events.Unready(time.monotonic(), run, "", sentence)))

    def store(self, plan: int, fail: Callable[[str], None]) -> None:
        """Bring the weights of a plan to its nodes."""

        def bring(made: list[Made]) -> None:
            for each in made:
                self._crew.store(each.artifacts, each.weights.weight)

        self._make(plan, bring, fail)

    def forget(self, run: int) -> None:
        """Let the nodes drop a run."""
        self._wanted.discard(run)
        for line in range(len(self._lines.pop(run, ()))):
            self._crew.forget((run, line))

    def ready(self, run: int) -> bool:
        """Whether every node of every line can begin."""
        lines = self._lines.get(run, ())
        return bool(lines) and all(self._crew.ready((run, line)) for line in range(len(lines)))

    def expected_s(self, run: int, line: int) -> Mapping[str, float]:
        """Segment -> seconds that the profile promises."""
        made = self._made(run, line)
        return {} if made is None else made.expected_s

    def program(self, run: int, line: int) -> Program | None:
        """What a line of a run executes; None = it is not there any more."""
        made = self._made(run, line)
        return None if made is None else made.program

    def _made(self, run: int, line: int) -> Made | None:
        lines = self._lines.get(run, ())
        return lines[line] if line < len(lines) else None

    def close(self) -> None:
        """Wait for what is being made, and make no more."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _make(self, plan: int, then: Callable[[list[Made]], None], fail: Callable[[str], None]) -> None:
        def work() -> None:
            try:
                made = self._shelf.made(plan)
            except HocketError as error:
                sentence = str(error)
                self._later(lambda: fail(sentence))
            else:
                self._later(lambda: then(made))

        self._threads.submit(work)


class Asking:
    """Questions to the planner, and its answers as events.

    Args:
        problem: of one task.
        others: name -> the problem with another model, and its accuracy.
        shelf: numbers what is found.
        manner: how to solve; None = nothing is ever solved.
        later: back to the session's thread.
        happen: an answer has come.
    """

    def __init__(
        self,
        problem: Problem,
        others: Mapping[str, tuple[Problem, float]],
        shelf: Shelf,
        manner: Manner | None,
        later: Later,
        happen: Callable[[events.Event], None],
    ) -> None:
        self._shelf, self._later, self._happen = shelf, later, happen
        self._worlds: dict[int, World] = {}
        self._planner = None if manner is None else Planner(problem, manner, self._replied, others)

    def ask(self, command: events.Think) -> None:
        """Pass a question on."""
        self._worlds[command.question] = command.world
        if self._planner is None:
            sentence = "the session does not plan again; open it with a solver"
            self._replied(Reply(command.question, (), (), sentence, None))
            return
        current = self._shelf.plan(command.goal).to_json() if command.goal is not None else ""
        self._planner.ask(Question(command.question, command.kind, command.world, current, command.factors))

    def close(self) -> None:
        """End the planner."""
        if self._planner is not None:
            self._planner.close()

    def _replied(self, reply: Reply) -> None:
        """On the planner's thread."""

        def take() -> None:
            world = self._worlds.pop(reply.number)
            found = []
            for text, facts in zip(reply.plans, reply.facts, strict=True):
                plan = Plan.from_json(text.encode(), name="the planner's plan")
                found.append(self._shelf.number(plan, facts, world))
            now_s = time.monotonic()
            self._happen(events.Thought(now_s, reply.number, tuple(found), reply.sentence, reply.current_value))

        self._later(take)


def ground(problem: Problem) -> Program:
    """A program that only has nodes and wires: what probes travel by."""
    sites, wires, resources = problem.cluster.to_program()
    return Program(
        name="ground", sites=sites, wires=wires, resources=resources, tensors=(), segments=(), transfers=(), inputs=(),
        outputs=(), window=1,
    )  # fmt: skip
