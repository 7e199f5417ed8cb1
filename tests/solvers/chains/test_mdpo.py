"""MDPO: paths while links come and go."""

import random
from itertools import product

import pytest
from chain_problems import star
from problems import chain, problem_of, profile_of

from hocket.cluster import Cluster, Direction, Link
from hocket.cost import Problem, evaluate
from hocket.graph.topology import units
from hocket.solvers import solve
from hocket.solvers.chains.mdpo import Mdpo, earliest, sender
from hocket.solvers.chains.rows import chain_of


def timed(problem: Problem, places: tuple[int, ...]) -> float:
    """When the answers arrive, by sending everything in turn."""
    task, send, now = problem.task, sender(problem), 0.0
    names = [node.name for node in problem.cluster.nodes]
    here, tensor = task.source, task.graph.inputs[0].name
    for place, operator in zip(places, task.graph.operators, strict=True):
        now = send(now, here, names[place], task.graph.tensor[tensor].nbytes)
        here, tensor = names[place], operator.name
        now += task.profile.at(here).seconds[operator.name]
    return send(now, here, task.outputs[tensor], task.graph.tensor[tensor].nbytes)


def test_mdpo_arrives_first_of_all_paths_while_links_come_and_go() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        graph = chain([rng.choice([1, 500, 2000]) for _ in range(4)], first=500)
        begin = rng.uniform(0.0, 4.0)
        links = tuple(
            Link(between=pair, up=Direction(bytes_per_s=rng.choice([1e3, 1e4])),
                 down=Direction(bytes_per_s=rng.choice([1e3, 1e4])), available=windows)
            for pair, windows in (
                (("n0", "n1"), ((0.0, begin + 1),)), (("n0", "n2"), ((begin, 1e4),)), (("n1", "n2"), ()),
            )
        )  # fmt: skip
        cluster = Cluster(name="road", nodes=star().nodes, links=links)
        seconds = {f"n{i}": [rng.uniform(0.1, 3.0) * (1 if i else 4) for _ in range(4)] for i in range(3)}
        problem = problem_of(graph, cluster, profile_of(graph, seconds), "latency")
        assert len(units(graph)) == 4
        found = earliest(chain_of(problem), sender(problem))
        assert found is not None
        assert found[0] == pytest.approx(min(timed(problem, places) for places in product(range(3), repeat=4)))
        assert evaluate(problem, Mdpo()(problem).plan).latency_s == pytest.approx(found[0])


def test_mdpo_moves_on_with_the_next_base_station() -> None:
    """The first server is left at 2 s: what still runs there then cannot come back, so the second one goes on."""
    graph = chain([250, 1, 1], first=250)
    d = Direction(bytes_per_s=1e4)
    links = (
        Link(between=("n0", "n1"), up=d, down=d, available=((0.0, 2.0),)),
        Link(between=("n0", "n2"), up=d, down=d, available=((0.5, 1e4),)),
        Link(between=("n1", "n2"), up=d, down=d, latency_s=0.6),
    )
    cluster = Cluster(name="road", nodes=star().nodes, links=links)
    seconds = {"n0": [9.0, 9.0, 9.0], "n1": [1.0, 1.0, 1.0], "n2": [2.0, 1.0, 0.5]}
    problem = problem_of(graph, cluster, profile_of(graph, seconds), "latency")
    assert [stage["node"] for stage in solve(problem, "mdpo").stages()] == ["n1", "n2"]
