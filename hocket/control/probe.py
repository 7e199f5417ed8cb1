"""From running nodes to a cluster file: who they are, how fast they compute, and what lies between them."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.control.progress import Progress, silent
from hocket.control.workload import work_program, work_speed
from hocket.errors import ClusterError, LateError
from hocket.program import Artifact, Binding, Program, Site, TensorInfo
from hocket.runtime import wire
from hocket.runtime.client import Client
from hocket.runtime.keys import Keys, load_keys, read_token
from hocket.runtime.measure import measure_link
from hocket.runtime.session import Session
from hocket.runtime.zmq_transport import ZmqTransport

MOST_LOCAL = 64
_WORK_S = 60.0  # the work that a node is measured with takes a small one long
_SMALL_BYTES, _MOST_BYTES = 1 << 16, 4 << 20
_MESSAGE_S = 0.1
"""About how long a message takes that a rate is measured with."""


def probe(
    addresses: Sequence[str] = (),
    *,
    local: int = 0,
    keys: Path | None = None,
    plaintext: bool = False,
    timeout_s: float = 10.0,
    progress: Progress = silent,
) -> Cluster:
    """Measure running nodes, or some that are started here, and describe them as a cluster.

    Each node computes a product and a copy of known size in a session, through the code path that serves; then each
    pair exchanges messages. Pairs that cannot reach each other get no link. Of memory only the limit that a node was
    started with is known, and a node does not tell its cores.

    Args:
        addresses: of running nodes, or their join tokens.
        local: how many nodes to start here instead.
        keys: our secret key file, for nodes given by join token.
        plaintext: allow unencrypted links to other machines.
        timeout_s: most seconds that a node may be silent.
        progress: told what is going on.

    Returns:
        A cluster whose figures have three digits: speed of one core, bandwidth of the memory, rates and latencies.

    Raises:
        ClusterError: no node to measure, or an address that is none.
        NodeError: a node cannot be reached, or refuses.
    """
    pair = load_keys(keys) if keys else None
    cluster = _draft(addresses, local)
    if addresses:
        cluster = _introduced(cluster, pair, plaintext, timeout_s)
    nodes = []
    for number, node in enumerate(cluster.nodes):
        progress("measuring nodes", number, len(cluster.nodes))
        nodes.append(_measured(node, pair, plaintext, timeout_s))
    progress("measuring nodes", len(nodes), len(nodes))
    links = _links(cluster, pair, plaintext, timeout_s, progress) if len(nodes) > 1 else ()
    return cluster.replace(nodes=tuple(nodes), links=links)


def _draft(addresses: Sequence[str], local: int) -> Cluster:
    """Nodes with nothing but names and addresses; the cluster itself refuses bad and repeated addresses."""
    if bool(addresses) == bool(local):
        given = "both" if local else "neither"
        raise ClusterError(f"nodes to probe are running ones or local ones, got {given}; give addresses or --local N")
    if not 0 <= local <= MOST_LOCAL:
        raise ClusterError(f"0 to {MOST_LOCAL} local nodes can be started, got {local}; ask for fewer or for more")
    if local:
        nodes = [Node(name=f"node{number}", flops_per_s=1.0) for number in range(1, local + 1)]
    else:
        nodes = [Node(name=f"node{n}", flops_per_s=1.0, address=a) for n, a in enumerate(addresses, 1)]
    return Cluster(name="probed", nodes=tuple(nodes))


def _introduced(cluster: Cluster, keys: Keys | None, plaintext: bool, timeout_s: float) -> Cluster:
    """The cluster with what its nodes say of themselves; two that bear one name keep their numbers."""
    welcomes = _welcomes(cluster, keys, plaintext, timeout_s)
    counts = Counter(welcome.name for welcome in welcomes)
    known = set(cluster.node)
    nodes = []
    for node, welcome in zip(cluster.nodes, welcomes, strict=True):
        free = counts[welcome.name] == 1 and (welcome.name == node.name or welcome.name not in known)
        nodes.append(_named(node, welcome.name if free else node.name, welcome.memory_bytes or None))
    return Cluster(name=cluster.name, nodes=tuple(nodes))


def _named(node: Node, name: str, memory_bytes: int | None) -> Node:
    try:
        return node.replace(name=name, memory_bytes=memory_bytes)
    except ClusterError:  # a node may bear any name, a cluster file only short and plain ones
        return node.replace(memory_bytes=memory_bytes)


def _welcomes(cluster: Cluster, keys: Keys | None, plaintext: bool, timeout_s: float) -> list[wire.Welcome]:
    transport = ZmqTransport("probe", keys=keys, plaintext=plaintext)
    try:
        client = Client(transport, lambda: None, timeout_s)
        for node in cluster.nodes:
            token = node.address.startswith("hocket1:")
            client.connect(node.name, *(read_token(node.address) if token else (node.address, "")))
        hello = wire.Hello(wire.VERSION, "probe")
        return [client.ask(node.name, hello, wire.Welcome) for node in cluster.nodes]
    finally:
        transport.close()


def _no_weights(sha256: str) -> np.ndarray:
    """What is run here has none."""
    raise KeyError(sha256)


def _site(node: Node) -> Site:
    return Site(name=node.name, address=node.address)


def _measured(node: Node, keys: Keys | None, plaintext: bool, timeout_s: float) -> Node:
    """The node with its speeds, measured while no other works."""
    program, artifacts = work_program(_site(node))
    with _session(program, artifacts, keys, plaintext, max(timeout_s, _WORK_S)) as session:
        speed = work_speed(session)
    return node.replace(
        flops_per_s=three_digits(speed["flops_per_s"]), memory_bytes_per_s=three_digits(speed["bytes_per_s"])
    )


def _session(
    program: Program, artifacts: Sequence[Artifact], keys: Keys | None, plaintext: bool, timeout_s: float
) -> Session:
    return Session(program, artifacts, _no_weights, keys=keys, plaintext=plaintext, emulate=False, timeout_s=timeout_s)


def _links(
    cluster: Cluster, keys: Keys | None, plaintext: bool, timeout_s: float, progress: Progress
) -> tuple[Link, ...]:
    """A link for each pair whose messages arrive in both directions."""
    program = Program(
        name="probe",
        sites=tuple(_site(node) for node in cluster.nodes),
        wires=(),
        resources=(),
        tensors=(TensorInfo(name="x", dtype="float32", shape=(1,)),),
        segments=(),
        transfers=(),
        inputs=tuple(Binding(tensor="x", node=node.name) for node in cluster.nodes),
        outputs=(),
    )
    pairs = list(combinations(cluster.node, 2))
    links = []
    with _session(program, (), keys, plaintext, timeout_s) as session:
        for number, (a, b) in enumerate(pairs):
            progress("measuring links", number, len(pairs))
            try:
                links.append(_link(session, a, b))
            except LateError:
                session.counters()  # every node answers, so it is the way between these two; else this raises
    progress("measuring links", len(pairs), len(pairs))
    return tuple(links)


def _link(session: Session, a: str, b: str) -> Link:
    up, down = (_direction(session, *ends) for ends in ((a, b), (b, a)))
    # One clock is as much ahead as the other is behind: the mean of both ways does not depend on them.
    latency_s = max((up["latency_s"] + down["latency_s"]) / 2, 0.0)
    rates = [three_digits(8 * way["bytes_per_s"]) / 8 for way in (up, down)]
    return Link(
        between=(a, b),
        up=Direction(bytes_per_s=rates[0]),
        down=Direction(bytes_per_s=rates[1]),
        latency_s=three_digits(latency_s),
    )


def _direction(session: Session, source: str, target: str) -> dict[str, float]:
    """Rate and latency of one way, from messages that are long for it but not too long to wait for."""
    session.probe(source, target, _SMALL_BYTES)  # opens the connection
    empty_s = session.probe(source, target, 0)
    small_s = max(session.probe(source, target, _SMALL_BYTES) - empty_s, 1e-6)
    nbytes = min(max(int(_SMALL_BYTES * _MESSAGE_S / small_s), _SMALL_BYTES), _MOST_BYTES)
    return measure_link(session, source, target, nbytes=nbytes)


def three_digits(number: float) -> float:
    """A number with as many digits as a measurement is good for.

    >>> three_digits(37_412_345.6)
    37400000.0
    """
    return float(f"{number:.3g}")
