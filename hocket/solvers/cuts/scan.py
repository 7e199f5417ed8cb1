"""The table of cuts between two nodes that a linear scan reads, and the choice among cuts that all scans share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

import numpy as np

from hocket.cost import Problem, Task
from hocket.errors import InfeasibleError
from hocket.graph.topology import blocks
from hocket.plan import Entry, Plan
from hocket.solvers.additive import Additive, Costs
from hocket.solvers.bound import lower_bound
from hocket.solvers.checks import refuses_tasks
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.linear_scan import cut_costs
from hocket.solvers.solver import Proposal

Points = Literal["units", "blocks"]
"""Where a model may be cut: after any unit of one topological order, or at single-tensor boundaries only."""

T = TypeVar("T")
_NO_WAY = "no way leads to another node and back"


@dataclass(frozen=True, slots=True)
class CutTable:
    """Seconds of every cut of a task: what is before it runs on the first node, the rest on the second."""

    additive: Additive
    first: int
    second: int
    borders: tuple[int, ...]
    """(C,) units before each cut, rising from 0 to all of them."""
    first_s: Floats
    """(C,) of computing before the cut."""
    second_s: Floats
    """(C,) of computing after it."""
    across_s: Floats
    """(C,) of bringing inputs and cut tensors to those who read them; inf = there is no way."""
    answer_s: Floats
    """(C,) of bringing the answers to where they are needed."""

    def total_s(self, load: float = 1.0) -> Floats:
        """(C,) seconds of everything; `load` multiplies the time of the second node."""
        return np.asarray(self.first_s + self.across_s + load * self.second_s + self.answer_s)

    def places(self, cut: int) -> list[int]:
        """Node of each unit."""
        border = self.borders[cut]
        return [self.first] * border + [self.second] * (self.borders[-1] - border)

    def plan(self, cut: int) -> Plan:
        """The plan of a cut."""
        return self.additive.plan(self.places(cut))

    def label(self, cut: int) -> str:
        """`3 of 8 units on n0, the rest on n1`."""
        nodes = self.additive.layout.nodes
        done, size = self.borders[cut], self.borders[-1]
        return f"{done} of {size} units on {nodes[self.first]}, the rest on {nodes[self.second]}"


def cut_table(additive: Additive, first: int, second: int, points: Points = "units") -> CutTable:
    """Make the table of one pair of nodes from sequential costs."""
    layout, costs = additive.layout, costs_now(additive)
    rows = borders(layout, points)
    free = costs._replace(of_units=np.zeros_like(costs.of_units))
    unanswered = free._replace(nets=tuple(net._replace(sinks=()) for net in costs.nets))
    total, across = (cut_costs(some, first, second)[list(rows)] for some in (free, unanswered))
    answers = np.where(np.isfinite(total), total, 0.0) - np.where(np.isfinite(across), across, 0.0)
    before = np.vstack([np.zeros((1, len(layout.nodes))), np.cumsum(_finite(costs.of_units), axis=0)])[list(rows)]
    return CutTable(
        additive=additive,
        first=first,
        second=second,
        borders=rows,
        first_s=before[:, first],
        second_s=before[-1, second] - before[:, second],
        across_s=across,
        answer_s=np.where(np.isfinite(total), np.maximum(answers, 0.0), np.inf),
    )


def _finite(numbers: Floats) -> Floats:
    return np.where(np.isfinite(numbers), numbers, 0.0)


def borders(layout: Layout, points: Points) -> tuple[int, ...]:
    """Units before each place where the model may be cut, rising from 0 to all of them."""
    size = len(layout.units)
    if points == "units":
        return tuple(range(size + 1))
    first = {unit.operators[0]: number for number, unit in enumerate(layout.units)}
    starts = [first[block.operators[0]] for block in blocks(layout.graph) if block.operators]
    return (*sorted({0, *starts} - {size}), size)


def costs_now(additive: Additive) -> Costs:
    """The costs with links whose rate changes over time as they are for one message sent at time 0."""
    costs, layout = additive.costs, additive.layout
    if additive.ways.changing is None:
        return costs
    cluster, of_nets = layout.problem.cluster, costs.of_nets.copy()
    for number, net in enumerate(costs.nets):
        for source in {*layout.hosts, net.home} - {-1}:
            for target in {*layout.hosts, *net.sinks} - {source}:
                if np.isfinite(of_nets[number, source, target]):
                    seconds = cluster.transfer_s(layout.nodes[source], layout.nodes[target], net.nbytes)
                    of_nets[number, source, target] = max(of_nets[number, source, target], seconds)
    return costs._replace(of_nets=of_nets)


def sequential(problem: Problem, task: Task | None = None) -> Additive:
    """Seconds of units and tensors: the cost that scans of latency add up."""
    return Additive(Layout(problem, task or problem.task), {"sequential": 1.0})


def servers_of(problem: Problem, task: Task) -> list[int]:
    """Nodes that can compute a task and do not have its first input, in the cluster's order."""
    index = problem.cluster.index
    return [index[node.name] for node in problem.cluster.nodes
            if node.name in task.profile.nodes and node.name != task.source]  # fmt: skip


def cloudlets_of(problem: Problem) -> list[int]:
    """Nodes that can compute every task and are the source of none, in the cluster's order."""
    sources = {problem.cluster.index[task.source] for task in problem.tasks}
    able = [set(servers_of(problem, task)) for task in problem.tasks]
    return sorted(set.intersection(*able) - sources)


