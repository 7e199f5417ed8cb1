"""Two devices and a server over one medium, for tests of tasks that share them."""

from graphs import graph_of, link, node, operator, profile_of

from hocket.cluster import Cluster, Medium
from hocket.cost import Problem, Task
from hocket.plan import Entry, Run

GRAPH = graph_of(operator("u", "x", weights=("w",)), operator("v", "u", weights=("w2",)), sizes={"u": 1000})
SECONDS = {"a": {"u": 0.4, "v": 0.4}, "b": {"u": 0.1, "v": 0.1}, "e": {"u": 0.02, "v": 0.06}}


def cluster(**server: object) -> Cluster:
    """Devices a and b and a server e, over one medium of 1 kB/s, 100 kB/s links."""
    medium = Medium(name="wifi", bytes_per_s=1e4)
    links = tuple(link(name, "e", media=("wifi",)) for name in "ab")
    nodes = (node("a", compute_w=1.0), node("b"), node("e", compute_w=10.0, compute_price_per_s=2.0, **server))
    return Cluster(name="star", nodes=nodes, links=links, media=(medium,))


def task(name: str, source: str, **fields: object) -> Task:
    """A task whose input and answer are at a device."""
    profile = profile_of(GRAPH, SECONDS)
    return Task(name=name, graph=GRAPH, profile=profile, inputs={"x": source}, outputs={"v": source}, **fields)


def problem(*tasks: Task, server: dict[str, object] | None = None, **fields: object) -> Problem:
    """Tasks on the star."""
    return Problem(tasks=tasks, cluster=cluster(**(server or {})), **fields)


def entry(name: str, *runs: tuple[str, str], **fields: object) -> Entry:
    """An entry from (operators, node)."""
    return Entry(task=name, where=tuple(Run(operators=what, on=where) for what, where in runs), **fields)


def split(name: str, source: str, **fields: object) -> Entry:
    """The first operator at home and the second on the server."""
    return entry(name, ("u", source), ("v", "e"), **fields)
