"""The problem: tasks on a cluster, what is known of their costs, what is wanted and what is forbidden."""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal, get_args

import msgspec

from hocket.cluster import Cluster
from hocket.errors import FormatError, GraphError, InfeasibleError, PlanError, ProfileError
from hocket.graph import Graph
from hocket.nouns import Noun, Value
from hocket.profile import Profile

Metric = Literal["latency", "sequential", "period", "energy", "price", "weighted"]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Trust = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Task(Value, frozen=True, dict=True):
    """One model that has to be served: where its inputs are born and its answers are needed."""

    name: str
    graph: Graph
    profile: Profile
    inputs: dict[str, str]
    """Input tensor -> node that has it."""
    outputs: dict[str, str]
    """Output tensor -> node that needs it."""
    rate_per_s: NonNegative = 0.0
    """Requests arriving per second; 0 = one at a time, no queue."""
    deadline_s: NonNegative | None = None
    accuracy_floor: Probability | None = None
    reliability_floor: Probability | None = None
    weight: NonNegative = 1.0
    priority: int = 0
    refusal_cost: NonNegative | None = None
    """What it costs, in the unit of the objective, not to serve this task; None = it has to be served."""
    input_codecs: dict[str, float] = {}
    """Lossless codecs that fit the inputs (`png`, `raw+zlib`) -> bytes after / bytes before."""
    private: tuple[str, ...] = ()
    """Inputs that only trusted nodes may see; see `cost.trust`."""
    trust: Trust = 0
    """Least trust of the nodes that may see them."""
    leakage: dict[str, dict[str, Probability]] = {}
    """Tensor -> codec -> how much of the private inputs it gives away, measured; see `hocket leakage`."""

    @cached_property
    def source(self) -> str:
        """The node of the first input."""
        return next(iter(self.inputs.values()))


class Objective(Value, frozen=True):
    """What is minimised. `weighted` adds the metrics, each divided by its value when all runs at the source."""

    metric: Metric = "latency"
    weights: dict[str, NonNegative] = {}
    """For `weighted`: metric -> weight."""
    limits: dict[str, NonNegative] = {}
    """Metric -> most it may be (least, for reliability and accuracy): epsilon-constraints and C3, C5; `leakage` -> most
    that a tensor may give away of the private inputs it is computed from, to be no longer private itself."""
    aggregate: Literal["mean", "max", "sum"] = "mean"
    """Over several tasks, weighted by `Task.weight`."""


class Problem(Noun, frozen=True, tag="hocket.problem/1", dict=True):
    """Everything that a solver may know."""

    tasks: Annotated[tuple[Task, ...], msgspec.Meta(min_length=1)]
    cluster: Cluster
    objective: Objective = Objective()
    margin: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0
    """Relative safety added to every predicted time of computing; links have the rates that the cluster states."""
    whole_model: bool = False
    """True where every node that takes part must hold the whole model (C6 as printed in the survey)."""
    queue: Literal["none", "mm1", "md1"] = "none"
    """Waiting at the nodes when tasks have a rate."""

    def __post_init__(self) -> None:
        _check_names(self.tasks, self.objective)
        for task in self.tasks:
            _check_ends(task)
            for node in (*task.inputs.values(), *task.outputs.values()):
                self.cluster.require(node)
            _check_private(task, self.cluster)
            names = {operator.name for operator in task.graph.operators}
            for entry in task.profile.entries:
                missing = names - entry.seconds.keys()
                if missing:
                    raise ProfileError(
                        f"the profile of {entry.node!r} lacks {len(missing)} of {len(names)} operators"
                        f" ({min(missing)!r} is one); measure this model on it"
                    )

    @cached_property
    def task(self) -> Task:
        """The only task.

        Raises:
            PlanError: there are several.
        """
        if len(self.tasks) > 1:
            raise PlanError(
                f"this version runs one task, and the problem has {len(self.tasks)}"
                f" ({', '.join(task.name for task in self.tasks)}); give one of them, or `hocket simulate` all"
            )
        return self.tasks[0]

    @cached_property
    def references(self) -> dict[str, float]:
        """Each metric when every task runs whole where its first input is: what `weighted` divides by."""
        latency, sequential = [], []
        energy = price = 0.0
        busy: dict[str, float] = {}
        for task in self.tasks:
            node, entry = self.cluster.node[task.source], task.profile.at(task.source)
            sequential.append(sum(entry.seconds.values()) * (1 + self.margin))
            latency.append(sequential[-1] + entry.call_s * (1 + self.margin))
            busy[node.name] = busy.get(node.name, 0.0) + latency[-1]
            energy += latency[-1] * node.active_w()
            price += latency[-1] * (node.compute_price_per_s + node.active_w() * node.energy_price_per_j)
        return {
            "latency": self.together(latency),
            "sequential": self.together(sequential),
            "period": max(busy.values()),
            "energy": energy,
            "price": price,
        }

    def together(self, values: Sequence[float], tasks: Sequence[Task] | None = None) -> float:
        """One time from a time of each task, as the objective says.

        Args:
            values: one per task.
            tasks: whose values they are; absent = all.
        """
        if self.objective.aggregate == "max":
            return max(values, default=0.0)
        weights = [task.weight for task in (self.tasks if tasks is None else tasks)]
        total = sum(weight * value for weight, value in zip(weights, values, strict=True))
        return total / (sum(weights) or 1.0) if self.objective.aggregate == "mean" else total


