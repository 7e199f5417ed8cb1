"""What is each method's own: what copies are worth, greedy rules, splitting and merging, the choice after a failure."""

from itertools import combinations, product

import numpy as np
import pytest
from problems import Cluster, Node, chain, problem_of, profile_of, random_problem

from hocket.cluster import Direction, Link
from hocket.cost import Objective, Problem, evaluate
from hocket.errors import InfeasibleError
from hocket.plan import Copies
from hocket.solvers import check_solver
from hocket.solvers.robust import SOLVERS, Aspm, Continuer, CpoSa3Fmtr, ReplicaSearch, Robustdice
from hocket.solvers.robust.aspm import Part, Splitting
from hocket.solvers.robust.continuer import recoveries, sending_s
from hocket.solvers.robust.cpo_sa3_fmtr import Allotting
from hocket.solvers.robust.survival import failures, greedy, needs_of, survives

METRICS = ("sequential", "latency", "period", "energy", "price")


def mixed(count: int = 15) -> list[Problem]:
    """A few problems of every metric, some with little memory, some over a relay."""
    return [
        random_problem(
            seed, METRICS[seed % 5], nodes=2 + seed % 2, size=4, limited=seed % 3 == 0, spread=seed % 4 == 0,
            packed=seed % 5 == 0, relay=seed % 7 == 1, call_s=2e-4 if seed % 4 == 1 else 0.0,
        )
        for seed in range(count)
    ]  # fmt: skip


def fleet(
    chances: dict[str, float],
    seconds: dict[str, list[float]],
    *,
    links: float = 0.0,
    metric: str = "sequential",
    weights: list[int] | None = None,
    limits: dict[str, float] | None = None,
    sizes: list[int] | None = None,
    **task: object,
) -> Problem:
    """Nodes all linked to each other at 1 MB/s, by how often they fail; the first one is the source."""
    names = list(chances)
    size = len(next(iter(seconds.values())))
    graph = chain(sizes or [1] * size, weights=weights, first=1)
    nodes = tuple(Node(name=name, flops_per_s=1e9, failure_probability=chances[name]) for name in names)
    way = Direction(bytes_per_s=1e6)
    joined = tuple(Link(between=(a, b), up=way, down=way, failure_probability=links) for a, b in combinations(names, 2))
    cluster = Cluster(name="fleet", nodes=nodes, links=joined)
    objective = Objective(metric=metric, limits=limits or {})
    return problem_of(graph, cluster, profile_of(graph, seconds), objective=objective, task=task)


# Robustdice divides layers, and these graphs made by hand are not divided: it is tested on models.
@pytest.mark.parametrize("solver", [each for each in SOLVERS if each is not Robustdice], ids=lambda solver: solver.name)
def test_a_method_keeps_the_contract(solver: type) -> None:
    assert check_solver(solver(), mixed(), iterations=20) >= 8


def by_enumeration(problem: Problem, replicas: list[frozenset[str]]) -> float:
    """Every combination of failures of what the replicas need."""
    chances = failures(problem)
    names = sorted(set().union(*replicas))
    total = 0.0
    for down in product([False, True], repeat=len(names)):
        broken = {name for name, fails in zip(names, down, strict=True) if fails}
        if any(not (needed & broken) for needed in replicas):
            total += float(np.prod([chances[n] if n in broken else 1 - chances[n] for n in names]))
    return total


def test_replicas_that_share_the_source_survive_as_enumeration_says() -> None:
    problem = fleet({"s": 0.05, "a": 0.2, "b": 0.3}, {"a": [1.0], "b": [1.0]}, links=0.1)
    needs = [needs_of(problem, problem.task, name) for name in ("a", "b")]
    assert survives(problem, needs) == pytest.approx(by_enumeration(problem, needs))
    # The source once; of the two others with their links 1 - (1 - 0.8 x 0.9) (1 - 0.7 x 0.9).
    assert survives(problem, needs) == pytest.approx(0.95 * (1 - (1 - 0.72) * (1 - 0.63)))


@pytest.mark.parametrize("seed", range(8))
def test_the_greedy_rule_is_within_1_minus_1_over_e_of_the_best(seed: int) -> None:
    rng = np.random.default_rng(seed)
    covers = rng.random((7, 12)) < 0.3
    weight = rng.random(12)

    def worth(chosen: tuple[int, ...]) -> float:
        return float(weight[covers[list(chosen)].any(axis=0)].sum()) if chosen else 0.0

    found = greedy(range(7), worth, lambda chosen, item: len(chosen) < 3)
    best = max(worth(chosen) for chosen in combinations(range(7), 3))
    assert worth(found) >= (1 - 1 / np.e) * best


