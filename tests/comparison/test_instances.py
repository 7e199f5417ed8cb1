"""Clusters and problems of a suite."""

import msgspec
import pytest

from hocket.comparison.fleets import cluster_of
from hocket.comparison.instances import Instance, problem_of
from hocket.comparison.suite import Fleet, Variant
from hocket.cost import Objective
from hocket.errors import HocketError

CELL = Fleet(
    architecture="many_to_one",
    devices=6,
    device=("raspberry_pi_3b", "jetson_nano"),
    radio=("wifi_5", "wifi_4"),
    seed=1,
)


def instance_of(fleet: Fleet, variant: Variant, *models: str) -> Instance:
    return Instance(
        name="made",
        group="made",
        architecture=fleet.architecture,
        models=models,
        sha256=(),
        cluster=cluster_of("made", fleet),
        objective=Objective(),
        objective_name="latency",
        variant=variant,
    )


def test_a_fleet_is_drawn_with_its_seed() -> None:
    cluster = cluster_of("cell", CELL)
    speeds = {node.flops_per_s for node in cluster.nodes if node.name.startswith("device")}
    assert cluster == cluster_of("cell", CELL)
    assert cluster != cluster_of("cell", CELL.replace(seed=2))
    assert cluster.name == "cell"
    assert len(speeds) == 2
    assert all(link.media == ("cell",) for link in cluster.links)
    assert {link.latency_s for link in cluster.links} == {0.002, 0.003}


def test_nodes_are_changed_by_pattern() -> None:
    changes = {"device*": {"failure_probability": 0.1}, "server": {"compute_price": "0.01 USD/h per GFLOP/s"}}
    cluster = cluster_of("cell", CELL.replace(nodes=changes))
    assert [node.failure_probability for node in cluster.nodes] == [0.1] * 6 + [0.0]
    server = cluster.node["server"]
    assert server.compute_price_per_s == pytest.approx(0.01 / 3600 * server.flops_per_s * server.cores / 1e9)


@pytest.mark.parametrize(
    ("fleet", "sentence"),
    [
        (Fleet(), "clusters.x: a cluster has either a file or an architecture; give one of the two"),
        (Fleet(file="a.toml", devices=3),
         "clusters.x: 'devices' is of an architecture, and this cluster is a file; take it out"),
        (Fleet(architecture="one_to_none"),
         "clusters.x: there is no architecture 'one_to_none'; did you mean 'one_to_one'?"),
        (Fleet(architecture="one_to_one", devices=3),
         "clusters.x: one_to_one has no key 'devices'; it has device, server, radio"),
        (Fleet(architecture="one_to_one", device="raspberry"),
         "clusters.x: preset: node \"device\", key 'preset': 'raspberry' is unknown;"),
        (CELL.replace(seed=None),
         "clusters.x: presets are drawn where a key has several and there is a seed, got only 'device'"),
        (Fleet(architecture="one_to_one", seed=3),
         "clusters.x: presets are drawn where a key has several and there is a seed, got only 'seed'"),
        (Fleet(architecture="one_to_one", nodes={"phone": {"cores": 1}}),
         "clusters.x: nodes names 'phone', and no node of 'one_to_one' fits it; use one of device, server"),
        (Fleet(architecture="one_to_one", nodes={"device": {"core": 1}}),
         "clusters.x: node \"device\", key 'core' is unknown; did you mean 'cores'?"),
    ],
)  # fmt: skip
def test_what_a_cluster_must_not_say(fleet: Fleet, sentence: str) -> None:
    with pytest.raises(HocketError) as caught:
        cluster_of("x", fleet)
    assert str(caught.value).startswith(sentence)


def test_numbers_of_a_variant_are_relative_to_the_model() -> None:
    variant = Variant(rate=0.5, deadline=2.0, memory={"device": 0.25, "server": "1 GB"}, reliability=0.9, accuracy=0.7)
    problem = problem_of(instance_of(Fleet(architecture="one_to_one"), variant, "zoo:lenet"))
    task, local_s = problem.task, problem.references["latency"]
    assert task.rate_per_s == pytest.approx(0.5 / local_s)
    assert task.deadline_s == pytest.approx(2 * local_s)
    assert (task.reliability_floor, task.accuracy_floor) == (0.9, 0.7)
    memory = {node.name: node.memory_bytes for node in problem.cluster.nodes}
    assert memory == {"device": task.graph.weight_bytes // 4, "server": 10**9}


def test_quantities_of_a_variant_are_absolute() -> None:
    variant = Variant(rate="5 /s", deadline="100 ms", queue="mm1", margin=0.1, whole_model=True)
    problem = problem_of(instance_of(Fleet(architecture="one_to_one"), variant, "zoo:lenet"))
    assert (problem.task.rate_per_s, problem.task.deadline_s) == (5.0, 0.1)
    assert (problem.queue, problem.margin, problem.whole_model) == ("mm1", 0.1, True)


def test_every_device_makes_a_task_and_models_take_turns() -> None:
    problem = problem_of(instance_of(CELL, Variant(sources=("device*",)), "zoo:lenet", "zoo:toy_chain"))
    assert [task.name for task in problem.tasks][:2] == ["1:lenet@device1", "2:toy_chain@device2"]
    assert [task.source for task in problem.tasks] == [f"device{number}" for number in range(1, 7)]


def test_an_instance_goes_from_process_to_process() -> None:
    instance = instance_of(CELL, Variant(memory={"*": 0.5}), "zoo:lenet")
    assert msgspec.json.decode(msgspec.json.encode(instance), type=Instance) == instance
