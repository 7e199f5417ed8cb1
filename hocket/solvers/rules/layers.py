"""What the rules of other systems place: the repeated layers of a model, in a row.

A layer is a block of the chain view; blocks of the same numbered module (`encoder.layer.3`, `features.4`) are one.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError, RefusedError
from hocket.graph import Graph
from hocket.graph.topology import Block, blocks
from hocket.plan import Plan
from hocket.solvers.checks import refuses_tasks
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.solver import Proposal


def layers_of(graph: Graph) -> tuple[tuple[int, ...], ...]:
    """Operators of each layer, rising."""
    found = [
        tuple(position for _, block in some for position in block.operators)
        for _, some in groupby(((_module(graph, block), block) for block in blocks(graph)), key=lambda pair: pair[0])
    ]
    return tuple(found)


def _module(graph: Graph, block: Block) -> str:
    """The numbered module that a block begins in, or a name of its own."""
    path = graph.operators[block.operators[0]].scope.split(".")
    for end, name in enumerate(path, 1):
        if name.isdigit():
            return ".".join(path[:end])
    return f"block {block.operators[0]}"


class Layers:
    """The layers of the only task, and what they take on each host; hosts are counted as in `Layout.hosts`."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.layout = problem, Layout(problem, problem.task)
        self.graph = self.layout.graph
        self.operators = layers_of(self.graph)
        self.names = [self.layout.nodes[host] for host in self.layout.hosts]
        self.nodes = [problem.cluster.node[name] for name in self.names]

    def __len__(self) -> int:
        return len(self.operators)

    @cached_property
    def seconds(self) -> Floats:
        """(L, D) seconds of each layer on each host, by the profile."""
        table = self.layout.table.seconds
        return np.array([table[list(operators)].sum(axis=0) for operators in self.operators]).reshape(len(self), -1)

    @cached_property
    def weights(self) -> list[dict[str, int]]:
        """Weight -> bytes, of each layer."""
        sizes = self.graph.weights
        return [
            {name: sizes[name] for position in operators for name in self.graph.operators[position].weights}
            for operators in self.operators
        ]

    @cached_property
    def nbytes(self) -> Floats:
        """(L,) bytes of the weights of each layer."""
        return np.array([float(sum(weights.values())) for weights in self.weights])

    @cached_property
    def flops(self) -> Floats:
        """(L,) operations of each layer."""
        return np.array([sum(self.graph.operators[at].flops for at in operators) for operators in self.operators])

    @cached_property
    def leaving(self) -> Floats:
        """(L,) bytes of what passes to later layers behind each layer."""
        ends = np.cumsum([len(operators) for operators in self.operators])
        found = []
        for end in ends:
            alive = [
                tensor.nbytes
                for tensor in self.graph.tensors
                if self.graph.producer.get(tensor.name, end) < end
                and max(self.graph.readers[tensor.name], default=-1) >= end
            ]
            found.append(float(sum(alive)))
        return np.array(found)

    @property
    def source(self) -> int | None:
        """The host that is the source of the task; None if that does not compute."""
        name = self.layout.task.source
        return self.names.index(name) if name in self.names else None

    def rate(self, a: int, b: int) -> float:
        """Bytes per second between two hosts, of one large message; 0 where there is no way."""
        cluster, size = self.problem.cluster, 1 << 30
        if a == b:
            return float("inf")
        if not cluster.reachable(self.names[a], self.names[b]):
            return 0.0
        seconds = cluster.transfer_s(self.names[a], self.names[b], size)
        seconds -= cluster.transfer_s(self.names[a], self.names[b], 0)
        return size / seconds if seconds > 0 else float("inf")

    def plan(self, hosts: Sequence[int]) -> Plan:
        """The plan that puts each layer on a host; inputs travel raw."""
        at = {position: host for operators, host in zip(self.operators, hosts, strict=True) for position in operators}
        places = [self.layout.hosts[at[unit.operators[0]]] for unit in self.layout.units]
        return self.layout.plan(places, {})


def refuses_layers(problem: Problem) -> str | None:
    """Several tasks, nothing that can compute, or a model without layers."""
    reason = refuses_tasks(problem)
    if reason:
        return reason
    if not any(node.name in problem.task.profile.nodes for node in problem.cluster.nodes):
        return "the profile knows no node of the cluster"
    return None if problem.task.graph.operators else "the model has no operator"


def refuses_unknown_memory(problem: Problem) -> str | None:
    """As `refuses_layers`, or a node whose memory is not known."""
    reason = refuses_layers(problem)
    if reason:
        return reason
    for node in problem.cluster.nodes:
        if node.name in problem.task.profile.nodes and node.memory_bytes is None:
            return f"it divides by memory, and that of {node.name!r} is not limited"
    return None


def ruled(problem: Problem, name: str, plan: Plan, notes: dict[str, str] | None = None) -> Proposal:
    """The plan of a rule, if it keeps the constraints; rules have no other one.

    Raises:
        InfeasibleError: it breaks one.
        RefusedError: it needs a way that is not there.
    """
    cost = judged(problem, plan)
    if cost is None:
        raise RefusedError(f"{name} cannot solve this problem: its plan needs a way that is not there; add a link")
    if not cost.feasible:
        raise InfeasibleError(f"the plan of the rule {name} breaks a constraint: {cost.violations[0].sentence}")
    return Proposal(plan=plan, notes=notes or {})
