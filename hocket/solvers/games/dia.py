"""Users deal their work in pieces among several servers: overlapping coalitions.

Solves    many users with a task each, one or more servers, each user with several servers at a time
Answer    a stable overlapping structure: moving no single piece lowers the total time of the system, in which each user
          waits for the last of its pieces and a server for all pieces of its coalition; the judge sees the pieces as
          the parts of the requests that are dealt to each server
Time      O(r n p k^2 n k); r = rounds, n = users, p = pieces, k = servers
Source    Yang, He, Kong: Multi-UAV maritime search and rescue with DNN inference acceleration, Ucom 2023, pp. 248-253
Departs   a piece is an equal part of a user's requests, each computed whole by one server from the best cut on: layers
          and blocks are not divided inside one request; [standard] pieces at first in proportion to rates, and the
          formulas; no genetic algorithm
Cards     dia
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.checks import require
from hocket.solvers.games.coalition import Pieces, overlapping
from hocket.solvers.games.market import HOME, Choice, Market, refuses_devices, settled
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Dia:
    """See the module."""

    name: ClassVar[str] = "dia"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    pieces: int = 8
    """Into how many equal pieces the work of each user is divided."""

    def refuses(self, problem: Problem) -> str | None:
        """No server, or a user that cannot compute."""
        if self.pieces < 1:
            return f"work is divided into at least one piece, and pieces = {self.pieces}"
        return refuses_devices(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of a stable structure."""
        require(self, problem)
        users = Users(Market(problem), self.pieces)
        found = overlapping(users.total_s, users.start(), users.allowed, stop=stop)
        notes = {
            "total_s": f"{users.total_s(found.pieces):.9g}",
            "moves": str(found.moves),
            "stable": "yes" if found.stable else "no",
        }
        return settled(problem, self.name, users.plan(found.pieces), notes)


class Users:
    """What pieces take; column 0 is the user itself, the others are the servers."""

    def __init__(self, market: Market, pieces: int) -> None:
        self.market, self.pieces = market, pieces
        self.columns = (HOME, *market.servers)
        shape = (len(market.problem.tasks), len(self.columns))
        self.own_s, self.server_s = np.full(shape, np.inf), np.zeros(shape)
        self.cuts = np.zeros(shape, dtype=np.int64)
        for task, offers in enumerate(market.offers):
            self.own_s[task, 0] = market.home_s(task)
            for server, offer in offers.items():
                column, own = self.columns.index(server), offer.device_s + offer.latency_s + offer.sending_s
                cut = int(np.argmin((own + offer.server_s)[:-1])) if len(own) > 1 else 0
                self.own_s[task, column], self.server_s[task, column] = own[cut], offer.server_s[cut]
                self.cuts[task, column] = cut
        self.allowed = np.isfinite(self.own_s)

    def start(self) -> Pieces:
        """DIA-FP: pieces in proportion to the rate at which each server would do all of them, by largest remainder."""
        rates = np.where(self.allowed, 1 / np.maximum(self.own_s + self.server_s, 1e-12), 0.0)
        wanted = self.pieces * rates / rates.sum(axis=1, keepdims=True)
        pieces: Pieces = np.floor(wanted).astype(np.int64)
        for user, row in enumerate(wanted - pieces):
            missing = self.pieces - int(pieces[user].sum())
            pieces[user, np.argsort(-row, kind="stable")[:missing]] += 1
        return pieces

    def total_s(self, pieces: Pieces) -> float:
        """The sum over users of the time until the last of their pieces is done."""
        return float(self.finish_s(pieces).sum())

    def finish_s(self, pieces: Pieces) -> Floats:
        """(P,) when each user has all its answers: its own part, then what the server has to do for all its users."""
        parts = pieces / self.pieces
        loads = (parts * self.server_s).sum(axis=0)
        there = np.where(pieces > 0, parts * np.where(self.allowed, self.own_s, 0.0) + loads, 0.0)
        return np.asarray(there.max(axis=1))

    def plan(self, pieces: Pieces) -> Plan:
        """An entry for each user and server, which gets the part of the requests that are its pieces."""
        plan = self.market.plan([Choice() for _ in pieces])
        entries = [
            self.market.entry(user, Choice(self.columns[column], int(self.cuts[user, column]))).replace(
                weight=float(pieces[user, column])
            )
            for user, column in np.argwhere(pieces).tolist()
        ]
        return plan.replace(entries=tuple(entries))
