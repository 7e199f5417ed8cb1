"""Selfish devices buy server speed and cut their models by minimum cuts, each in answer to what the others left.

Solves    many devices with a task each and one server whose speed has a price: latency, the survey's sum, or a weighted
          objective with one of them; any DAG
Answer    a Nash equilibrium of the resource game: no device gains by another cut or another share out of what the
          others leave, unless the note `stable` says no; a device counts its own part of the objective and what it pays
          (`pays:TASK`, in the unit of the objective)
Time      O(r n k F); r = rounds, n = devices, k = lines of an envelope, F = one maximum flow (only before the game)
Source    Yang, Chen, Qi, Wang, Liao, Guo: Adaptive DNN surgery for selfish inference acceleration with on-demand edge
          resource, arXiv:2306.12185, 2023
Departs   [standard] the envelope by intersecting lines, best responses in turn; without a price given, the least one is
          taken at which the devices together want no more than there is; a tensor is paid once per direction; of
          several servers each is tried alone and the one with the least sum of costs is used; calls cost nothing
Cards     dds
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from hocket.cost import Problem
from hocket.errors import RefusedError
from hocket.plan import Entry, Plan
from hocket.solvers.additive import Additive
from hocket.solvers.checks import require
from hocket.solvers.cut import least_cut
from hocket.solvers.games.market import Market, refuses_market, settled, unit_weights
from hocket.solvers.layout import Layout, Places
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_SAME = 1e-9
_STEPS = 60


class Line(NamedTuple):
    """One cut: what it costs with the share q of the server is at + per / q."""

    at: float
    per: float
    places: tuple[int, ...]


class Purchase(NamedTuple):
    """What a device does."""

    cost: float
    """Without the payment."""
    share: float
    line: Line


class Device:
    """One device with one server: its cuts as lines."""

    def __init__(self, additive: Additive, second: float, source: int, server: int) -> None:
        self._additive, self._ends, self._server = additive, (source, server), server
        self._costs = additive.costs
        self._slow = second * additive.layout.seconds[:, server]

    def lines(self, least: float) -> list[Line]:
        """The cuts that are the best for some share from the least one to the whole server."""
        return envelope(self.line_at, 1.0, 1 / least)

    def line_at(self, slowness: float) -> Line:
        """The best cut where the server is so many times slower: a minimum cut."""
        of_units = self._costs.of_units.copy()
        of_units[:, self._server] += (slowness - 1) * self._slow
        return self.line_of(least_cut(self._costs._replace(of_units=of_units), *self._ends))

    def line_of(self, places: Places) -> Line:
        """The line of a cut."""
        there = [unit for unit, node in enumerate(places) if node == self._server]
        per = float(self._slow[there].sum())
        return Line(self._costs.value(places) - per, per, tuple(places))

    def entry(self, line: Line, share: float) -> Entry:
        """The entry of a cut with a share of the server."""
        entry = self._additive.plan(line.places).entries[0]
        server = self._additive.layout.nodes[self._server]
        return entry.replace(shares={server: share}) if 0 < share < 1 else entry


def envelope(line_at: Callable[[float], Line], first: float, last: float) -> list[Line]:
    """The lines at + per x of least value somewhere between two x: new ones can only be where two known ones cross.

    >>> lines = [Line(0.0, 4.0, (0,)), Line(3.0, 1.0, (1,)), Line(9.0, 0.0, (2,))]
    >>> best = lambda x: min(lines, key=lambda line: line.at + line.per * x)
    >>> [line.places for line in envelope(best, 0.5, 10.0)]
    [(0,), (1,), (2,)]
    """
    ends = line_at(first), line_at(last)
    found = [ends[0]]
    open_pairs = [ends]
    while open_pairs:
        left, right = open_pairs.pop()
        if left.per - right.per <= _SAME * left.per:
            continue
        crossing = (right.at - left.at) / (left.per - right.per)
        between = line_at(min(max(crossing, first), last))
        value = left.at + left.per * crossing
        if between.at + between.per * crossing < value - _SAME * abs(value):
            open_pairs += [(between, right), (left, between)]
        else:
            found.append(right)
    return found


def respond(lines: Sequence[Line], left: float, price: float, least: float) -> Purchase | None:
    """A device's best response: on each line the share sqrt(per / price), if there is so much; then the best line.

    It is a rule of the device alone: it needs its own lines and hears what is left and at what price.

    Args:
        lines: of the device.
        left: of the server, what the others leave.
        price: of the whole server.
        least: the least share that is sold.

    >>> respond([Line(1.0, 0.04, (1,)), Line(2.0, 0.0, (0,))], 1.0, 1.0, 0.01)
    Purchase(cost=1.2, share=0.2, line=Line(at=1.0, per=0.04, places=(1,)))
    """
    best: Purchase | None = None
    for line in lines:
        remote = line.per > 0
        if remote and left < least:
            continue
        share = 0.0
        if remote:
            share = min(max(math.sqrt(line.per / price), least), left) if price > 0 else left
        found = Purchase(line.at + (line.per / share if share else 0.0), share, line)
        if best is None or _less(found.cost + price * share, best.cost + price * best.share):
            best = found
    return best


def _less(new: float, old: float) -> bool:
    return new < old - _SAME * abs(old)


class Game(NamedTuple):
    """How a game ended."""

    purchases: tuple[Purchase, ...]
    price: float
    rounds: int
    stable: bool


def play(lines: Sequence[Sequence[Line]], price: float, least: float, *, rounds: int = 100) -> Game | None:
    """Each device in turn answers what the others leave, until nobody changes; None = one finds nothing that it can do.

    Args:
        lines: of each device.
        price: of the whole server.
        least: the least share that is sold.
        rounds: most.
    """
    shares = [0.0] * len(lines)
    bought: list[Purchase] = []
    for number in range(rounds):
        answers = []
        before = list(shares)
        for device, own in enumerate(lines):
            answer = respond(own, 1 - (sum(shares) - shares[device]), price, least)
            if answer is None:
                return None
            answers.append(answer)
            shares[device] = answer.share
        bought = answers
        if max((abs(a - b) for a, b in zip(shares, before, strict=True)), default=0.0) <= _SAME:
            return Game(tuple(bought), price, number, stable=True)
    return Game(tuple(bought), price, rounds, stable=False)


def clearing_price(lines: Sequence[Sequence[Line]], least: float) -> float:
    """The least price at which the devices together want no more than the whole server; 0 if one alone wants it.

    >>> own = [Line(0.0, 1.0, (1,))]
    >>> round(clearing_price([own, own], 0.01), 6)  # each wants sqrt(1 / 4) = 1 / 2
    4.0
    """

    def wanted(price: float) -> float:
        answers = [respond(own, 1.0, price, least) for own in lines]
        return sum(answer.share for answer in answers if answer is not None)

    if wanted(0.0) <= 1:
        return 0.0
    most = max(line.per for own in lines for line in own)
    low, high = most * 1e-12, most / least**2
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if wanted(middle) > 1 else (low, middle)
    return high


@dataclass(frozen=True, slots=True, kw_only=True)
class Dds:
    """See the module."""

    name: ClassVar[str] = "dds"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    price: float | None = None
    """Of the whole server for one request, in the unit of the objective; None = the one that clears the market."""
    least_share: float = 0.01
    """The least share that is sold."""

    def refuses(self, problem: Problem) -> str | None:
        """No server, or an objective in which speed is worth nothing."""
        if not 0 < self.least_share <= 1:
            return f"a share is above 0 and at most 1, and least_share = {self.least_share:g}"
        reason = refuses_market(problem)
        if reason is None and not unit_weights(problem)["second"]:
            return "a device buys speed, and time is worth nothing in this objective"
        return reason

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The equilibrium with the best server."""
        require(self, problem)
        market = Market(problem)
        best: tuple[float, list[Device], Game] | None = None
        for server in market.servers:
            devices = [self._device(market, task, server) for task in range(len(problem.tasks))]
            game = self._game(devices)
            cost = np.inf if game is None else sum(purchase.cost for purchase in game.purchases)
            if game is not None and (best is None or _less(cost, best[0])):
                best = (cost, devices, game)
        if best is None:
            raise RefusedError(
                f"{self.name} cannot solve this problem: more devices need the server than it has shares"
            )
        _, devices, game = best
        entries = tuple(d.entry(p.line, p.share) for d, p in zip(devices, game.purchases, strict=True))
        notes = {"price": f"{game.price:.9g}", "rounds": str(game.rounds), "stable": "yes" if game.stable else "no"}
        for task, purchase in zip(problem.tasks, game.purchases, strict=True):
            notes[f"pays:{task.name}"] = f"{game.price * purchase.share:.9g}"
        hashes = {task.name: task.graph.source.sha256 if task.graph.source else "" for task in problem.tasks}
        return settled(problem, self.name, Plan(entries=entries, graph=hashes), notes)

    def _device(self, market: Market, number: int, server: int) -> Device:
        rates, task = market.rates[number], market.problem.tasks[number]
        weights = {"sequential": rates.second, "energy": rates.joule, "price": rates.usd}
        additive = Additive(Layout(market.problem, task), weights)
        return Device(additive, rates.second, market.cluster.index[task.source], server)

    def _game(self, devices: Sequence[Device]) -> Game | None:
        lines = [device.lines(self.least_share) for device in devices]
        price = clearing_price(lines, self.least_share) if self.price is None else self.price
        return play(lines, price, self.least_share)
