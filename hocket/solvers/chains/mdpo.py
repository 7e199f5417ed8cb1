"""MDPO: where to run each layer as time goes by, on the way from one base station to the next.

Solves    the latency of one task, whatever the objective, on a device and edge servers whose links come and go
Answer    the earliest arrival over all placements of blocks, each tensor sent at the rate that its link then has; links
          and nodes free when they are wanted: the method's own sum, the judge's latency where nothing waits
Time      O(L D^2 log(L D)); L = blocks, D = places
Source    Tian, Zhu, Xu, Li: Mobility-Included DNN Partition Offloading, Sensors 21(1):229, 2021
Departs   [standard] Dijkstra's search with the arrival time as label, right because no later start arrives earlier;
          coverage is the availability of links, and routes are those of time 0, as the judge has them; parallel
          branches are merged into blocks; it plans once, from time 0, and does not plan again at a hand-over
Cards     mdpo
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from hocket.cost import Problem
from hocket.program.sending import finish_s
from hocket.solvers.chain import Chain
from hocket.solvers.chains.rows import chain_of, placed, refuses_row, settled
from hocket.solvers.checks import require
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

Send = Callable[[float, str, str, int], float]
"""(second, from, to, bytes) -> when a tensor that is sent then arrives; infinity = never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mdpo:
    """See the module."""

    name: ClassVar[str] = "mdpo"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that computes."""
        return refuses_row(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The path that arrives first."""
        require(self, problem)
        chain = chain_of(problem)
        found = earliest(chain, sender(problem)) if chain.blocks else (0.0, [])
        searched = "all placements of blocks"
        if found is None:
            return settled(problem, None, searched, {})
        arrival, hosts = found
        moves = sum(a != b for a, b in pairwise(hosts))
        notes = {"arrival_s": f"{arrival:.9g}", "moves": str(moves)}
        return settled(problem, placed(chain, chain.places(hosts)), searched, notes)


def sender(problem: Problem) -> Send:
    """How long tensors are under way, with the rates that links have at that time."""
    cluster = problem.cluster
    _, wires, resources = cluster.to_program()
    wire = {(some.source, some.target): some for some in wires}
    resource = {some.name: some for some in resources}

    def send(at_s: float, source: str, target: str, nbytes: int) -> float:
        if source == target or at_s == float("inf"):
            return at_s
        if not cluster.reachable(source, target):
            return float("inf")
        for hop in pairwise(cluster.path(source, target, float(nbytes))):
            at_s = finish_s([resource[name] for name in wire[hop].resources], at_s, nbytes) + wire[hop].latency_s
            if at_s == float("inf"):
                break
        return at_s

    return send


def earliest(chain: Chain, send: Send) -> tuple[float, list[int]] | None:
    """The first arrival of the answers, and the host of each block; None if they never arrive.

    A vertex is (block, place), its label the time when the block is done there.
    """
    search = _Search(chain, send)
    labels: dict[tuple[int, int], tuple[float, int]] = {}
    queue: list[tuple[float, int, int, int]] = []
    for host in range(len(chain.hosts)):
        heapq.heappush(queue, (search.first(host), 0, host, -1))
    while queue:
        at_s, block, host, before = heapq.heappop(queue)
        if (block, host) in labels or at_s == float("inf"):
            continue
        labels[block, host] = (at_s, before)
        if block == len(chain.blocks):
            return at_s, _walk(labels, block, host)
        if block + 1 == len(chain.blocks):
            heapq.heappush(queue, (search.answered(at_s, host), block + 1, host, host))
            continue
        for other in range(len(chain.hosts)):
            if (block + 1, other) not in labels:
                heapq.heappush(queue, (search.next(at_s, block + 1, host, other), block + 1, other, host))
    return None


def _walk(labels: dict[tuple[int, int], tuple[float, int]], block: int, host: int) -> list[int]:
    hosts = []
    while block:
        host = labels[block, host][1]
        block -= 1
        hosts.append(host)
    return hosts[::-1]


class _Search:
    """The weights of the layered graph: when a block is done somewhere, from when the one before it was."""

    def __init__(self, chain: Chain, send: Send) -> None:
        self.chain, self.send = chain, send
        self.names = [chain.layout.nodes[host] for host in chain.hosts]
        self.task = chain.layout.task
        self.tensor = self.task.graph.tensor
        done = chain.seconds
        self.seconds = done[1:] - done[:-1]

    def first(self, host: int) -> float:
        """When the first block is done."""
        return self._done(0, host, self._inputs(self.chain.blocks[0].inputs, host))

    def next(self, at_s: float, block: int, host: int, other: int) -> float:
        """When a later block is done, if the one before it was done at a time on a host."""
        found = self.chain.blocks[block]
        arrivals = [self.send(at_s, self.names[host], self.names[other], self.tensor[name].nbytes)
                    for name in found.inputs]  # fmt: skip
        return self._done(block, other, max([at_s, *arrivals, self._inputs(found.side_inputs, other)]))

    def answered(self, at_s: float, host: int) -> float:
        """When the answers of the last block are where they are needed."""
        wanted = [name for name in self.chain.blocks[-1].outputs if name in self.task.outputs]
        return max(
            [at_s]
            + [self.send(at_s, self.names[host], self.task.outputs[name], self.tensor[name].nbytes) for name in wanted]
        )

    def _inputs(self, names: tuple[str, ...], host: int) -> float:
        """When inputs of the model are on a host that are sent at once."""
        here = self.names[host]
        return max([0.0, *(self.send(0.0, self.task.inputs[name], here, self.tensor[name].nbytes) for name in names)])

    def _done(self, block: int, host: int, at_s: float) -> float:
        return at_s + float(self.seconds[block, host])
