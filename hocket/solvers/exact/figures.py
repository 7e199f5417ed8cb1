"""The figures of a plan as linear expressions over its crossings: exact where they add up, else never too high.

A sum adds up units and crossings. The period is at least what each node and each resource of a link is busy, one call
per node that takes part. The latency is at least that of every path through the graph, a call wherever it enters a
node, and at least what each node is busy. Memory is at least the weights, and the mailboxes for the fewest requests
that may be under way.
"""

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from hocket.cost import Problem
from hocket.solvers.additive import SUMS, Additive
from hocket.solvers.exact.crossings import Crossings
from hocket.solvers.exact.linear import Columns, Found
from hocket.solvers.holds import holds
from hocket.solvers.layout import Floats, Layout

_LEAST_WINDOW = 2
_ABOVE = 1 + 1e-9  # limits are kept by the judge; here they may not cut off what it allows


class Figures:
    """A linear program over all placements of one task."""

    def __init__(self, problem: Problem, layout: Layout) -> None:
        self.problem, self.layout = problem, layout
        self.crossings = Crossings(layout)
        self.linear = self.crossings.linear

    def objective(self) -> tuple[Floats, float]:
        """The value of the problem's objective: (C,) coefficients and a constant."""
        objective = self.problem.objective
        if objective.metric != "weighted":
            return self.of(objective.metric)
        parts = [
            (weight / (self.problem.references[metric] or 1.0), *self.of(metric))
            for metric, weight in sorted(objective.weights.items())
            if weight
        ]
        total = np.zeros(len(self.linear.upper))
        for factor, cost, _ in parts:
            total[: len(cost)] += factor * cost
        return total, sum(factor * constant for factor, _, constant in parts)

    def of(self, metric: str) -> tuple[Floats, float]:
        """One metric."""
        if metric in SUMS:
            costs = Additive(self.layout, {metric: 1.0}).costs
            return self.crossings.cost(costs.of_units, costs.of_nets)
        column = self.period if metric == "period" else self.latency
        cost = np.zeros(len(self.linear.upper))
        cost[column] = 1.0
        return cost, 0.0

    def constrain(self) -> None:
        """Add what the constraints say, as far as it is linear: limits, the deadline, memory."""
        limits = dict(self.problem.objective.limits)
        deadline = self.layout.task.deadline_s
        if deadline is not None:
            limits["latency"] = min(deadline, limits.get("latency", np.inf))
        for metric, limit in sorted(limits.items()):
            if metric in (*SUMS, "period", "latency"):
                cost, constant = self.of(metric)
                columns = np.flatnonzero(cost)
                scale = 1.0 / (limit or 1.0)
                self.linear.row([(columns, cost[columns] * scale)], high=(limit * _ABOVE - constant) * scale)
        for at, host in enumerate(self.layout.hosts):
            room = self.problem.cluster.nodes[host].memory_bytes
            if room is not None:
                self._memory(at, float(room))

    def solve(self, reference: float, *, seconds: float | None = None, most_nodes: int = 10**9) -> Found:
        """The best placement, its bound with the constant."""
        cost, constant = self.objective()
        found = self.linear.solve(cost, reference, seconds=seconds, most_nodes=most_nodes)
        return found._replace(bound=found.bound + constant)

    @cached_property
    def _horizon(self) -> float:
        """Seconds that no request takes longer, one thing after the other."""
        costs = self.crossings.additive.costs
        seconds = self.layout.seconds[:, list(self.layout.hosts)] + self.layout.call_s[list(self.layout.hosts)]
        ways = np.where(np.isfinite(costs.of_nets), costs.of_nets, 0.0).sum()
        return float(seconds.max(axis=1).sum() + ways)

    @cached_property
    def period(self) -> int:
        """The variable that is at least what every node and resource is busy."""
        column = self.linear.variables(1, upper=max(self._horizon, 1.0))
        self._busy_nodes(column)
        self._busy_resources(column)
        return int(column[0])

    @cached_property
    def latency(self) -> int:
        """The variable that is at least what every path takes that an answer depends on."""
        column = self.linear.variables(1, upper=max(self._horizon, 1.0))
        needed = _needed(self.layout)
        self._busy_nodes(column, needed)
        finish = self.linear.variables(len(self.layout.units), upper=max(self._horizon, 1.0))
        for unit in sorted(needed):
            self._after(unit, finish)
        ways = self.crossings.additive.costs.of_nets
        for number, net in enumerate(self.layout.nets):
            for sink in net.sinks:
                if net.maker >= 0:
                    sent = self._known(ways[number, self.crossings.hosts, sink])
                    self.linear.row(
                        [(column, 1.0), (finish[[net.maker]], -1.0), (self.crossings.places[net.maker], -sent)], low=0.0
                    )
                elif sink != net.home:
                    self.linear.row([(column, 1.0)], low=float(ways[number, net.home, sink]))
        return int(column[0])

    def _after(self, unit: int, finish: Columns) -> None:
        """A unit finishes after what it reads has come and it has been computed."""
        crossings, layout = self.crossings, self.layout
        own = crossings.places[unit]
        seconds, calls = layout.seconds[unit, crossings.hosts], layout.call_s[crossings.hosts]
        if not layout.reads[unit]:
            self.linear.row([(finish[[unit]], 1.0), (own, -(seconds + calls))], low=0.0)
        for number in layout.reads[unit]:
            net, ways = layout.nets[number], crossings.additive.costs.of_nets[number]
            if net.maker < 0:
                sent = self._known(np.where(crossings.hosts == net.home, 0.0, ways[net.home, crossings.hosts]))
                self.linear.row([(finish[[unit]], 1.0), (own, -(seconds + calls + sent))], low=0.0)
                continue
            entering = (self._known(ways[np.ix_(crossings.hosts, crossings.hosts)]) + calls) * (1 - np.eye(len(calls)))
            parts: list[tuple[Columns, ArrayLike]] = [
                (finish[[unit]], 1.0),
                (finish[[net.maker]], -1.0),
                (own, -seconds),
            ]
            self.linear.row([*parts, (crossings.pairs[number, unit], -entering)], low=0.0)

    @staticmethod
    def _known(ways: Floats) -> Floats:
        """Seconds of ways; those that are not there are forbidden anyway."""
        return np.where(np.isfinite(ways), ways, 0.0)

    def _busy_nodes(self, column: Columns, units: frozenset[int] | None = None) -> None:
        crossings, chosen = self.crossings, sorted(units if units is not None else range(len(self.layout.units)))
        for at, host in enumerate(self.layout.hosts):
            seconds = self.layout.seconds[chosen, host]
            parts: list[tuple[Columns, ArrayLike]] = [(column, 1.0), (crossings.places[chosen, at], -seconds)]
            if self.layout.call_s[host] and units is None:
                parts.append((crossings.used[[at]], -self.layout.call_s[host]))
            self.linear.row(parts, low=0.0)

    def _busy_resources(self, column: Columns) -> None:
        """What transfers hold; a way with several resources holds each for its part of the busiest one's time."""
        crossings, layout = self.crossings, self.layout
        ways = crossings.additive.ways
        held = holds(layout, ways)
        busy: dict[str, list[tuple[int, float]]] = {}
        for net, source, target, number in crossings.found:
            seconds = held[net, source, target]
            if not (np.isfinite(seconds) and seconds):
                continue
            size = np.array([float(layout.nets[net].nbytes)])
            _, way = next(ways.pieces(layout.nodes[source], layout.nodes[target], size))
            most = max(way.holds.values())
            for name, part in way.holds.items():
                busy.setdefault(name, []).append((number, seconds * part / most))
        for name in sorted(busy):
            fixed = sum(seconds for number, seconds in busy[name] if number < 0)
            columns = np.array([number for number, _ in busy[name] if number >= 0], dtype=np.int64)
            seconds = np.array([seconds for number, seconds in busy[name] if number >= 0])
            self.linear.row([(column, 1.0), (columns, -seconds)], low=fixed)

    def _memory(self, at: int, room: float) -> None:
        """Weights once, and at least the mailboxes of two requests for what comes to units here."""
        crossings, graph = self.crossings, self.layout.graph
        scale = 1.0 / room
        parts: list[tuple[Columns, ArrayLike]] = []
        if self.problem.whole_model:
            parts.append((crossings.used[[at]], graph.weight_bytes * scale))
        else:
            for units, nbytes in self._weights.items():
                some = self.crossings.places[list(units), at]
                holds_it = int(some[0]) if len(some) == 1 else int(self.linear.variables(1)[0])
                if len(some) > 1:
                    rows = np.stack([np.full(len(some), holds_it), some], axis=1)
                    self.linear.rows(rows, [1.0, -1.0], low=0.0)
                parts.append((np.array([holds_it]), nbytes * scale))
        host = self.layout.hosts[at]
        for number, net in enumerate(self.layout.nets):
            columns = crossings.arrives.get((number, host))
            if columns is not None and len(columns):
                parts.append((columns, _LEAST_WINDOW * net.nbytes * scale))
        self.linear.row(parts, high=_ABOVE)

    @cached_property
    def _weights(self) -> dict[tuple[int, ...], int]:
        """Units -> bytes of the weights that exactly they read."""
        users: dict[str, list[int]] = {}
        for number, unit in enumerate(self.layout.units):
            for position in unit.operators:
                for name in self.layout.graph.operators[position].weights:
                    users.setdefault(name, []).append(number)
        found: dict[tuple[int, ...], int] = {}
        for name, units in users.items():
            key = tuple(dict.fromkeys(units))
            found[key] = found.get(key, 0) + self.layout.graph.weights[name]
        return {units: nbytes for units, nbytes in found.items() if nbytes}


def _needed(layout: Layout) -> frozenset[int]:
    """Units that an answer depends on; a request does not wait for others."""
    open_ = [net.maker for net in layout.nets if net.sinks and net.maker >= 0]
    found: set[int] = set()
    while open_:
        unit = open_.pop()
        if unit not in found:
            found.add(unit)
            open_ += [layout.nets[number].maker for number in layout.reads[unit] if layout.nets[number].maker >= 0]
    return frozenset(found)
