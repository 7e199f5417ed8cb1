"""Everything on one node: the plans that every other one has to beat."""

from hocket.cost import Cost, Problem, Task, evaluate
from hocket.errors import ClusterError, PlanError, RefusedError
from hocket.plan import Plan
from hocket.solvers.additive import Additive
from hocket.solvers.layout import Layout


def hosts_of(problem: Problem) -> list[str]:
    """Nodes that can compute every task, in the cluster's order."""
    names = [node.name for node in problem.cluster.nodes]
    return [name for name in names if all(name in task.profile.nodes for task in problem.tasks)]


def plan_at(problem: Problem, node: str | None, *, raw: bool = False) -> Plan:
    """Every task whole on a node, or where its first input is; inputs go there in the best of their codecs, or raw."""
    plans = [_whole(problem, task, task.source if node is None else node, raw) for task in problem.tasks]
    return Plan(
        entries=tuple(entry for plan in plans for entry in plan.entries),
        graph={name: sha256 for plan in plans for name, sha256 in plan.graph.items()},
    )


def _whole(problem: Problem, task: Task, node: str, raw: bool) -> Plan:
    layout = Layout(problem, task)
    codecs = {} if raw or not task.input_codecs else Additive(layout, {"sequential": 1.0}).codecs
    return layout.plan([problem.cluster.index[node]] * len(layout.units), codecs)


def fixed_plans(problem: Problem) -> dict[str, Plan]:
    """The obvious plans by name: `local`, `remote:NODE`, and with packed inputs `remote:NODE+packed`."""
    plans = {}
    hosts = hosts_of(problem)
    sources = {task.source for task in problem.tasks}
    if all(task.source in task.profile.nodes for task in problem.tasks):
        plans["local"] = plan_at(problem, None, raw=True)
    for node in hosts:
        if sources == {node}:
            continue
        plans[f"remote:{node}"] = plan_at(problem, node, raw=True)
        packed = plan_at(problem, node)
        if any(entry.codecs for entry in packed.entries):
            plans[f"remote:{node}+packed"] = packed
    return plans


def judged(problem: Problem, plan: Plan) -> Cost | None:
    """The cost of a plan; None if it cannot be lowered, because a way is missing."""
    try:
        return evaluate(problem, plan)
    except (ClusterError, PlanError):
        return None


def best_fixed(problem: Problem) -> Cost:
    """The cost of the best of the fixed plans; if none is feasible, of the one that breaks fewest constraints.

    Raises:
        RefusedError: no node computes the model and has a way to where it is needed.
    """
    costs = [cost for plan in fixed_plans(problem).values() if (cost := judged(problem, plan)) is not None]
    if not costs:
        raise RefusedError(
            "no node that the profile knows has a way from the inputs and to the answers; add a link or a profile"
        )
    return min(costs, key=lambda cost: (len(cost.violations), cost.value))