@pytest.mark.parametrize("seed", range(5))
def test_sa3_is_within_a_third_of_the_best_allocation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chances = {"s": 0.0} | {name: float(rng.uniform(0.05, 0.9)) for name in "abcd"}
    one = fleet(chances, {name: [1.0] for name in "abcd"}, links=0.05)
    two = one.task.replace(name="other")
    problem = one.replace(tasks=(one.task, two))
    allotting = Allotting(problem, 3, 1)
    best = 0.0
    for owner in product([0, 1, None], repeat=4):
        pairs = tuple((at, node + 1) for node, at in enumerate(owner) if at is not None)
        if all(sum(pair[0] == at for pair in pairs) <= 3 for at in (0, 1)):
            best = max(best, allotting.worth(pairs))
    found = allotting.allot()
    assert len({node for _, node in found}) == len(found)
    assert allotting.worth(found) >= best / 3


def test_sa3_takes_the_most_reliable_nodes_until_the_floor_is_reached() -> None:
    seconds = {"s": [9.0]} | {name: [1.0] for name in "abc"}
    problem = fleet({"s": 0.0, "a": 0.3, "b": 0.1, "c": 0.2}, seconds, reliability_floor=0.97, deadline_s=2.0)
    assert Allotting(problem, 3, 1).allot() == ((0, 2), (0, 3))  # 1 - 0.1 x 0.2 = 0.98


def test_sa3_leaves_out_nodes_that_are_too_late() -> None:
    problem = fleet({"s": 0.0, "a": 0.3, "b": 0.1}, {"a": [1.0], "b": [9.0]}, deadline_s=2.0)
    assert Allotting(problem, 3, 1).allot() == ((0, 1),)


def test_the_proposed_copies_race() -> None:
    seconds = {"s": [9.0], "a": [1.0], "b": [2.0]}
    problem = fleet({"s": 0.0, "a": 0.3, "b": 0.1}, seconds, metric="latency", deadline_s=3.0)
    plan = CpoSa3Fmtr()(problem).plan
    assert plan.entries[0].where[0].on == Copies(nodes=("a", "b"), mode="race")
    assert evaluate(problem, plan).latency_s == pytest.approx(1.0, rel=1e-4)


def test_a_block_that_fails_costs_a_timeout_and_the_source() -> None:
    problem = fleet({"s": 0.0, "a": 0.25}, {"s": [8.0], "a": [2.0]})
    method = Splitting(problem, timeout=1.5)
    seconds = method.time_s(Part(0, 1, 1), None)
    assert seconds == pytest.approx(2.0, rel=1e-4)
    assert method.delay_s((Part(0, 1, 1),)) == pytest.approx(0.75 * seconds + 0.25 * (1.5 * seconds + 8.0))


def test_splitting_goes_on_in_the_halves_until_nothing_is_gained() -> None:
    seconds = {"s": [9.0] * 4, "a": [1.0, 9.0, 9.0, 9.0], "b": [9.0, 1.0, 9.0, 9.0], "c": [9.0, 9.0, 1.0, 1.0]}
    parts = Splitting(fleet(dict.fromkeys("sabc", 0.0), seconds)).split()
    assert parts == (Part(0, 1, 1), Part(1, 2, 2), Part(2, 4, 3))
    assert len(Splitting(fleet({"s": 0.0, "a": 0.0}, {"s": [1.0] * 4, "a": [1.0] * 4})).split()) == 1


def test_splitting_in_two_misses_what_only_two_cuts_together_gain() -> None:
    seconds = {"s": [9.0] * 4, "a": [1.0, 9.0, 1.0, 9.0], "b": [9.0, 1.0, 9.0, 1.0]}
    method = Splitting(fleet(dict.fromkeys("sab", 0.0), seconds))
    best = (Part(0, 1, 1), Part(1, 2, 2), Part(2, 3, 1), Part(3, 4, 2))
    assert method.split() == (Part(0, 1, 1), Part(1, 4, 2))
    assert method.delay_s(best) < method.delay_s(method.split())


def test_merging_gives_up_the_least_delay_for_the_success_that_is_wanted() -> None:
    seconds = {"s": [9.0] * 3, "a": [1.0, 3.0, 9.0], "b": [9.0, 1.0, 1.0]}
    problem = fleet({"s": 0.0, "a": 0.1, "b": 0.1}, seconds)
    method = Splitting(problem)
    parts, *rest = method.merging(method.split())
    assert parts == (Part(0, 1, 1), Part(1, 3, 2))
    assert method.success(parts) == pytest.approx(0.81)
    assert all(len(merged) == 1 for merged in rest)
    # One block: on b it costs 9 + 1 + 1 and on a 1 + 3 + 9, both with success 0.9; at the source 27, with success 1.
    worth = {merged[0].host: method._worth(parts, merged) for merged in method._merges(parts, 0)}
    assert rest[0][0].host == max(worth, key=lambda host: worth[host])