def _check_names(tasks: tuple[Task, ...], objective: Objective) -> None:
    """Tasks are told apart by their names, and only metrics have weights.

    Raises:
        GraphError: two tasks with one name.
        FormatError: a weight of something else.
    """
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise GraphError(f"tasks have different names, and {names.count(name)} have {name!r}; rename one")
    metrics = get_args(Metric)[:-1]
    for name in objective.weights:
        if name not in metrics:
            raise FormatError(f"a weight is of one of {', '.join(metrics)}, got {name!r}; correct the name")


def _check_ends(task: Task) -> None:
    """Every input comes from somewhere, and what goes somewhere is an output.

    Raises:
        GraphError: an input without a node, an unknown tensor, or no input or output at all.
    """
    entering = [tensor.name for tensor in task.graph.inputs]
    if not entering:
        raise GraphError(
            f"a task has an input that comes from somewhere, and {task.name!r} has none; give its model one"
        )
    for name in entering:
        if name not in task.inputs:
            raise GraphError(f"every input of a task is at a node, and {name!r} of {task.name!r} is not; name its node")
    for name, known in [*((name, entering) for name in task.inputs), *((n, task.graph.outputs) for n in task.outputs)]:
        if name not in known:
            raise GraphError(
                f"a task's tensors are inputs and outputs of its model, and {name!r} of {task.name!r} is none;"
                " correct its name"
            )
    if not task.outputs:
        raise GraphError(f"a task has an output that somebody needs, and {task.name!r} has none; name its node")


def _check_private(task: Task, cluster: Cluster) -> None:
    """What is private is an input, where it is born may see it, and what leaks is a tensor.

    Raises:
        GraphError: something else is private or leaks.
        InfeasibleError: it is born where it may not be seen.
    """
    for name in task.leakage:
        if name not in task.graph.tensor:
            raise GraphError(f"what leaks is a tensor of {task.graph.name!r}, and {name!r} is none; correct its name")
    for name in task.private:
        if name not in task.inputs:
            raise GraphError(
                f"what is private is an input, and {name!r} of {task.name!r} is none of"
                f" {', '.join(task.inputs)}; correct its name"
            )
        home = cluster.node[task.inputs[name]]
        if home.trust < task.trust:
            raise InfeasibleError(
                f"the input {name!r} of {task.name!r} is private to nodes of trust {task.trust} or more, and it is born"
                f" on {home.name!r}, whose trust is {home.trust}; trust that node more or ask for less"
            )
