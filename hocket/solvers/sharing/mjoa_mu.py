"""Models that the server does not have yet: layers are placed while their weights are on the way.

Solves    latency or sequential latency of many tasks, each block at the source or on one server
Answer    the placements and shares with the least weighted sum of finish times that alternating finds, where weights go
          up while earlier layers compute; the judge takes weights as installed, so its figure is lower
Time      O(K N L B log B); K = rounds, N = tasks, L = blocks, B = beam
Source    Yang, Sun, Zhang, Liu, Wang: MJOA-MU: End-to-edge collaborative computation for DNN inference based on model
          uploading, Computer Networks 231, 2023, 109801
Departs   [standard] the tree (PBT-DP) keeps the nodes that no other dominates, at most `beam` of a layer; the
          allocation (ARA) is the rule of square roots on what the paths need; the uplink of a task is all of its way to
          the server; of several servers each is tried
Cards     mjoa_mu
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from hocket.cost import Problem, Task
from hocket.errors import RefusedError
from hocket.graph.topology import Block, blocks
from hocket.plan import Plan
from hocket.solvers.checks import require
from hocket.solvers.layout import Layout
from hocket.solvers.sharing.allocation import least_sum_shares
from hocket.solvers.sharing.alternate import Course, alternate
from hocket.solvers.sharing.fan_edgecloud import by_roots
from hocket.solvers.sharing.users import (
    Choice,
    Floats,
    Users,
    block_of_units,
    refuses_latency,
    refuses_servers,
    servers_of,
)
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class MjoaMu:
    """See the module."""

    name: ClassVar[str] = "mjoa_mu"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    beam: int = 64
    """Most nodes of a layer of the tree."""

    def refuses(self, problem: Problem) -> str | None:
        """An objective that is no latency, no server, or a source that cannot compute."""
        for task in problem.tasks:
            if task.source not in task.profile.nodes:
                return f"the inputs of {task.name!r} are on {task.source!r}, of which the profile knows nothing"
        return refuses_latency(problem) or refuses_servers(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Trees and allocations in turn."""
        require(self, problem)
        plans, judge = [], None
        for server in servers_of(problem):
            layers = [layers_of(problem, task, server) for task in problem.tasks]
            if any(row is None for row in layers):
                continue
            course = self.course([row for row in layers if row is not None], problem, stop)
            users, plan = _written(problem, server, course)
            judge = judge or users
            plans.append(plan)
        if judge is None:
            raise RefusedError(f"{self.name} cannot solve this problem: no server has a way to and from every source")
        return Proposal(plan=judge.best(plans))

    def course(self, layers: list["Layers"], problem: Problem, stop: Stop | None) -> Course:
        """Paths, as numbers whose bit l says that layer l is on the server, and (N, 2) shares of server and uplink."""
        weights = np.array([task.weight for task in problem.tasks])
        equal = np.full((len(layers), 2), 1 / len(layers))

        def value(choice: Choice, shares: Floats) -> float:
            ends = [finish_s(row, path, *own) for row, path, own in zip(layers, choice, shares.tolist(), strict=True)]
            return float((weights * ends).sum())

        def cuts(_: Choice, shares: Floats) -> Choice:
            own = np.where(shares > 0, shares, equal).tolist()
            return [tree(row, server, uplink, self.beam) for row, (server, uplink) in zip(layers, own, strict=True)]

        def divide(choice: Choice, _: Floats) -> Floats:
            needs = np.array([need_s(row, path) for row, path in zip(layers, choice, strict=True)])
            return np.stack([least_sum_shares(weights, needs[:, column]) for column in (0, 1)], axis=1)

        start = cuts((), equal)
        return alternate(start, divide(start, equal), cuts=cuts, divide=divide, value=value, stop=stop)


class Layers(NamedTuple):
    """The blocks of a task, with an input before the first and an answer after the last, each (L,) or (L + 1,)."""

    device_s: list[float]
    server_s: list[float]
    weights_s: list[float]
    """Of sending a layer's weights up."""
    up_s: list[float]
    down_s: list[float]
    """Of what passes before each layer; the last is the answer."""


class _Node(NamedTuple):
    """A node of the tree: a path so far and when everything is ready."""

    device_s: float
    server_s: float
    uplink_s: float
    """When the weights that were sent so far are there."""
    feature_at_s: float
    """When a feature goes up that is later than these weights."""
    feature_s: float
    """How long it takes; 0 = there is none."""
    path: int
    at_server: bool

    def then(self, weights_s: float) -> "_Node":
        """More weights go up; a feature that is due meanwhile goes first."""
        there = self.uplink_s + weights_s
        if not self.feature_s or there <= self.feature_at_s:
            return self._replace(uplink_s=there)
        return self._replace(uplink_s=there + self.feature_s, feature_s=0.0)

    def sends(self, feature_s: float) -> "_Node":
        """A feature goes up once the device has made it; weights that are under way wait for it."""
        if self.uplink_s > self.device_s:
            return self._replace(uplink_s=self.uplink_s + feature_s)
        first = self.feature_at_s if self.feature_s else self.device_s
        return self._replace(feature_at_s=first, feature_s=self.feature_s + feature_s)


def _weights(task: Task, block: Block) -> dict[str, None]:
    """Names of the weights of a block, in order."""
    return dict.fromkeys(name for at in block.operators for name in task.graph.operators[at].weights)


