"""A server sells its processor and its air: devices bid for bundles with a cut, and pay by Vickrey, Clarke and Groves.

Solves    many devices with a task each and one server: each task runs at home, or from a cut on with reserved shares of
          the server and of the way to it; latency, the survey's sum, energy, price or weights of these
Answer    the shares and cuts of greatest total value among the bundles that are bid for, value = what a device saves
          against staying at home by the method's own sum; payments (`pays:TASK`, in the unit of the objective) make
          true bids the best ones
Time      O(n b u^2); n = devices, b = bundles of each, u = units that a resource is sold in
Source    Yang, Wei: Edge computing and networking resource management for decomposable deep learning: an auction-based
          approach, APNOMS 2021, pp. 108-113
Departs   [standard] winner determination as a dynamic program over whole units, bundles of 1, 2, 4, ... units with the
          best cut of each; accuracy is not bid for, since all configurations compute the same model; of several
          servers the one whose auction has the greatest value sells, the others stay idle
Cards     vcg-auction
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.games.market import HOME, Choice, Market, refuses_market, settled
from hocket.solvers.games.vcg import Award, Bid, auction
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


class Configuration(NamedTuple):
    """A row of a device's table: a bundle with the cut that suits it best."""

    bid: Bid
    choice: Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class VcgAuction:
    """See the module."""

    name: ClassVar[str] = "vcg_auction"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    units: int = 64
    """Into how many equal units the server and its air are divided."""

    def refuses(self, problem: Problem) -> str | None:
        """No server, a period, or a device that cannot compute."""
        if self.units < 1:
            return f"a resource is sold in at least one unit, and units = {self.units}"
        return refuses_market(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of the auction with the greatest value."""
        require(self, problem)
        market = Market(problem)
        held = [(server, *self._hold(market, server)) for server in market.servers]
        server, tables, award = max(held, key=lambda auctioned: (auctioned[2].welfare, -auctioned[0]))
        choices = [
            Choice() if number is None else table[number].choice
            for table, number in zip(tables, award.won, strict=True)
        ]
        notes = {"server": problem.cluster.nodes[server].name, "welfare": f"{award.welfare:.9g}"}
        for task, payment, choice in zip(problem.tasks, award.payments, choices, strict=True):
            if choice.server != HOME:
                notes[f"pays:{task.name}"] = f"{payment:.9g}"
        return settled(problem, self.name, market.plan(choices), notes)

    def _hold(self, market: Market, server: int) -> tuple[list[list[Configuration]], Award]:
        tables = [configurations(market, task, server, self.units) for task in range(len(market.problem.tasks))]
        award = auction([[row.bid for row in table] for table in tables], (self.units, self.units))
        return tables, award


def configurations(market: Market, number: int, server: int, most: int) -> list[Configuration]:
    """The table of one device: for each bundle the best cut, and what it saves; bundles that do not pay are left out.

    Args:
        market: offers.
        number: of the task.
        server: who sells.
        most: units that each resource is sold in.
    """
    if server not in market.offers[number]:
        return []
    shared = market.pools[number][server] >= 0
    levels = [level for power in range(most.bit_length()) if (level := 2**power) < most] + [most]
    rows: list[Configuration] = []
    for compute in levels:
        for sending in levels if shared else [0]:
            c, b = compute / most, (sending / most if shared else 1.0)
            costs = market.costs(number, server, c, b)[:-1]
            cut = int(np.argmin(costs)) if len(costs) else 0
            saved = market.at_home[number] - float(costs[cut]) if len(costs) else 0.0
            if saved > max((row.bid.value for row in rows if _within(row.bid, compute, sending)), default=0.0):
                rows.append(Configuration(Bid(compute, sending, saved), Choice(server, cut, c, b)))
    return rows


def _within(bid: Bid, first: int, second: int) -> bool:
    """Whether a bundle takes no more than another; only then is it an alternative to it."""
    return bid.first <= first and bid.second <= second
