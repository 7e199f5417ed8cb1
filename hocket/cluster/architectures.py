"""Devices and links from presets, and the five architectures of the survey made of them.

Wireless devices of one cell share its air: their links draw on one medium, so that two transfers of a cell take
turns. Servers are joined by a wire. The first device is the source.
"""

from itertools import combinations, product
from typing import Any

from hocket.cluster.cluster import Cluster
from hocket.cluster.link import Link, Medium
from hocket.cluster.node import Node
from hocket.cluster.place import Place
from hocket.cluster.tables import link_of, medium_of, node_of
from hocket.errors import ClusterError

_DEVICE, _SERVER, _RADIO, _WIRE = "raspberry_pi_4b", "i7_8700", "wifi_5", "ethernet_1g"
_MOST_NODES = 1000


def preset_node(name: str, preset: str, **keys: Any) -> Node:
    """A node from a preset; further keys are those of the TOML file.

    >>> preset_node("edge", "jetson_nano", memory="2 GB", slowdown=4.0).memory_bytes
    2000000000
    """
    return node_of(Place("preset", f'node "{name}"'), {"name": name, "preset": preset, **keys})


def preset_link(first: str, second: str, preset: str, **keys: Any) -> Link:
    """A link from a preset; further keys are those of the TOML file.

    >>> preset_link("phone", "edge", "wifi_5", latency="5 ms").latency_s
    0.005
    """
    place = Place("preset", f'link ("{first}" - "{second}")')
    return link_of(place, {"between": [first, second], "preset": preset, **keys})


def preset_medium(name: str, preset: str, **keys: Any) -> Medium:
    """A shared medium with the rate of a preset of links."""
    return medium_of(Place("preset", f'medium "{name}"'), {"name": name, "preset": preset, **keys})


def one_to_one(*, device: str = _DEVICE, server: str = _SERVER, radio: str = _RADIO) -> Cluster:
    """One device and one edge server: the device makes the tasks and may hand over their later part.

    Args:
        device: preset of the device.
        server: preset of the server.
        radio: preset of the link between them.
    """
    nodes = (preset_node("device", device), preset_node("server", server))
    return Cluster(name="one_to_one", nodes=nodes, links=(preset_link("device", "server", radio),))


def many_to_one(devices: int = 3, *, device: str = _DEVICE, server: str = _SERVER, radio: str = _RADIO) -> Cluster:
    """Several devices in the cell of one edge server, whose speed and air they share.

    Args:
        devices: how many.
        device: preset of each of them.
        server: preset of the server.
        radio: preset of the cell.
    """
    clients = _numbered("device", devices, device)
    links = tuple(_in_cell(node.name, "server", "cell", radio) for node in clients)
    nodes = (*clients, preset_node("server", server))
    return Cluster(name="many_to_one", nodes=nodes, links=links, media=(preset_medium("cell", radio),))


def one_to_many(
    servers: int = 3, *, device: str = _DEVICE, server: str = _SERVER, radio: str = _RADIO, wire: str = _WIRE
) -> Cluster:
    """One device that reaches several edge servers, each by a link of its own; the servers are joined by wires.

    Args:
        servers: how many.
        device: preset of the device.
        server: preset of each server.
        radio: preset of the device's links.
        wire: preset of the links between servers.
    """
    hosts = _numbered("server", servers, server)
    links = tuple(preset_link("device", host.name, radio) for host in hosts)
    nodes = (preset_node("device", device), *hosts)
    return Cluster(name="one_to_many", nodes=nodes, links=(*links, *_mesh(hosts, wire)))


def many_to_many(
    devices: int = 3,
    servers: int = 2,
    *,
    device: str = _DEVICE,
    server: str = _SERVER,
    radio: str = _RADIO,
    wire: str = _WIRE,
) -> Cluster:
    """Several devices and several edge servers: each server has a cell that all devices reach; wires join the servers.

    Args:
        devices: how many.
        servers: how many.
        device: preset of each device.
        server: preset of each server.
        radio: preset of the cells.
        wire: preset of the links between servers.
    """
    clients, hosts = _numbered("device", devices, device), _numbered("server", servers, server)
    media = tuple(preset_medium(f"cell{number}", radio) for number in range(1, servers + 1))
    links = tuple(
        _in_cell(client.name, host.name, medium.name, radio)
        for client, (host, medium) in product(clients, zip(hosts, media, strict=True))
    )
    nodes = (*clients, *hosts)
    return Cluster(name="many_to_many", nodes=nodes, links=(*links, *_mesh(hosts, wire)), media=media)


def peer_to_peer(devices: int = 4, *, device: str = _DEVICE, radio: str = _RADIO) -> Cluster:
    """Equal devices, each with each, in one cell and without a server.

    Args:
        devices: how many.
        device: preset of each of them.
        radio: preset of the cell.
    """
    peers = _numbered("device", devices, device)
    links = tuple(_in_cell(one.name, other.name, "cell", radio) for one, other in combinations(peers, 2))
    return Cluster(name="peer_to_peer", nodes=peers, links=links, media=(preset_medium("cell", radio),))


def _numbered(name: str, count: int, preset: str) -> tuple[Node, ...]:
    if not 1 <= count <= _MOST_NODES:
        raise ClusterError(f"an architecture has 1 to {_MOST_NODES} nodes called {name!r}, got {count}; correct it")
    return tuple(preset_node(f"{name}{number}", preset) for number in range(1, count + 1))


def _in_cell(first: str, second: str, medium: str, radio: str) -> Link:
    return preset_link(first, second, radio, media=[medium])


def _mesh(hosts: tuple[Node, ...], wire: str) -> tuple[Link, ...]:
    return tuple(preset_link(one.name, other.name, wire) for one, other in combinations(hosts, 2))
