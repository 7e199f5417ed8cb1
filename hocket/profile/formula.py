"""The formula profile: seconds from operation counts and the speed of a node; nothing is run."""

from collections.abc import Mapping

from hocket.cluster import Cluster, Node
from hocket.graph import Graph
from hocket.graph.topology import is_folded
from hocket.profile.profile import NodeProfile, Profile


def formula_profile(graph: Graph, cluster: Cluster, *, efficiency: Mapping[int, float] | None = None) -> Profile:
    """Seconds of every operator as max(FLOPs / speed, bytes moved / memory bandwidth).

    A folded view or activation takes no time of its own: its producer carries its operations. The slowdown of an
    emulated node does not count here: `speed` already says how fast the node is.

    Args:
        graph: operation counts.
        cluster: speed of one core, cores, memory bandwidth.
        efficiency: cores -> speed-up over one core (the compensation function of IAO); absent = the gains of the node.
    """
    entries = tuple(_entry(graph, node, efficiency) for node in cluster.nodes)
    sha256 = graph.source.sha256 if graph.source else ""
    return Profile(graph=graph.name, sha256=sha256, how="formula", entries=entries)


def speed_up(cores: int, efficiency: Mapping[int, float] | None = None) -> float:
    """How much faster several cores are than one, by a table or linearly.

    >>> speed_up(4), speed_up(4, {1: 1.0, 2: 1.9, 4: 3.4})
    (4.0, 3.4)
    """
    if efficiency is None:
        return float(cores)
    known = [(n, gain) for n, gain in sorted(efficiency.items()) if n <= cores]
    return known[-1][1] if known else 1.0


def _entry(graph: Graph, node: Node, efficiency: Mapping[int, float] | None) -> NodeProfile:
    flops_per_s = node.flops_per_s * (speed_up(node.cores, efficiency) if efficiency else node.gain(node.cores))
    seconds = {operator.name: 0.0 for operator in graph.operators}
    homes: dict[int, int] = {}
    for position, operator in enumerate(graph.operators):
        folded = is_folded(graph, position)
        homes[position] = homes[graph.producer[operator.inputs[0]]] if folded else position
        home = graph.operators[homes[position]].name
        seconds[home] += operator.flops / flops_per_s
    if node.memory_bytes_per_s:
        for position, operator in enumerate(graph.operators):
            if homes[position] == position:
                read = sum(graph.tensor[name].nbytes for name in operator.inputs)
                moved = (operator.moved_bytes + read) / node.memory_bytes_per_s
                seconds[operator.name] = max(seconds[operator.name], moved)
    return NodeProfile(
        node=node.name,
        seconds=seconds,
        call_s=node.call_s,
        cores=node.cores,
        memory_s_per_byte=1 / node.memory_bytes_per_s if node.memory_bytes_per_s else 0.0,
    )
