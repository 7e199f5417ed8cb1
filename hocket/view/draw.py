"""One verb for all pictures: what is drawn follows from the noun, the format from the suffix."""

from pathlib import Path
from typing import Literal

from hocket.cluster import Cluster
from hocket.cost import evaluate
from hocket.errors import FormatError
from hocket.graph import Graph
from hocket.plan import Plan
from hocket.program import Trace
from hocket.solvers import Solution
from hocket.units import show
from hocket.view.canvas import Canvas, check_suffix
from hocket.view.cluster_picture import draw_cluster
from hocket.view.graph_picture import draw_graph
from hocket.view.perfetto import perfetto
from hocket.view.scatter_picture import Scatter, draw_scatter
from hocket.view.timeline_picture import draw_timeline

Kind = Literal["auto", "graph", "cluster", "timeline"]


def draw(
    noun: object, path: str | Path, *, kind: Kind = "auto", plan: Plan | None = None, other: Trace | None = None
) -> Path:
    """Draw a noun to a .png or .svg file; a timeline also to a .json file for Perfetto.

    Args:
        noun: a graph, cluster, trace, cost with a trace, scatter, or solution.
        path: the picture; its suffix is its format.
        kind: of a solution, which picture: its graph with the cut (auto), its cluster, or its predicted timeline.
        plan: for a graph, whose cut is drawn.
        other: for a timeline, the trace of another judge: predicted is drawn above measured.

    Raises:
        FormatError: a noun without a picture, or a suffix that is no format.
        MissingError: matplotlib is not installed.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return perfetto(_trace(noun), path)
    check_suffix(path)
    if isinstance(noun, Solution):
        return _of_solution(noun, kind, other).save(path)
    return _canvas(noun, plan, other).save(path)


def _canvas(noun: object, plan: Plan | None, other: Trace | None) -> Canvas:
    if isinstance(noun, Graph):
        return draw_graph(noun, plan)
    if isinstance(noun, Cluster):
        return draw_cluster(noun)
    if isinstance(noun, Scatter):
        return draw_scatter(noun)
    return draw_timeline(_trace(noun), other)


def _of_solution(solution: Solution, kind: Kind, other: Trace | None) -> Canvas:
    problem, cost, task = solution.problem, solution.cost, solution.problem.tasks[0]
    nodes = [node.name for node in problem.cluster.nodes]
    if kind == "cluster":
        return draw_cluster(problem.cluster)
    if kind == "timeline":
        return draw_timeline(_trace(solution), other, nodes=nodes)
    latency, period = show(cost.latency_s, "s"), show(cost.period_s, "s")
    return draw_graph(
        task.graph,
        solution.plan,
        task=task.name,
        nodes=nodes,
        inputs=task.inputs,
        outputs=task.outputs,
        note=f"{solution.solver} · {cost.judge} latency {latency} · period {period}",
    )


def _trace(noun: object) -> Trace:
    """The timeline of a noun: its own, or the predicted one of a solution."""
    if isinstance(noun, Solution):
        noun = evaluate(noun.problem, noun.plan, trace=True)
    found = noun if isinstance(noun, Trace) else getattr(noun, "trace", None)
    if isinstance(found, Trace):
        return found
    raise FormatError(
        f"a {type(noun).__name__.lower()} has no timeline and no picture of its own;"
        " give a graph, a cluster, a trace or a solution"
    )
