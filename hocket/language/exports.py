"""What a plan of a language model is in the words of other systems, as far as they can do the same."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from hocket.cost import evaluate
from hocket.errors import FormatError, PlanError
from hocket.graph import Graph
from hocket.language.planning import layer_of
from hocket.plan.placement import placement, plan_for
from hocket.solvers import Solution


class Stage(NamedTuple):
    """Layers in a row on one node."""

    node: str
    layers: int


class LayerPlan(NamedTuple):
    """Which node has which layers."""

    embedding: str
    """Node of what comes before the layers."""
    stages: tuple[Stage, ...]
    """In the order of the layers."""
    head: str
    """Node of what follows them."""
    learned_positions: bool
    """As in GPT-2."""


def layers_of_plan(solution: Solution) -> LayerPlan:
    """The layers of a plan by node.

    Raises:
        PlanError: an operator is divided, a layer is cut inside, or it is no language model.
    """
    task = solution.problem.task
    parts = _parts(task.graph)
    if max(parts, default=-1) < 1:
        raise PlanError(f"layers are those of a language model, and {task.name!r} has none; plan one")
    last = max(parts)
    nodes: dict[int, str] = {}
    for operator, part, place in zip(
        task.graph.operators, parts, placement(task.graph, solution.plan.entries[0]), strict=True
    ):
        if not isinstance(place, str):
            raise PlanError(
                f"other systems take whole operators, and {operator.name!r} is divided over several nodes; solve with"
                " chain_dp"
            )
        if part in (-1, last) and not operator.weights:
            continue  # a change of type or a choice of rows, which the other system does as it likes
        if nodes.setdefault(part, place) != place:
            what = {-1: "the embedding", last: "the output"}.get(part, f"layer {part}")
            raise PlanError(
                f"other systems take whole layers, and {what} is on both {nodes[part]!r} and {place!r}; export with"
                " --whole-layers"
            )
    stages: list[Stage] = []
    for layer in range(last):
        if stages and stages[-1].node == nodes[layer]:
            stages[-1] = Stage(nodes[layer], stages[-1].layers + 1)
        else:
            stages.append(Stage(nodes[layer], 1))
    return LayerPlan(nodes[-1], tuple(stages), nodes[last], "position_embedding" in task.graph.index)


def with_whole_layers(solution: Solution) -> Solution:
    """The plan with every layer on the node that had most of its weights, judged anew.

    Raises:
        PlanError: an operator is divided, or the plan breaks a constraint then.
    """
    problem, task = solution.problem, solution.problem.task
    shares: dict[int, dict[str, int]] = {}
    parts = _parts(task.graph)
    for operator, part, place in zip(
        task.graph.operators, parts, placement(task.graph, solution.plan.entries[0]), strict=True
    ):
        if not isinstance(place, str):
            raise PlanError(f"a whole layer has whole operators, and {operator.name!r} is divided; solve with chain_dp")
        share = shares.setdefault(part, {})
        share[place] = share.get(place, 0) + operator.weight_bytes
    chosen = {part: max(share, key=lambda node: share[node]) for part, share in shares.items()}
    plan = plan_for(task.name, task.graph, [chosen[part] for part in parts])
    cost = evaluate(problem, plan)
    if cost.violations:
        raise PlanError(f"the plan breaks a constraint with whole layers ({cost.violations[0].sentence})")
    return Solution(problem=problem, plan=plan, cost=cost, solver=solution.solver, seed=solution.seed)


def _parts(graph: Graph) -> list[int]:
    """Of each operator: -1 = before the layers, its layer, or the number of layers = behind them."""
    found = [layer_of(operator.name) for operator in graph.operators]
    count = max((layer for layer in found if layer is not None), default=-1) + 1
    parts, seen = [], False
    for layer in found:
        seen = seen or layer is not None
        parts.append(layer if layer is not None else count if seen else -1)
    return parts


class Export(NamedTuple):
    """A plan for another system."""

    text: str
    """What that system reads: JSON, a variable of the environment, or options."""
    nodes: tuple[str, ...]
    """Nodes in the order in which that system counts its devices."""
    data: Mapping[str, Any]
    """The same as numbers."""


def accelerate(plan: LayerPlan) -> Export:
    """A `device_map` of Hugging Face Accelerate: module -> number of the device."""
    order = tuple(dict.fromkeys((plan.embedding, *(stage.node for stage in plan.stages), plan.head)))
    device = {node: number for number, node in enumerate(order)}
    gpt2 = plan.learned_positions
    root, block = ("transformer", "h") if gpt2 else ("model", "layers")
    before = ("wte", "wpe", "drop") if gpt2 else ("embed_tokens", "rotary_emb")
    found = {f"{root}.{name}": device[plan.embedding] for name in before}
    nodes = [stage.node for stage in plan.stages for _ in range(stage.layers)]
    found |= {f"{root}.{block}.{layer}": device[node] for layer, node in enumerate(nodes)}
    found |= {f"{root}.ln_f" if gpt2 else f"{root}.norm": device[plan.head], "lm_head": device[plan.head]}
    return Export(json.dumps(found, indent=1), order, {"device_map": found})


def llama_cpp(plan: LayerPlan) -> Export:
    """Options of llama.cpp: device i gets its part of the layers and of the output, which counts as one more.

    The embedding stays with the process that is asked, wherever the plan has it.
    """
    stages = _once_each("llama.cpp", plan)
    if plan.head != stages[-1].node:
        raise PlanError(
            f"llama.cpp has the output on a device that follows the layers, and the plan has it on {plan.head!r} and"
            f" the last layer on {stages[-1].node!r}; move one to the other"
        )
    split = [stage.layers for stage in stages]
    split[-1] += 1
    text = f"--split-mode layer --n-gpu-layers {sum(split)} --tensor-split {_joined(split)}"
    return Export(text, tuple(stage.node for stage in stages), {"tensor_split": split, "n_gpu_layers": sum(split)})


def vllm(plan: LayerPlan) -> Export:
    """vLLM's layers of each rank of a pipeline; the first has the embedding, the last the output."""
    stages = _once_each("vLLM", plan)
    for what, node, end in (
        ("embedding", plan.embedding, stages[0].node),
        ("output", plan.head, stages[-1].node),
    ):
        if node != end:
            raise PlanError(
                f"vLLM has the {what} on a rank at that end of the layers, and the plan has it on {node!r} and the"
                f" layer on {end!r}; move one to the other"
            )
    layers = [stage.layers for stage in stages]
    text = f"VLLM_PP_LAYER_PARTITION={_joined(layers)} vllm serve --pipeline-parallel-size {len(layers)}"
    return Export(text, tuple(stage.node for stage in stages), {"layers": layers})


