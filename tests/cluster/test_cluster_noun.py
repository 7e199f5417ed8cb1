# ruff: noqa: E501 (messages stand whole)
"""The cluster and its parts: what they refuse, and what they answer."""

import re
from typing import Any

import pytest

from hocket.cluster import Cluster, Direction, Link, Medium, Node, RateTrace
from hocket.errors import ClusterError, FormatError
from hocket.program import Resource, Site, Wire


def node(name: str = "a", **fields: Any) -> Node:
    return Node(**{"name": name, "flops_per_s": 1e9, **fields})


def refused(message: str) -> Any:
    return pytest.raises(ClusterError, match=f"^{re.escape(message)}$")


NODES = [
    ({"name": "a b"}, "a node has the name 'a b', and a name is 1 to 64 letters, digits, '_', '-' or '.', not starting with '-' or '.'; rename it"),
    ({"flops_per_s": 0.0}, "node 'a' has flops_per_s = 0.0, and it is a number above 0 and at most 1e+100; correct it"),
    ({"flops_per_s": float("nan")}, "node 'a' has flops_per_s = nan, and it is a number above 0 and at most 1e+100; correct it"),
    ({"flops_per_s": "8"}, "node 'a' has flops_per_s = '8', and it is a number above 0 and at most 1e+100; correct it"),
    ({"compute_w": -1.0}, "node 'a' has compute_w = -1.0, and it is a number from 0 to 1e+100; correct it"),
    ({"compute_w": 10**9999}, "node 'a' has compute_w = a huge number, and it is a number from 0 to 1e+100; correct it"),
    ({"failure_probability": 1.5}, "node 'a' has failure_probability = 1.5, and it is a number from 0 to 1; correct it"),
    ({"slowdown": 0.5}, "node 'a' has slowdown = 0.5, and it is a number from 1 to 1e+06; correct it"),
    ({"cores": 0}, "node 'a' has cores = 0, and it is a whole number from 1 to 65536; correct it"),
    ({"threads": True}, "node 'a' has threads = True, and it is a whole number from 1 to 1024; correct it"),
    ({"memory_bytes": 0}, "node 'a' has memory_bytes = 0, and it is a whole number from 1 to 1000000000000000000; correct it"),
    ({"port_up_bytes_per_s": 0}, "node 'a' has port_up_bytes_per_s = 0, and it is a number above 0 and at most 1e+100; correct it"),
    ({"kappa": 1e-28}, "node 'a' has kappa = 1e-28 and no frequency; give its least and greatest"),
    ({"frequency_hz": (2e9, 1e9)}, "node 'a' has a least frequency of 2e+09 Hz above its greatest of 1e+09 Hz; swap them"),
    ({"address": "pi:5555"}, "node 'a' has the address 'pi:5555', which is none; write it like 'tcp://192.168.1.7:5555'"),
    ({"address": "tcp://pi:65536"}, "node 'a' has the address 'tcp://pi:65536', which is none; write it like 'tcp://192.168.1.7:5555'"),
    ({"providers": ()}, "node 'a' has no execution provider; give at least 'CPUExecutionProvider'"),
    ({"providers": ("C U",)}, "node 'a' has the execution provider 'C U', which is no name of one; write it like 'CPUExecutionProvider'"),
    ({"available": ((5.0, 2.0),)}, "node 'a' has the window of time [5.0, 2.0], and windows are [from_s, to_s] in rising order, apart from each other; correct it"),
    ({"available": ((0.0, 2.0), (2.0, 3.0))}, "node 'a' has the window of time [2.0, 3.0], and windows are [from_s, to_s] in rising order, apart from each other; correct it"),
]  # fmt: skip
RATE = Direction(bytes_per_s=1.0)
LINKS = [
    ({"between": ("a", "a")}, "the link 'a' - 'a' joins a node with itself; name two different nodes"),
    ({"latency_s": -1.0}, "the link 'a' - 'b' has latency_s = -1.0, and it is a number from 0 to 1e+100; correct it"),
    ({"timeout_s": 0.0}, "the link 'a' - 'b' has timeout_s = 0.0, and it is a number above 0 and at most 1e+100; correct it"),
    ({"media": ("w", "w")}, "the link 'a' - 'b' names the medium 'w' twice; name it once"),
    ({"available": ((0.0, 1.0),), "up": RATE}, "the link 'a' - 'b' has windows of time and no rate; give the rate that it has inside them"),
]  # fmt: skip
AB = (node("alpha"), node("beta"))
CLUSTERS = [
    ({"nodes": ()}, "cluster 'c' has no node; give at least one"),
    ({"name": ""}, "a cluster has the name '', and a name is 1 to 64 letters, digits, '_', '-' or '.', not starting with '-' or '.'; rename it"),
    ({"nodes": (node(), node())}, "two nodes have the name 'a'; rename one of them"),
    ({"media": (Medium(name="w", bytes_per_s=1.0),) * 2}, "two media have the name 'w'; rename one of them"),
    ({"source": "alpa"}, "the source 'alpa' is no node; did you mean 'alpha'?"),
    ({"links": (Link(between=("alpha", "bta")),)}, "the link 'alpha' - 'bta' names the unknown node 'bta'; did you mean 'beta'?"),
    ({"links": (Link(between=("alpha", "x")),)}, "the link 'alpha' - 'x' names the unknown node 'x'; use one of alpha, beta"),
    ({"links": (Link(between=("alpha", "beta"), media=("w",)),)}, "the link 'alpha' - 'beta' names the unknown medium 'w'; add a medium of that name"),
    ({"links": (Link(between=("alpha", "beta")), Link(between=("beta", "alpha")))}, "the link 'beta' - 'alpha' is there twice; keep one of them"),
    ({"nodes": (node("a", address="tcp://pi:1"), node("b", address="tcp://pi:1"))}, "nodes 'a' and 'b' have the same address 'tcp://pi:1'; change one of them"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), NODES)
