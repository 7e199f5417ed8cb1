"""Admit as many requests as the threads of the cloudlets can serve in time, each by its own minimum cut.

Solves    any number of tasks with deadlines whose sources can compute, and cloudlets that are no sources
Answer    for each task, cloudlet and number of threads the fastest division in which only answers come back; each
          task gets the fewest threads that meet its deadline; tasks that are not admitted have no entry, and where one
          has to be served an error says how many were
Time      O(log C) maximum flows per task and cloudlet, C = cores; then a sort
Source    Li, Liang, Li, Xu, Jia, Guo: Throughput maximization of delay-aware DNN inference in edge computing by
          exploring DNN model partitioning and inference parallelism, IEEE TMC 22(5), 2023, pp. 3017-3030
Departs   [standard] packing by demand, least first, and prices that grow exponentially with the load, in place of the
          paper's own forms; a profile's times are those of all cores of a node, and m of C threads take C / m times as
          long; rates are those of the links
Cards     throughput_max
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from hocket.cost import Problem, Task
from hocket.errors import InfeasibleError
from hocket.solvers.additive import Additive, Costs
from hocket.solvers.checks import require
from hocket.solvers.cuts.construction import Stages, two_sided, weighted, weighted_cut
from hocket.solvers.cuts.scan import (
    allowed,
    cloudlets_of,
    costs_now,
    joined,
    refuses_deadlines,
    sequential,
)
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


class Demand(NamedTuple):
    """What a task asks of a cloudlet."""

    threads: int
    """Fewest that meet the deadline; 0 = the device does it alone."""
    places: tuple[int, ...]
    """Node of each unit."""
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputMax:
    """See the module."""

    name: ClassVar[str] = "throughput_max"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    admission: Literal["offline", "online"] = "offline"
    """All requests are known and those of least demand come first; or each is decided on as it comes, by a price."""

    def refuses(self, problem: Problem) -> str | None:
        """A task without a deadline, a source that cannot compute, or no cloudlet."""
        return refuses_deadlines(problem, "it admits requests by their deadlines")

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """A division of every task, with its threads.

        Raises:
            InfeasibleError: not all tasks can be admitted, or the plan breaks a constraint.
        """
        require(self, problem)
        cloudlets = cloudlets_of(problem)
        costs = [sequential(problem, task) for task in problem.tasks]
        demands = [
            {cloudlet: found for cloudlet in cloudlets if (found := _demand(problem, task, additive, cloudlet))}
            for task, additive in zip(problem.tasks, costs, strict=True)
        ]
        threads = {cloudlet: problem.cluster.nodes[cloudlet].cores for cloudlet in cloudlets}
        asked = [{cloudlet: found.threads for cloudlet, found in options.items()} for options in demands]
        admit = packed if self.admission == "offline" else priced
        chosen = admit(asked, threads)
        for task, cloudlet in zip(problem.tasks, chosen, strict=True):
            if cloudlet is None and task.refusal_cost is None:
                admitted = sum(other is not None for other in chosen)
                raise InfeasibleError(
                    f"C3: {admitted} of {len(chosen)} requests are in time on {sum(threads.values())} threads,"
                    f" and {task.name!r} cannot be refused; allow more time, add cores or give it a refusal_cost"
                )
        given = [
            (additive, cloudlet, options[cloudlet])
            for additive, options, cloudlet in zip(costs, demands, chosen, strict=True)
            if cloudlet is not None
        ]
        return _proposal(problem, given)


def _demand(problem: Problem, task: Task, additive: Additive, cloudlet: int) -> Demand | None:
    """The fewest threads of a cloudlet with which a task meets its deadline; None = not even with all."""
    device, cores = problem.cluster.index[task.source], problem.cluster.nodes[cloudlet].cores
    deadline = task.deadline_s if task.deadline_s is not None else np.inf
    network = two_sided(costs_now(additive), device, cloudlet)
    alone = [device] * len(additive.layout.units)
    if network.value(alone) <= deadline:
        return Demand(0, tuple(alone), network.value(alone))
    low, high = 1, cores + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if divided(network, device, cloudlet, cores / middle)[1] <= deadline else (middle + 1, high)
        )
    if low > cores:
        return None
    places, delay_s = divided(network, device, cloudlet, cores / low)
    return Demand(low, tuple(places), delay_s)


def divided(network: Costs, device: int, cloudlet: int, slower: float) -> tuple[list[int], float]:
    """The fastest division where the cloudlet is so many times slower, and its seconds."""
    weights = Stages(1.0, 1.0, slower)
    places = weighted_cut(network, device, cloudlet, weights)
    return places, weighted(network, device, cloudlet, weights).value(places)


def packed(asked: Sequence[dict[int, int]], threads: dict[int, int]) -> list[int | None]:
    """The cloudlet of each request, least demand first; None = it is not admitted.

    Args:
        asked: for each request the threads that it needs at each cloudlet that can serve it.
        threads: of each cloudlet.

    >>> packed([{7: 3}, {7: 1}, {7: 2}], {7: 3})
    [None, 7, 7]
    """
    free = dict(threads)
    chosen: list[int | None] = [None] * len(asked)
    for request in sorted(range(len(asked)), key=lambda request: min(asked[request].values(), default=0)):
        fits = [(need, cloudlet) for cloudlet, need in asked[request].items() if need <= free[cloudlet]]
        if fits:
            need, chosen[request] = min(fits)
            free[min(fits)[1]] -= need
    return chosen


def priced(asked: Sequence[dict[int, int]], threads: dict[int, int]) -> list[int | None]:
    """The cloudlet of each request as they come, by prices a^load - 1; one whose price is above 1 takes no more.

    The base a is twice the number of cloudlets and two more, so that some threads are kept for cheap requests.

    >>> priced([{7: 2}, {7: 1}, {7: 1}], {7: 3})
    [7, None, None]
    """
    base = 2.0 * len(threads) + 2
    used = dict.fromkeys(threads, 0)
    chosen: list[int | None] = []
    for options in asked:
        fits = [
            (need * (base ** (used[cloudlet] / threads[cloudlet]) - 1), need, cloudlet)
            for cloudlet, need in options.items()
            if used[cloudlet] + need <= threads[cloudlet]
            and (need == 0 or base ** (used[cloudlet] / threads[cloudlet]) - 1 <= 1)
        ]
        chosen.append(min(fits)[2] if fits else None)
        if fits:
            used[min(fits)[2]] += min(fits)[1]
    return chosen


def _proposal(problem: Problem, given: Sequence[tuple[Additive, int, Demand]]) -> Proposal:
    nodes = problem.cluster.nodes
    # As a part of the node and not as a number of cores, so that it is linear whatever is known of the node.
    plan = joined(
        (additive.plan(demand.places), {nodes[cloudlet].name: demand.threads / nodes[cloudlet].cores})
        for additive, cloudlet, demand in given
    )
    notes = {additive.layout.task.name: f"{demand.threads} threads" for additive, _, demand in given}
    return allowed(problem, plan, "the fastest divisions with the fewest threads", notes)
