"""What each cut of each task costs with each server, if the task has shares of the server and of the way to it.

A task runs up to its cut where its inputs are and the rest on a server, and costs

    fixed + computing / (share of the server) + sending / (share of the way),

in the unit of the objective, so that the costs of all tasks add up to the objective. Computing and sending are counted
one after the other; idle power is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hocket.cluster import Node
from hocket.cost import Problem, Task
from hocket.errors import InfeasibleError
from hocket.plan import Entry, Plan
from hocket.plan.placement import entry_for
from hocket.solvers.fixed import judged
from hocket.solvers.games.shape import Shape
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.ways import Ways

HOME = -1
"""Instead of a server: the task stays where its inputs are."""


class Choice(NamedTuple):
    """What one task gets."""

    server: int = HOME
    """Position in the cluster."""
    cut: int = 0
    """Units that stay where the inputs are."""
    compute: float = 1.0
    """Share of the server."""
    sending: float = 1.0
    """Share of everything on the way that other tasks want too."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Seconds, joules and dollars of every cut of one task with one server, for shares of 1."""

    device_s: Floats
    """(C,) of computing before the cut."""
    server_s: Floats
    """(C,) of computing after it."""
    latency_s: Floats
    """(C,) of the ways, which no share changes."""
    sending_s: Floats
    """(C,) of sending, summed over the hops."""
    sending_j: Floats
    sending_usd: Floats
    resources: frozenset[str]
    """What the ways hold."""


class Rates(NamedTuple):
    """What a second, a joule and a dollar of a task count in the objective."""

    second: float
    joule: float
    usd: float

    def of_node(self, node: Node) -> float:
        """What a second of computing adds on a node for power and rent, besides the time."""
        return (self.joule + self.usd * node.energy_price_per_j) * node.active_w() + self.usd * node.compute_price_per_s


class Terms(NamedTuple):
    """(C,) each: what every cut costs is fixed + computing / share + sending / share."""

    fixed: Floats
    computing: Floats
    sending: Floats

    def at(self, compute: float, sending: float) -> Floats:
        """(C,) cost of every cut with two shares."""
        return np.asarray(self.fixed + self.computing / compute + self.sending / sending)