@pytest.mark.parametrize(("floor", "nodes"), [(0.0, {"a", "b"}), (0.85, {"b"}), (0.95, {"s"})])
def test_aspm_offloads_fewer_blocks_the_higher_the_floor(floor: float, nodes: set[str]) -> None:
    seconds = {"s": [9.0] * 3, "a": [1.0, 3.0, 9.0], "b": [4.0, 1.0, 1.0]}
    problem = fleet({"s": 0.0, "a": 0.1, "b": 0.1}, seconds, reliability_floor=floor)
    proposal = Aspm()(problem)
    assert {run.on for run in proposal.plan.entries[0].where} == nodes
    assert evaluate(problem, proposal.plan).reliability >= floor


def test_aspm_says_when_nothing_is_reliable_enough() -> None:
    problem = fleet({"s": 0.2, "a": 0.1}, {"s": [9.0], "a": [1.0]}, reliability_floor=0.95)
    with pytest.raises(InfeasibleError, match=r"reliability: 'chain' needs 0\.95 and gets"):
        Aspm()(problem)


def pipeline() -> Problem:
    """s -> a -> b; c is nearly as fast as a and has none of the weights yet."""
    seconds = {"s": [9.0, 9.0], "a": [1.0, 6.0], "b": [3.0, 1.0], "c": [1.5, 9.0]}
    return fleet(dict.fromkeys("sabc", 0.0), seconds, weights=[4_000_000, 4_000_000])


def test_recovery_is_among_a_new_partition_and_the_neighbours() -> None:
    found = {each.technique: each for each in recoveries(pipeline(), [1, 2], 1)}
    assert set(found) == {"repartition", "to successor"}  # before a there is no other node
    assert found["repartition"].places == (3, 2)
    assert found["to successor"].places == (2, 2)
    assert found["repartition"].downtime_s == pytest.approx(4.0)  # the 4 MB of one layer at 1 MB/s
    assert sending_s(pipeline(), [1, 2], [1, 2]) == 0.0


@pytest.mark.parametrize(("options", "technique"), [
    ({"latency_weight": 1.0, "downtime_weight": 0.0}, "repartition"),
    ({"most_downtime_s": 3.0}, None),
])  # fmt: skip
def test_the_choice_follows_the_weights_and_the_thresholds(options: dict[str, float], technique: str | None) -> None:
    chosen = Continuer(**options).choose(pipeline(), [1, 2], 1)
    assert (chosen.technique if chosen else None) == technique


def test_the_source_cannot_be_replaced_and_a_note_says_so() -> None:
    assert recoveries(pipeline(), [0, 1], 0) == []
    notes = Continuer()(pipeline()).notes
    assert set(notes) == {"if a fails", "if b fails"}
    assert notes["if a fails"].startswith("repartition, 2.5")


def test_a_recovery_does_not_route_over_the_node_that_failed() -> None:
    graph = chain([1], first=1)
    nodes = tuple(Node(name=name, flops_per_s=1e9) for name in "sab")
    links = (Link(between=("s", "a")), Link(between=("a", "b")))
    seconds = {"s": [9.0], "a": [1.0], "b": [1.0]}
    problem = problem_of(graph, Cluster(name="c", nodes=nodes, links=links), profile_of(graph, seconds))
    assert [each.places for each in recoveries(problem, [1], 1)] in ([], [(0,)])


def test_there_are_no_copies_where_nobody_can_choose_among_them() -> None:
    problem = fleet({"s": 0.0, "a": 0.3, "b": 0.1}, {"a": [1.0, 2.0], "b": [2.0, 1.0]})
    for solver in (CpoSa3Fmtr(), ReplicaSearch()):
        assert all(isinstance(run.on, str) for run in solver(problem).plan.entries[0].where)


def test_the_oracle_of_replicas_judges_all_sets_where_they_are_few() -> None:
    problem = fleet(
        {"s": 0.0, "a": 0.3, "b": 0.1}, {"s": [9.0, 9.0], "a": [1.0, 2.0], "b": [2.0, 1.0]}, metric="latency"
    )
    proposal = ReplicaSearch(segments=2, copies=2)(problem)
    assert proposal.notes["judgements"] == "36"  # three single nodes and three pairs, for each of two segments
    single = ReplicaSearch(segments=2, copies=1)(problem)
    assert single.notes["judgements"] == "9"
    values = [evaluate(problem, each.plan).value for each in (proposal, single)]
    assert values[0] <= values[1]
