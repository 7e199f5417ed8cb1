"""The commands of a lab follow from the cluster alone: golden files of small ones, and what every cluster's have."""

import os
import re
from pathlib import Path

import pytest

from hocket.cluster import Cluster, many_to_many, peer_to_peer, read_toml
from hocket.errors import ClusterError
from hocket.lab import commands
from hocket.lab.layout import Layout
from hocket.lab.replay import next_rates
from tests.lab.clusters import cell, changing, node, pair

GOLDEN = Path(__file__).parent / "golden"
CLUSTERS = {"pair": pair(), "cell": cell(), "changing": changing()}


def text(cluster: Cluster, *, netem: bool) -> str:
    return "".join(" ".join(argv) + "\n" for argv in commands.up(Layout(cluster), netem=netem))


@pytest.mark.parametrize(("name", "netem"), [("pair", False), ("pair", True), ("cell", False), ("changing", True)])
def test_the_commands_of_small_clusters(name: str, netem: bool) -> None:
    """Set HOCKET_GOLDEN=1 to write the files anew."""
    path, found = GOLDEN / f"{name}{'_netem' if netem else ''}.txt", text(CLUSTERS[name], netem=netem)
    if os.environ.get("HOCKET_GOLDEN"):
        path.write_text(found)
    assert path.read_text() == found


@pytest.mark.parametrize("netem", [False, True])
@pytest.mark.parametrize(
    "cluster",
    [*CLUSTERS.values(), peer_to_peer(5), many_to_many(3, 2)],
    ids=lambda cluster: cluster.name,
)
def test_only_namespaces_of_the_lab_are_touched(cluster: Cluster, netem: bool) -> None:
    layout = Layout(cluster, "other")
    made = set()
    for argv in commands.up(layout, netem=netem):
        if argv[:3] == ["ip", "netns", "add"]:
            made.add(argv[3])
        elif argv[:3] == ["ip", "netns", "exec"]:
            assert argv[3] in made
        else:
            assert argv[0] in ("ip", "tc")
            assert argv[1] == "-n"
            assert argv[2] in made
        if "netns" in argv[3:]:
            assert argv[argv.index("netns", 3) + 1] in made
    assert all(name.startswith("hocket+other+") for name in made)
    assert len(made) == len(cluster.nodes) + 2


@pytest.mark.parametrize("cluster", [*CLUSTERS.values(), many_to_many(3, 2)], ids=lambda cluster: cluster.name)
def test_every_resource_is_limited_once_and_only_linked_pairs_have_routes(cluster: Cluster) -> None:
    layout = Layout(cluster)
    found = commands.up(layout, netem=False)
    for name, of_it in layout.classes.items():
        added = [
            argv
            for argv in found
            if argv[:2] == ["tc", "-n"]
            and argv[3:5] == ["class", "add"]
            and (argv[2], argv[6], argv[10]) == (of_it.namespace, of_it.device, of_it.name)
        ]
        assert len(added) == 1, name
    routes = {(argv[2], argv[5]) for argv in found if argv[3:5] == ["route", "add"] and argv[2] != layout.session}
    wanted = {(layout.namespace(a), f"{layout.host(b)}/32") for a, b in layout.wires}
    wanted |= {(layout.namespace(node), f"{layout.host('')}/32") for node in cluster.node}
    assert routes == wanted


def test_names_of_devices_fit_and_no_two_labs_share_a_namespace() -> None:
    nodes = "".join(node(f"{'x' * 55}-{number}") for number in range(200))
    layout = Layout(read_toml(f'format = "hocket.cluster/1"\n{nodes}'))
    devices = {argv[argv.index("dev") + 1] for argv in commands.up(layout, netem=False) if "dev" in argv}
    assert max(map(len, devices)) < 16
    assert len(set(layout.addresses.values())) == 200
    # A lab "a" with a node "b-c" and a lab "a-b" with a node "c".
    one = Layout(read_toml(f'format = "hocket.cluster/1"\nname = "a"\n{node("b-c")}'))
    other = Layout(read_toml(f'format = "hocket.cluster/1"\nname = "a-b"\n{node("c")}'))
    assert not other.namespace("c").startswith(one.prefix)
    assert not one.namespace("b-c").startswith(other.prefix)


def test_a_rate_is_that_of_the_payload() -> None:
    argv = commands.set_rate(Layout(pair()).direction("a", "b"), 5e6)
    ceil = re.fullmatch(r"(\d+)bit", argv[argv.index("ceil") + 1])
    assert ceil is not None
    assert int(ceil[1]) * 1448 / 1514 == pytest.approx(40e6, rel=1e-6)


def test_rate_zero_lets_nothing_pass() -> None:
    of_it = Layout(pair()).direction("a", "b")
    (closed,) = commands.change_rate(of_it, 0.0)
    assert closed[-2:] == ["limit", "1"]
    opened, limited = commands.change_rate(of_it, 1e6)
    assert int(opened[-1]) > 1e6
    assert "class" in limited


def test_a_filter_of_a_loss_jumps_only_to_its_ends() -> None:
    layout = Layout(pair())
    for argv in (commands.cut(layout, "a", "b"), commands.set_loss(layout, "a", "b", 0.25)):
        count, *steps = argv[-1].split(",")
        assert int(count) == len(steps)
        for at, step in enumerate(steps):
            code, yes, no, value = map(int, step.split())
            assert at + 1 + max(yes, no) < len(steps) or code == 6
            if code == 53:
                assert value == 2**30


def test_a_trace_is_replayed_step_by_step() -> None:
    resources, at_s, seen = Layout(changing()).cluster.resource.values(), 0.0, []
    for _ in range(3):
        at_s, rates = next_rates(resources, at_s)
        seen.append((at_s, rates))
    assert seen == [(1.0, {"link:a>b": 5e6}), (2.0, {"link:a>b": 0.0}), (3.0, {"link:a>b": 5e6})]
    assert next_rates(Layout(pair()).cluster.resource.values(), 0.0)[1] == {}


def test_what_a_lab_cannot_be() -> None:
    media = "".join(f'[[medium]]\nname = "m{n}"\nrate = "1 Mbit/s"\n' for n in range(3))
    link = '[[link]]\nbetween = ["a", "b"]\nmedia = ["m0", "m1", "m2"]\n'
    with pytest.raises(ClusterError, match="at most 2 media, and a - b has 3"):
        Layout(read_toml(f'format = "hocket.cluster/1"\n{node("a")}{node("b")}{media}{link}'))
    nodes = "".join(node(f"n{number}") for number in range(201))
    with pytest.raises(ClusterError, match="at most 200 nodes, got 201"):
        Layout(read_toml(f'format = "hocket.cluster/1"\n{nodes}'))
    with pytest.raises(ClusterError, match="a lab has the name"):
        Layout(pair(), "../etc")
    with pytest.raises(ClusterError, match="'a' and 'b' have no link"):
        Layout(cell()).wire("a", "b")
    with pytest.raises(ClusterError, match="no node 'z'"):
        Layout(cell()).namespace("z")
