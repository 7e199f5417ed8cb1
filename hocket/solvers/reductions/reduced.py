"""The problem of a chain that stands for the problem of a DAG, and the way back from its plans."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from hocket.cost import Problem
from hocket.errors import PlanError
from hocket.graph import Graph, Operator, Tensor
from hocket.graph.topology import live
from hocket.plan import Plan
from hocket.plan.placement import placement
from hocket.profile import Profile
from hocket.solvers.additive import Additive
from hocket.solvers.layout import Layout

Groups = Sequence[Sequence[int]]
"""Positions of the operators that one operator of the chain stands for, in the order of the chain."""
_KIND = "Block"


class Reduction(Protocol):
    """One way to make a chain of a DAG."""

    name: ClassVar[str]

    def accepts(self, graph: Graph) -> bool:
        """Whether the chain of a graph has a place to cut."""
        ...

    def apply(self, problem: Problem) -> "Reduced":
        """The chain of a problem of one task."""
        ...


@dataclass(frozen=True, slots=True)
class Reduced:
    """A problem and the chain that stands for it."""

    original: Problem
    problem: Problem
    """The same with a chain in place of the task's graph."""
    groups: tuple[tuple[int, ...], ...]
    """Operators of the original, by operator of the chain."""

    def invert(self, plan: Plan) -> Plan:
        """The plan of the original: every operator where the chain's operator is that stands for it.

        Shares and settings of nodes stay; inputs go with the best of their codecs to where they are read.

        Raises:
            PlanError: an operator of the chain is divided or copied.
        """
        task = self.problem.task
        entry = next(entry for entry in plan.entries if entry.task == task.name)
        layout = Layout(self.original, self.original.task)
        node_of = [0] * len(layout.graph.operators)
        for operators, place in zip(self.groups, placement(task.graph, entry), strict=True):
            if not isinstance(place, str):
                name = layout.graph.operators[operators[0]].name
                raise PlanError(
                    f"a plan of a chain has each operator on one node, and {name!r} is divided or copied; plan the DAG"
                    " itself"
                )
            for position in operators:
                node_of[position] = self.original.cluster.index[place]
        places = [node_of[unit.operators[0]] for unit in layout.units]
        codecs = Additive(layout, {"sequential": 1.0}).codecs if layout.task.input_codecs else {}
        found = layout.plan(places, codecs)
        return found.replace(entries=(found.entries[0].replace(shares=entry.shares, settings=entry.settings),))


def contracted(problem: Problem, groups: Groups) -> Reduced:
    """Each group as one operator, which reads and makes the very tensors that cross between groups.

    It costs what the original does, wherever the groups are. The result is a chain if the groups are blocks.
    """
    graph = problem.task.graph
    home = {position: number for number, group in enumerate(groups) for position in group}
    operators = []
    for number, group in enumerate(groups):
        read = dict.fromkeys(name for position in group for name in graph.operators[position].inputs)
        inputs = tuple(name for name in read if home.get(graph.producer.get(name, -1)) != number)
        made = [name for position in group for name in graph.operators[position].outputs]
        outputs = tuple(
            name for name in made if name in graph.outputs or any(home[r] != number for r in graph.readers[name])
        )
        operators.append(_merged(graph, group, inputs, outputs or (made[-1],)))
    return _reduced(problem, groups, operators, graph.tensor)


def bundled(problem: Problem, groups: Groups) -> Reduced:
    """Each group as one operator, which hands one bundle on to the next: all tensors that cross the boundary.

    A single cut costs what it does in the original, up to the latency of its messages: a bundle is one. With several
    cuts a tensor that passes a group is sent on with each bundle, which the original does not need to do.
    """
    graph = problem.task.graph
    answers = [
        [name for p in group for name in graph.operators[p].outputs if name in graph.outputs] for group in groups
    ]
    bundles = dict(_bundles(graph, groups))
    entering = tuple(tensor.name for tensor in graph.inputs if graph.readers[tensor.name])
    operators = []
    for number, group in enumerate(groups):
        inputs = (bundles[number - 1].name,) if number else entering
        outputs = ((bundles[number].name,) if number in bundles else ()) + tuple(answers[number])
        operators.append(_merged(graph, group, inputs, outputs))
    sizes = graph.tensor | {tensor.name: tensor for tensor in bundles.values()}
    return _reduced(problem, groups, operators, sizes)


def _bundles(graph: Graph, groups: Groups) -> Iterator[tuple[int, Tensor]]:
    """The bundle after each group, and an empty one after the last if nothing else leaves it."""
    done: set[int] = set()
    for number, group in enumerate(groups):
        done.update(group)
        nbytes = sum(graph.tensor[name].nbytes for name in live(graph, done))
        answers = any(name in graph.outputs for p in group for name in graph.operators[p].outputs)
        if number + 1 < len(groups) or not answers:
            name = f"boundary/{number}"
            while name in graph.tensor:
                name += "'"
            yield number, Tensor(name=name, dtype="uint8", shape=(nbytes,))


def _merged(graph: Graph, group: Sequence[int], inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Operator:
    members = [graph.operators[position] for position in group]
    weights = tuple(dict.fromkeys(name for member in members for name in member.weights))
    return Operator(
        name=outputs[0],
        kind=_KIND,
        inputs=inputs,
        outputs=outputs,
        weights=weights,
        macs=sum(member.macs for member in members),
        flops=sum(member.flops for member in members),
        weight_bytes=sum(graph.weights[name] for name in weights),
        moved_bytes=sum(member.moved_bytes for member in members),
    )


def _reduced(problem: Problem, groups: Groups, operators: Sequence[Operator], sizes: Mapping[str, Tensor]) -> Reduced:
    task = problem.task
    entering = [tensor.name for tensor in task.graph.inputs]
    names = dict.fromkeys([*entering, *(name for operator in operators for name in operator.outputs)])
    chain = Graph(
        name=task.graph.name,
        inputs=task.graph.inputs,
        outputs=task.graph.outputs,
        operators=tuple(operators),
        tensors=tuple(sizes[name] for name in names),
        weights=task.graph.weights,
        bindings=task.graph.bindings,
    )
    profile = _summed(task.graph, task.profile, groups, operators)
    return Reduced(
        original=problem,
        problem=problem.replace(tasks=(task.replace(graph=chain, profile=profile),)),
        groups=tuple(tuple(group) for group in groups),
    )


def _summed(graph: Graph, profile: Profile, groups: Groups, operators: Sequence[Operator]) -> Profile:
    entries = []
    for entry in profile.entries:
        seconds = {
            operator.name: sum(entry.seconds[graph.operators[position].name] for position in group)
            for operator, group in zip(operators, groups, strict=True)
        }
        entries.append(entry.replace(seconds=seconds))
    return profile.replace(entries=tuple(entries))
