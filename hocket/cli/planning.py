"""Commands that plan and judge; nothing is executed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hocket import view
from hocket.cli.common import (
    Json,
    ModelArgument,
    PlanArgument,
    Shapes,
    console,
    parse_objective,
    parse_shapes,
    print_json,
    progress_bar,
    read_model,
    read_problem_file,
    read_solution,
)
from hocket.cluster import load_cluster
from hocket.cost import Problem, problem_for
from hocket.cost import evaluate as judge
from hocket.cost import simulate as simulate_plan
from hocket.errors import FormatError
from hocket.graph import topology
from hocket.profile import Predictor, Profile
from hocket.reading import load
from hocket.solvers import Solution
from hocket.solvers import solve as solve_problem
from hocket.units import parse, show


def inspect(model: ModelArgument, shape: Shapes = None, json: Json = False) -> None:
    """What a model computes, what that costs, and where it can be cut."""
    graph = read_model(model, parse_shapes(shape)).graph
    blocks = topology.blocks(graph)
    rows = [
        {
            "block": number,
            "operators": f"{graph.operators[block.operators[0]].name}..{graph.operators[block.operators[-1]].name}",
            "count": len(block.operators),
            "scope": _common_scope([graph.operators[position].scope for position in block.operators]),
            "flops": sum(graph.operators[position].flops for position in block.operators),
            "weight_bytes": sum(graph.operators[position].weight_bytes for position in block.operators),
            "out_bytes": sum(graph.tensor[name].nbytes for name in block.outputs),
        }
        for number, block in enumerate(blocks)
    ]
    summary = {
        "name": graph.name,
        "inputs": {tensor.name: {"dtype": tensor.dtype, "shape": tensor.shape} for tensor in graph.inputs},
        "outputs": {
            name: {"dtype": graph.tensor[name].dtype, "shape": graph.tensor[name].shape} for name in graph.outputs
        },
        "operators": len(graph.operators),
        "units": len(topology.units(graph)),
        "macs": graph.macs,
        "flops": graph.flops,
        "weight_bytes": graph.weight_bytes,
        "has_weights": graph.source.has_weights if graph.source else False,
        "blocks": rows,
    }
    if json:
        print_json(summary)
        return
    view.print_table(
        f"{graph.name}: {len(graph.operators)} operators, {show(graph.flops, 'FLOP')},"
        f" weights {show(graph.weight_bytes, 'B')}",
        rows,
    )


def _common_scope(scopes: list[str]) -> str:
    """The longest path of modules that all scopes share."""
    shared = scopes[0].split(".")
    for scope in scopes[1:]:
        parts = scope.split(".")
        length = next(
            (i for i, (a, b) in enumerate(zip(shared, parts, strict=False)) if a != b), min(len(shared), len(parts))
        )
        shared = shared[:length]
    return ".".join(shared)


def solve(
    model: ModelArgument,
    cluster: Annotated[
        Path | None, typer.Argument(metavar="CLUSTER", help="A cluster file; none with a problem file.")
    ] = None,
    profile: Annotated[Path | None, typer.Option(help="A profile; without one FLOPs / speed is used.")] = None,
    objective: Annotated[str, typer.Option(help="latency, sequential, period, energy, price or weighted.")] = "latency",
    solver: Annotated[str, typer.Option(help="A name from `hocket solvers`, or auto.")] = "auto",
    source: Annotated[str | None, typer.Option(help="Node with the inputs; default: the cluster's source.")] = None,
    weights: Annotated[str | None, typer.Option(help="For weighted: latency=1,energy=0.5.")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="A bound: latency=100ms. May be repeated.")] = None,
    rate: Annotated[str, typer.Option(help="Requests that arrive, such as '5 /s'.")] = "0",
    deadline: Annotated[str | None, typer.Option(help="Latest answer, such as '100 ms'.")] = None,
    shape: Shapes = None,
    seed: int = 0,
    time_limit: Annotated[float | None, typer.Option(help="Most seconds to plan.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the solution here.")] = None,
    json: Json = False,
) -> None:
    """Find the best plan for a model on a cluster, and how far it is from the best possible."""
    if cluster is None:
        problem = read_problem_file(Path(model))
    else:
        problem = problem_for(
            read_model(model, parse_shapes(shape)).graph,
            load_cluster(cluster),
            profile=Profile.load(profile) if profile else None,
            objective=parse_objective(objective, weights, limit),
            source=source,
            rate_per_s=parse(rate, "per_s"),
            deadline_s=parse(deadline, "seconds") if deadline else None,
        )
    with progress_bar(quiet=json) as tell:
        tell("planning", 0, 1)
        solution = solve_problem(problem, solver, seed=seed, time_limit_s=time_limit)
    if output:
        solution.save(output)
    if json:
        print_json(summary_of(solution))
    else:
        view.print_solution(solution)


def summary_of(solution: Solution) -> dict[str, Any]:
    """The figures of a solution, as `hocket solve --json` prints them."""
    cost = solution.cost
    return {
        "solver": solution.solver,
        "latency_s": cost.latency_s,
        "sequential_s": cost.sequential_s,
        "period_s": cost.period_s,
        "energy_j": cost.energy_j,
        "price_usd": cost.price_usd,
        "reliability": cost.reliability,
        "bound": solution.bound,
        "gap": solution.gap,
        "solve_s": solution.solve_s,
        "stages": solution.stages(),
        "crossings": solution.crossings(),
        "candidates": solution.candidates,
        "violations": [violation.sentence for violation in cost.violations],
    }


Problems = Annotated[Path | None, typer.Option(help="The problem, where PLAN is a plan alone.")]


def evaluate(plan: PlanArgument, problem: Problems = None, json: Json = False) -> None:
    """Predict what a plan costs, and name every constraint that it breaks."""
    solution = read_solution(plan, problem)
    cost = judge(solution.problem, solution.plan)
    if json:
        print_json(cost)
    else:
        view.print_cost(cost)


def simulate(
    plan: PlanArgument,
    requests: Annotated[int, typer.Option(help="How many of each task.")] = 100,
    seed: int = 0,
    problem: Problems = None,
    json: Json = False,
) -> None:
    """Simulate many requests: arrivals, queues, traces."""
    solution = read_solution(plan, problem)
    cost = simulate_plan(solution.problem, solution.plan, requests=requests, seed=seed)
    if json:
        print_json(cost)
    else:
        view.print_cost(cost)


def explain(plan: PlanArgument, problem: Problems = None, json: Json = False) -> None:
    """Say what limits a plan, what faster nodes and links would buy, and why not the alternatives."""
    solution = read_solution(plan, problem)
    sentences = view.explain(solution.problem, solution.plan, solution.cost, bound=solution.bound,
                             candidates=solution.candidates)  # fmt: skip
    if json:
        print_json({"sentences": sentences})
    else:
        for sentence in sentences:
            print(sentence)


def draw(
    what: Annotated[str, typer.Argument(help="A model, a cluster, a solution, a trace, or zoo:NAME.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A .png, .svg or (for a trace) .json file.")],
    json: Json = False,
) -> None:
    """Draw a graph with its cut, a cluster, or a timeline."""
    noun = _drawable(what)
    path = view.draw(noun, output)
    console.print(f"wrote {path}")
    if json:
        print_json({"path": str(path)})


def _drawable(what: str) -> Any:
    if what.startswith("zoo:") or what.endswith(".onnx"):
        return read_model(what).graph
    if what.endswith(".toml"):
        return load_cluster(what)
    noun = load(what)
    if isinstance(noun, Profile | Predictor | Problem):
        raise FormatError(f"{what} holds a {type(noun).__name__.lower()}, which has no picture; give a model, a"
                          " cluster, a solution or a trace")  # fmt: skip
    return noun


COMMANDS = (inspect, solve, evaluate, simulate, explain, draw)