class Market:
    """The tasks of a problem and the servers that they may use: nodes that compute and are not the source of a task."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.cluster = problem, problem.cluster
        self._ways = Ways(problem.cluster)
        self._shapes: dict[tuple[int, tuple[str, ...]], Shape] = {}
        self._terms: dict[tuple[int, int], Terms] = {}
        self.shapes = [self._shape(task) for task in problem.tasks]

    def _shape(self, task: Task) -> Shape:
        key = (id(task.graph), tuple(task.outputs))
        if key not in self._shapes:
            self._shapes[key] = Shape(task.graph, task.outputs)
        return self._shapes[key]

    @cached_property
    def servers(self) -> tuple[int, ...]:
        """Servers of any task, rising."""
        return tuple(sorted({server for task in range(len(self.problem.tasks)) for server in self.offers[task]}))

    @cached_property
    def offers(self) -> list[dict[int, Offer]]:
        """For each task the servers that it reaches and what they offer."""
        sources = {task.source for task in self.problem.tasks}
        return [
            {
                self.cluster.index[name]: self._offer(number, name)
                for name in (node for node in _ordered(self.problem, task) if node not in sources)
                if self.cluster.reachable(task.source, name) and self.cluster.reachable(name, task.source)
            }
            for number, task in enumerate(self.problem.tasks)
        ]

    def _offer(self, number: int, server: str) -> Offer:
        task, shape = self.problem.tasks[number], self.shapes[number]
        device_s, server_s = self._computing(number, task.source), self._computing(number, server)
        up, down = self._way(task.source, server, shape), self._way(server, task.source, shape)
        crossing = shape.up.T @ up.costs + shape.down.T @ down.costs
        used = (up.holds if shape.up.any() else frozenset()) | (down.holds if shape.down.any() else frozenset())
        latency_s, seconds, joules, usd = crossing.T
        return Offer(device_s, server_s[-1] - server_s, latency_s, seconds, joules, usd, used)

    def _computing(self, number: int, node: str) -> Floats:
        """(C,) seconds of the units before each cut, and of the call on a device; seen from a server, of those after.

        The time of a call is due where anything is computed.
        """
        task, shape = self.problem.tasks[number], self.shapes[number]
        known, slower = task.profile.nodes[node], 1 + self.problem.margin
        seconds = np.zeros(shape.size)
        np.add.at(seconds, shape.unit_of, [known.seconds[operator.name] for operator in task.graph.operators])
        before = np.concatenate([[0.0], np.cumsum(seconds)]) * slower
        call = 0.0 if self.problem.objective.metric == "sequential" else known.call_s * slower
        if node == task.source:
            return before + call * (np.arange(shape.size + 1) > 0)
        return before - call * (np.arange(shape.size + 1) < shape.size)

    def _way(self, source: str, target: str, shape: Shape) -> "_Crossings":
        costs, holds = np.zeros((len(shape.nbytes), 4)), set[str]()
        order = np.argsort(shape.nbytes, kind="stable")
        for piece, way in self._ways.pieces(source, target, shape.nbytes[order]) if len(order) else ():
            chosen = order[piece]
            sizes, holds = shape.nbytes[chosen], holds | way.holds.keys()
            seconds = way.seconds_per_byte * sizes
            if self._ways.changing is not None:  # such a rate counts as it is at time 0
                now = [self.cluster.transfer_s(source, target, float(size)) - way.latency_s for size in sizes]
                seconds = np.maximum(seconds, now)
            costs[chosen] = np.stack(
                [np.full(len(sizes), way.latency_s), seconds, way.joules_per_byte * sizes, way.usd_per_byte * sizes],
                axis=1,
            )
        return _Crossings(costs, frozenset(holds))

    @cached_property
    def rates(self) -> list[Rates]:
        """Of each task; a mean over tasks counts its seconds by its weight."""
        objective, tasks = self.problem.objective, self.problem.tasks
        total = sum(task.weight for task in tasks) or 1.0
        weights, found = unit_weights(self.problem), []
        for task in tasks:
            part = {"mean": task.weight / total, "sum": task.weight, "max": 1.0}[objective.aggregate]
            found.append(Rates(part * weights["second"], weights["joule"], weights["usd"]))
        return found

    def terms(self, task: int, server: int) -> Terms:
        """What the cuts of a task cost with a server."""
        if (task, server) not in self._terms:
            self._terms[task, server] = self._found_terms(task, server)
        return self._terms[task, server]

    def _found_terms(self, task: int, server: int) -> Terms:
        offer, rates = self.offers[task][server], self.rates[task]
        device, host = self.cluster.node[self.problem.tasks[task].source], self.cluster.nodes[server]
        fixed = (rates.second + rates.of_node(device)) * offer.device_s + rates.of_node(host) * offer.server_s
        sending = rates.second * offer.sending_s + rates.joule * offer.sending_j + rates.usd * offer.sending_usd
        return Terms(fixed + rates.second * offer.latency_s, rates.second * offer.server_s, sending)

    def costs(self, task: int, server: int, compute: float, sending: float) -> Floats:
        """(C,) cost of every cut of a task with two shares; inf = late, or a share is too small for the task's rate."""
        offer, wanted = self.offers[task][server], self.problem.tasks[task]
        server_s, sending_s = offer.server_s / compute, offer.sending_s / sending
        # A station that is never idle has no end of its queue.
        keeps_up = wanted.rate_per_s * np.maximum(server_s, sending_s) < 1
        seconds = offer.device_s + offer.latency_s + server_s + sending_s
        in_time = seconds <= (np.inf if wanted.deadline_s is None else wanted.deadline_s)
        return np.where(keeps_up & in_time, self.terms(task, server).at(compute, sending), np.inf)

    def home_s(self, number: int) -> float:
        """Seconds of a task where its inputs are."""
        return float(self._computing(number, self.problem.tasks[number].source)[-1])

    @cached_property
    def at_home(self) -> list[float]:
        """Cost of each task where its inputs are."""
        nodes = [self.cluster.node[task.source] for task in self.problem.tasks]
        return [
            (rates.second + rates.of_node(node)) * self.home_s(number)
            for number, (rates, node) in enumerate(zip(self.rates, nodes, strict=True))
        ]

    @cached_property
    def pools(self) -> list[dict[int, int]]:
        """For each task and server the pool of resources of which its way takes a share; -1 = nobody else wants it.

        Ways with a resource in common are in one pool, so that shares of a pool that add up to 1 do so on each of its
        resources.
        """
        wanted: dict[str, set[int]] = {}
        for task, offers in enumerate(self.offers):
            for offer in offers.values():
                for name in offer.resources:
                    wanted.setdefault(name, set()).add(task)
        leader: dict[str, str] = {name: name for name, tasks in wanted.items() if len(tasks) > 1}
        for offers in self.offers:
            for offer in offers.values():
                shared = sorted(name for name in offer.resources if name in leader)
                for name in shared[1:]:
                    leader[_find(leader, name)] = _find(leader, shared[0])
        numbers = {name: number for number, name in enumerate(sorted({_find(leader, name) for name in leader}))}
        found: list[dict[int, int]] = []
        for offers in self.offers:
            shared_by = {
                server: min((n for n in offer.resources if n in leader), default=None)
                for server, offer in offers.items()
            }
            found.append({server: -1 if n is None else numbers[_find(leader, n)] for server, n in shared_by.items()})
        return found

    @cached_property
    def loose(self) -> frozenset[int]:
        """Pools without a resource that all their ways hold: shares that add up to more than 1 may be allowed there."""
        common: dict[int, frozenset[str]] = {}
        for offers, pools in zip(self.offers, self.pools, strict=True):
            for server, pool in pools.items():
                common[pool] = common.get(pool, offers[server].resources) & offers[server].resources
        return frozenset(pool for pool, names in common.items() if pool >= 0 and not names)

    def plan(self, choices: Sequence[Choice]) -> Plan:
        """The plan of a choice for each task."""
        tasks = self.problem.tasks
        entries = tuple(self.entry(number, choice) for number, choice in enumerate(choices))
        hashes = {task.name: task.graph.source.sha256 if task.graph.source else "" for task in tasks}
        return Plan(entries=entries, graph=hashes)

    def entry(self, number: int, choice: Choice) -> Entry:
        """The entry of a task; a share of 1 is not written, since then nobody else has one."""
        task, shape = self.problem.tasks[number], self.shapes[number]
        if choice.server == HOME:
            return entry_for(task.name, task.graph, [task.source] * len(task.graph.operators))
        server = self.cluster.nodes[choice.server].name
        places = [task.source if unit < choice.cut else server for unit in shape.unit_of]
        entry = entry_for(task.name, task.graph, places)
        shares = {server: choice.compute} if choice.compute < 1 and choice.cut < shape.size else {}
        if choice.sending < 1 and self.pools[number][choice.server] >= 0:
            shares |= dict.fromkeys(sorted(self.offers[number][choice.server].resources), choice.sending)
        return entry.replace(shares=shares)


