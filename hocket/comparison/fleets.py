"""The clusters of a suite: files, or the five architectures made of presets, which may be drawn with a seed."""

import random
from collections.abc import Mapping
from fnmatch import fnmatchcase
from inspect import signature
from typing import Any

from hocket.cluster import (
    Cluster,
    Link,
    Node,
    load_cluster,
    many_to_many,
    many_to_one,
    one_to_many,
    one_to_one,
    peer_to_peer,
    preset_link,
    preset_node,
)
from hocket.cluster.checks import did_you_mean
from hocket.cluster.keys import NODE_KEYS
from hocket.cluster.place import Place
from hocket.cluster.tables import node_of
from hocket.comparison.suite import Draw, Fleet
from hocket.errors import ClusterError, FormatError, HocketError

_MAKERS = {maker.__name__: maker for maker in (one_to_one, many_to_one, one_to_many, many_to_many, peer_to_peer)}
ARCHITECTURES = tuple(_MAKERS)
"""The five of the survey."""
_KEYS = ("devices", "servers", "device", "server", "radio", "wire")


def cluster_of(name: str, fleet: Fleet) -> Cluster:
    """The cluster that a suite describes; the same description gives the same cluster.

    Raises:
        FormatError: keys that contradict each other.
        ClusterError: a preset or a node that is not there.
    """
    where = f"clusters.{name}"
    given = {key: value for key in _KEYS if (value := getattr(fleet, key)) is not None}
    if bool(fleet.file) == bool(fleet.architecture):
        raise FormatError(f"{where}: a cluster has either a file or an architecture; give one of the two")
    if fleet.file:
        if given or fleet.seed is not None:
            odd = next(iter(given), "seed")
            raise FormatError(f"{where}: {odd!r} is of an architecture, and this cluster is a file; take it out")
        return _changed(where, load_cluster(fleet.file), fleet.nodes)
    cluster = _drawn(where, fleet, _made(where, fleet, given))
    return _changed(where, cluster, fleet.nodes).replace(name=name)


def _made(where: str, fleet: Fleet, given: Mapping[str, Any]) -> Cluster:
    """The architecture with the first preset of each key."""
    if fleet.architecture not in _MAKERS:
        remedy = did_you_mean(fleet.architecture, ARCHITECTURES)
        raise FormatError(f"{where}: there is no architecture {fleet.architecture!r}; {remedy}")
    maker = _MAKERS[fleet.architecture]
    for key in given:
        if key not in signature(maker).parameters:
            raise FormatError(
                f"{where}: {fleet.architecture} has no key {key!r}; it has {', '.join(signature(maker).parameters)}"
            )
    try:
        return maker(**{key: value[0] if isinstance(value, tuple) else value for key, value in given.items()})
    except HocketError as error:
        raise type(error)(f"{where}: {error}") from None


def _drawn(where: str, fleet: Fleet, cluster: Cluster) -> Cluster:
    """Each node and each wireless link with a preset drawn from those of its key; a cell keeps the first one's rate."""
    several = [key for key in ("device", "server", "radio") if isinstance(getattr(fleet, key), tuple)]
    if bool(several) != (fleet.seed is not None):
        key = several[0] if several else "seed"
        raise FormatError(f"{where}: presets are drawn where a key has several and there is a seed, got only {key!r}")
    if fleet.seed is None:
        return cluster
    rng = random.Random(fleet.seed)
    try:
        nodes = tuple(_node(rng, node, fleet) for node in cluster.nodes)
        links = tuple(_link(rng, link, fleet.radio) for link in cluster.links)
    except HocketError as error:
        raise type(error)(f"{where}: {error}") from None
    return cluster.replace(nodes=nodes, links=links)


def _node(rng: random.Random, node: Node, fleet: Fleet) -> Node:
    presets = fleet.device if node.name.startswith("device") else fleet.server
    return preset_node(node.name, rng.choice(presets)) if isinstance(presets, tuple) else node


def _link(rng: random.Random, link: Link, presets: Draw | None) -> Link:
    wireless = any(end.startswith("device") for end in link.between)
    if not wireless or not isinstance(presets, tuple):
        return link
    # Outside of a cell the link itself sets the pace; within one the medium caps what is drawn.
    return preset_link(*link.between, rng.choice(presets), media=list(link.media))


def _changed(where: str, cluster: Cluster, changes: Mapping[str, Mapping[str, Any]]) -> Cluster:
    """The cluster with some keys of some nodes replaced."""
    nodes = list(cluster.nodes)
    for pattern, keys in changes.items():
        fits = matching(where, "nodes", pattern, cluster)
        # The keys are read like a node of their own, so that prices per speed and units are as in a cluster's file.
        read = [
            node_of(Place(where, f'node "{node.name}"'), {"name": node.name, "speed": f"{node.flops_per_s} FLOP/s"}
                    | {"cores": node.cores} | dict(keys))
            for node in nodes
        ]  # fmt: skip
        fields = [NODE_KEYS[key].field for key in keys if key in NODE_KEYS]
        for position, node in enumerate(nodes):
            if node.name in fits:
                nodes[position] = node.replace(**{field: getattr(read[position], field) for field in fields})
    return cluster.replace(nodes=tuple(nodes))


def matching(where: str, key: str, pattern: str, cluster: Cluster) -> list[str]:
    """The nodes whose names fit a pattern such as `device*`, in the cluster's order.

    Raises:
        ClusterError: none does.
    """
    fits = [node.name for node in cluster.nodes if fnmatchcase(node.name, pattern)]
    if not fits:
        raise ClusterError(
            f"{where}: {key} names {pattern!r}, and no node of {cluster.name!r} fits it;"
            f" {did_you_mean(pattern, cluster.node)}"
        )
    return fits
