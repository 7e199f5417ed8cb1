"""Bringing a program to its nodes: what they lack, and nothing else."""

from collections.abc import Mapping, Sequence

from hocket.errors import NodeError, PlanError
from hocket.program import Artifact, Program, WeightSource
from hocket.runtime import wire
from hocket.runtime.client import Client
from hocket.runtime.delivery import Delivery

_ABOUT_WEIGHTS: tuple[type[wire.Lack | wire.Stored], ...] = (wire.Lack, wire.Stored)
_LEAST_PREPARE_S = 120.0  # loading and warming up a large model takes long on a small node


def deploy(
    client: Client,
    name: str,
    program: Program,
    artifacts: Sequence[Artifact],
    weights: WeightSource,
    peers: Sequence[wire.Peer],
    *,
    emulate: bool,
    lease_s: float,
    warmups: int,
    lanes: Mapping[str, str],
) -> None:
    """Send every node what it lacks and let it prepare its part; returns when all are ready.

    Raises:
        PlanError: a segment has no artifact.
        NodeError: a node refuses or is late.
    """
    by_segment = {artifact.segment: artifact for artifact in artifacts}
    parts: dict[str, list[Artifact]] = {}
    for node in program.nodes():
        segments = [segment.id for segment in program.at(node)]
        missing = [segment for segment in segments if segment not in by_segment]
        if missing:
            raise PlanError(f"segment {missing[0]!r} has no artifact; build the program before it is run")
        parts[node] = [by_segment[segment] for segment in segments]
        send_weights(client, node, parts[node], weights)
    text = program.to_json().encode()
    for node, own in parts.items():
        models = tuple(wire.Model(each.segment, each.sha256, dict(each.weights)) for each in own)
        message = wire.Prepare(name, node, tuple(peers), models, emulate, lease_s, warmups, lanes.get(node, ""))
        client.send(node, message, [text, *(each.model for each in own)])
    for node in parts:
        prepared = client.wait(node, wire.Prepared, timeout_s=max(client.timeout_s, _LEAST_PREPARE_S))
        if prepared.sentence:
            raise NodeError(f"node {node!r} cannot run its part: {prepared.sentence}")


def send_weights(client: Client, node: str, artifacts: Sequence[Artifact], weights: WeightSource) -> int:
    """Send the weights that a node lacks; the number of bytes sent."""
    delivery = Delivery(None, node, artifacts, weights, None, ())
    outgoing = delivery.advance(None)
    while not delivery.ended:
        for message, buffers in outgoing:
            client.send(node, message, buffers)
        outgoing = delivery.advance(client.wait_any(node, _ABOUT_WEIGHTS))
    if delivery.sentence:
        raise NodeError(f"node {node!r} cannot get its weights: {delivery.sentence}")
    return delivery.nbytes


def align(client: Client, welcomes: Mapping[str, wire.Welcome], own_clock: str) -> dict[str, tuple[float, float]]:
    """Node -> (seconds to add to its clock to get ours, how far that may be off)."""
    same = {node for node, welcome in welcomes.items() if own_clock and welcome.clock == own_clock}
    return {node: (0.0, 0.0) if node in same else client.clock(node) for node in welcomes}
