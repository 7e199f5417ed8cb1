"""Values that no plan can beat, plans that divide operators included.

Work is seen as a fluid that is divided over the nodes without any loss, whatever has to travel for it; a node that is
not the source waits for a first message and needs another to bring its share to the answer.
"""

import numpy as np
from scipy.optimize import linprog

from hocket.cost import Problem
from hocket.solvers.joint.moving import Moving
from hocket.solvers.layout import Floats, Layout


def split_bound(problem: Problem) -> float:
    """A value of the objective of one task that no plan beats, in the metric's SI unit; 0 where none is known."""
    layout = Layout(problem, problem.task)
    hosts = list(layout.hosts)
    # A task that may be refused can cost less than any plan that serves it.
    if not layout.units or not hosts or problem.task.refusal_cost is not None:
        return 0.0
    seconds = layout.seconds[:, hosts] * _least_slope(problem)
    metric = problem.objective.metric
    if metric == "latency":
        return fluid_s(seconds, _delays(problem, hosts))
    if metric == "period":
        return fluid_s(seconds, np.zeros(len(hosts)))
    if metric == "sequential":
        return float(seconds.min(axis=1).sum())
    nodes = [problem.cluster.nodes[host] for host in hosts]
    watts = np.array([node.active_w() for node in nodes])
    if metric == "energy":
        return float((seconds * watts).min(axis=1).sum())
    if metric == "price":
        per_s = np.array([node.compute_price_per_s + node.active_w() * node.energy_price_per_j for node in nodes])
        return float((seconds * per_s).min(axis=1).sum())
    return 0.0


def fluid_s(seconds: Floats, delays: Floats) -> float:
    """Least T such that all units are done, if node d works on any parts of them for at most T - delay.

    Args:
        seconds: (U, D) of each unit on each node, finite.
        delays: (D,) seconds during which a node cannot work.

    >>> round(fluid_s(np.array([[2.0, 2.0]]), np.array([0.0, 0.5])), 9)
    1.25
    """
    order = np.argsort(delays, kind="stable")
    # Whatever nodes the best plan uses, they are among those whose delay is below its value.
    return min(_least(seconds[:, order[:count]], delays[order[:count]]) for count in range(1, len(order) + 1))


def _least(seconds: Floats, delays: Floats) -> float:
    units, nodes = seconds.shape
    cost = np.zeros(units * nodes + 1)
    cost[-1] = 1.0
    done = np.zeros((units, units * nodes + 1))
    busy = np.zeros((nodes, units * nodes + 1))
    for node in range(nodes):
        columns = np.arange(units) * nodes + node
        done[np.arange(units), columns] = 1.0
        busy[node, columns] = seconds[:, node]
    busy[:, -1] = -1.0
    found = linprog(cost, A_ub=busy, b_ub=-delays, A_eq=done, b_eq=np.ones(units), bounds=(0, None), method="highs")
    return float(found.fun) if found.status == 0 else 0.0


def _delays(problem: Problem, hosts: list[int]) -> Floats:
    """(D,) seconds of the shortest messages that a node needs before it can begin, and after it has ended."""
    moving, index, task = Moving(problem), problem.cluster.index, problem.task
    sources = [index[node] for node in task.inputs.values()]
    sinks = [index[node] for node in task.outputs.values()]
    return np.array(
        [
            min(moving.latency_s(source, host) for source in sources)
            + min(moving.latency_s(host, sink) for sink in sinks)
            for host in hosts
        ]
    )


def _least_slope(problem: Problem) -> float:
    """The least share of time / share of work of any node: below 1 only if parts run faster than the whole."""
    curves = [entry.curve for entry in problem.task.profile.entries]
    return min([1.0, *(time / work for curve in curves for work, time in curve if work)])
