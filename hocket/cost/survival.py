"""The probability that a program answers although nodes and links fail: every one counts once, copies stand in."""

from collections.abc import Mapping
from graphlib import TopologicalSorter
from itertools import pairwise

from hocket.cluster import Cluster
from hocket.errors import PlanError
from hocket.program import INPUT, Port, Program, Segment, Transfer

_MOST_DECIDED = 20_000


def reliability(cluster: Cluster, program: Program) -> float:
    """Probability that the answer of a request arrives; nodes and links fail during it, independent of each other.

    Without racing copies nothing that the program uses may fail, and each node and link counts once (survey 2.3(5)
    counts a node once per partition that it hosts). Where a port takes the first of several sources one of them is
    enough: names are decided one after another until the answer is certain either way. A port with a deadline goes on
    without what is missing.

    Raises:
        PlanError: too many copies to decide every case.
    """
    failure = _failures(cluster, program)
    if all(port.take == "all" for segment in program.segments for port in segment.inputs):
        survives = 1.0
        for probability in failure.values():
            survives *= 1 - probability
        return survives
    return _Cases(program, {name: p for name, p in failure.items() if p}).probability({})


def _failures(cluster: Cluster, program: Program) -> dict[str, float]:
    """Failure probability of each node, then of each link, that the program uses."""
    hops = {hop for transfer in program.transfers for hop in pairwise(transfer.path)}
    links = sorted({min((a, b), (b, a)) for a, b in hops})
    found = {name: cluster.node[name].failure_probability for name in program.nodes()}
    return found | {_link(a, b): cluster.link[a, b].failure_probability for a, b in links}


def _link(a: str, b: str) -> str:
    return " - ".join(sorted((a, b)))


class _Cases:
    def __init__(self, program: Program, failure: Mapping[str, float]) -> None:
        self._program, self._failure = program, failure
        self._order = _ordered(program)
        self._decided = 0

    def probability(self, known: dict[str, bool]) -> float:
        """That the answer comes, given which names are up."""
        self._decided += 1
        if self._decided > _MOST_DECIDED:
            raise PlanError(
                f"the reliability of {self._program.name!r} has more than {_MOST_DECIDED} cases; use fewer copies"
            )
        if not self._answers(known, otherwise=True):
            return 0.0
        if self._answers(known, otherwise=False):
            return 1.0
        name = next(name for name in self._failure if name not in known)
        down = self._failure[name]
        return down * self.probability({**known, name: False}) + (1 - down) * self.probability({**known, name: True})

    def _answers(self, known: Mapping[str, bool], *, otherwise: bool) -> bool:
        """Whether every answer arrives, if what is not known is up, or down."""
        arrives: dict[str, bool] = {}

        def up(name: str) -> bool:
            return known.get(name, otherwise) if name in self._failure else True

        def delivers(source: str, node: str) -> bool:
            return up(node) if source == INPUT else arrives[source]

        def filled(port: Port, node: str) -> bool:
            came = (delivers(source, node) for source in port.sources)
            return all(came) if port.take == "all" else any(came)

        for step in self._order:
            if isinstance(step, Segment):
                arrives[step.id] = up(step.node) and all(filled(port, step.node) for port in step.inputs)
            else:
                way = all(map(up, step.path)) and all(up(_link(a, b)) for a, b in pairwise(step.path))
                arrives[step.id] = way and delivers(step.source, step.path[0])
        return all(up(b.node) and delivers(b.source, b.node) for b in self._program.outputs)


def _ordered(program: Program) -> list[Segment | Transfer]:
    """Segments and transfers, each behind what it waits for."""
    steps: dict[str, Segment | Transfer] = {segment.id: segment for segment in program.segments}
    steps |= {transfer.id: transfer for transfer in program.transfers}
    waits = {segment.id: [source for port in segment.inputs for source in port.sources] for segment in program.segments}
    waits |= {transfer.id: [transfer.source] for transfer in program.transfers}
    return [steps[name] for name in TopologicalSorter(waits).static_order() if name != INPUT]
