"""Clusters written as TOML files that read back as the same cluster."""

from collections.abc import Mapping

from hocket.cluster.cluster import Cluster
from hocket.cluster.keys import LINK_KEYS, NODE_KEYS, Key, write_quantity, write_text
from hocket.cluster.link import Direction, Link, Medium
from hocket.cluster.node import Node
from hocket.cluster.rates import write_direction
from hocket.cluster.toml import FORMAT
from hocket.nouns import Value


def write_toml(cluster: Cluster) -> str:
    """Write a cluster as TOML; what has its default value is left out.

    >>> print(write_toml(Cluster(name="one", nodes=(Node(name="phone", flops_per_s=8e9),))))
    format = "hocket.cluster/1"
    name = "one"
    source = "phone"
    <BLANKLINE>
    [[node]]
    name = "phone"
    speed = "8 GFLOP/s"
    <BLANKLINE>
    """
    top = [
        f"format = {write_text(FORMAT)}",
        f"name = {write_text(cluster.name)}",
        f"source = {write_text(cluster.source)}",
    ]
    tables = [_node(node) for node in cluster.nodes]
    tables += [_medium(medium) for medium in cluster.media]
    tables += [_link(link) for link in cluster.links]
    return "\n\n".join("\n".join(lines) for lines in [top, *tables]) + "\n"


def _node(node: Node) -> list[str]:
    default = Node(name=node.name, flops_per_s=1.0)
    lines = [
        "[[node]]",
        f"name = {write_text(node.name)}",
        f"speed = {write_quantity(node.flops_per_s, 'flops_per_s')}",
    ]
    lines += _changed(node, default, NODE_KEYS, done=("name", "speed"))
    ports = {"up": node.port_up_bytes_per_s, "down": node.port_down_bytes_per_s}
    given = [f"{key} = {write_quantity(rate, 'bytes_per_s')}" for key, rate in ports.items() if rate is not None]
    return lines + ([f"port = {{{', '.join(given)}}}"] if given else [])


def _medium(medium: Medium) -> list[str]:
    rate = write_direction(Direction(bytes_per_s=medium.bytes_per_s, trace=medium.trace))
    return ["[[medium]]", f"name = {write_text(medium.name)}", f"rate = {rate}"]


def _link(link: Link) -> list[str]:
    between = LINK_KEYS["between"].kind.write(link.between)
    up, down = write_direction(link.up), write_direction(link.down)
    rates = [f"rate = {up}"] if link.up == link.down else [f"up = {up}", f"down = {down}"]
    return [
        "[[link]]",
        f"between = {between}",
        *rates,
        *_changed(link, Link(between=link.between), LINK_KEYS, ("between",)),
    ]


def _changed(value: Value, default: Value, keys: Mapping[str, Key], done: tuple[str, ...]) -> list[str]:
    """A line for every key whose field differs from the default."""
    return [
        f"{name} = {key.kind.write(getattr(value, key.field))}"
        for name, key in keys.items()
        if name not in done and getattr(value, key.field) != getattr(default, key.field)
    ]
