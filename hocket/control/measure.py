"""Measuring a model on the nodes of a cluster, through the code path that serves, emulation included."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from statistics import median

import numpy as np

from hocket.cluster import Cluster, Node
from hocket.control.curve import measured_curve, measured_sum_s_per_byte
from hocket.control.hop import measured_message_s
from hocket.control.progress import Progress, silent
from hocket.control.sessions import Reach, open_program, paced
from hocket.graph import topology
from hocket.graph.execute import random_inputs
from hocket.graph.model import Model
from hocket.plan.build import build
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.plan.placement import entry_for
from hocket.profile import CodecCost, Profile, measured_profile
from hocket.program import Program
from hocket.runtime.codecs import decode, encode
from hocket.runtime.measure import PAUSE_S, measure_operators
from hocket.runtime.zmq_transport import is_loopback
from hocket.version import __version__

_PIECES = 12
"""Segments that the model is cut into to see what a call costs."""


@dataclass(frozen=True)
class NodeTimes:
    """What measuring one model on one node gave."""

    kernel_s: Mapping[str, float]
    whole_s: float
    call_s: float
    threads: int
    host: str


def measure(
    model: Model,
    cluster: Cluster,
    *,
    inputs: Mapping[str, np.ndarray] | None = None,
    codecs: Sequence[str] = (),
    repeats: int = 15,
    timeout_s: float = 60.0,
    progress: Progress = silent,
    keys: Path | None = None,
    plaintext: bool = False,
) -> Profile:
    """Measure every operator of a model on every node.

    The whole model runs on each node in turn as one segment, and again in pieces: the difference is what a call costs.
    ONNX Runtime's profiler divides the whole among the operators. It runs on this computer, so for a node elsewhere the
    division is an approximation while the total is its own.

    Args:
        model: weights may be absent; random ones take their place.
        cluster: its nodes are started here or reached.
        inputs: absent = seeded random.
        codecs: codecs whose cost is measured too, on the inputs.
        repeats: runs that medians are taken of.
        timeout_s: most seconds that a node may be silent.
        progress: told what is going on.
        keys: our secret key file, for nodes given by join token.
        plaintext: allow unencrypted links to other machines.

    Returns:
        A profile with an entry for each node, in seconds.

    Raises:
        NodeError: a node cannot be started or reached.
    """
    model, cluster = calibrated(model), paced(cluster)
    feeds = dict(inputs) if inputs else random_inputs(model.graph)
    progress("measuring kernels", 0, 1)
    kernels = _kernel_s(model, feeds, repeats)
    progress("measuring kernels", 1, 1)
    reach: Reach = {"timeout_s": timeout_s, "keys": keys, "plaintext": plaintext}
    times = {}
    for number, node in enumerate(cluster.nodes):
        progress("measuring nodes", number, len(cluster.nodes))
        times[node.name] = _node_times(model, cluster, node, feeds, repeats, reach, kernels)
    progress("measuring nodes", len(cluster.nodes), len(cluster.nodes))
    version = f"hocket {__version__}, onnxruntime {installed('onnxruntime')}"
    profile = measured_profile(model.graph, times, version=version)
    costs = {name: _codec_cost(name, feeds, repeats) for name in codecs}
    curve, sum_s = measured_curve(model), measured_sum_s_per_byte(model)
    message_s = measured_message_s() if any(is_loopback(node.address) for node in cluster.nodes) else 0.0
    entries = [
        entry.replace(
            codecs=_slower(costs, cluster.node[entry.node]),
            curve=curve,
            memory_s_per_byte=sum_s * _factor(cluster.node[entry.node]),
            message_s=message_s if is_loopback(cluster.node[entry.node].address) else 0.0,
        )
        for entry in profile.entries
    ]
    return profile.replace(entries=tuple(entries))


def _codec_cost(name: str, feeds: Mapping[str, np.ndarray], repeats: int) -> CodecCost:
    """What a codec does to the inputs, on this computer."""
    before = after = 0
    encoding = decoding = 0.0
    for array in feeds.values():
        begin = time.perf_counter()
        for _ in range(repeats):
            buffers, meta = encode(name, array)
        middle = time.perf_counter()
        for _ in range(repeats):
            decode(name, array.dtype.name, array.shape, buffers, meta)
        encoding += (middle - begin) / repeats
        decoding += (time.perf_counter() - middle) / repeats
        before += array.nbytes
        after += sum(memoryview(buffer).nbytes for buffer in buffers)
    return CodecCost(ratio=after / before, encode_s_per_byte=encoding / before, decode_s_per_byte=decoding / before)


def _slower(costs: Mapping[str, CodecCost], node: Node) -> dict[str, CodecCost]:
    """The same on a node that is slowed down."""
    factor = _factor(node)
    return {
        name: cost.replace(
            encode_s_per_byte=cost.encode_s_per_byte * factor, decode_s_per_byte=cost.decode_s_per_byte * factor
        )
        for name, cost in costs.items()
    }


def _factor(node: Node) -> float:
    """How many times slower a node is; `paced` has made a number of it."""
    return 1.0 if node.slowdown == "auto" else node.slowdown


def _node_times(
    model: Model,
    cluster: Cluster,
    node: Node,
    feeds: Mapping[str, np.ndarray],
    repeats: int,
    reach: Reach,
    kernels: Mapping[str, float],
) -> NodeTimes:
    whole = _computing_s(_alone(model, cluster, node, ()), model, feeds, repeats, reach)
    borders = _borders(model, _PIECES)
    call_s = 0.0
    if borders:
        program = _alone(model, cluster, node, borders)
        pieces = _computing_s(program, model, feeds, repeats, reach)
        call_s = max((pieces - whole) / (len(program.segments) - 1), 0.0)
    call_s = min(call_s, whole / 2)  # a tiny model is all call
    return NodeTimes(kernel_s=kernels, whole_s=whole, call_s=call_s, threads=node.threads, host=host_name())


def _alone(model: Model, cluster: Cluster, node: Node, borders: Sequence[int]) -> Program:
    """The whole model on one node, which also has the inputs and needs the answers."""
    graph = model.graph
    entry = entry_for(graph.name, graph, [node.name] * len(graph.operators))
    inputs = {tensor.name: node.name for tensor in graph.inputs}
    return lower(graph, entry, cluster, inputs, dict.fromkeys(graph.outputs, node.name), borders=borders)


def _borders(model: Model, pieces: int) -> list[int]:
    """Block borders that divide the graph into a few pieces."""
    starts = [block.operators[0] for block in topology.blocks(model.graph)][1:]
    step = max(len(starts) // (pieces - 1), 1)
    return starts[step - 1 :: step][: pieces - 1]


def _computing_s(program: Program, model: Model, feeds: Mapping[str, np.ndarray], repeats: int, reach: Reach) -> float:
    """Median seconds that a request keeps the node's lane busy."""
    with open_program(program, model, **reach) as session:
        for _ in range(repeats + 2):
            session.run(feeds)
            time.sleep(PAUSE_S)
        spans = session.trace().spans
    per_request: dict[int, float] = {}
    for span in spans:
        if span.kind == "compute":
            per_request[span.request] = per_request.get(span.request, 0.0) + span.stop_s - span.start_s
    return median([seconds for request, seconds in per_request.items() if request >= 2])


def _kernel_s(model: Model, feeds: Mapping[str, np.ndarray], repeats: int) -> Mapping[str, float]:
    program = _local(model)
    artifacts = build(model, program)
    artifact = artifacts.artifacts[0]
    weights = {name: artifacts.weight(sha256) for name, sha256 in artifact.weights.items()}
    return measure_operators(artifact.model, weights, feeds, repeats=repeats).kernel_s


def _local(model: Model) -> Program:
    here = Cluster(name="here", nodes=(Node(name="here", flops_per_s=1e9),))
    return _alone(model, here, here.nodes[0], ())


def host_name() -> str:
    """Processor and system of this computer, as far as Python knows."""
    import platform

    return f"{platform.machine()} {platform.processor() or 'processor'}, {platform.system()} {platform.release()}"