class _Crossings(NamedTuple):
    costs: Floats
    """(M, 4) latency, seconds, joules and dollars of sending each tensor."""
    holds: frozenset[str]


def _find(leader: dict[str, str], name: str) -> str:
    while leader[name] != name:
        leader[name] = name = leader[leader[name]]
    return name


def _ordered(problem: Problem, task: Task) -> list[str]:
    return sorted(task.profile.nodes, key=problem.cluster.index.__getitem__)


def unit_weights(problem: Problem) -> dict[str, float]:
    """What seconds, joules and dollars count in an objective; latency and the survey's sum are both seconds."""
    objective = problem.objective
    names = {"latency": "second", "sequential": "second", "energy": "joule", "price": "usd"}
    found = {"second": 0.0, "joule": 0.0, "usd": 0.0}
    if objective.metric != "weighted":
        found[names[objective.metric]] = 1.0
        return found
    for metric, weight in objective.weights.items():
        if metric in names:
            found[names[metric]] += weight / (problem.references[metric] or 1.0)
    return found


def refuses_market(problem: Problem) -> str | None:
    """The reason of a solver whose tasks each run on their own device up to a cut, and then on a server."""
    objective = problem.objective
    if objective.metric == "period" or objective.weights.get("period"):
        return "each task counts what it costs by itself, and a period is of all of them together"
    return refuses_devices(problem)


def refuses_devices(problem: Problem) -> str | None:
    """The reason where a task has no device of its own, or no server."""
    sources = {task.source for task in problem.tasks}
    for task in problem.tasks:
        if {*task.inputs.values(), *task.outputs.values()} != {task.source}:
            return f"the inputs and answers of {task.name!r} are not all at one node"
        if task.source not in task.profile.nodes:
            return f"the inputs of {task.name!r} are on {task.source!r}, of which the profile knows nothing"
        if not any(
            node not in sources
            and problem.cluster.reachable(task.source, node)
            and problem.cluster.reachable(node, task.source)
            for node in task.profile.nodes
        ):
            return f"{task.name!r} reaches no server: a node that computes and is not the source of a task"
    return None


def settled(problem: Problem, name: str, plan: Plan, notes: Mapping[str, str]) -> Proposal:
    """The plan of a method, if the judge lets it pass.

    Raises:
        InfeasibleError: it breaks a constraint.
    """
    cost = judged(problem, plan)
    if cost is None:
        raise InfeasibleError(f"the plan of {name} needs a way that the cluster does not have; add a link")
    if cost.violations:
        raise InfeasibleError(f"the only plan that {name} makes breaks a constraint: {cost.violations[0].sentence}")
    return Proposal(plan=plan, notes=notes)
