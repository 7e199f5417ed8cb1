"""Trust: private tensors stay on nodes that may see them.

A tensor is private if it is a named input, or if it is computed from a private tensor and what it leaks is more than
the limit `leakage` of the objective (1 without one, so that inputs alone are private; 1 for what nobody measured). A
private tensor goes neither to a node below the task's trust nor over one: a relay stores and forwards, so it sees.
"""

from collections.abc import Iterator

from hocket.cost.cost import Violation
from hocket.cost.problem import Problem, Task
from hocket.program import Program

RAW = "raw"


def leakage_of(task: Task, tensor: str, codec: str = RAW) -> float:
    """What a tensor leaks as a codec leaves it, in [0, 1]; 1 where nobody measured.

    What a codec does not lose is not hidden, and what it loses cannot leak: `png` and `raw+zlib` leak like `raw`, and
    `bits4` at most that.
    """
    known = task.leakage.get(tensor, {})
    own = 1.0 if tensor in task.private else known.get(RAW, 1.0)
    return min(own, known.get(codec.partition("+")[0], own))


def private_tensors(problem: Problem, task: Task) -> frozenset[str]:
    """The tensors of a task that stay on trusted nodes, unless a codec hides them.

    Denning, "A Lattice Model of Secure Information Flow" (1976), with declassification by measurement.
    """
    found = set(task.private)
    limit = problem.objective.limits.get("leakage", 1.0)
    for operator in task.graph.operators if found and limit < 1 else ():
        if not found.isdisjoint(operator.inputs):
            found.update(name for name in operator.outputs if leakage_of(task, name) > limit)
    return frozenset(found)


def trusted(problem: Problem, task: Task) -> frozenset[str]:
    """The nodes that may see a task's private tensors."""
    return frozenset(node.name for node in problem.cluster.nodes if node.trust >= task.trust)


def confined(problem: Problem, task: Task) -> Task:
    """The task with the profiles of those nodes alone that may see all of it, for methods that let all nodes do so."""
    if not task.private:
        return task
    able = trusted(problem, task)
    entries = tuple(entry for entry in task.profile.entries if entry.node in able)
    return task.replace(profile=task.profile.replace(entries=entries))


def exposures(problem: Problem, task: Task, program: Program) -> Iterator[Violation]:
    """Every transfer by which a node sees what it may not see, once for each tensor and node."""
    private = private_tensors(problem, task)
    if not private:
        return
    seen: set[tuple[str, str]] = set()
    able, limit = trusted(problem, task), problem.objective.limits.get("leakage", 1.0)
    for transfer in program.transfers:
        tensor = _whole(task, transfer.tensor)
        # What is on an untrusted node already was let go before.
        if tensor not in private or transfer.path[0] not in able:
            continue
        if limit < 1 and leakage_of(task, tensor, transfer.codec) <= limit:
            continue
        for node in transfer.path[1:]:
            if node not in able and (tensor, node) not in seen:
                seen.add((tensor, node))
                does = "goes to" if node == transfer.path[-1] else "passes"
                yield Violation(constraint="trust", sentence=sentence(problem, task, tensor, node, does))


def sentence(problem: Problem, task: Task, tensor: str, node: str, does: str) -> str:
    """What is wrong where a node sees a private tensor."""
    return (
        f"trust: {tensor!r} of {task.name!r} is private to nodes of trust {task.trust} or more, and it {does} {node!r},"
        f" whose trust is {problem.cluster.node[node].trust}; keep it on trusted nodes or trust that one more"
    )


def _whole(task: Task, value: str) -> str:
    """The tensor that a value is, or is a partial result of: `y{k 0:96}` is one of `y`."""
    return value if value in task.graph.tensor else value.rpartition("{")[0]