def layers_of(problem: Problem, task: Task, server: str) -> Layers | None:
    """The seconds of a task between its source and a server; None where there is no way."""
    cluster, source = problem.cluster, task.source
    if not (cluster.reachable(source, server) and cluster.reachable(server, source)):
        return None
    layout, found = Layout(problem, task), blocks(task.graph)
    homes, index = block_of_units(layout), cluster.index
    computing = np.zeros((len(found), len(layout.nodes)))
    np.add.at(computing, homes, layout.seconds)
    sizes = {tensor.name: tensor.nbytes for tensor in task.graph.tensors}
    entering = [sum(sizes[name] for name in block.inputs) for block in found]
    leaving = sum(sizes[name] for name in task.outputs)
    weights = [
        sum(
            task.graph.weights[name] for name in {n for at in block.operators for n in task.graph.operators[at].weights}
        )
        for block in found
    ]
    passing = [*entering, leaving]
    return Layers(
        computing[:, index[source]].tolist(),
        computing[:, index[server]].tolist(),
        [cluster.transfer_s(source, server, nbytes) if nbytes else 0.0 for nbytes in weights],
        [cluster.transfer_s(source, server, nbytes) for nbytes in passing],
        [cluster.transfer_s(server, source, nbytes) for nbytes in passing],
    )


def _step(layers: Layers, node: _Node, layer: int, server: bool, computes: float, sends: float) -> _Node:
    """One layer more; its weights go up as soon as those before them are there."""
    if not server:
        ready = node.device_s
        if node.at_server:
            ready = max(ready, node.server_s + layers.down_s[layer] / sends)
        return node._replace(device_s=ready + layers.device_s[layer], at_server=False)
    ready = node.server_s
    if not node.at_server:
        sending = layers.up_s[layer] / sends
        ready = max(ready, node.device_s + sending)
        node = node.sends(sending)
    if layers.weights_s[layer]:
        node = node.then(layers.weights_s[layer] / sends)
        ready = max(ready, node.uplink_s)
    return node._replace(
        server_s=ready + layers.server_s[layer] / computes, path=node.path | 1 << layer, at_server=True
    )


_ROOT = _Node(0.0, 0.0, 0.0, 0.0, 0.0, 0, False)


def _end(layers: Layers, node: _Node, sends: float) -> float:
    return node.server_s + layers.down_s[-1] / sends if node.at_server else node.device_s


def finish_s(layers: Layers, path: int, computes: float, sends: float) -> float:
    """When the answer of a path is there; a path that needs what it has no share of never ends."""
    if path and not (computes > 0 and sends > 0):
        return float("inf")
    node = _ROOT
    for layer in range(len(layers.device_s)):
        node = _step(layers, node, layer, bool(path >> layer & 1), computes or 1.0, sends or 1.0)
    return _end(layers, node, sends or 1.0)


def tree(layers: Layers, computes: float, sends: float, beam: int) -> int:
    """The path with the least finish time in a tree of which dominated nodes are cut off (PBT-DP)."""
    level = [_ROOT]
    for layer in range(len(layers.device_s)):
        grown = [_step(layers, node, layer, server, computes, sends) for node in level for server in (False, True)]
        level = _undominated(grown)[:beam]
    return min(level, key=lambda node: (_end(layers, node, sends), node.path)).path


def _undominated(nodes: list[_Node]) -> list[_Node]:
    """The nodes that no other with its last layer at the same side is before in every way."""
    kept: list[_Node] = []
    for node in sorted(nodes, key=lambda one: (max(one.device_s, one.server_s), one)):
        if not any(
            other.at_server == node.at_server
            and other.device_s <= node.device_s
            and other.server_s <= node.server_s
            and other.uplink_s + other.feature_s <= node.uplink_s
            for other in kept
        ):
            kept.append(node)
    return kept


def need_s(layers: Layers, path: int) -> tuple[float, float]:
    """Seconds of the whole server and of the whole uplink that a path needs."""
    server = uplink = 0.0
    before = False
    for layer in range(len(layers.device_s)):
        here = bool(path >> layer & 1)
        if here:
            server += layers.server_s[layer]
            uplink += layers.weights_s[layer] + (0.0 if before else layers.up_s[layer])
        elif before:
            uplink += layers.down_s[layer]
        before = here
    return server, uplink + (layers.down_s[-1] if before else 0.0)


def _written(problem: Problem, server: str, course: Course) -> tuple[Users, Plan]:
    """The plan of the paths, with the order in which weights are sent."""
    nodes = {
        task.name: tuple(server if path >> layer & 1 else task.source for layer in range(len(blocks(task.graph))))
        for task, path in zip(problem.tasks, course.choice, strict=True)
    }
    users = Users(problem, {name: [way] for name, way in nodes.items()})
    choice = [0] * len(users.tasks)
    shares = by_roots(users, choice)
    for column, thing in enumerate(users.things):
        if thing == server or thing.startswith("medium:"):
            mine = np.where(users.work[:, 0, column] > 0, course.shares[:, int(thing != server)], 0.0)
            shares[:, column] = mine / (mine.sum() or 1.0)
    plan = users.plan(choice, shares)
    sent = {
        task.name: tuple(
            dict.fromkeys(
                name
                for layer, block in enumerate(blocks(task.graph))
                if path >> layer & 1
                for name in _weights(task, block)
            )
        )
        for task, path in zip(problem.tasks, course.choice, strict=True)
    }
    return users, plan.replace(entries=tuple(entry.replace(loads=sent[entry.task]) for entry in plan.entries))
