"""Judging again and again: the same figures as `evaluate`, for searches and games that change one task at a time."""

from collections.abc import Iterator

import msgspec

from hocket.cost.combine import Part, combine, costs_of, visited, waits_s
from hocket.cost.cost import Cost
from hocket.cost.evaluate import check_model, judge_entry, served
from hocket.cost.problem import Problem, Task
from hocket.cost.queueing import Stream
from hocket.errors import PlanError
from hocket.plan import Entry, Plan
from hocket.program import Program

_MOST_REMEMBERED = 200_000


class Evaluator:
    """The judge of one problem, which remembers every entry that it has judged.

    An entry is lowered and timed once. Waiting, totals and constraints are cheap and are found anew for each plan; for
    one task among others that stay, `hold` them and ask `cost_if`, which looks only at the stations that it touches.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.task: dict[str, Task] = {task.name: task for task in problem.tasks}
        self._judged: dict[tuple[str, bytes], tuple[Cost, Program]] = {}
        self._held: dict[str, list[Part]] = {}
        self._streams: dict[str, dict[str, list[Stream]]] = {}
        """Station -> task -> what it brings there."""

    def alone(self, entry: Entry) -> Cost:
        """One request that an entry serves in an idle system, without waiting.

        Raises:
            PlanError: the entry does not fit the problem (C1).
        """
        return self._judge(entry)[0]

    def evaluate(self, plan: Plan) -> Cost:
        """The same as `cost.evaluate`.

        Raises:
            PlanError: the plan does not fit the problem (C1).
        """
        return combine(self.problem, plan, self._parts(plan))

    def costs(self, plan: Plan) -> dict[str, Cost]:
        """Task -> its own cost under a plan, waiting included; refused tasks are not there.

        Raises:
            PlanError: the plan does not fit the problem (C1).
        """
        return costs_of(self.problem, self._parts(plan))

    def hold(self, plan: Plan) -> None:
        """Keep a plan for `cost_if`; tasks without an entry are not there (yet)."""
        names = list(dict.fromkeys(entry.task for entry in plan.entries))
        self._held, self._streams = {}, {}
        for name in names:
            self.change(*(entry for entry in plan.entries if entry.task == name))

    def change(self, *entries: Entry) -> None:
        """Change the entries of one task in the plan that is held."""
        name = entries[0].task
        self.drop(name)
        self._held[name] = self._parts_of(entries)
        for station, stream in self._brings(name, self._held[name]):
            self._streams.setdefault(station, {}).setdefault(name, []).append(stream)

    def drop(self, name: str) -> None:
        """Take a task out of the plan that is held."""
        for part in self._held.pop(name, ()):
            for station, _ in visited(part):
                self._streams.get(station, {}).pop(name, None)

    def cost_if(self, *entries: Entry) -> Cost:
        """The own cost of one task, waiting included, if it had these entries and all others stayed as they are held.

        Raises:
            PlanError: an entry does not fit the problem (C1).
        """
        name = entries[0].task
        parts = self._parts_of(entries)
        own: dict[str, list[Stream]] = {}
        for station, stream in self._brings(name, parts):
            own.setdefault(station, []).append(stream)
        met = {
            station: [
                *(stream for task, more in self._streams.get(station, {}).items() if task != name for stream in more),
                *streams,
            ]
            for station, streams in own.items()
        }
        return costs_of(self.problem, {name: parts}, waits_s(self.problem.queue, met))[name]

    def _brings(self, name: str, parts: list[Part]) -> Iterator[tuple[str, Stream]]:
        rate = self.task[name].rate_per_s
        return (
            (station, Stream(rate * part.fraction, seconds)) for part in parts for station, seconds in visited(part)
        )

    def _parts(self, plan: Plan) -> dict[str, list[Part]]:
        by_task: dict[str, list[Entry]] = {}
        for entry in plan.entries:
            by_task.setdefault(entry.task, []).append(entry)
        parts = {}
        for task in served(self.problem, plan):
            if task.name not in by_task:
                raise PlanError(f"C1: every task has an entry, and {task.name!r} has none; add one or drop the task")
            check_model(plan, task)
            parts[task.name] = self._parts_of(by_task[task.name])
        return parts

    def _parts_of(self, entries: list[Entry] | tuple[Entry, ...]) -> list[Part]:
        total = sum(entry.weight for entry in entries)
        return [Part(entry.weight / total, *self._judge(entry)) for entry in entries]

    def _judge(self, entry: Entry) -> tuple[Cost, Program]:
        key = (entry.task, msgspec.json.encode(entry.replace(weight=1.0)))
        if key not in self._judged:
            if len(self._judged) >= _MOST_REMEMBERED:
                self._judged.clear()
            self._judged[key] = judge_entry(self.problem, self.task[entry.task], entry)
        return self._judged[key]
