"""A timeline of operators and transfers as a model of CP-SAT."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hocket.cost import Problem
from hocket.errors import MissingError
from hocket.solvers.additive import Additive
from hocket.solvers.holds import holds

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

_TICKS = 10**10


def require_ortools() -> None:
    """Say what is missing before anything is built.

    Raises:
        MissingError: OR-Tools is not installed.
    """
    try:
        import ortools.sat.python.cp_model  # noqa: F401
    except ImportError:
        raise MissingError(
            "cp_sat needs OR-Tools, which is not installed; install it with `pip install hocket[exact]`"
        ) from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What CP-SAT says."""

    bound_s: float
    """No schedule ends earlier; inf = there is none."""
    effort: float
    """Deterministic seconds that it took."""
    places: list[int] = field(default_factory=list)
    """Node of each unit; () = it found no schedule."""
    begins: list[int] = field(default_factory=list)
    """Tick at which each unit begins."""


class Schedule:
    """Placements and times of one task; all durations are rounded down."""

    def __init__(self, problem: Problem, additive: Additive, seed: int) -> None:
        from ortools.sat.python import cp_model

        self.problem, self.additive, self.layout = problem, additive, additive.layout
        self.seed, self.model = seed, cp_model.CpModel()
        seconds = self.layout.seconds[:, list(self.layout.hosts)]
        self.tick_s = max(float(seconds.sum(axis=0).min()), 1e-9) / _TICKS
        self.horizon = self._longest()
        self.held = holds(self.layout, additive.ways)
        _, wires, resources = problem.cluster.to_program()
        self.wires = {(wire.source, wire.target): wire for wire in wires}
        self.rates = {resource.name: resource.bytes_per_s for resource in resources}
        self.lanes: dict[str, list[Any]] = defaultdict(list)
        self.on = [{host: self._flag() for host in self.layout.hosts} for _ in self.layout.units]
        self.start = [self._time() for _ in self.layout.units]
        self.finish = [self._time() for _ in self.layout.units]
        self.end = self._time()
        for unit in range(len(self.layout.units)):
            self._place(unit)
        for number in range(len(self.layout.nets)):
            self._send(number)
        for lane in self.lanes.values():
            self.model.add_no_overlap(lane)
        self.model.minimize(self.end)

    def exclude(self, places: list[int]) -> None:
        """Leave out one placement."""
        self.model.add_bool_or([self.on[unit][place].negated() for unit, place in enumerate(places)])

    def solve(self, most_s: float, effort: float, seconds: float | None) -> Answer:
        """The schedule that ends first.

        Args:
            most_s: no later one is of interest.
            effort: most deterministic seconds.
            seconds: most seconds of wall time; None = no limit.
        """
        from ortools.sat.python import cp_model

        if most_s < float("inf"):
            self.model.add(self.end <= self._ticks(most_s) + 1)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = self.seed % 2**31
        solver.parameters.max_deterministic_time = effort
        if seconds is not None:
            solver.parameters.max_time_in_seconds = seconds
        status = solver.solve(self.model)
        took = max(solver.response_proto.deterministic_time, 1e-6)
        if status == cp_model.INFEASIBLE:
            bound = float("inf")
        else:
            bound = max(solver.best_objective_bound, 0.0) * self.tick_s * (1 - 1e-12)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return Answer(bound, took)
        places = [next(host for host, flag in on.items() if solver.value(flag)) for on in self.on]
        return Answer(bound, took, places, [solver.value(start) for start in self.start])

    def _longest(self) -> int:
        """Ticks that no timeline takes longer, one thing after the other."""
        layout, ways = self.layout, self._all_ways_s()
        hosts = list(layout.hosts)
        seconds = (layout.seconds[:, hosts] + layout.call_s[hosts]).max(axis=1).sum()
        return 2 * self._ticks(float(seconds + ways)) + 2 * len(layout.units) + 2

    def _all_ways_s(self) -> float:
        """Seconds of every tensor on every way."""
        costs = Additive(self.layout, {"sequential": 1.0}).costs.of_nets
        return float(costs[np.isfinite(costs)].sum())

    def _flag(self) -> "cp_model.IntVar":
        return self.model.new_bool_var("")

    def _time(self) -> "cp_model.IntVar":
        return self.model.new_int_var(0, self.horizon, "")

    def _ticks(self, seconds: float) -> int:
        return int(seconds / self.tick_s)

    def _lane(self, lane: str, start: Any, ticks: int, flag: Any) -> None:
        """A lane is taken from a time on, if the flag is set."""
        if ticks:
            self.lanes[lane].append(self.model.new_optional_fixed_size_interval_var(start, ticks, flag, ""))

    def _place(self, unit: int) -> None:
        self.model.add_exactly_one(self.on[unit].values())
        for host, flag in self.on[unit].items():
            ticks = self._ticks(float(self.layout.seconds[unit, host]))
            self._lane(f"node {host}", self.start[unit], ticks, flag)
            self.model.add(self.finish[unit] == self.start[unit] + ticks).only_enforce_if(flag)
            if not self.layout.reads[unit]:
                call = self._ticks(float(self.layout.call_s[host]))
                self.model.add(self.start[unit] >= call).only_enforce_if(flag)

    def _send(self, number: int) -> None:
        """A tensor goes once to each node that wants it."""
        net = self.layout.nets[number]
        origins = {net.home: None} if net.maker < 0 else self.on[net.maker]
        for origin, made in origins.items():
            for target in sorted({*self.layout.hosts, *net.sinks}):
                if target == origin:
                    self._stay(number, origin, made)
                else:
                    self._go(number, origin, made, target)

    def _stay(self, number: int, host: int, made: Any) -> None:
        net = self.layout.nets[number]
        ready = 0 if net.maker < 0 else self.finish[net.maker]
        call = self._ticks(float(self.layout.call_s[host])) if net.maker < 0 else 0
        for reader in net.readers:
            if host in self.on[reader]:
                flags = [flag for flag in (made, self.on[reader][host]) if flag is not None]
                self.model.add(self.start[reader] >= ready + call).only_enforce_if(flags)
        if host in net.sinks:
            self._ends(ready, [made])

    def _ends(self, time: Any, flags: list[Any]) -> None:
        self.model.add(self.end >= time).only_enforce_if([flag for flag in flags if flag is not None])

    def _go(self, number: int, origin: int, made: Any, target: int) -> None:
        net, names = self.layout.nets[number], self.layout.nodes
        readers = [reader for reader in net.readers if target in self.on[reader]]
        if not readers and target not in net.sinks:
            return
        wants = [self.on[reader][target] for reader in readers]
        barred = bool(self.layout.barred[number, origin, target])
        if barred or not self.problem.cluster.reachable(names[origin], names[target]):
            for flag in wants if target not in net.sinks else [None]:
                # A clause of what must not be true together.
                self.model.add_bool_or([each.negated() for each in (made, flag) if each is not None])
            return
        sent = self._flag()
        for flag in wants if target not in net.sinks else [None]:
            self.model.add_bool_or([sent, *(each.negated() for each in (made, flag) if each is not None)])
        arrival = self._travels(number, origin, target, sent)
        call = self._ticks(float(self.layout.call_s[target])) if target in self.layout.hosts else 0
        for reader in readers:
            flags = [flag for flag in (sent, made, self.on[reader][target]) if flag is not None]
            self.model.add(self.start[reader] >= arrival + call).only_enforce_if(flags)
        if target in net.sinks:
            self._ends(arrival, [sent, made])

    def _travels(self, number: int, origin: int, target: int, sent: Any) -> Any:
        """Hop by hop, each of which holds its resources; returns the time of arrival."""
        net, names = self.layout.nets[number], self.layout.nodes
        time: Any = 0 if net.maker < 0 else self.finish[net.maker]
        way = next(self.additive.ways.pieces(names[origin], names[target], np.array([float(net.nbytes)])))[1]
        raw = max(way.holds.values(), default=0.0) * net.nbytes
        # An input may travel in a lossless codec: here it does in the smallest, which takes no time to make.
        size = net.nbytes * (float(self.held[number, origin, target]) / raw if raw else 1.0)
        for source, end in pairwise(self.problem.cluster.path(names[origin], names[target], net.nbytes)):
            wire = self.wires[source, end]
            rates = [rate for name in wire.resources if (rate := self.rates[name])]
            ticks = self._ticks(size / min(rates)) if rates else 0
            begin = self._time()
            self.model.add(begin >= time)
            for name in wire.resources:
                self._lane(f"resource {name}", begin, ticks, sent)
            time = begin + ticks + self._ticks(wire.latency_s)
        return time
