"""Many devices, many servers: a bound by prices, and a local search that comes close to it.

Solves    latency, the survey's sum, energy, price or weights of these, as a mean or a sum over many devices; each runs
          its task up to a cut and the rest on one server, with reserved shares of the server and of the way to it
Answer    the note `shares_bound` is a value below which no such plan comes by the method's own sum, `gap` is how far
          its plan is from it at most: (value - bound) / value; shares are the best for the choice made, and no device
          alone can change its server or cut to the good of all
Time      O(n k L) per round of the bound and of the search; n = devices, k = servers that one reaches, L = cuts
Source    hocket; square-root shares and Frank-Wolfe are textbook
Departs   -
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.games.congestion import Congestion, Ints, local_search, lower_bound
from hocket.solvers.games.market import HOME, Choice, Market, refuses_market, settled
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_LEAST_SHARE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyToMany:
    """See the module."""

    name: ClassVar[str] = "many_to_many"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    rounds: int = 2000
    """Most rounds of the search for the bound."""

    def refuses(self, problem: Problem) -> str | None:
        """No server, a period, or the maximum over devices."""
        if self.rounds < 1:
            return f"a bound takes at least one round, and rounds = {self.rounds}"
        if len(problem.tasks) > 1 and problem.objective.aggregate == "max":
            return "it adds up what the devices cost, and here only the worst one counts"
        return refuses_market(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of the better of two searches: from home, and from the prices of the bound."""
        require(self, problem)
        market = Market(problem)
        options = [_options(market, task) for task in range(len(problem.tasks))]
        game = congestion(market, options)
        bound = lower_bound(relaxed(game, market.loose), rounds=self.rounds)
        starts = [np.zeros(len(options), dtype=np.int64), game.priced(bound.sums).argmin(axis=1)]
        chosen = min((local_search(game, start) for start in starts), key=game.value)
        value = game.value(chosen)
        choices = _shared(game, options, chosen)
        notes = {
            "shares_bound": f"{bound.value:.9g}",
            "own_value": f"{value:.9g}",
            "gap": f"{(value - bound.value) / value if value else 0.0:.6g}",
            "at_home": f"{sum(market.at_home):.9g}",
            "offloading": str(sum(choice.server != HOME for choice in choices)),
        }
        return settled(problem, self.name, market.plan(choices), notes)


def _options(market: Market, number: int) -> list[tuple[Choice, float, float, float]]:
    """Home, then cuts and servers that may pay: (choice, cost without what is shared, both loads)."""
    home = market.at_home[number]
    found = [(Choice(), home, 0.0, 0.0)]
    for server in sorted(market.offers[number]):
        terms, shared = market.terms(number, server), market.pools[number][server] >= 0
        at = terms.fixed + (0.0 if shared else terms.sending)
        computing, sending = np.sqrt(terms.computing), np.sqrt(terms.sending if shared else np.zeros_like(at))
        rows = np.stack([at, computing, sending], axis=1)
        for cut in np.flatnonzero(at + computing**2 + sending**2 < home):
            if cut < market.shapes[number].size and not _beaten(rows, int(cut)):
                found.append((Choice(server, int(cut)), *rows[cut].tolist()))
    return found


def _beaten(rows: Floats, cut: int) -> bool:
    """Whether some other cut is at least as good in all respects and better in one, or the same and earlier."""
    no_worse = (rows <= rows[cut]).all(axis=1)
    better = (rows < rows[cut]).any(axis=1)
    earlier = np.arange(len(rows)) < cut
    return bool((no_worse & (better | earlier)).any())


def congestion(market: Market, options: list[list[tuple[Choice, float, float, float]]]) -> Congestion:
    """The options of all devices in one table; places of the first kind are servers, of the second pools."""
    shape = (len(options), max(len(own) for own in options))
    at, computing, sending = np.full(shape, np.inf), np.zeros(shape), np.zeros(shape)
    servers, pools = np.full(shape, -1), np.full(shape, -1)
    for task, own in enumerate(options):
        for number, (choice, alone, first, second) in enumerate(own):
            at[task, number], computing[task, number], sending[task, number] = alone, first, second
            if choice.server != HOME:
                servers[task, number] = market.servers.index(choice.server)
                pools[task, number] = market.pools[task][choice.server]
    return Congestion(at, (computing, sending), (servers, pools), (len(market.servers), int(pools.max(initial=-1)) + 1))


def relaxed(game: Congestion, loose: frozenset[int]) -> Congestion:
    """The game in which nobody has to share some pools, for a bound that holds whatever is shared there."""
    free = np.isin(game.places[1], sorted(loose))
    at = game.at + np.where(free, game.loads[1] ** 2, 0.0)
    sending, pools = np.where(free, 0.0, game.loads[1]), np.where(free, -1, game.places[1])
    return Congestion(at, (game.loads[0], sending), (game.places[0], pools), game.counts)


def _shared(game: Congestion, options: list[list[tuple[Choice, float, float, float]]], chosen: Ints) -> list[Choice]:
    """The choices with their shares: load over all loads at the same place."""
    sums = game.sums(chosen)
    found = []
    for task, number in enumerate(chosen):
        choice, _, *loads = options[task][number]
        shares = []
        for load, places, total in zip(loads, game.places, sums, strict=True):
            place = places[task, number]
            shares.append(load / float(total[place]) if place >= 0 and load else 1.0)
        found.append(choice if choice.server == HOME else choice._replace(compute=shares[0], sending=shares[1]))
    return found
