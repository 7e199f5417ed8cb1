"""Measuring a model on the nodes of a cluster, through the code path that serves, emulation included."""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from statistics import median

import numpy as np

from hocket.cluster import Cluster, Node
from hocket.control.codec_costs import codec_cost, slowdown_of, slower
from hocket.control.curve import measured_curve, measured_sum_s_per_byte
from hocket.control.hop import measured_message_s
from hocket.control.progress import Progress, silent
from hocket.control.sessions import Reach, open_program, paced
from hocket.control.steps import counted, measured_feeds, measured_step, opening
from hocket.graph import topology
from hocket.graph.model import Model
from hocket.plan.build import build
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.plan.placement import entry_for
from hocket.profile import Profile, measured_profile
from hocket.program import Program
from hocket.runtime.inproc import Network
from hocket.runtime.measure import PAUSE_S, measure_operators
from hocket.runtime.wire import Step
from hocket.runtime.zmq_transport import is_loopback
from hocket.version import __version__

_PIECES = 12
"""Segments that the model is cut into to see what a call costs."""


_WARM_UPS = 2


@dataclass(frozen=True)
class _Work:
    """What every node is asked to compute."""

    model: Model
    feeds: Mapping[str, np.ndarray]
    step: Step | None
    repeats: int


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
    kept: int | None = None,
    codecs: Sequence[str] = (),
    repeats: int = 15,
    timeout_s: float = 60.0,
    progress: Progress = silent,
    keys: Path | None = None,
    plaintext: bool = False,
    network: Network | None = None,
) -> Profile:
    """Measure every operator of a model on every node.

    The whole model runs on each node in turn as one segment, and again in pieces: the difference is what a call costs.
    ONNX Runtime's profiler divides the whole among the operators. It runs on this computer, so for a node elsewhere the
    division is an approximation while the total is its own.

    Of a model that keeps states the step is measured that its graph is bound to, behind `kept` positions. Reading a
    prompt and decoding cost different amounts: bind the graph to each and measure both.

    Args:
        model: weights may be absent; random ones take their place.
        cluster: its nodes are started here or reached.
        inputs: absent = seeded random; integers are 0 where states are kept, for every vocabulary has that.
        kept: positions that the buffers hold before the step, of a model that keeps states; absent = half of what the
            step leaves room for. The profile has it as the size `kept`.
        codecs: codecs whose cost is measured too, on the inputs.
        repeats: runs that medians are taken of.
        timeout_s: most seconds that a node may be silent.
        progress: told what is going on.
        keys: our secret key file, for nodes given by join token.
        plaintext: allow unencrypted links to other machines.
        network: run the nodes as threads on this in-process network instead (for tests).

    Returns:
        A profile with an entry for each node, in seconds.

    Raises:
        GraphError: inputs of another length than the graph's step, or more kept than there is room for.
        NodeError: a node cannot be started or reached.
    """
    step = measured_step(model.graph, kept)
    feeds = measured_feeds(model.graph, inputs, step)
    # Calibrating runs each operator alone, which those that read a sequence's states cannot.
    model, cluster = model if step else calibrated(model), paced(cluster)
    progress("measuring kernels", 0, 1)
    work = _Work(model, feeds, step, repeats)
    kernels = _kernel_s(work)
    progress("measuring kernels", 1, 1)
    reach: Reach = {"timeout_s": timeout_s, "keys": keys, "plaintext": plaintext, "network": network}
    times = {}
    for number, node in enumerate(cluster.nodes):
        progress("measuring nodes", number, len(cluster.nodes))
        times[node.name] = _node_times(work, cluster, node, reach, kernels)
    progress("measuring nodes", len(cluster.nodes), len(cluster.nodes))
    version = f"hocket {__version__}, onnxruntime {installed('onnxruntime')}"
    profile = measured_profile(model.graph, times, version=version)
    costs = {name: codec_cost(name, feeds, repeats) for name in codecs}
    curve, sum_s = measured_curve(model), measured_sum_s_per_byte(model)
    here = network is None and any(is_loopback(node.address) for node in cluster.nodes)
    message_s = measured_message_s() if here else 0.0
    entries = [
        entry.replace(
            codecs=slower(costs, cluster.node[entry.node]),
            bindings={**entry.bindings, **({"kept": step.start} if step else {})},
            curve=curve,
            memory_s_per_byte=sum_s * slowdown_of(cluster.node[entry.node]),
            message_s=message_s if is_loopback(cluster.node[entry.node].address) else 0.0,
        )
        for entry in profile.entries
    ]
    return profile.replace(entries=tuple(entries))


def _node_times(work: _Work, cluster: Cluster, node: Node, reach: Reach, kernels: Mapping[str, float]) -> NodeTimes:
    whole = _computing_s(_alone(work.model, cluster, node, ()), work, reach)
    borders = _borders(work.model, _PIECES)
    call_s = 0.0
    if borders:
        program = _alone(work.model, cluster, node, borders)
        pieces = _computing_s(program, work, reach)
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


def _computing_s(program: Program, work: _Work, reach: Reach) -> float:
    """Median seconds that a request keeps the node's lane busy."""
    step = work.step
    steps = itertools.chain([opening(step) if step else None], itertools.repeat(step))
    with open_program(program, work.model, **reach) as session:
        for _, place in zip(range(work.repeats + _WARM_UPS), steps, strict=False):
            session.run(work.feeds, step=place)
            time.sleep(PAUSE_S)
        spans = session.trace().spans
    per_request: dict[int, float] = {}
    for span in spans:
        if span.kind == "compute":
            per_request[span.request] = per_request.get(span.request, 0.0) + span.stop_s - span.start_s
    return median([seconds for request, seconds in per_request.items() if request >= _WARM_UPS])


def _kernel_s(work: _Work) -> Mapping[str, float]:
    program = _local(work.model)
    artifacts = build(work.model, program)
    artifact = artifacts.artifacts[0]
    weights = {name: artifacts.weight(sha256) for name, sha256 in artifact.weights.items()}
    inputs = {**work.feeds, **counted(work.model.graph, work.step)}
    times = measure_operators(artifact.model, weights, inputs, states=program.states, repeats=work.repeats)
    return times.kernel_s


def _local(model: Model) -> Program:
    here = Cluster(name="here", nodes=(Node(name="here", flops_per_s=1e9),))
    return _alone(model, here, here.nodes[0], ())


def host_name() -> str:
    """Processor and system of this computer, as far as Python knows."""
    import platform

    return f"{platform.machine()} {platform.processor() or 'processor'}, {platform.system()} {platform.release()}"
