"""`deploy`: put a solution on its nodes and keep it alive."""

import contextlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from hocket.control.live.facts import World
from hocket.control.live.keeper import Keeper
from hocket.control.live.policy import policy_of
from hocket.control.live.session import LiveSession
from hocket.control.live.shelf import Shelf
from hocket.control.live.state import Rules
from hocket.control.live.thinking import Manner, facts_of, only
from hocket.control.live.wishes import Policy
from hocket.control.run import load_planned
from hocket.control.sessions import paced
from hocket.cost import Problem
from hocket.cost.evaluate import served
from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.graph.model import Model
from hocket.plan import Plan
from hocket.plan.shares import held, station
from hocket.profile import formula_profile
from hocket.runtime.fleet import Fleet
from hocket.runtime.inproc import Network
from hocket.runtime.keys import load_keys
from hocket.solvers import Solution

_LOG = 10_000
_LEAST_START_S = 120.0  # bringing a large model to a small node takes long


class Live:
    """A solution that is being served: a session for each of its tasks, on one fleet.

    With one task it can be used as that task's session.
    """

    def __init__(self, fleet: Fleet, sessions: Mapping[str, LiveSession], close: contextlib.ExitStack) -> None:
        self.fleet, self._close = fleet, close
        self.tasks: Mapping[str, LiveSession] = MappingProxyType(dict(sessions))
        """Task -> its session."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all sessions, and the nodes that were started here."""
        self._close.close()

    @property
    def session(self) -> LiveSession:
        """The session of the only task.

        Raises:
            PlanError: there are several.
        """
        if len(self.tasks) > 1:
            raise PlanError(f"there are {len(self.tasks)} tasks ({', '.join(self.tasks)}); take one of `tasks`")
        return next(iter(self.tasks.values()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.session, name)


def deploy(
    solution: Solution,
    *,
    models: Mapping[str, Model] | Model | None = None,
    others: Mapping[str, tuple[Model, float]] | None = None,
    policy: str | Policy = "replan",
    rules: Rules | None = None,
    solver: str | None = None,
    time_limit_s: float | None = None,
    timeout_s: float = 30.0,
    keys: Path | None = None,
    plaintext: bool = False,
    addresses: Mapping[str, str] | None = None,
    emulate: bool | None = None,
    cpus: Mapping[str, int] | None = None,
    network: Network | None = None,
    fleet: Fleet | None = None,
) -> Live:
    """Serve a solution until the session is closed, whatever happens to nodes and links meanwhile.

    Args:
        solution: plan and problem.
        models: task -> its weights, or those of the only task; absent = loaded from the files that the tasks name.
        others: name -> another model with the same inputs and outputs, and its accuracy relative to the task's own: an
            early exit, a skipped block. After a loss `Rules.recovery` chooses between them and a new division.
        policy: when to have another plan: `static`, `table`, `threshold`, `replan`, or a `Policy`.
        rules: how careful to be; absent = a plan with its weights is kept for the loss of each node. Where they limit
            no memory the cluster does.
        solver: that plans again; absent = the solution's.
        time_limit_s: how long it may search each time.
        timeout_s: most seconds that a request may take, unless it brings its own deadline.
        keys: secret key file, for nodes on other machines.
        plaintext: allow unencrypted links to other machines.
        addresses: node -> address or join token, instead of the cluster's.
        emulate: make wires as slow as the cluster says; absent = where all nodes are started here.
        cpus: node -> processor that a node started here keeps to.
        network: run the nodes as threads on this in-process network instead (for tests).
        fleet: running nodes; absent = those of the cluster, which end with the session.

    Raises:
        PlanError: the plan does not fit the problem, or refuses every task.
        NodeError: a node cannot be started, or no plan can run.
    """
    problem = solution.problem.replace(cluster=paced(solution.problem.cluster))
    tasks = served(problem, solution.plan)
    if others and len(tasks) > 1:
        raise PlanError(f"other models are for one task, and there are {len(tasks)}; deploy them one by one")
    if not tasks:
        raise PlanError("the plan refuses every task, so there is nothing to serve; serve one of them")
    given = {tasks[0].name: models} if isinstance(models, Model) else dict(models or {})
    chosen = policy_of(policy) if isinstance(policy, str) else policy
    manner = Manner(solver or solution.solver or "auto", solution.seed, time_limit_s)
    with contextlib.ExitStack() as stack:
        if fleet is None:
            fleet = stack.enter_context(
                Fleet(
                    problem.cluster.to_program()[0],
                    timeout_s=timeout_s,
                    addresses=addresses,
                    keys=load_keys(keys) if keys else None,
                    plaintext=plaintext,
                    emulate=emulate,
                    cpus=cpus,
                    network=network,
                )
            )
        memory = {node.name: node.memory_bytes for node in problem.cluster.nodes if node.memory_bytes is not None}
        careful = rules or Rules()
        careful = careful if careful.memory_bytes else replace(careful, memory_bytes=memory)
        sessions = {}
        for task in tasks:
            model = given.get(task.name) or load_planned(task.graph)
            sessions[task.name] = session = _session(
                only(problem, task.name), solution.plan, model, others or {}, fleet, careful, chosen, manner, timeout_s
            )
            stack.callback(session.close)
        for session in sessions.values():
            session.wait(max(timeout_s, _LEAST_START_S))
        return Live(fleet, sessions, stack.pop_all())


def _session(
    problem: Problem, plan: Plan, model: Model, others: Mapping[str, tuple[Model, float]], fleet: Fleet, rules: Rules,
    policy: Policy, manner: Manner, timeout_s: float,
) -> LiveSession:  # fmt: skip
    """Keep one task alive."""
    task = problem.task
    plan = plan.replace(entries=tuple(entry for entry in plan.entries if entry.task == task.name))
    lanes = {
        name: station(name, task.name)
        for entry in plan.entries
        for name in held(problem.cluster, entry)
        if name in problem.cluster.node
    }
    problems = {name: _with_model(problem, name, other) for name, (other, _) in others.items()}
    shelf = Shelf(problem, model, {name: (problems[name], other) for name, (other, _) in others.items()})
    facts = shelf.number(plan, facts_of(problem, plan), World())
    log: deque[tuple[float, str]] = deque(maxlen=_LOG)

    def told(at_s: float, sentence: str) -> None:
        log.append((at_s, sentence))

    keeper = Keeper(
        problem, shelf, facts, fleet, rules=rules, policy=policy, manner=manner, lanes=lanes, told=told,
        others={name: (problems[name], accuracy) for name, (_, accuracy) in others.items()},
    )  # fmt: skip
    window = sum(line.window for line in facts.lines)
    return LiveSession(problem, keeper, shelf, window, timeout_s, log)


def _with_model(problem: Problem, name: str, model: Model) -> Problem:
    """The problem with another model in its task.

    Raises:
        PlanError: it takes or gives something else.
    """
    task, graph = problem.task, model.graph
    for what, own, other in (
        ("inputs", _ends(task.graph, task.inputs), _ends(graph, [tensor.name for tensor in graph.inputs])),
        ("outputs", _ends(task.graph, task.outputs), _ends(graph, graph.outputs)),
    ):
        if own != other:
            raise PlanError(
                f"another model has the task's {what}, {own}, and {name!r} has {other}; rename or reshape them"
            )
    known = {operator.name for operator in task.graph.operators}
    if all(operator.name in known for operator in graph.operators):
        names = [operator.name for operator in graph.operators]
        entries = tuple(
            entry.replace(seconds={each: entry.seconds[each] for each in names}) for entry in task.profile.entries
        )
        profile = task.profile.replace(graph=graph.name, entries=entries)
    else:
        profile = formula_profile(graph, problem.cluster)
    return problem.replace(tasks=(task.replace(graph=graph, profile=profile),))


def _ends(graph: Graph, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    return {name: graph.tensor[name].shape for name in sorted(names)}