def test_a_node_refuses(fields: dict[str, Any], message: str) -> None:
    """Each rule of a node, with its whole sentence."""
    with refused(message):
        node(**fields)


@pytest.mark.parametrize(("fields", "message"), LINKS)
def test_a_link_refuses(fields: dict[str, Any], message: str) -> None:
    """Each rule of a link, with its whole sentence."""
    with refused(message):
        Link(**{"between": ("a", "b"), **fields})


@pytest.mark.parametrize(("fields", "message"), CLUSTERS)
def test_a_cluster_refuses(fields: dict[str, Any], message: str) -> None:
    """Each rule of a cluster, with its whole sentence."""
    with refused(message):
        Cluster(**{"name": "c", "nodes": AB, **fields})


def test_a_rate_and_a_trace_exclude_each_other() -> None:
    """Of a direction at most one, of a medium exactly one."""
    trace = RateTrace(steps=((0.0, 1.0),))
    with refused("a link's direction has both a rate and a trace; give one of them"):
        Direction(bytes_per_s=1.0, trace=trace)
    for fields in ({}, {"bytes_per_s": 1.0, "trace": trace}):
        with refused("medium 'w' has either a rate or a trace; give exactly one of them"):
            Medium(name="w", **fields)


def test_json_says_what_the_noun_says() -> None:
    """A contradiction inside a JSON file is told in the noun's own sentence, with the file in front."""
    text = Cluster(name="c", nodes=AB).to_json().replace('"alpha"', '"beta"', 1)
    with pytest.raises(FormatError, match=r"^c.json: two nodes have the name 'beta'; rename one of them$"):
        Cluster.from_json(text, name="c.json")


def test_the_source_is_the_first_node() -> None:
    """Unless another one is named."""
    assert Cluster(name="c", nodes=AB).source == "alpha"
    assert Cluster(name="c", nodes=AB, source="beta").source == "beta"


def test_lookups(chain: Cluster) -> None:
    """By name, by position, and links in either order."""
    assert chain.node["b"] == chain.nodes[1]
    assert chain.index == {"a": 0, "b": 1, "c": 2}
    assert chain.link["b", "a"] == chain.link["a", "b"] == chain.links[0]
    assert chain.medium == {}


def test_a_message_over_two_hops(chain: Cluster) -> None:
    """Store and forward: each hop takes its latency and all the bytes."""
    assert chain.path("a", "c", 1000) == ("a", "b", "c")
    assert chain.transfer_s("a", "c", 1000) == pytest.approx(2 * (0.002 + 0.001), rel=1e-12)
    assert chain.transfer_s("a", "a", 1e9) == 0.0
    assert chain.path("b", "b", 1e9) == ("b",)
    assert chain.reachable("c", "a")


