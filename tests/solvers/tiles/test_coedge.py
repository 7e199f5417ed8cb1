"""CoEdge: its rule for strips, and a mixed integer program as oracle."""

import random
from itertools import product

import numpy as np
import pytest
from graphs import zoo_model
from scipy.optimize import Bounds, LinearConstraint, milp

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, problem_for
from hocket.solvers.tiles.coedge import Coedge, Workload, thresholded, time_s, workload
from hocket.solvers.tiles.maps import Maps


def random_workload(rng: random.Random, hosts: int) -> Workload:
    speeds = np.array([rng.choice([1.0, 2.0, 4.0]) * rng.uniform(0.8, 1.2) for _ in range(hosts)])
    work = np.array([rng.uniform(0.5, 2.0) for _ in range(rng.randint(2, 5))])
    return Workload(
        seconds=work[:, None] / speeds[None, :],
        halo_s=np.array([[rng.uniform(0, 0.05) for _ in range(hosts)] for _ in work]),
        scatter_s=np.array([0.0, *(rng.uniform(0, 0.3) for _ in range(hosts - 1))]),
        gather_s=np.array([0.0, *(rng.uniform(0, 0.2) for _ in range(hosts - 1))]),
        joules=np.array([rng.uniform(1, 5) for _ in range(hosts)]),
        halo_j=np.zeros(hosts),
        rest_s=0.1,
        least=rng.choice([0.0, 0.1, 0.2, 0.3]),
        able=tuple(range(hosts)),
    )


def oracle(model: Workload, deadline_s: float) -> float | None:
    """Least joules by a mixed-integer program: a share is 0, or at least the border, with a big M of 1."""
    hosts, slopes = len(model.joules), np.vstack([model.scatter_s, model.seconds, model.gather_s])
    starts = np.vstack([np.zeros(hosts), model.halo_s, np.zeros(hosts)])
    steps = len(slopes)
    size = 2 * hosts + steps  # shares, whether they are not 0, seconds of the steps
    rows, upper = [], []
    for step, host in product(range(steps), range(hosts)):
        row = np.zeros(size)
        row[host], row[hosts + host], row[2 * hosts + step] = slopes[step, host], starts[step, host], -1.0
        rows.append(row)
        upper.append(0.0)
    for host in range(hosts):
        for share, used in ((1.0, -1.0), (-1.0, model.least)):
            row = np.zeros(size)
            row[host], row[hosts + host] = share, used
            rows.append(row)
            upper.append(0.0)
    rows.append(np.array([0.0] * 2 * hosts + [1.0] * steps))
    upper.append(deadline_s - model.rest_s)
    whole = np.array([1.0] * hosts + [0.0] * (hosts + steps))
    found = milp(
        np.concatenate([model.joules, np.zeros(hosts + steps)]),
        constraints=[
            LinearConstraint(np.array(rows), -np.inf, np.array(upper)),
            LinearConstraint(whole, 1.0, 1.0),
        ],
        integrality=np.array([0] * hosts + [1] * hosts + [0] * steps),
        bounds=Bounds(0, np.array([1.0] * 2 * hosts + [np.inf] * steps)),
    )
    return float(found.fun) if found.success else None


def test_coedge_keeps_its_rule_and_is_near_the_mixed_integer_program() -> None:
    rng = random.Random(5)
    equal = compared = 0
    for _ in range(60):
        model = random_workload(rng, rng.randint(2, 4))
        alone = min(
            float(model.scatter_s[h] + model.seconds[:, h].sum() + model.halo_s[:, h].sum() + model.gather_s[h])
            for h in model.able
        )
        deadline_s = rng.uniform(0.5, 1.3) * alone + model.rest_s
        shares = thresholded(model, deadline_s)
        assert shares.sum() == pytest.approx(1.0)
        assert all(share == 0 or share >= model.least - 1e-6 for share in shares)
        best = oracle(model, deadline_s)
        if best is None or time_s(model, shares, np.flatnonzero(shares)) > deadline_s * (1 + 1e-6):
            continue  # dropping nodes may end where the deadline cannot be met any more
        compared += 1
        found = float(model.joules @ shares)
        assert found >= best * (1 - 1e-6)
        equal += found <= best * (1 + 1e-4)
    assert compared >= 30
    assert equal >= 0.6 * compared


def test_coedge_takes_the_node_of_least_energy_if_the_deadline_lets_it() -> None:
    names = {"a": (1e8, 9.0), "b": (3e7, 1.0)}
    nodes = tuple(Node(name=name, flops_per_s=speed, compute_w=watts) for name, (speed, watts) in names.items())
    cluster = Cluster(
        name="two",
        nodes=nodes,
        links=(Link(between=("a", "b"), up=Direction(bytes_per_s=1e8), down=Direction(bytes_per_s=1e8)),),
    )
    graph = zoo_model("toy_chain").graph
    shares = {}
    for deadline_s in (10.0, 0.12, None):
        problem = problem_for(graph, cluster, deadline_s=deadline_s)
        shares[deadline_s] = thresholded(workload(Maps(problem)), deadline_s)
        assert Coedge()(problem).notes["shares"]
    # a takes 0.07 s and 0.63 J, b 0.23 s and 0.23 J.
    assert shares[10.0].tolist() == [0.0, 1.0]
    assert 0.25 <= shares[0.12][0] < 0.75
    assert shares[None][0] == pytest.approx(1e8 / 1.3e8, abs=0.05) or shares[None][0] == 1.0
    assert (
        Coedge()(problem_for(graph, cluster, objective=Objective(metric="energy")))
        .notes["shares"]
        .startswith("a 0.000")
    )
