"""A pipeline, and for the failure of each of its nodes the way to go on that scores best.

Solves    one task, as a chain of blocks on nodes each of which may fail; the objective of the pipeline adds up
Answer    the pipeline by dynamic programming over the chain, the judge's constraints heeded; notes name for each node
          that it uses what is done when it fails, with latency and downtime
Time      O(K L D^2); K = nodes of the pipeline, L = blocks, D = nodes
Source    Majeed, Kilpatrick, Spence, Varghese: CONTINUER, IEEE EDGE 2022, pp. 143-152
Departs   early exits and skips need variants of the model, which problems do not have, so the choice is among
          re-partitions: over all survivors, or the failed node's blocks to a neighbour; accuracy is then the same
          for all. [standard] score: latency and downtime, each divided by the worst; downtime is the time to send the
          weights that move. Where the chain's best breaks a constraint the pipeline is the best node alone
Cards     continuer
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from hocket.cost import Cost, Problem
from hocket.plan import Plan
from hocket.solvers.additive import Additive, additive_of
from hocket.solvers.chain import Chain
from hocket.solvers.chain_dp import shortest
from hocket.solvers.checks import infeasible, refuses_nodes, require
from hocket.solvers.fixed import judged, plan_at
from hocket.solvers.layout import Layout
from hocket.solvers.search.vectors import Room
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

Technique = Literal["repartition", "to predecessor", "to successor"]


class Recovery(NamedTuple):
    """How to go on after a failure."""

    technique: Technique
    places: tuple[int, ...]
    """Node of each unit afterwards."""
    latency_s: float
    downtime_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuer:
    """See the module."""

    name: ClassVar[str] = "continuer"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    latency_weight: float = 0.5
    downtime_weight: float = 0.5
    most_downtime_s: float | None = None
    """The user's threshold; the one on latency is the task's deadline."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_nodes(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The pipeline, with a note for the failure of each of its nodes."""
        require(self, problem)
        layout = Layout(problem, problem.task)
        sentence = "no way leads from the inputs to the answers"
        for places, plan in _pipelines(problem):
            cost = judged(problem, plan)
            if cost and cost.feasible:
                return Proposal(plan=plan, notes=self._notes(problem, layout, places))
            sentence = cost.violations[0].sentence if cost and cost.violations else sentence
        raise infeasible(problem, "the chain's best plan and each node alone", sentence)

    def _notes(self, problem: Problem, layout: Layout, places: list[int]) -> dict[str, str]:
        notes = {}
        for failed in sorted(set(places)):
            chosen = self.choose(problem, places, failed)
            notes[f"if {layout.nodes[failed]} fails"] = (
                f"{chosen.technique}, {chosen.latency_s:.6g} s, down for {chosen.downtime_s:.6g} s"
                if chosen
                else "nothing keeps the service"
            )
        return notes

    def choose(self, problem: Problem, places: list[int], failed: int) -> Recovery | None:
        """The technique of the best score within the thresholds; None = no node can take over.

        Args:
            problem: of the pipeline.
            places: node of each unit before the failure.
            failed: the node that is lost, as a position in the cluster.
        """
        found = [
            recovery
            for recovery in recoveries(problem, places, failed)
            if self.most_downtime_s is None or recovery.downtime_s <= self.most_downtime_s
        ]
        worst = (
            max((each.latency_s for each in found), default=0.0) or 1.0,
            max((each.downtime_s for each in found), default=0.0) or 1.0,
        )

        def score(recovery: Recovery) -> float:
            parts = (recovery.latency_s / worst[0], recovery.downtime_s / worst[1])
            return self.latency_weight * parts[0] + self.downtime_weight * parts[1]

        return min(found, key=score, default=None)


def _pipelines(problem: Problem) -> Iterator[tuple[list[int], Plan]]:
    """The chain's best plan, then each node alone, the best first."""
    additive = additive_of(problem)
    chain = Chain(additive)
    best = chain.places(shortest(chain, additive.layout.call_s[chain.hosts])[1])
    yield best, additive.plan(best)
    whole = [([host] * len(best), plan_at(problem, additive.layout.nodes[host])) for host in additive.layout.hosts]
    ranked = sorted((cost.value, host[0] if host else -1, host, plan) for host, plan in whole
                    if (cost := judged(problem, plan)) is not None and cost.feasible)  # fmt: skip
    yield from ((host, plan) for _, _, host, plan in ranked)


def recoveries(problem: Problem, places: list[int], failed: int) -> list[Recovery]:
    """What can be done when a node fails, constraints kept: re-partition, or its blocks to a neighbour.

    A node that has the inputs or needs the answers cannot be replaced.
    """
    task, index = problem.task, problem.cluster.index
    ends = {index[node] for node in (*task.inputs.values(), *task.outputs.values())}
    name = problem.cluster.nodes[failed].name
    left = tuple(entry for entry in task.profile.entries if entry.node != name)
    if failed in ends or not left:
        return []
    survivors = problem.replace(tasks=(task.replace(profile=task.profile.replace(entries=left)),))
    found = []
    for technique, after in _techniques(survivors, places, failed):
        plan = Additive(Layout(survivors, survivors.task), {"sequential": 1.0}).plan(after)
        cost = judged(survivors, plan)
        if cost and cost.feasible and not _passes(problem, after, failed):
            downtime = sending_s(problem, places, after)
            found.append(Recovery(technique, tuple(after), _latency_s(cost), downtime))
    return found


def _latency_s(cost: Cost) -> float:
    return cost.latency_s if cost.sojourn_s is None else cost.sojourn_s


def _techniques(survivors: Problem, places: list[int], failed: int) -> Iterator[tuple[Technique, list[int]]]:
    additive = Additive(Layout(survivors, survivors.task), {"sequential": 1.0})
    chain = Chain(additive)
    yield "repartition", chain.places(shortest(chain, additive.layout.call_s[chain.hosts])[1])
    lost = [unit for unit, node in enumerate(places) if node == failed]
    around: list[tuple[Technique, list[int]]] = [
        ("to predecessor", places[: lost[0]][::-1]),
        ("to successor", places[lost[-1] + 1 :]),
    ]
    for technique, neighbours in around:
        heir = next((node for node in neighbours if node != failed), None)
        if heir is not None:
            yield technique, [heir if node == failed else node for node in places]


def _passes(problem: Problem, places: list[int], failed: int) -> bool:
    """Whether something would be routed over the failed node."""
    layout = Layout(problem, problem.task)
    name = layout.nodes[failed]
    for net in layout.nets:
        origin = net.home if net.maker < 0 else places[net.maker]
        for target in {*(places[reader] for reader in net.readers), *net.sinks} - {origin}:
            if name in problem.cluster.path(layout.nodes[origin], layout.nodes[target], net.nbytes):
                return True
    return False


def sending_s(problem: Problem, before: list[int], after: list[int]) -> float:
    """Seconds until the weights that a node does not hold yet have come from the source, one after another."""
    layout, source = Layout(problem, problem.task), problem.task.source
    room, seconds = Room(layout), 0.0
    for node in sorted(set(after)):
        had, wanted = (room.reads[np.array(places) == node].any(axis=0) for places in (before, after))
        nbytes = float(room.sizes[wanted & ~had].sum())
        if nbytes and not problem.cluster.reachable(source, layout.nodes[node]):
            return float("inf")
        if nbytes:
            seconds += problem.cluster.transfer_s(source, layout.nodes[node], nbytes)
    return seconds