def test_unreachable_and_unknown() -> None:
    """Both are refused with the names."""
    cluster = Cluster(name="c", nodes=AB)
    assert not cluster.reachable("alpha", "beta")
    for ask in (cluster.path, cluster.transfer_s):
        with refused("node 'beta' is unreachable from 'alpha'; add a link between them or over a third node"):
            ask("alpha", "beta", 1.0)
        for pair in (("alpha", "bet"), ("bet", "bet"), ("bet", "alpha")):
            with refused("cluster 'c' has no node 'bet'; did you mean 'beta'?"):
                ask(*pair, 1.0)


def test_the_slowest_thing_held_sets_the_pace() -> None:
    """Link, ports and medium: the least rate of all that a transfer holds."""
    nodes = (node("a", port_up_bytes_per_s=50.0), node("b", port_down_bytes_per_s=20.0))
    link = Link(between=("a", "b"), up=Direction(bytes_per_s=100.0), media=("air",))
    cluster = Cluster(name="c", nodes=nodes, links=(link,), media=(Medium(name="air", bytes_per_s=40.0),))
    assert cluster.transfer_s("a", "b", 200.0) == pytest.approx(10.0)
    assert cluster.transfer_s("b", "a", 200.0) == pytest.approx(5.0)


def test_program() -> None:
    """A wire per direction, holding link, ports and media; a resource for each of them once."""
    nodes = (node("a", port_up_bytes_per_s=50.0, slowdown=2.0, threads=3), node("b", slowdown="auto"))
    trace = RateTrace(steps=((0.0, 5.0),), length_s=3.0)
    link = Link(between=("a", "b"), up=Direction(bytes_per_s=1.0), latency_s=0.5, media=("air",))
    cluster = Cluster(name="c", nodes=nodes, links=(link,), media=(Medium(name="air", trace=trace),))
    sites, wires, resources = cluster.to_program()
    assert sites == (Site(name="a", slowdown=2.0, threads=3), Site(name="b"))
    assert wires == (
        Wire(source="a", target="b", latency_s=0.5, resources=("link:a>b", "up:a", "medium:air")),
        Wire(source="b", target="a", latency_s=0.5, resources=("link:b>a", "medium:air")),
    )
    assert resources == (
        Resource(name="link:a>b", bytes_per_s=1.0),
        Resource(name="link:b>a"),
        Resource(name="up:a", bytes_per_s=50.0),
        Resource(name="medium:air", trace=((0.0, 5.0),), trace_s=3.0),
    )


@pytest.mark.parametrize(("host", "slowdown"), [(None, 1.0), (5e8, 1.0), (4e9, 4.0), (1e30, 1e6)])
def test_automatic_slowdown(host: float | None, slowdown: float) -> None:
    """Speed of the host over speed of the node, between 1 and the greatest allowed."""
    cluster = Cluster(name="c", nodes=(node("a", slowdown="auto"),))
    assert cluster.to_program(host_flops_per_s=host)[0][0].slowdown == slowdown


def test_a_link_waits_for_its_window() -> None:
    """Outside its windows a link lets nothing pass; a transfer that never gets through takes for ever."""
    rate = Direction(bytes_per_s=10.0)
    link = Link(between=("a", "b"), up=rate, down=rate, available=((1.0, 2.0), (5.0, 6.0)))
    cluster = Cluster(name="c", nodes=(node("a"), node("b")), links=(link,))
    assert cluster.to_program()[2][0].trace == ((0.0, 0.0), (1.0, 10.0), (2.0, 0.0), (5.0, 10.0), (6.0, 0.0))
    assert cluster.transfer_s("a", "b", 15.0) == pytest.approx(5.5)
    assert cluster.transfer_s("a", "b", 21.0) == float("inf")


def test_a_copy_forgets_what_was_cached(chain: Cluster) -> None:
    """`replace` gives a cluster that routes anew."""
    assert chain.reachable("a", "c")
    assert not chain.replace(links=chain.links[:1]).reachable("a", "c")
