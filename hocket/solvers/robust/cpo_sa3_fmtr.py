"""Nodes are allotted to tasks one by one, by what each adds to the reliability; copies of a task then race.

Solves    tasks that may run whole on several nodes at once, under deadlines and floors of reliability
Answer    the allocation of the greedy rule SA3, at least 1/3 of the best sum of reliabilities where each node serves
          one task; of its prefixes the longest that keeps the constraints by the judge
Time      O(K^2 D^2) reliabilities; K = tasks, D = nodes
Source    Liu, Liu, Yan, Lee, Cao: Accelerating DNN Inference With Reliability Guarantee in Vehicular Edge Computing,
          IEEE/ACM ToN 31(6):3238-3253, 2023
Departs   pieces are whole models: feature maps are not divided, so FMtR, which gives the rows that one node cannot
          finish to the next, has no rest to feed; a link survives with the probability that the cluster states, not by
          a mobility model; where the node that needs the answer cannot compute, it cannot choose among copies
Cards     cpo_sa3_fmtr
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from hocket.cost import Cost, Problem, Task
from hocket.errors import InfeasibleError
from hocket.plan import Plan
from hocket.solvers.checks import require
from hocket.solvers.fixed import judged, plan_at
from hocket.solvers.layout import Layout
from hocket.solvers.robust.survival import floor_of, greedy, needs_of, replicated_plan, survives, takes_copies
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

Pair = tuple[int, int]
"""A task and a node that serves it, as positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpoSa3Fmtr:
    """See the module."""

    name: ClassVar[str] = "cpo_sa3_fmtr"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    copies: int = 3
    """Most nodes of one task."""
    most_tasks: int = 1
    """Most tasks that one node serves; where there are fewer nodes than tasks, as many more as it takes."""

    def refuses(self, problem: Problem) -> str | None:
        """A task that no node can compute."""
        for task in problem.tasks:
            if not any(node.name in task.profile.nodes for node in problem.cluster.nodes):
                return f"the profile of {task.name!r} knows no node of the cluster"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The longest prefix of the allocation that keeps the constraints."""
        require(self, problem)
        allotting = Allotting(problem, self.copies, self.most_tasks)
        sentence = "no node is reliable, fast enough and has a way from the inputs and to the answers"
        for number, pairs in enumerate(allotting.allocations(), 1):
            if number > 1 and stop is not None and stop(float("inf")):
                break
            plan = allotting.plan(pairs)
            cost = judged(problem, plan)
            if cost and cost.feasible:
                notes = {task.name: f"{allotting.reliability(at, pairs):.9g}" for at, task in enumerate(problem.tasks)}
                return Proposal(plan=plan, notes=notes)
            sentence = cost.violations[0].sentence if cost and cost.violations else sentence
        names = ", ".join(repr(task.name) for task in problem.tasks)
        raise InfeasibleError(
            f"no plan of {names} keeps the constraints, searched over the nodes that SA3 allots: {sentence}"
        )


class Allotting:
    """Which node serves which task, and what that is worth."""

    def __init__(self, problem: Problem, copies: int, most_tasks: int) -> None:
        self.problem, self.copies = problem, copies
        nodes = [node.name for node in problem.cluster.nodes]
        self.nodes = nodes
        self.most_tasks = max(most_tasks, -(-len(problem.tasks) // len(nodes)))
        self.needs: dict[Pair, frozenset[str]] = {}
        self.values: dict[Pair, float] = {}
        for at, task in enumerate(problem.tasks):
            for node, name in enumerate(nodes):
                needs = needs_of(problem, task, name) if name in task.profile.nodes else None
                cost = self._alone(task, name) if needs is not None else None
                if needs is not None and cost is not None and self._in_time(task, cost):
                    self.needs[at, node], self.values[at, node] = needs, cost.value

    def _alone(self, task: Task, node: str) -> Cost | None:
        alone = self.problem.replace(tasks=(task,))
        return judged(alone, plan_at(alone, node, raw=True))

    @staticmethod
    def _in_time(task: Task, cost: Cost) -> bool:
        return task.deadline_s is None or cost.latency_s <= task.deadline_s

    def reliability(self, at: int, pairs: tuple[Pair, ...]) -> float:
        """Probability that at least one of its nodes answers a task."""
        return survives(self.problem, [self.needs[pair] for pair in pairs if pair[0] == at])

    def allot(self) -> tuple[Pair, ...]:
        """SA3: again and again the pair that adds most to the sum of reliabilities; of equal ones the better plan."""
        pairs = sorted(self.needs, key=lambda pair: (self.values[pair], pair))
        return greedy(pairs, self.worth, self.may)

    def worth(self, pairs: tuple[Pair, ...]) -> float:
        """Sum of the reliabilities of the tasks."""
        return sum(self.reliability(at, pairs) for at in range(len(self.problem.tasks)))

    def may(self, chosen: tuple[Pair, ...], pair: Pair) -> bool:
        """Whether the node serves few enough tasks, and the task has neither all its copies nor reached its floor."""
        at, node = pair
        floor = floor_of(self.problem, self.problem.tasks[at])
        serves = sum(other == node for _, other in chosen)
        copies = sum(task == at for task, _ in chosen)
        enough = copies > 0 and 0 < floor <= self.reliability(at, chosen)
        most = self.copies if takes_copies(self.problem.tasks[at]) else 1
        return serves < self.most_tasks and copies < most and not enough

    def allocations(self) -> Iterator[tuple[Pair, ...]]:
        """What SA3 allots, then without its last pairs, then each task where it is served best alone."""
        chosen = self.allot()
        tasks = range(len(self.problem.tasks))
        while chosen and all(any(pair[0] == at for pair in chosen) for at in tasks):
            yield chosen
            chosen = chosen[:-1]
        options = [sorted((pair for pair in self.needs if pair[0] == at), key=partial(self._order)) for at in tasks]
        for place in range(max(map(len, options)) if all(options) else 0):
            yield tuple(pairs[min(place, len(pairs) - 1)] for pairs in options)

    def _order(self, pair: Pair) -> tuple[float, int]:
        return self.values[pair], pair[1]

    def plan(self, pairs: tuple[Pair, ...]) -> Plan:
        """Each task on its nodes, the most useful first."""
        plans = []
        for at, task in enumerate(self.problem.tasks):
            layout = Layout(self.problem, task)
            nodes = tuple(sorted(node for other, node in pairs if other == at))
            plans.append(replicated_plan(layout, [nodes] * len(layout.units)))
        return Plan(
            entries=tuple(plan.entries[0] for plan in plans),
            graph={name: sha256 for plan in plans for name, sha256 in plan.graph.items()},
        )
