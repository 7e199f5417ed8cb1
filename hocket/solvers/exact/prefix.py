"""Lower bounds of placements of which only the first units are fixed, each made from that of one unit less."""

from typing import NamedTuple

import numpy as np

from hocket.cost import Problem
from hocket.solvers.additive import SUMS, Additive, Costs
from hocket.solvers.layout import Floats, Layout

_LESS = 1 - 1e-12


class State(NamedTuple):
    """What is known after the first units have been placed."""

    places: tuple[int, ...]
    total: tuple[float, ...]
    """Of each sum, what units and crossings cost so far."""
    busy: Floats
    """(D,) seconds of the units on each host."""
    finish: tuple[float, ...]
    """Least second at which each unit is done."""
    longest: float
    """Least second at which the latest answer so far is where it is needed."""


class Prefix:
    """Bounds of one problem; units are placed in topological order."""

    def __init__(self, problem: Problem, layout: Layout) -> None:
        self.problem, self.layout = problem, layout
        self.hosts = list(layout.hosts)
        self._column = {host: number for number, host in enumerate(self.hosts)}
        objective = problem.objective
        self._weights: dict[str, float] = (
            dict(objective.weights) if objective.metric == "weighted" else {objective.metric: 1.0}
        )
        self._sums = [metric for metric in SUMS if self._weights.get(metric)]
        self._costs = [Additive(layout, {metric: 1.0}).costs for metric in self._sums]
        self._ways: Costs = Additive(layout, {"sequential": 1.0}).costs
        self._least = [_left(costs.of_units.min(axis=1)) for costs in self._costs]
        seconds = layout.seconds[:, self.hosts]
        # Weights of the hosts for which the fluid period is high: each host in proportion to its speed.
        speed = 1 / np.maximum(seconds.sum(axis=0), 1e-300)
        self._fluid: Floats = speed / speed.sum()
        self._fluid_left = _left((seconds * self._fluid).min(axis=1))
        self._tails = self._tails_s()

    def empty(self) -> State:
        """Nothing is placed."""
        total = tuple(
            sum(float(costs.of_nets[n, net.home, s]) for n, net in enumerate(costs.nets) if net.maker < 0
                for s in net.sinks if s != net.home)
            for costs in self._costs
        )  # fmt: skip
        return State((), total, np.zeros(len(self.hosts)), (), 0.0)

    def place(self, state: State, host: int) -> State | None:
        """The next unit goes to a host; None if a way is missing."""
        unit, layout = len(state.places), self.layout
        places = (*state.places, host)
        ready = 0.0 if layout.reads[unit] else float(layout.call_s[host])
        totals = [
            total + float(costs.of_units[unit, host]) for total, costs in zip(state.total, self._costs, strict=True)
        ]
        for number in layout.reads[unit]:
            net = layout.nets[number]
            origin = net.home if net.maker < 0 else places[net.maker]
            way = 0.0 if origin == host else float(self._ways.of_nets[number, origin, host])
            call = layout.call_s[host] if origin != host or net.maker < 0 else 0.0
            ready = max(ready, (state.finish[net.maker] if net.maker >= 0 else 0.0) + way + call)
            if origin != host and not self._there(number, host, state.places):
                for at, costs in enumerate(self._costs):
                    totals[at] += float(costs.of_nets[number, origin, host])
        finish = ready + float(layout.seconds[unit, host])
        longest = state.longest
        for number in layout.makes[unit]:
            for sink in layout.nets[number].sinks:
                sent = 0.0 if sink == host else float(self._ways.of_nets[number, host, sink])
                longest = max(longest, finish + sent)
                if sink != host:
                    for at, costs in enumerate(self._costs):
                        totals[at] += float(costs.of_nets[number, host, sink])
        if not np.isfinite(ready + longest):
            return None
        busy = state.busy.copy()
        busy[self._column[host]] += layout.seconds[unit, host]
        return State(places, tuple(totals), busy, (*state.finish, finish), longest)

    def bound(self, state: State) -> float:
        """A value of the objective that no placement beats which begins like this."""
        value = sum(
            self._factor(metric) * (total + least[len(state.places)])
            for metric, total, least in zip(self._sums, state.total, self._least, strict=True)
        )
        period = self._period(state) if self._weights.get("period") or self._weights.get("latency") else 0.0
        if self._weights.get("period"):
            value += self._factor("period") * period
        if self._weights.get("latency"):
            value += self._factor("latency") * max(period, self._latency(state))
        return float(value * _LESS)

    def _factor(self, metric: str) -> float:
        if self.problem.objective.metric != "weighted":
            return 1.0
        return self._weights[metric] / (self.problem.references[metric] or 1.0)

    def _there(self, number: int, host: int, places: tuple[int, ...]) -> bool:
        """Whether a tensor has been paid for on its way to a host."""
        net = self.layout.nets[number]
        return host in net.sinks or any(reader < len(places) and places[reader] == host for reader in net.readers)

    def _period(self, state: State) -> float:
        """The busiest host, one call each, and the rest of the work as a fluid."""
        calls = np.where(np.isin(self.hosts, state.places), self.layout.call_s[self.hosts], 0.0)
        fluid = float(self._fluid @ (state.busy + calls)) + self._fluid_left[len(state.places)]
        return max(float((state.busy + calls).max(initial=0.0)), float(fluid))

    def _latency(self, state: State) -> float:
        """The slowest path so far, or that through the units which wait for what has been made."""
        done = len(state.places)
        longest = state.longest
        for unit, host in enumerate(state.places):
            for number in self.layout.makes[unit]:
                if any(reader >= done for reader in self.layout.nets[number].readers):
                    longest = max(longest, state.finish[unit] + float(self._tails[number][host]))
        return longest

    def _tails_s(self) -> list[Floats]:
        """For each net (N,) the least seconds from when it is made on a node until the last answer that needs it."""
        layout, ways = self.layout, self._ways.of_nets
        hosts, size = self.hosts, len(layout.nodes)
        tails = [np.zeros(size) for _ in layout.nets]
        apart = 1 - np.eye(size)
        for number in sorted(range(len(layout.nets)), key=lambda n: -layout.nets[n].maker):
            net = layout.nets[number]
            moves = np.where(np.eye(size, dtype=bool), 0.0, ways[number])
            for sink in net.sinks:
                tails[number] = np.maximum(tails[number], moves[:, sink])
            for reader in net.readers:
                after = layout.seconds[reader, hosts].copy()
                rest = [tails[made][hosts] for made in layout.makes[reader]]
                after += np.max(rest, axis=0, initial=0.0) if rest else 0.0
                entering = moves[:, hosts] + (layout.call_s * apart)[:, hosts] + after
                tails[number] = np.maximum(tails[number], entering.min(axis=1))
        return tails


def _left(least: Floats) -> Floats:
    """(U + 1,) the sum from each unit on."""
    return np.concatenate([np.cumsum(least[::-1])[::-1], [0.0]])
