"""Energy, price, reliability and memory of a program that has been timed.

Sums run in the order of names, so that two computers get the same float.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from hocket.cluster import Cluster
from hocket.cost.work import weight_bytes
from hocket.graph import Graph, nbytes
from hocket.graph.regions.box import extent
from hocket.program import Port, Program, Segment, Span, TensorInfo


def busy_s(spans: Iterable[Span], program: Program) -> dict[str, float]:
    """Seconds per resource: `node` for a node's lane, the resource's name for what transfers hold."""
    wires = {(wire.source, wire.target): wire for wire in program.wires}
    busy: dict[str, float] = defaultdict(float)
    for span in spans:
        if span.kind == "transfer":
            wire = wires[span.node, span.target]
            for name in wire.resources:
                busy[name] += span.stop_s - span.start_s - wire.latency_s
        elif span.kind != "request":
            busy[span.node] += span.stop_s - span.start_s
    return dict(sorted(busy.items()))


def sending_s(spans: Iterable[Span], program: Program) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds that each node's radio sends and receives, latency left out: ({node: s}, {node: s})."""
    wires = {(wire.source, wire.target): wire for wire in program.wires}
    sends: dict[str, float] = defaultdict(float)
    receives: dict[str, float] = defaultdict(float)
    for span in spans:
        if span.kind == "transfer":
            seconds = span.stop_s - span.start_s - wires[span.node, span.target].latency_s
            sends[span.node] += seconds
            receives[span.target] += seconds
    return dict(sends), dict(receives)


def energy_j(
    cluster: Cluster,
    computes: Mapping[str, float],
    sends: Mapping[str, float],
    receives: Mapping[str, float],
    elapsed_s: float,
    clocks_hz: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Joules of each node that takes part: computing, sending, receiving, and idling for the rest of the time.

    E = active_w t_c + transmit_w t_s + receive_w t_r + idle_w (elapsed - t_c); survey 2.3(2) without its slips.
    """
    joules = {}
    for name in sorted({*computes, *sends, *receives}):
        node = cluster.node[name]
        computing = computes.get(name, 0.0)
        joules[name] = (
            node.active_w((clocks_hz or {}).get(name)) * computing
            + node.transmit_w * sends.get(name, 0.0)
            + node.receive_w * receives.get(name, 0.0)
            # A request that never ends would make 0 x infinity of a node without idle power.
            + (node.idle_w * max(elapsed_s - computing, 0.0) if node.idle_w else 0.0)
        )
    return joules


def cubic_energy_j(kappa: float, frequency_hz: float, cycles: float) -> float:
    """Joules of a computation where power grows with the cube of the frequency: kappa f^2 cycles.

    >>> round(cubic_energy_j(1e-28, 1e9, 2e9), 12)
    0.2
    """
    return kappa * frequency_hz**2 * cycles


def price_usd(
    cluster: Cluster, computes: Mapping[str, float], sends: Mapping[str, float], joules: Mapping[str, float]
) -> float:
    """US dollars: rent of the computing and sending seconds, and the energy at its price."""
    total = 0.0
    for name in sorted({*computes, *sends, *joules}):
        node = cluster.node[name]
        total += node.compute_price_per_s * computes.get(name, 0.0)
        total += node.transmit_price_per_s * sends.get(name, 0.0)
        total += node.energy_price_per_j * joules.get(name, 0.0)
    return total


def memory_bytes(graph: Graph, program: Program, *, whole_model: bool = False) -> dict[str, int]:
    """Bytes on each node: the weights of its operators, each tensor once, and mailboxes for the window.

    What ONNX Runtime copies and what a segment needs while it computes is not in it.
    """
    boxes: dict[str, int] = defaultdict(int)
    hosted: dict[str, list[Segment]] = defaultdict(list)
    infos = {tensor.name: tensor for tensor in program.tensors}
    for segment in program.segments:
        hosted[segment.node].append(segment)
        boxes[segment.node] += sum(_port_bytes(port, infos) for port in segment.inputs)
    held = {
        node: graph.weight_bytes if whole_model else weight_bytes(graph, segments) for node, segments in hosted.items()
    }
    return {node: held[node] + boxes[node] * program.window for node in sorted(held)}


def _port_bytes(port: Port, infos: Mapping[str, TensorInfo]) -> int:
    info = infos[port.tensor]
    return nbytes(info.dtype, info.shape if port.region is None else extent(port.region))
