# ruff: noqa: E501 (messages stand whole)
"""From running nodes to a cluster file."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hocket.cluster import Node, read_toml, write_toml
from hocket.control.probe import probe
from hocket.control.run import run
from hocket.cost import problem_for
from hocket.errors import ClusterError, LateError, NodeError
from hocket.graph.onnx import load_model
from hocket.plan.placement import plan_for
from hocket.runtime.keys import join_token, save_keys
from hocket.solvers import Solution, solve
from hocket.zoo import model_path


class Started:
    """A node that runs already."""

    def __init__(self, name: str, *options: object) -> None:
        words = [sys.executable, "-m", "hocket.runtime", "--name", name, *map(str, options)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=5)


@pytest.fixture
def start() -> Iterator[type[Started]]:
    made: list[Started] = []

    def begin(name: str, *options: object) -> Started:
        made.append(Started(name, *options))
        return made[-1]

    yield begin
    for node in made:
        node.end()


@pytest.mark.cluster
def test_local_nodes_become_a_cluster_that_can_be_solved() -> None:
    told: list[tuple[str, int, int]] = []
    cluster = probe(local=3, progress=lambda *what: told.append(what))
    assert [node.name for node in cluster.nodes] == ["node1", "node2", "node3"]
    assert {link.between for link in cluster.links} == {("node1", "node2"), ("node1", "node3"), ("node2", "node3")}
    for node in cluster.nodes:
        assert 1e8 < node.flops_per_s < 1e13
        assert node.memory_bytes_per_s is not None
        assert 1e8 < node.memory_bytes_per_s < 1e13
    for link in cluster.links:
        assert 0 < link.latency_s < 0.1
        assert link.up.bytes_per_s is not None
        assert link.up.bytes_per_s > 1e6
    assert read_toml(write_toml(cluster)) == cluster
    assert told[-1] == ("measuring links", 3, 3)
    assert solve(problem_for(load_model(model_path("toy_dag")).graph, cluster)).cost.latency_s > 0


@pytest.mark.cluster
def test_running_nodes_bear_their_own_names_and_serve_afterwards(start) -> None:
    addresses = [start("pi", "--memory-limit", 10**9).ready["address"], start("box").ready["address"]]
    cluster = probe(addresses)
    assert [(node.name, node.address, node.memory_bytes) for node in cluster.nodes] == [
        ("pi", addresses[0], 10**9),
        ("box", addresses[1], None),
    ]
    graph = load_model(model_path("toy_dag")).graph
    problem = problem_for(graph, cluster)
    half = len(graph.operators) // 2
    plan = plan_for(graph.name, graph, ["pi"] * half + ["box"] * (len(graph.operators) - half))
    report = run(Solution(problem=problem, plan=plan, cost=solve(problem).cost), requests=2)
    assert report.figures.max_rel_error < 1e-5


@pytest.mark.cluster
def test_names_that_cannot_be_used_become_numbers(start) -> None:
    addresses = [start(name).ready["address"] for name in ("pi", "pi", "my pi")]
    assert [node.name for node in probe(addresses).nodes] == ["node1", "node2", "node3"]


@pytest.mark.cluster
def test_join_tokens_are_followed_and_stay_in_the_file(start, tmp_path: Path) -> None:
    mine = save_keys(tmp_path / "mine", "me")
    save_keys(tmp_path, "pi")
    node = start("pi", "--keys", tmp_path, "--allow", mine.public)
    cluster = probe([node.ready["join"]], keys=tmp_path / "mine" / "me.key")
    assert cluster.nodes[0].name == "pi"
    assert cluster.nodes[0].address == node.ready["join"]
    assert read_toml(write_toml(cluster)) == cluster
    report = run(
        solve(problem_for(load_model(model_path("toy_dag")).graph, cluster), "local"),
        requests=1,
        keys=tmp_path / "mine" / "me.key",
    )
    assert report.figures.max_rel_error < 1e-5


@pytest.mark.cluster
def test_a_node_that_is_not_there_is_named() -> None:
    message = (
        "node 'node1' at tcp://127.0.0.1:9 did not answer within 0.5 s; check that it runs, its address and its keys"
    )
    with pytest.raises(LateError, match=f"^{re.escape(message)}$"):
        probe(["tcp://127.0.0.1:9"], timeout_s=0.5)


@pytest.mark.parametrize(
    ("addresses", "local", "message"),
    [
        ([], 0, "nodes to probe are running ones or local ones, got neither; give addresses or --local N"),
        (["tcp://a:1"], 2, "nodes to probe are running ones or local ones, got both; give addresses or --local N"),
        ([], 65, "0 to 64 local nodes can be started, got 65; ask for fewer or for more"),
        ([], -1, "0 to 64 local nodes can be started, got -1; ask for fewer or for more"),
        (["pi:7000"], 0, "node 'node1' has the address 'pi:7000', which is none; write it like 'tcp://192.168.1.7:5555'"),
        (["tcp://a:1", "tcp://a:1"], 0, "nodes 'node1' and 'node2' have the same address 'tcp://a:1'; change one of them"),
    ],
)  # fmt: skip
def test_what_cannot_be_probed_is_refused(addresses: list[str], local: int, message: str) -> None:
    with pytest.raises(ClusterError, match=f"^{re.escape(message)}$"):
        probe(addresses, local=local)


def test_tokens_need_keys_and_other_machines_need_encryption() -> None:
    with pytest.raises(NodeError, match=r"^node 'node1' wants encryption and 'probe' has no keys; give it a key file$"):
        probe([join_token("tcp://127.0.0.1:9", "0" * 40)])
    with pytest.raises(NodeError, match=r"plaintext"):
        probe(["tcp://192.0.2.1:9"])


def test_a_cluster_takes_whole_tokens_as_addresses() -> None:
    token = join_token("tcp://[::1]:7000", "0" * 40)
    assert Node(name="pi", flops_per_s=1e9, address=token).address == token
    for wrong in (
        token[:-1],
        token.removeprefix("hocket1:"),
        token.replace(":7000", ":70000"),
        "hocket1:tcp://pi:7000",
    ):
        with pytest.raises(ClusterError, match=r"which is none; write it like 'tcp://192.168.1.7:5555'$"):
            Node(name="pi", flops_per_s=1e9, address=wrong)


@pytest.mark.cluster
def test_the_command_writes_a_file_that_solve_takes(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    words = [sys.executable, "-m", "hocket", "probe", "--local", "2", "-o", str(path), "--json"]
    data = json.loads(subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert data.keys() == {"cluster", "nodes", "links"}
    assert [row["node"] for row in data["nodes"]] == ["node1", "node2"]
    assert data["links"][0].keys() == {"between", "up_bytes_per_s", "down_bytes_per_s", "latency_s"}
    solved = [sys.executable, "-m", "hocket", "solve", "zoo:toy_dag", str(path), "--json"]
    assert json.loads(subprocess.run(solved, capture_output=True, check=True, timeout=120).stdout)["latency_s"] > 0
