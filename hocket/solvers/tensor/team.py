"""What the methods of this family share: the nodes that take part, their speeds, runs of operators, one judgement."""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np

from hocket.cost import Cost, Problem, Table
from hocket.cost.trust import confined
from hocket.errors import RefusedError
from hocket.graph import Graph
from hocket.plan import Copies, Entry, Plan, Run, Split
from hocket.plan.cuts import shared
from hocket.solvers.checks import infeasible, refuses_tasks
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.tensor.layers import Half, Layers, Names, layers_of, refuses_layers

Place = str | Split | Copies


def refuses_team(problem: Problem) -> str | None:
    """The reason of a solver that divides the layers of a Transformer among several nodes."""
    reason = refuses_tasks(problem) or refuses_layers(problem.tasks[0].graph)
    if reason:
        return reason
    if len(hosts_of(problem)) < 2:
        return "it divides layers among nodes, and fewer than two can compute and reach each other"
    return None


def hosts_of(problem: Problem) -> list[str]:
    """The main node first, then the others that compute, may see all, and have a way to it and back, in order.

    The main node is the source, or the first node that computes if the source does not.
    """
    cluster, task = problem.cluster, problem.task
    able = confined(problem, task).profile.nodes
    names = [node.name for node in cluster.nodes if node.name in able]
    main = task.source if task.source in names else next(iter(names), "")
    others = [name for name in names if name != main]
    return [
        *([main] if main else []),
        *(name for name in others if cluster.reachable(main, name) and cluster.reachable(name, main)),
    ]


def seconds_on(problem: Problem, hosts: Sequence[str]) -> Floats:
    """(V, K) seconds of each operator whole on some nodes."""
    table = Table(problem, problem.task)
    return np.asarray(table.seconds[:, [table.nodes.index(host) for host in hosts]])


def speeds_of(seconds: Floats) -> list[float]:
    """1 / seconds of each node; equal where some node takes no time.

    >>> speeds_of(np.array([2.0, 4.0])), speeds_of(np.array([2.0, 0.0]))
    ([0.5, 0.25], [1.0, 1.0])
    """
    return [1 / float(each) for each in seconds] if seconds.all() else [1.0] * len(seconds)


class Team:
    """The nodes that share the layers of one task.

    Args:
        problem: one that `refuses_team` accepts.
    """

    def __init__(self, problem: Problem) -> None:
        layers = layers_of(problem.task.graph)
        if layers is None:
            raise RefusedError(f"{problem.task.graph.name!r} has no Transformer layers; give a model that has some")
        self.problem, self.task, self.graph = problem, problem.task, problem.task.graph
        self.layers: Layers = layers
        self.hosts = tuple(hosts_of(problem))
        """The main node is the first."""
        self._seconds = seconds_on(problem, self.hosts)

    @property
    def main(self) -> str:
        """Where the prologue and the epilogue are computed."""
        return self.hosts[0]

    def seconds(self, names: Names) -> Floats:
        """(K,) seconds of operators whole on each host."""
        rows = [self.graph.index[name] for name in names]
        return np.asarray(self._seconds[rows].sum(axis=0))

    def speeds(self, names: Names) -> Floats:
        """(K,) 1 / seconds; equal where some host takes no time."""
        return np.array(speeds_of(self.seconds(names)))

    @cached_property
    def whole_speeds(self) -> Floats:
        """(K,) 1 / seconds of all layers."""
        return self.speeds(tuple(name for half in self.layers.halves for name in half.names))

    def rooms(self) -> Floats:
        """(K,) bytes of memory; inf = not limited."""
        limits = (self.problem.cluster.node[host].memory_bytes for host in self.hosts)
        return np.array([np.inf if limit is None else limit for limit in limits], dtype=np.float64)

    def weight_bytes(self, names: Names) -> int:
        """Bytes of the weights of operators, each once."""
        weights = {weight for name in names for weight in self.graph.operator[name].weights}
        return sum(self.graph.weights[weight] for weight in weights)

    # ------------------------------------------------------------ runs

    def by_units(self, half: Half, weights: Sequence[float] | Floats) -> Run:
        """A head divided by attention heads or hidden units in proportion to weights, in whole ones."""
        return self.contracted(half, shared([float(weight) for weight in weights], half.size, half.granule))

    def contracted(self, half: Half, sizes: Sequence[int]) -> Run:
        """A head divided into parts of its contracted axis."""
        split = Split(axis="contract", parts=self.hosts, cuts=cuts(sizes), granularity=half.granule)
        return run(half.head, split)

    def by_rows(self, names: Names, weights: Sequence[float] | Floats) -> Run | None:
        """Operators of which each host computes some positions of the last result; with the main node if it has none.

        Args:
            names: next to each other; none = no run.
            weights: of the hosts.
        """
        if not names:
            return None
        shape = self.graph.tensor[names[-1]].shape
        axis = rows_axis(self.graph, names[-1])
        if axis is None:
            return run(names, self.main)
        sizes = shared([float(weight) for weight in weights], shape[axis])
        return run(names, Split(axis=axis, parts=self.hosts, cuts=cuts(sizes)))

    def everywhere(self, names: Names) -> Run | None:
        """Operators that every host computes."""
        return some(names, Copies(nodes=self.hosts, mode="mirror"))

    def plan(self, runs: Sequence[Run | None]) -> Plan:
        """The plan of some runs in topological order; None = no operators."""
        sha256 = self.graph.source.sha256 if self.graph.source else ""
        where = tuple(one for one in runs if one is not None)
        return Plan(entries=(Entry(task=self.task.name, where=where),), graph={self.task.name: sha256})

    def planned(self, name: str, runs: Sequence[Run | None], **notes: str) -> Proposal:
        """The plan of some runs, if it keeps the constraints.

        Args:
            name: of the solver.
            runs: in topological order; None = no operators.
            notes: for the proposal.

        Raises:
            InfeasibleError: it does not.
        """
        plan = self.plan(runs)
        return self.proposed(name, plan, judged(self.problem, plan), **notes)

    def proposed(self, name: str, plan: Plan, cost: Cost | None, **notes: str) -> Proposal:
        """A plan that was judged, if it keeps the constraints.

        Raises:
            InfeasibleError: it does not.
        """
        if cost is None or not cost.feasible:
            sentence = cost.violations[0].sentence if cost is not None else "no way leads to all nodes"
            raise infeasible(self.problem, f"the division of {name}", sentence)
        return Proposal(plan=plan, notes=notes)


def rows_axis(graph: Graph, name: str) -> int | None:
    """The axis of positions of a tensor: the first that is longer than 1, without the last; None if there is none.

    Nor is there one where the number of positions differs from request to request.
    """
    free = {axis for axis, _ in graph.free.get(name, ())}
    lengths = enumerate(graph.tensor[name].shape[:-1])
    return next((axis for axis, length in lengths if length > 1 and axis not in free), None)


def cuts(sizes: Sequence[int]) -> tuple[int, ...]:
    """The points between parts of some sizes.

    >>> cuts((2, 0, 3))
    (2, 2)
    """
    return tuple(accumulate(int(size) for size in sizes))[:-1]


def run(names: Names, on: Place) -> Run:
    """A run of operators that stand next to each other."""
    return Run(operators=names[0] if len(names) == 1 else f"{names[0]}..{names[-1]}", on=on)


def some(names: Names, on: Place) -> Run | None:
    """A run, or nothing where there are no operators."""
    return run(names, on) if names else None
