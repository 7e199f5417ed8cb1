"""Block parallelism: the sub-blocks of decoupled layers each on a node, the layers between them whole or by heads.

Solves    every metric of one task whose model has decoupled layers (`hocket.variants.decouple` writes such models), on
          two or more nodes
Answer    the better of two plans: layers that are kept as they are with the main node, or divided by heads and hidden
          units. Notes: which of them
Time      O(D V), and two judgements; V = operators, D = nodes
Source    Du, Wei, Ye, Jiang, Chen, Huang, Lu: Co-Designing Transformer Architectures for Distributed Inference With Low
          Communication, IEEE TPDS 36(4), 2025
Departs   exact for the model that it is given; decoupling is a rewrite of the model, and its error is measured there.
          [standard] sub-blocks are equal, and each goes to the node that would end first. The choice between ways of
          parallelism is made before the run, for the whole model
Cards     detransformer
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.graph import Graph
from hocket.plan import Plan, Split
from hocket.plan.cuts import shared
from hocket.plan.placement import Place, plan_for
from hocket.solvers.checks import infeasible, refuses_tasks, require
from hocket.solvers.fixed import judged
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tensor.layers import layers_of
from hocket.solvers.tensor.team import cuts, hosts_of, seconds_on, speeds_of

Streams = tuple[tuple[int, ...], ...]
"""Operators of each sub-block, as positions in the graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detransformer:
    """See the module."""

    name: ClassVar[str] = "detransformer"
    exact_for: ClassVar[frozenset[str]] = frozenset()
    approximate: ClassVar[bool] = False
    """Of the model that it is given, its plans give the answers."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, no decoupled layers, or fewer than two nodes."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        graph = problem.task.graph
        if not graph.kept(decoupled):
            return f"{graph.name!r} has no decoupled layers, streams that come together in a mean (see hocket.variants)"
        if len(hosts_of(problem)) < 2:
            return "it gives each sub-block a node, and fewer than two can compute and reach each other"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The better of the two plans."""
        require(self, problem)
        best: tuple[float, str, Plan] | None = None
        sentence = "no way leads to all nodes"
        for kept in ("whole", "by heads"):
            plan = _plan(problem, divided=kept == "by heads")
            cost = judged(problem, plan)
            if cost is not None and not cost.feasible:
                sentence = cost.violations[0].sentence
            elif cost is not None and (best is None or cost.value < best[0]):
                best = (cost.value, kept, plan)
        if best is None:
            raise infeasible(problem, "sub-blocks on nodes", sentence)
        return Proposal(plan=best[2], notes={"kept_layers": best[1]})


def decoupled(graph: Graph) -> tuple[Streams, ...]:
    """The groups of sub-blocks of a graph, in topological order.

    A group ends in a mean of several tensors; the operators that lead to one of them and to no other are a sub-block,
    and each of them does a matrix product.
    """
    found = []
    for operator in graph.operators:
        if operator.kind != "Mean" or len(operator.inputs) < 2:
            continue
        behind = [_ancestors(graph, name) for name in operator.inputs]
        streams = tuple(
            tuple(sorted(own - set().union(*(other for other in behind if other is not own)))) for own in behind
        )
        if all(any(graph.operators[place].macs for place in stream) for stream in streams):
            found.append(streams)
    return tuple(found)


def _ancestors(graph: Graph, tensor: str) -> set[int]:
    """Operators that lead to a tensor, its maker included."""
    found: set[int] = set()
    waiting = [tensor]
    while waiting:
        place = graph.producer.get(waiting.pop(), -1)
        if place >= 0 and place not in found:
            found.add(place)
            waiting += graph.operators[place].inputs
    return found


def dealt(seconds: list[list[float]]) -> list[int]:
    """The node of each sub-block: one after the other goes to the node that would end first with it.

    Args:
        seconds: for each sub-block, its seconds on each node.

    >>> dealt([[1.0, 3.0], [1.0, 3.0], [1.0, 3.0]])
    [0, 0, 0]
    >>> dealt([[2.0, 3.0], [2.0, 3.0], [2.0, 3.0]])
    [0, 1, 0]
    """
    busy = [0.0] * len(seconds[0])
    places = []
    for row in seconds:
        place = min(range(len(busy)), key=lambda node: (busy[node] + row[node], node))
        busy[place] += row[place]
        places.append(place)
    return places


def _plan(problem: Problem, *, divided: bool) -> Plan:
    graph, hosts = problem.task.graph, hosts_of(problem)
    seconds = seconds_on(problem, hosts)
    places: list[Place] = [hosts[0]] * len(graph.operators)
    layers = layers_of(graph)
    if divided and layers is not None:
        for half in layers.halves:
            rows = [graph.index[name] for name in half.head]
            split = Split(
                axis="contract",
                parts=tuple(hosts),
                cuts=cuts(shared(speeds_of(seconds[rows].sum(axis=0)), half.size, half.granule)),
                granularity=half.granule,
            )
            for row in rows:
                places[row] = split
    for streams in graph.kept(decoupled):
        of_streams = [[float(each) for each in seconds[list(stream)].sum(axis=0)] for stream in streams]
        for stream, host in zip(streams, dealt(of_streams), strict=True):
            for row in stream:
                places[row] = hosts[host]
    return plan_for(problem.task.name, graph, places)
