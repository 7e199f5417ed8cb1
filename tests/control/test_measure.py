"""Measuring a model on nodes, the pace of `slowdown = "auto"`, and profiles predicted from measured ones."""

import re

import pytest

from hocket.cluster import Cluster, Node
from hocket.control import sessions
from hocket.control.measure import measure
from hocket.control.predict import predict
from hocket.control.sessions import paced
from hocket.errors import ProfileError
from hocket.graph import Graph
from hocket.graph.onnx import load_model
from hocket.profile import NodeProfile, Predictor, Profile
from hocket.reading import load
from hocket.runtime.measure import measure_speed
from hocket.zoo import model_path

HOST = {"flops_per_s": 40e9, "bytes_per_s": 1e10}


def cluster_of(*nodes: Node) -> Cluster:
    return Cluster(name="test", nodes=nodes)


def auto(name: str, flops_per_s: float, address: str = "tcp://127.0.0.1:0") -> Node:
    return Node(name=name, flops_per_s=flops_per_s, slowdown="auto", address=address)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the host was measured; it always has the same speed."""
    made: list[int] = []

    def speed() -> dict[str, float]:
        made.append(1)
        return HOST

    monkeypatch.setattr(sessions, "measure_speed", speed)
    return made


def test_auto_becomes_host_over_node_and_the_host_is_measured_once(calls: list[int]) -> None:
    nodes = [auto("slow", 10e9), auto("slower", 4e9), auto("faster", 80e9), Node(name="given", flops_per_s=1e9)]
    assert [node.slowdown for node in paced(cluster_of(*nodes)).nodes] == [4.0, 10.0, 1.0, 1.0]
    assert len(calls) == 1


def test_a_node_elsewhere_is_never_slowed(calls: list[int]) -> None:
    away = [auto("pi", 1e9, "tcp://pi:7000"), auto("running", 1e9, "tcp://127.0.0.1:7000")]
    assert [node.slowdown for node in paced(cluster_of(*away)).nodes] == [1.0, 1.0]
    assert calls == []
    assert [node.slowdown for node in paced(cluster_of(auto("here", 20e9), *away)).nodes] == [2.0, 1.0, 1.0]


def test_numbers_need_no_measurement(calls: list[int]) -> None:
    cluster = cluster_of(Node(name="a", flops_per_s=1e9, slowdown=3.0))
    assert paced(cluster) is cluster
    assert calls == []


@pytest.mark.cluster
def test_the_emulated_pace_follows() -> None:
    """A node of a quarter of this computer's speed takes about four times as long."""
    quarter = measure_speed()["flops_per_s"] / 4
    cluster = cluster_of(auto("slow", quarter), Node(name="host", flops_per_s=4 * quarter))
    profile = measure(load_model(model_path("squeezenet1_1")), cluster, repeats=5)
    slow, host = (sum(profile.at(name).seconds.values()) for name in ("slow", "host"))
    assert 2 < slow / host < 8


@pytest.mark.cluster
def test_a_profile_has_every_operator_and_what_was_asked_for() -> None:
    model = load_model(model_path("toy_dag"))
    told: list[tuple[str, int, int]] = []
    profile = measure(
        model,
        cluster_of(Node(name="a", flops_per_s=1e9), Node(name="b", flops_per_s=1e9, slowdown=4.0)),
        codecs=("raw+zlib",),
        repeats=3,
        progress=lambda *what: told.append(what),
    )
    assert profile.how == "measured"
    assert list(profile.nodes) == ["b", "a"] or list(profile.nodes) == ["a", "b"]
    for entry in profile.entries:
        assert entry.seconds.keys() == {operator.name for operator in model.graph.operators}
        assert sum(entry.seconds.values()) > 0
        assert 0 < entry.codecs["raw+zlib"].ratio < 1.1
    assert told[-1] == ("measuring nodes", 2, 2)
    assert Profile.from_json(profile.to_json()) == profile


# ------------------------------------------------------------ predicted from measured


def measured(name: str, nodes: dict[str, float]) -> tuple[Graph, Profile]:
    """A model with a profile in which every node has one speed."""
    graph = load_model(model_path(name)).graph
    entries = tuple(
        NodeProfile(node=node, seconds={operator.name: operator.flops / speed for operator in graph.operators})
        for node, speed in nodes.items()
    )
    sha256 = graph.source.sha256 if graph.source else ""
    return graph, Profile(graph=graph.name, sha256=sha256, how="measured", entries=entries)


def test_prediction_is_made_for_each_node_by_itself() -> None:
    speeds = {"slow": 1e9, "fast": 1e10}
    pairs = [measured(name, speeds) for name in ("resnet18", "squeezenet1_1", "mobilenet_v2")]
    graph = load_model(model_path("resnet50")).graph
    cluster = cluster_of(*(Node(name=name, flops_per_s=1e9) for name in speeds))
    made = predict(graph, cluster, pairs)
    assert made.profile.how == "predicted"
    for name, speed in speeds.items():
        entry = made.profile.at(name)
        assert sum(entry.seconds.values()) == pytest.approx(graph.flops / speed, rel=0.2)
        assert entry.error is not None
        assert made.predictors[name].errors.keys() == {"resnet18", "squeezenet1_1", "mobilenet_v2"}


def test_profiles_that_do_not_fit_are_refused() -> None:
    graph, profile = measured("toy_dag", {"a": 1e9})
    cluster = cluster_of(Node(name="a", flops_per_s=1e9))
    sha256 = profile.sha256[:12]
    cases = {
        f"a profile is of one model file, and that of 'toy_dag' is of 000000000000 where 'toy_dag' is {sha256};"
        " give each profile with its model": profile.replace(sha256="0" * 64),
        "a predictor is trained on measured profiles, and that of 'toy_dag' is formula; measure it": profile.replace(
            how="formula"
        ),
    }
    for message, wrong in cases.items():
        with pytest.raises(ProfileError, match=f"^{re.escape(message)}$"):
            predict(graph, cluster, [(graph, wrong)])
    with pytest.raises(ProfileError, match=r"^the profile has no node 'b' \(it has a\); measure that node$"):
        predict(graph, cluster_of(Node(name="b", flops_per_s=1e9)), [(graph, profile)])


def test_a_predictor_is_a_file_that_can_be_read(tmp_path) -> None:
    graph, profile = measured("toy_dag", {"a": 1e9})
    predictor = predict(graph, cluster_of(Node(name="a", flops_per_s=1e9)), [(graph, profile)]).predictors["a"]
    read = load(predictor.save(tmp_path / "predictor.json"))
    assert isinstance(read, Predictor)
    assert read == predictor
