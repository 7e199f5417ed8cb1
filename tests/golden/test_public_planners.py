"""What the planners of other systems really answer, defects included."""

import pytest
from problems import chain, fleet, problem_of, profile_of

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem, evaluate
from hocket.graph import Graph
from hocket.solvers import ChainDp
from hocket.solvers.rules.halda import Halda, HaldaPaper
from hocket.solvers.rules.pipeedge import PipeedgeShipped

SLOW, FAST = 2.0, 1.0


def stages(problem: Problem, solver: object) -> list[int]:
    """Layers of each run of a plan."""
    plan, index = solver(problem).plan, problem.task.graph.index  # type: ignore[operator]
    ends = [run.operators.partition("..") for run in plan.entries[0].where]
    return [index[last or first] - index[first] + 1 for first, _, last in ends]


@pytest.mark.parametrize(
    ("kinds", "shipped", "its_period_s", "best_s"),
    [
        ([SLOW, FAST], [4, 8], 8.0, 8.0),
        ([SLOW, SLOW, FAST, FAST], [3, 3, 3, 3], 6.0, 4.0),
        ([SLOW, SLOW, SLOW, FAST], [3, 3, 3, 3], 6.0, 6.0),
        ([SLOW, FAST, FAST, FAST], [4, 4, 4], 4.0, 4.0),
    ],
)
def test_pipeedge_reads_a_type_from_the_list_of_devices(
    kinds: list[float], shipped: list[int], its_period_s: float, best_s: float
) -> None:
    """Twelve equal layers, links without limit. With two slow devices the fast ones count as slow."""
    problem = fleet(kinds, layers=12)
    assert stages(problem, PipeedgeShipped()) == shipped
    assert evaluate(problem, PipeedgeShipped()(problem).plan).period_s == pytest.approx(its_period_s)
    patched = PipeedgeShipped(patched=True)(problem)
    assert evaluate(problem, patched.plan).period_s == pytest.approx(best_s)
    assert evaluate(problem, ChainDp()(problem).plan).period_s == pytest.approx(best_s)


def test_pipeedge_believes_a_bottleneck_that_is_not_there() -> None:
    """It thinks that all four are slow: 3 layers of 2 s. The fast ones are done in 3 s and wait."""
    problem = fleet([SLOW, SLOW, FAST, FAST], layers=12)
    assert PipeedgeShipped()(problem).notes["believed_bottleneck_s"] == "6.0"
    assert sorted(stages(problem, PipeedgeShipped(patched=True))) == [2, 2, 4, 4]


def ring(*, rate: float, latency_s: float = 0.0, memory: float | None = None) -> Problem:
    """Eight layers of 1 Gflop and 0.1 GB; the head computes at 10 Gflop/s, the other node at 40."""
    made = chain([25_000] * 8, weights=[10**8] * 8, first=1)
    operators = tuple(operator.replace(flops=1e9) for operator in made.operators)
    graph = Graph(name="layers", inputs=made.inputs, outputs=made.outputs, operators=operators, tensors=made.tensors,
                  weights=made.weights)  # fmt: skip
    nodes = (
        Node(name="head", flops_per_s=10e9, memory_bytes_per_s=20e9 if memory else None),
        Node(name="fast", flops_per_s=40e9, memory_bytes_per_s=memory),
    )
    way = Direction(bytes_per_s=rate)
    cluster = Cluster(
        name="ring", nodes=nodes, links=(Link(between=("head", "fast"), up=way, down=way, latency_s=latency_s),)
    )
    return problem_of(graph, cluster, profile_of(graph, {"head": [0.1] * 8, "fast": [0.025] * 8}), "latency")


def test_halda_as_shipped_does_not_know_the_network() -> None:
    """Windows and rounds are those of a free network even where a hop takes 100 s."""
    for rate in (1e12, 1e3):
        assert Halda()(ring(rate=rate)).notes == {"rounds": "1", "windows": "head 1, fast 7"}


def test_the_papers_halda_pays_for_each_round_of_the_ring() -> None:
    """With two rounds windows are 1 and 3: 0.1 + 3 x 0.025 twice is worse than 0.1 + 7 x 0.025 in any case; with a
    given number of rounds both obey, and only the paper's time has the hops in it."""
    problem = ring(rate=1e6)
    one, two = HaldaPaper(rounds=1)(problem), HaldaPaper(rounds=2)(problem)
    assert (one.notes["windows"], two.notes["windows"]) == ("head 1, fast 7", "head 1, fast 3")
    # 100 kB over 1 MB/s: 0.1 s a hop; the second round has two more.
    took = [evaluate(problem, each.plan).latency_s for each in (one, two)]
    assert took[1] - took[0] == pytest.approx(2 * 0.1 + 0.1 - 0.025, abs=0.01)


def test_halda_as_shipped_does_not_know_the_bandwidth_of_memory() -> None:
    """The node with the fast arithmetic reads 0.1 GB in 0.2 s, the head in 0.005 s: alone the paper's form sees it."""
    problem = ring(rate=1e12, memory=0.5e9)
    assert Halda()(problem).notes["windows"] == "head 1, fast 7"
    assert HaldaPaper()(problem).notes["windows"] == "head 8"


def test_halda_leaves_out_a_node_with_one_layer() -> None:
    """A third node, slower than the head, would get a window of 1 and is dropped; the head stays whatever it gets."""
    problem = ring(rate=1e12)
    slow = Node(name="slow", flops_per_s=1e9)
    links = tuple(Link(between=pair) for pair in (("head", "fast"), ("head", "slow"), ("fast", "slow")))
    cluster = Cluster(name="three", nodes=(*problem.cluster.nodes, slow), links=links)
    seconds = {"head": [0.1] * 8, "fast": [0.025] * 8, "slow": [1.0] * 8}
    three = problem_of(problem.task.graph, cluster, profile_of(problem.task.graph, seconds), "latency")
    assert Halda()(three).notes["windows"] == "head 1, fast 7"
