"""The rules of other systems: each by hand on small fleets, as their code decides."""

import pytest
from problems import chain, fleet, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.graph import Graph
from hocket.solvers import check_solver, solve
from hocket.solvers.rules import SOLVERS, DistributedLlama, LlamaCppTensor
from hocket.solvers.rules.accelerate import Accelerate
from hocket.solvers.rules.exo import Exo, by_largest_remainder, cycles
from hocket.solvers.rules.layers import Layers, layers_of
from hocket.solvers.rules.llama_cpp_layer import LlamaCppLayer
from hocket.solvers.rules.petals import Petals, Swarm
from hocket.solvers.rules.pipeedge_revauct import PipeedgeRevauct


def counts_of(problem: Problem, solver: object) -> list[tuple[str, int]]:
    """(node, layers) of each run of a plan, in order."""
    plan = solver(problem).plan  # type: ignore[operator]
    found = []
    for run in plan.entries[0].where:
        first, _, last = run.operators.partition("..")
        index = problem.task.graph.index
        found.append((str(run.on), index[last or first] - index[first] + 1))
    return found


TENSOR = (DistributedLlama, LlamaCppTensor)


@pytest.mark.parametrize("rule", [rule for rule in SOLVERS if rule not in TENSOR], ids=lambda rule: rule.name)
def test_every_rule_keeps_the_contract(rule: type) -> None:
    problems = [
        random_problem(seed, metric, nodes=2 + seed % 2, size=4, limited=seed % 3 < 2, relay=seed % 7 == 0)
        for metric in ("latency", "period")
        for seed in range(12)
    ]
    assert check_solver(rule(), problems) >= 5


def test_a_layer_is_the_repeated_module() -> None:
    scopes = ["embed", "layer.0.attention", "layer.0.mlp", "layer.1.attention", "layer.1.mlp", "head"]
    made = chain([1] * 6)
    operators = tuple(o.replace(scope=scope) for o, scope in zip(made.operators, scopes, strict=True))
    graph = Graph(name="model", inputs=made.inputs, outputs=made.outputs, operators=operators, tensors=made.tensors)
    assert layers_of(graph) == ((0,), (1, 2), (3, 4), (5,))


def test_exo_divides_by_memory_and_not_by_speed() -> None:
    """Three quarters of the memory is on the node that is ten times slower."""
    problem = fleet([10.0, 1.0], layers=12, memory=[9060, 3060])
    assert counts_of(problem, Exo()) == [("n0", 9), ("n1", 3)]


def test_exo_takes_the_smallest_ring_even_if_two_are_faster() -> None:
    problem = fleet([1.0, 1.0], layers=12, memory=[20_000, 30_000])
    assert counts_of(problem, Exo()) == [("n1", 12)]
    assert evaluate(problem, Exo()(problem).plan).period_s == pytest.approx(12.0)


def test_exo_prefers_a_ring_with_a_leaf() -> None:
    """`n2` hangs on `n1` alone; the ring with it has less memory and is taken all the same."""
    nodes = tuple(
        Node(name=f"n{i}", flops_per_s=1e9, memory_bytes=room) for i, room in enumerate([9000, 8000, 7000, 9000])
    )
    links = tuple(Link(between=pair) for pair in (("n0", "n1"), ("n0", "n3"), ("n1", "n3"), ("n1", "n2")))
    graph = chain([1] * 12, weights=[1000] * 12, first=1)
    seconds = {node.name: [1.0] * 12 for node in nodes}
    problem = problem_of(graph, Cluster(name="tail", nodes=nodes, links=links), profile_of(graph, seconds), "period")
    assert {node for node, _ in counts_of(problem, Exo())} == {"n1", "n2"}


def test_exo_says_that_no_ring_holds_the_model() -> None:
    with pytest.raises(InfeasibleError, match="no ring of at least 1 nodes holds the 12000 bytes of the model"):
        Exo()(fleet([1.0, 1.0], layers=12, memory=[5000, 5000]))


def test_exo_checks_what_it_rounds_but_does_not_repair_it() -> None:
    """Each node gets a layer, whatever its memory, and then it does not fit."""
    problem = fleet([1.0, 1.0], layers=12, memory=[11_500, 600])
    with pytest.raises(InfeasibleError, match="the plan of the rule exo breaks a constraint: C6"):
        Exo()(problem)


def test_largest_remainders_and_cycles() -> None:
    assert by_largest_remainder(10, [5.0, 3.0, 2.0]) == [5, 3, 2]
    assert by_largest_remainder(3, [98.0, 1.0, 1.0]) == [1, 1, 1]
    square = {0: [1, 3], 1: [0, 2], 2: [1, 3], 3: [0, 2]}
    assert [len(list(cycles(square, size))) for size in (1, 2, 3)] == [4, 4, 0]
    assert list(cycles(square, 4)) == [[0, 1, 2, 3], [0, 3, 2, 1]]


def test_accelerate_fills_device_after_device() -> None:
    """The first keeps room for the largest layer besides: of 5000 bytes it uses 4000."""
    problem = fleet([1.0, 0.1, 0.1], layers=12, memory=[5100, 6100, None])
    assert counts_of(problem, Accelerate()) == [("n0", 4), ("n1", 6), ("n2", 2)]