def refuses_deadlines(problem: Problem, why: str) -> str | None:
    """The reason of a method that needs a deadline of every task and a server for all of them.

    Args:
        problem: what it should plan.
        why: what it needs deadlines for.
    """
    for task in problem.tasks:
        if task.deadline_s is None:
            return f"{why}, and {task.name!r} has none"
        reason = refuses_device(problem, task)
        if reason:
            return reason
    return None if cloudlets_of(problem) else "every node that can compute all tasks is the source of one"


def runs(layout: Layout, order: Sequence[int], cuts: Sequence[int]) -> list[int]:
    """Node of each unit where those before the first cut are on the first node of an order, and so on."""
    edges = [0, *cuts, len(layout.units)]
    return [node for node, (start, stop) in zip(order, pairwise(edges), strict=True) for _ in range(start, stop)]


def joined(plans: Iterable[tuple[Plan, Mapping[str, float]]]) -> Plan:
    """One plan of plans of one task each, with the shares that each task gets; a whole node is no share."""
    entries: list[Entry] = []
    hashes: dict[str, str] = {}
    for plan, shares in plans:
        part = {name: share for name, share in shares.items() if 0 < share < 1}
        entries.append(plan.entries[0].replace(shares=part))
        hashes |= plan.graph
    return Plan(entries=tuple(entries), graph=hashes)


def tables_of(problem: Problem, points: Points = "units") -> list[CutTable]:
    """The table of the source with each server."""
    additive = sequential(problem)
    source = problem.cluster.index[problem.task.source]
    return [cut_table(additive, source, server, points) for server in servers_of(problem, problem.task)]


def refuses_pair(problem: Problem) -> str | None:
    """The reason of a solver for one task, a device that computes and a server."""
    return refuses_tasks(problem) or refuses_device(problem, problem.task)


def refuses_device(problem: Problem, task: Task) -> str | None:
    """The reason of a solver for a device that computes and a server."""
    if task.source not in task.profile.nodes:
        return f"the inputs are on {task.source!r}, of which the profile knows nothing"
    if not servers_of(problem, task):
        return f"there is no server: only {task.source!r}, where the inputs are, can compute"
    return None


def best_cut(problem: Problem, tables: Sequence[CutTable], values: Sequence[Floats], searched: str) -> Proposal:
    """The cut of least value of all tables that keeps the constraints.

    Args:
        problem: what to solve.
        tables: a table for each server.
        values: (C,) for each table what the method minimises; inf = the method rules the cut out.
        searched: what was searched, for the error.

    Raises:
        InfeasibleError: no cut keeps the constraints.
    """
    # With everything on the first node all servers are the same, so that cut is listed once.
    choices = sorted(
        (float(value), number, cut)
        for number, (table, some) in enumerate(zip(tables, values, strict=True))
        for cut, value in enumerate(some)
        if np.isfinite(value) and (number == 0 or cut + 1 < len(table.borders) or table.first != tables[0].first)
    )
    plans = ((value, tables[number].label(cut), tables[number].plan(cut)) for value, number, cut in choices)
    return first_allowed(problem, plans, searched)


def allowed_cut(problem: Problem, table: CutTable, values: Floats, searched: str) -> int:
    """The cut of least value of one table that keeps the constraints.

    Raises:
        InfeasibleError: none does.
    """
    cuts = (int(cut) for cut in np.argsort(values, kind="stable") if np.isfinite(values[cut]))
    return _first_feasible(problem, ((cut, table.plan(cut)) for cut in cuts), searched)[0]


def first_allowed(problem: Problem, plans: Iterable[tuple[float, str, Plan]], searched: str) -> Proposal:
    """The first plan that keeps the constraints, of (value, label, plan) in the order in which a method prefers them.

    Raises:
        InfeasibleError: none does; the sentence is about the last one.
    """
    (value, label), plan = _first_feasible(problem, (((some[0], some[1]), some[2]) for some in plans), searched)
    return Proposal(plan=plan, bound=lower_bound(problem), notes={"cut": label, "own_value": f"{value:.9g}"})


def _first_feasible(problem: Problem, plans: Iterable[tuple[T, Plan]], searched: str) -> tuple[T, Plan]:
    sentence = _NO_WAY
    for what, plan in plans:
        cost = judged(problem, plan)
        if cost is None:
            continue
        if cost.feasible and np.isfinite(cost.value):
            return what, plan
        if cost.violations:
            sentence = cost.violations[0].sentence
    raise none_allowed(problem, searched, sentence)


def allowed(problem: Problem, plan: Plan, searched: str, notes: Mapping[str, str]) -> Proposal:
    """The only plan of a method, if it keeps the constraints.

    Raises:
        InfeasibleError: it does not.
    """
    cost = judged(problem, plan)
    if cost is None or not cost.feasible:
        raise none_allowed(problem, searched, cost.violations[0].sentence if cost else _NO_WAY)
    return Proposal(plan=plan, bound=lower_bound(problem), notes=notes)


def none_allowed(problem: Problem, searched: str, sentence: str) -> InfeasibleError:
    """No plan of those that were searched keeps the constraints."""
    names = ", ".join(repr(task.name) for task in problem.tasks)
    return InfeasibleError(f"no plan of {names} keeps the constraints, searched over {searched}: {sentence}")
