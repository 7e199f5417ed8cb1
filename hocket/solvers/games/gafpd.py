"""Devices and servers choose their speeds and cuts selfishly; power grows with the cube of the speed.

Solves    one or more devices and servers, each with a range of frequencies or a fixed one: latency, the survey's sum,
          energy, or weights of these
Answer    an equilibrium: no device gains by another cut or server, no node by another speed, unless the note `stable`
          says no; each device counts its own weighted seconds and joules on both sides, each node those of what it runs
Time      O(r n k L); r = rounds, n = devices, k = servers, L = cuts
Source    Niu, Huang, Wang, Yu, Jin: Game-based adaptive FLOPs and partition point decision mechanism with latency and
          energy-efficient tradeoff for edge intelligence, IEEE Trans. Computers 73, 2024, doi 10.1109/TC.2024.3354033
Departs   [standard] the closed form of the speed and best responses; a server divides its speed among several devices
          by the square roots of their loads, which makes the game of the cuts an exact potential game, and its speed
          goes half of the way to its best one in every round; links are taken as they are
Cards     gafpd
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from hocket.cluster import Node
from hocket.cost import Problem
from hocket.plan import Plan
from hocket.plan.plan import Setting
from hocket.solvers.checks import require
from hocket.solvers.games.best_response import best_response, damped, improvements
from hocket.solvers.games.market import HOME, Choice, Market, refuses_market, settled, unit_weights
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_ROUNDS = 100


def best_clock_hz(node: Node, seconds: float, joules: float) -> float:
    """The clock at which computing costs a player least: f* = (w_L / (2 w_E kappa))^(1/3) within the node's range.

    Cycles a take a / f seconds and kappa f^2 a joules, so that the number of cycles does not matter.

    Args:
        node: with kappa and a range; one without them has one speed, which counts as 1 Hz.
        seconds: what a second counts.
        joules: what a joule counts.

    >>> node = Node(name="n", flops_per_s=1e9, kappa=0.5e-27, frequency_hz=(1e8, 2e9))
    >>> round(best_clock_hz(node, 1.0, 1.0) / 1e9, 9), best_clock_hz(node, 1.0, 0.0), best_clock_hz(node, 0.0, 1.0)
    (1.0, 2000000000.0, 100000000.0)
    """
    if node.frequency_hz is None or node.kappa is None:
        return 1.0
    least, most = node.frequency_hz
    if not joules:
        return most
    return min(max(float(np.cbrt(seconds / (2 * joules * node.kappa))), least), most)


class Speed(NamedTuple):
    """A clock and what it makes of a node."""

    clock_hz: float
    slower: float
    """How many times longer everything takes than at the greatest clock."""
    watts: float


def speed_of(node: Node, clock_hz: float) -> Speed:
    """A node at a clock."""
    if node.frequency_hz is None or node.kappa is None:
        return Speed(clock_hz, 1.0, node.active_w())
    return Speed(clock_hz, node.frequency_hz[1] / clock_hz, node.active_w(clock_hz))


class Cuts:
    """The game of the devices, for given speeds of the servers: a strategy is a server with a cut, or to stay at home.

    A device with load x = sqrt(w t) on a server, where the loads of the others add up to y, waits x (x + y) / w for it.
    """

    def __init__(self, market: Market, clocks_hz: Floats) -> None:
        self.market = market
        self.strategies: list[list[Choice]] = []
        self.at: list[Floats] = []
        """Of each device what each strategy costs without the server's time."""
        self.loads: list[Floats] = []
        self.servers: list[Floats] = []
        for number in range(len(market.problem.tasks)):
            self._add(number, clocks_hz)

    def _add(self, number: int, clocks_hz: Floats) -> None:
        market, rates = self.market, self.market.rates[number]
        node = market.cluster.node[market.problem.tasks[number].source]
        device = speed_of(node, best_clock_hz(node, rates.second, rates.joule))
        per_s = (rates.second + rates.joule * device.watts) * device.slower
        choices, at, loads = [Choice()], [per_s * market.home_s(number)], [0.0]
        for server, offer in sorted(market.offers[number].items()):
            host = speed_of(market.cluster.nodes[server], float(clocks_hz[market.servers.index(server)]))
            own = per_s * offer.device_s + rates.joule * host.watts * host.slower * offer.server_s
            own = own + rates.second * (offer.latency_s + offer.sending_s) + rates.joule * offer.sending_j
            for cut in range(market.shapes[number].size):
                choices.append(Choice(server, cut))
                at.append(float(own[cut]))
                loads.append(float(np.sqrt(rates.second * host.slower * offer.server_s[cut])))
        self.strategies.append(choices)
        self.at.append(np.array(at))
        self.loads.append(np.array(loads))
        self.servers.append(np.array([choice.server for choice in choices]))

    def costs(self, device: int, chosen: Sequence[int]) -> Floats:
        """(S,) cost of each strategy while the other devices keep theirs."""
        others = np.zeros(len(self.market.cluster.nodes) + 1)  # the last one is home, where nothing is shared
        for other, strategy in enumerate(chosen):
            if other != device:
                others[self.servers[other][strategy]] += self.loads[other][strategy]
        own = self.loads[device]
        return np.asarray(self.at[device] + own * (own + others[self.servers[device]]))

    def potential(self, chosen: Sequence[int]) -> float:
        """What falls by as much as the cost of a device that improves."""
        total = 0.0
        sums: dict[int, float] = {}
        squares: dict[int, float] = {}
        for device, strategy in enumerate(chosen):
            load, server = float(self.loads[device][strategy]), int(self.servers[device][strategy])
            total += float(self.at[device][strategy])
            sums[server] = sums.get(server, 0.0) + load
            squares[server] = squares.get(server, 0.0) + load**2
        return total + sum((sums[server] ** 2 + squares[server]) / 2 for server in sums)

    def choices(self, chosen: Sequence[int]) -> list[Choice]:
        """What the strategies are, with each device's share of its server: its load over all loads."""
        sums: dict[int, float] = {}
        for device, strategy in enumerate(chosen):
            server = int(self.servers[device][strategy])
            sums[server] = sums.get(server, 0.0) + float(self.loads[device][strategy])
        found = []
        for device, strategy in enumerate(chosen):
            choice = self.strategies[device][strategy]
            members = sum(int(self.servers[d][s]) == choice.server for d, s in enumerate(chosen))
            total = sums[choice.server] or 1.0
            # Where no time is counted all loads are 0, and then equal shares are as good as any.
            share = float(self.loads[device][strategy]) / total if sums[choice.server] else 1 / members
            found.append(choice._replace(compute=max(share, 1e-5)) if choice.server != HOME else choice)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Gafpd:
    """See the module."""

    name: ClassVar[str] = "gafpd"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    damping: float = 0.5
    """Part of the way to its best speed that a server does not go in a round."""

    def refuses(self, problem: Problem) -> str | None:
        """No server, or an objective with period or price."""
        if not 0 <= self.damping < 1:
            return f"damping is at least 0 and below 1, and here it is {self.damping:g}"
        if price_weight(problem):
            return "it trades time for energy, and knows nothing of prices"
        return refuses_market(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of the equilibrium."""
        require(self, problem)
        market = Market(problem)
        chosen: list[int] = [0] * len(problem.tasks)
        nodes = [market.cluster.nodes[server] for server in market.servers]

        def answer(clocks_hz: Floats) -> Floats:
            chosen[:] = best_response(Cuts(market, clocks_hz).costs, chosen).strategies
            return server_clocks_hz(Cuts(market, clocks_hz), chosen, clocks_hz)

        start = np.array([node.frequency_hz[1] if node.frequency_hz and node.kappa else 1.0 for node in nodes])
        rest = damped(answer, start, damping=self.damping, rounds=_ROUNDS)
        game = Cuts(market, rest.point)
        stable = rest.converged and not any(improvements(game.costs, chosen))
        notes = {"rounds": str(rest.rounds), "stable": "yes" if stable else "no"}
        notes |= {
            f"clock_hz:{node.name}": f"{clock:.9g}" for node, clock in zip(nodes, rest.point, strict=True) if node.kappa
        }
        return settled(problem, self.name, self._plan(market, game, chosen, rest.point), notes)

    def _plan(self, market: Market, game: Cuts, chosen: Sequence[int], clocks_hz: Floats) -> Plan:
        choices = game.choices(chosen)
        plan = market.plan(choices)
        entries = []
        for number, (entry, choice) in enumerate(zip(plan.entries, choices, strict=True)):
            rates, device = market.rates[number], market.cluster.node[market.problem.tasks[number].source]
            clocks = (
                {}
                if choice.server != HOME and choice.cut == 0
                else {device.name: best_clock_hz(device, rates.second, rates.joule)}
            )
            if choice.server != HOME:
                host = market.cluster.nodes[choice.server]
                clocks[host.name] = float(clocks_hz[market.servers.index(choice.server)])
            entries.append(
                entry.replace(
                    settings=tuple(
                        Setting(node=name, frequency_hz=clock)
                        for name, clock in clocks.items()
                        if market.cluster.node[name].frequency_hz and market.cluster.node[name].kappa
                    )
                )
            )
        return plan.replace(entries=tuple(entries))


def price_weight(problem: Problem) -> float:
    """What a dollar counts in the objective; 0 where there is a period, which has no such weight."""
    return 0.0 if problem.objective.metric == "period" else unit_weights(problem)["usd"]


def server_clocks_hz(game: Cuts, chosen: Sequence[int], now_hz: Floats) -> Floats:
    """The best clock of each server for the work that it has: (W / (2 w_E kappa C))^(1/3); unchanged without work.

    With the square-root shares its devices together wait W / f, W = (sum sqrt(w cycles))^2, for C cycles.
    """
    market = game.market
    found = now_hz.copy()
    for position, server in enumerate(market.servers):
        node = market.cluster.nodes[server]
        if node.frequency_hz is None or node.kappa is None:
            continue
        root = cycles = joules = 0.0
        for number, strategy in enumerate(chosen):
            choice = game.strategies[number][strategy]
            if choice.server == server:
                own = float(market.offers[number][server].server_s[choice.cut]) * node.frequency_hz[1]
                root += float(np.sqrt(market.rates[number].second * own))
                cycles += own
                joules = market.rates[number].joule
        if cycles:
            found[position] = best_clock_hz(node, root**2 / cycles, joules)
    return found
