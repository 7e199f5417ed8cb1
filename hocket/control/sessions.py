"""Opening the runtime's sessions for a plan: lower it, build its models, start or reach its nodes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack

from hocket.cluster import Cluster, Node
from hocket.control.progress import Progress, silent
from hocket.cost import Problem, Task
from hocket.cost.evaluate import entries_of, entry_of, served
from hocket.graph.model import Model
from hocket.plan import Entry, Plan
from hocket.plan.build import build
from hocket.plan.lower import lower
from hocket.plan.shares import held, station
from hocket.program import Program
from hocket.runtime.fleet import Fleet
from hocket.runtime.inproc import Network
from hocket.runtime.keys import load_keys
from hocket.runtime.measure import measure_speed
from hocket.runtime.session import Session
from hocket.runtime.zmq_transport import is_loopback


class Reach(TypedDict, total=False):
    """How nodes are reached and told of: what `open_program` takes by name."""

    keys: Path | None
    plaintext: bool
    timeout_s: float
    progress: Progress
    cpus: Mapping[str, int] | None
    network: Network | None


def open_session(problem: Problem, plan: Plan, model: Model, **reach: Unpack[Reach]) -> Session:
    """Deploy the only task of a problem.

    Args:
        problem: task and cluster.
        plan: where its operators run.
        model: the weights.
        reach: as for `open_program`.

    Raises:
        PlanError: the plan does not fit the problem.
        NodeError: a node cannot be started or reached, or refuses.
    """
    task = problem.task
    program = lower(task.graph, entry_of(plan, task), paced(problem.cluster), task.inputs, task.outputs)
    return open_program(program, model, **reach)


class Line(NamedTuple):
    """One entry of a task, deployed."""

    task: Task
    entry: Entry
    fraction: float
    """Of the task's requests."""
    session: Session
    lanes: Mapping[str, str]
    """Node -> the lane that the task's share of it is."""


@contextmanager
def open_lines(
    problem: Problem,
    plan: Plan,
    models: Mapping[str, Model],
    *,
    keys: Path | None = None,
    plaintext: bool = False,
    timeout_s: float = 30.0,
    progress: Progress = silent,
    cpus: Mapping[str, int] | None = None,
    network: Network | None = None,
) -> Iterator[tuple[Fleet, list[Line]]]:
    """Deploy all tasks at once on one fleet: a session for each entry, and none that is above the others.

    Args:
        problem: tasks and cluster.
        plan: where the operators of each task run.
        models: task -> its weights.
        keys: as for `open_program`, like the others.
        plaintext: likewise.
        timeout_s: likewise.
        progress: likewise.
        cpus: likewise.
        network: run the nodes as threads on this in-process network instead (for tests).

    Yields:
        The fleet and the deployed entries, in the order of the tasks; what was started ends with the context.

    Raises:
        PlanError: the plan does not fit the problem.
        NodeError: a node cannot be started or reached, or refuses.
    """
    cluster = paced(problem.cluster)
    planned = [(task, *part) for task in served(problem, plan) for part in entries_of(plan, task)]
    programs = [lower(task.graph, entry, cluster, task.inputs, task.outputs) for task, _, entry in planned]
    used = {node for program in programs for node in program.nodes()}
    progress("starting nodes", 0, 1)
    sites = [site for site in cluster.to_program()[0] if site.name in used]
    pair = load_keys(keys) if keys else None
    with Fleet(sites, timeout_s=timeout_s, keys=pair, plaintext=plaintext, cpus=cpus, network=network) as fleet:
        progress("starting nodes", 1, 1)
        lines: list[Line] = []
        try:
            for number, ((task, fraction, entry), program) in enumerate(zip(planned, programs, strict=True)):
                progress("deploying", number, len(planned))
                made = build(models[task.name], program)
                lanes = {name: station(name, task.name) for name in held(cluster, entry) if name in cluster.node}
                session = Session(program, made.artifacts, made.weight, fleet=fleet, timeout_s=timeout_s, lanes=lanes)
                lines.append(Line(task, entry, fraction, session, lanes))
            progress("deploying", len(planned), len(planned))
            fleet.restart_links()
            yield fleet, lines
        finally:
            for line in lines:
                line.session.close()


def paced(cluster: Cluster) -> Cluster:
    """The cluster with a number for every `slowdown = "auto"`: measured speed of this computer / that of the node.

    A node that is not started here has the pace that it has: there `auto` becomes 1.
    """
    if all(node.slowdown != "auto" for node in cluster.nodes):
        return cluster
    host = measure_speed()["flops_per_s"] if any(_imitated(node) for node in cluster.nodes) else None
    sites = {site.name: site for site in cluster.to_program(host_flops_per_s=host)[0]}
    nodes = (
        node.replace(slowdown=sites[node.name].slowdown if _imitated(node) else 1.0)
        if node.slowdown == "auto"
        else node
        for node in cluster.nodes
    )
    return cluster.replace(nodes=tuple(nodes))


def _imitated(node: Node) -> bool:
    """Whether the session starts a node itself and has to find out how far to slow it down."""
    return node.slowdown == "auto" and node.address.endswith(":0") and is_loopback(node.address)


def open_program(
    program: Program,
    model: Model,
    *,
    keys: Path | None = None,
    plaintext: bool = False,
    timeout_s: float = 30.0,
    progress: Progress = silent,
    cpus: Mapping[str, int] | None = None,
    network: Network | None = None,
) -> Session:
    """Deploy a program.

    Args:
        program: what runs where.
        model: the weights.
        keys: secret key file, for nodes on other machines.
        plaintext: allow unencrypted links to other machines.
        timeout_s: most seconds that a node may be silent.
        progress: told what is going on.
        cpus: node -> processor that a node started here keeps to.
        network: run the nodes as threads on this in-process network instead (for tests).

    Raises:
        NodeError: a node cannot be started or reached, or refuses.
    """
    progress("building models", 0, 1)
    artifacts = build(model, program)
    progress("building models", 1, 1)
    progress("starting nodes", 0, 1)
    session = Session(
        program,
        artifacts.artifacts,
        artifacts.weight,
        keys=load_keys(keys) if keys else None,
        plaintext=plaintext,
        timeout_s=timeout_s,
        cpus=cpus,
        network=network,
    )
    progress("starting nodes", 1, 1)
    return session
