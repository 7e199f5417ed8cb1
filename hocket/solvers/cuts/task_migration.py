"""Tasks of several devices and one cloud with a bounded queue: one cut for all, or one cut after another.

Solves    any number of tasks whose sources can compute, and a node that computes all of them and is no source; one cut
          for all: tasks of one model
Answer    `single`: the best cut of a lone inference for every task; `queuing`: each task in turn the cut with which it
          is done first after those before it; both by the method's own clocks, where tasks that come at once wait for
          each other, and of several clouds the one with the least sum of completion times
Time      O(n L) per cloud; n = tasks, L = cuts of each
Source    Zhang, Li, Zhang, Zhang, Zhu: An adaptive task migration scheduling approach for edge-cloud collaborative
          inference, Wireless Commun. Mobile Comput. 2022, 8804530
Departs   [standard] the bodies of both loops; the length of the queue is an option; where it is full, a task of
          `single` waits before it is sent and one of `queuing` stays on its device
Cards     task_migration
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import (
    CutTable,
    allowed,
    allowed_cut,
    cloudlets_of,
    cut_table,
    joined,
    refuses_device,
    sequential,
)
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_SEARCHED = "all cuts of one topological order"


@dataclass(slots=True)
class Clocks:
    """When devices, their links and the cloud are free again, all tasks having come at 0."""

    capacity: int | None
    """Most tasks in the cloud, the one in service included; None = not limited."""
    device_free_s: dict[int, float] = field(default_factory=dict)
    link_free_s: dict[int, float] = field(default_factory=dict)
    cloud_ends_s: list[float] = field(default_factory=list)

    def done_s(self, table: CutTable, cut: int, *, wait: bool) -> float:
        """When the next task would be done; inf = the queue is full when it would arrive, and it may not wait."""
        return self._times(table, cut, wait)[-1]

    def book(self, table: CutTable, cut: int) -> float:
        """Take the next task and return when it is done."""
        computed, sent, served, done = self._times(table, cut, wait=True)
        self.device_free_s[table.first] = computed
        if cut + 1 < len(table.borders):
            self.link_free_s[table.first] = sent
            self.cloud_ends_s.append(served)
        return done

    def _times(self, table: CutTable, cut: int, wait: bool) -> tuple[float, float, float, float]:
        computed = self.device_free_s.get(table.first, 0.0) + float(table.first_s[cut])
        if cut + 1 == len(table.borders):
            return computed, computed, computed, computed + float(table.across_s[cut] + table.answer_s[cut])
        sent = max(computed, self.link_free_s.get(table.first, 0.0)) + float(table.across_s[cut])
        inside = sorted(end for end in self.cloud_ends_s if end > sent)
        if self.capacity is not None and len(inside) >= self.capacity:
            sent = inside[-self.capacity] if wait and self.capacity else np.inf
        served = max([sent, *self.cloud_ends_s[-1:]]) + float(table.second_s[cut])
        return computed, sent, served, served + float(table.answer_s[cut])


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMigration:
    """See the module."""

    name: ClassVar[str] = "task_migration"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    schedule: Literal["single", "queuing"] = "queuing"
    """One cut for all tasks (the paper's first algorithm), or one after another with queues (its second)."""
    capacity: int | None = None
    """Most tasks that the cloud takes at once, waiting ones included; None = not limited."""

    def refuses(self, problem: Problem) -> str | None:
        """A source that cannot compute, no cloud, or one cut for tasks of several models."""
        for task in problem.tasks:
            reason = refuses_device(problem, task)
            if reason:
                return reason
            if self.schedule == "single" and task.graph != problem.tasks[0].graph:
                return (
                    f"one cut is for tasks of one model, and {task.name!r} has another than {problem.tasks[0].name!r}"
                )
        return None if cloudlets_of(problem) else "every node that can compute all tasks is the source of one"

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """A cut for every task.

        Raises:
            InfeasibleError: the cuts break a constraint.
        """
        require(self, problem)
        found: list[tuple[float, int, list[tuple[CutTable, int]]]] = []
        complaint: InfeasibleError | None = None
        for cloud in cloudlets_of(problem):
            tables = [
                cut_table(sequential(problem, task), problem.cluster.index[task.source], cloud)
                for task in problem.tasks
            ]
            try:
                cuts = self._single(problem, tables) if self.schedule == "single" else self._queuing(problem, tables)
            except InfeasibleError as error:
                complaint = error
                continue
            clocks = Clocks(self.capacity)
            total_s = sum(clocks.book(table, cut) for table, cut in zip(tables, cuts, strict=True))
            found.append((total_s, cloud, list(zip(tables, cuts, strict=True))))
        if not found and complaint is not None:
            raise complaint
        total_s, _, chosen = min(found, key=lambda some: some[:2])
        notes = {"total_s": f"{total_s:.9g}"}
        notes |= {task.name: table.label(cut) for task, (table, cut) in zip(problem.tasks, chosen, strict=True)}
        plan = joined((table.plan(cut), {}) for table, cut in chosen)
        return allowed(problem, plan, "the cuts of each task alone", notes)

    def _single(self, problem: Problem, tables: Sequence[CutTable]) -> list[int]:
        """The cut of a lone inference that keeps the constraints, for every task."""
        first = problem.replace(tasks=problem.tasks[:1])
        cut = allowed_cut(first, tables[0], tables[0].total_s(), _SEARCHED)
        return [cut] * len(tables)

    def _queuing(self, problem: Problem, tables: Sequence[CutTable]) -> list[int]:
        """For each task in turn the cut with which it is done first and that keeps the constraints alone."""
        clocks = Clocks(self.capacity)
        cuts = []
        for task, table in zip(problem.tasks, tables, strict=True):
            alone = problem.replace(tasks=(task,))
            done_s = np.array([clocks.done_s(table, cut, wait=False) for cut in range(len(table.borders))])
            cuts.append(allowed_cut(alone, table, done_s, _SEARCHED))
            clocks.book(table, cuts[-1])
        return cuts