def test_accelerate_balanced_caps_each_but_the_last() -> None:
    """12000 / 3 + 1.25 x 1000 = 5250 bytes each; the first keeps 1000 of them."""
    problem = fleet([1.0, 1.0, 1.0], layers=12)
    assert counts_of(problem, Accelerate()) == [("n0", 12)]
    assert counts_of(problem, Accelerate(balanced=True)) == [("n0", 4), ("n1", 5), ("n2", 3)]


def test_accelerate_never_comes_back_and_keeps_tied_layers_together() -> None:
    made = chain([1] * 4, weights=[1000, 1000, 1000, 1000], first=1)
    last = made.operators[3].replace(weights=("w0",))
    graph = Graph(name="tied", inputs=made.inputs, outputs=made.outputs, operators=(*made.operators[:3], last),
                  tensors=made.tensors, weights={"w0": 1000, "w1": 1000, "w2": 1000})  # fmt: skip
    nodes = (Node(name="a", flops_per_s=1e9, memory_bytes=2100), Node(name="b", flops_per_s=1e9))
    cluster = Cluster(name="two", nodes=nodes, links=(Link(between=("a", "b")),))
    problem = problem_of(graph, cluster, profile_of(graph, {"a": [1.0] * 4, "b": [1.0] * 4}))
    assert counts_of(problem, Accelerate()) == [("a", 1), ("b", 2), ("a", 1)]


def test_accelerate_leaves_rest_to_a_disk_that_is_not_there() -> None:
    with pytest.raises(InfeasibleError, match="the rule accelerate has 4 layers of 4000 bytes left"):
        Accelerate()(fleet([1.0, 1.0], layers=12, memory=[5000, 4000]))


def test_llama_cpp_splits_at_upper_bounds_of_prefix_sums() -> None:
    """Splits 0.25 and 1: layers 0, 1, 2 of 12 lie below 0.25; layer 3 is at it and goes on."""
    problem = fleet([1.0, 1.0], layers=12, memory=[5000, 15_000])
    assert counts_of(problem, LlamaCppLayer()) == [("n0", 3), ("n1", 9)]
    unlimited = fleet([1.0, 1.0], layers=12)
    assert LlamaCppLayer().refuses(unlimited) == "it divides by memory, and that of 'n0' is not limited"
    assert counts_of(unlimited, LlamaCppLayer(tensor_split="2,1")) == [("n0", 8), ("n1", 4)]
    with pytest.raises(RefusedError, match="a share of 0 or more for each of 2 nodes, got '1,x'"):
        solve(problem, "llama_cpp_layer", tensor_split="1,x")


def test_petals_fills_the_window_that_is_served_worst() -> None:
    """Servers of 6, 6 and 4 of 12 layers: the third doubles the half whose server is slower."""
    problem = fleet([1.0, 3.0, 2.0], layers=12, memory=[6100, 6100, 4100])
    swarm = Swarm(Layers(problem), 0)
    swarm.join()
    assert swarm.spans == {0: (0, 6), 1: (6, 12), 2: (6, 10)}
    assert swarm.best_start(swarm.served(), 4) == 8


def test_petals_goes_the_shortest_way_and_leaves_a_span_at_its_end() -> None:
    """From layer 6 on the third server is faster, but then two hops more than it saves: 0.018 s each."""
    problem = fleet([0.001, 0.003, 0.002], layers=12, memory=[6100, 6100, 4100])
    assert counts_of(problem, Petals()) == [("n0", 6), ("n1", 6)]
    slower = fleet([0.1, 0.3, 0.2], layers=12, memory=[6100, 6100, 4100])
    assert counts_of(slower, Petals()) == [("n0", 6), ("n2", 4), ("n1", 2)]


def test_petals_does_not_see_how_large_a_tensor_is() -> None:
    """Whole on `c` it would take 4 s; the way over two spans sends 4 MB over 1 kB/s."""
    graph = chain([10**6, 1], weights=[10**8, 10**8], first=1)
    slow = Direction(bytes_per_s=1e3)
    rooms = {"a": 15 * 10**7, "b": 15 * 10**7, "c": None}
    nodes = tuple(Node(name=name, flops_per_s=1e9, memory_bytes=room) for name, room in rooms.items())
    links = tuple(Link(between=pair, up=slow, down=slow) for pair in (("a", "b"), ("a", "c"), ("b", "c")))
    profile = profile_of(graph, {"a": [0.1, 1.0], "b": [1.0, 0.1], "c": [2.0, 2.0]})
    problem = problem_of(graph, Cluster(name="three", nodes=nodes, links=links), profile, "latency")
    assert counts_of(problem, Petals()) == [("a", 1), ("b", 1)]
    assert evaluate(problem, Petals()(problem).plan).latency_s > 4000


def test_a_petals_swarm_with_a_hole_is_said() -> None:
    with pytest.raises(InfeasibleError, match="do not hold every layer on one way"):
        Petals()(fleet([1.0, 1.0], layers=12, memory=[5000, 5000]))


def test_the_auction_takes_the_fewest_devices_or_the_best_in_order() -> None:
    problem = fleet([4.0, 1.0, 1.0], layers=12, memory=[7000, 9000, 20_000])
    assert counts_of(problem, PipeedgeRevauct(mode="host_count")) == [("n2", 12)]
    assert counts_of(problem, PipeedgeRevauct(mode="latency")) in ([("n2", 12)], [("n1", 8), ("n2", 4)])
    spread = PipeedgeRevauct(mode="throughput")(problem).plan
    # 1 layer of 4 s, 5 and 6 of 1 s.
    assert evaluate(problem, spread).period_s == pytest.approx(6.0)