def prima(plan: LayerPlan) -> Export:
    """prima.cpp's windows: layers of each device in one round through the ring; several rounds make up the model.

    The first device has the embedding and the output.
    """
    nodes = tuple(dict.fromkeys(stage.node for stage in plan.stages))
    round_ = plan.stages[: len(nodes)]
    rounds, rest = divmod(len(plan.stages), len(nodes))
    if rest or plan.stages != round_ * rounds:
        raise PlanError(
            f"prima.cpp goes through all devices with the same layers in every round, and the plan goes"
            f" {', '.join(f'{stage.node} {stage.layers}' for stage in plan.stages)}; plan one run of layers per node"
        )
    if not plan.embedding == plan.head == nodes[0]:
        raise PlanError(
            f"prima.cpp has the embedding, the first layers and the output on one device, and the plan has them on"
            f" {plan.embedding!r}, {nodes[0]!r} and {plan.head!r}; move them to one node"
        )
    windows = [stage.layers for stage in round_]
    text = f"--world {len(nodes)} -lw {_joined(windows)}"
    return Export(text, nodes, {"windows": windows, "rounds": rounds})


EXPORTS: Mapping[str, Callable[[LayerPlan], Export]] = MappingProxyType(
    {"accelerate": accelerate, "llama.cpp": llama_cpp, "vllm": vllm, "prima": prima}
)


def export(solution: Solution, to: str) -> Export:
    """A plan in the words of another system.

    Raises:
        FormatError: a system that is not known.
        PlanError: that system cannot do what the plan does.
    """
    if to not in EXPORTS:
        raise FormatError(f"plans are exported to {', '.join(EXPORTS)}, got {to!r}; choose one of them")
    return EXPORTS[to](layers_of_plan(solution))


def _once_each(system: str, plan: LayerPlan) -> tuple[Stage, ...]:
    nodes = [stage.node for stage in plan.stages]
    for node in nodes:
        if nodes.count(node) > 1:
            raise PlanError(
                f"a device of {system} has one run of layers, and {node!r} has {nodes.count(node)}; solve with chain_dp"
                " for the period"
            )
    return plan.stages


def _joined(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
