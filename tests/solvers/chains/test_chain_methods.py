"""The methods on chains as solvers: the contract, and for each a claim that another method would not keep."""

import random
from itertools import product

import numpy as np
import pytest
from problems import chain, graph_of, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.graph.topology import units
from hocket.profile import CodecCost
from hocket.solvers import ChainDp, Exhaustive, check_solver, solve
from hocket.solvers.additive import Additive
from hocket.solvers.chains import SOLVERS
from hocket.solvers.chains.adamec import AdaMec, NeighbourSearch, neighbours
from hocket.solvers.chains.busy import Busy
from hocket.solvers.chains.edgeshard_latency import EdgeShardLatency
from hocket.solvers.chains.edgeshard_throughput import EdgeShardThroughput
from hocket.solvers.chains.hpipe import HPipe
from hocket.solvers.chains.jalad import Jalad
from hocket.solvers.chains.job_schedule import JobSchedule
from hocket.solvers.chains.jointdnn import JointDnn
from hocket.solvers.chains.linear_pipeline import LinearPipeline
from hocket.solvers.chains.mdpo import Mdpo, earliest, sender
from hocket.solvers.chains.pdd import Pdd
from hocket.solvers.chains.pipeedge import PipeEdge
from hocket.solvers.chains.pipeline_coinfer import PipelineCoinfer
from hocket.solvers.chains.rows import chain_of
from hocket.solvers.layout import Layout
from hocket.solvers.solver import Solver

METRICS = ("sequential", "latency", "period", "energy", "price")


def instances() -> list[Problem]:
    """Problems of all metrics, shapes and clusters that the tests know, 40 in all."""
    return [
        random_problem(
            seed, metric, nodes=2 + seed % 2, size=4 + (seed % 5 == 0), limited=seed % 3 == 0, spread=seed % 4 == 0,
            packed=seed % 5 == 0, media=seed % 6 == 0, relay=seed % 7 == 0, call_s=2e-4 if seed % 4 == 1 else 0.0,
            **({"shape": "chain"} if seed % 3 == 1 else {}),
        )
        for metric in METRICS
        for seed in range(8)
    ]  # fmt: skip


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
def test_methods_on_chains_keep_the_contract(solver: type[Solver]) -> None:
    assert check_solver(solver(), instances(), iterations=5) >= 20


def straight(seed: int, metric: str = "period", **options: object) -> Problem:
    """A random chain with one input and one answer."""
    return random_problem(seed, metric, shape="chain", **{"nodes": 3, "size": 5, **options})


def test_pipeedge_says_what_it_proves_and_chain_dp_agrees() -> None:
    proven = 0
    for seed in range(25):
        problem = straight(seed, limited=seed % 2 == 0)
        try:
            expected = evaluate(problem, ChainDp()(problem).plan).value
        except InfeasibleError:
            with pytest.raises(InfeasibleError, match="no plan of 'chain' keeps the constraints, searched over all"):
                PipeEdge()(problem)
        except RefusedError:
            continue
        else:
            proposal = PipeEdge()(problem)
            if proposal.over:
                proven += 1
                assert evaluate(problem, proposal.plan).value == pytest.approx(expected, rel=1e-9)
    assert proven >= 10


def test_pipeedge_refuses_too_many_kinds() -> None:
    reason = PipeEdge(most_states=10).refuses(straight(1))
    assert reason == "3 kinds of devices make a table of 144 entries, more than 10"
    reason = EdgeShardThroughput(most_states=10).refuses(straight(1))
    assert reason == "the sets of 3 devices make a table of 144 entries, more than 10"


def two(up: float = 1e6, down: float = 1e6, **fields: object) -> Cluster:
    """A device and a server, links without latency."""
    nodes = (Node(name="d", flops_per_s=1e9, **fields), Node(name="s", flops_per_s=1e9))
    link = Link(between=("d", "s"), up=Direction(bytes_per_s=up), down=Direction(bytes_per_s=down))
    return Cluster(name="two", nodes=nodes, links=(link,))


def star(rate: float = 1e6, memory: tuple[int | None, int | None, int | None] = (None, None, None)) -> Cluster:
    """Three devices, each with a link to each other one."""
    nodes = tuple(Node(name=f"n{i}", flops_per_s=1e9, memory_bytes=m) for i, m in enumerate(memory))
    d = Direction(bytes_per_s=rate)
    links = tuple(Link(between=(f"n{a}", f"n{b}"), up=d, down=d) for a, b in ((0, 1), (0, 2), (1, 2)))
    return Cluster(name="star", nodes=nodes, links=links)


def test_the_first_layer_of_edgeshard_stays_at_the_source() -> None:
    """The source is the slowest, and still has the first layer; chain_dp takes it away."""
    graph = chain([1, 1, 1], first=1)
    seconds = {"n0": [5.0, 5.0, 5.0], "n1": [1.0, 1.0, 1.0], "n2": [2.0, 2.0, 2.0]}
    problem = problem_of(graph, star(1e9), profile_of(graph, seconds), "period")
    for solver in (EdgeShardThroughput(), EdgeShardLatency()):
        stages = solve(problem, solver).stages()
        assert stages[0]["node"] == "n0"
        assert stages[0]["operators"] == ["t0"]
    assert solve(problem, "chain_dp").stages()[0]["node"] != "n0"


def test_edgeshards_latency_recurrence_on_a_hand_instance() -> None:
    """DP(1) = 2 at the source; DP(2) = min(2 + 4, 2 + 1 + 1) on n1; back costs more than it saves."""
    graph = chain([250, 250, 1], first=1)
    seconds = {"n0": [2.0, 4.0, 1.0], "n1": [9.0, 1.0, 1.5], "n2": [9.0, 9.0, 9.0]}
    problem = problem_of(graph, star(1e3), profile_of(graph, seconds))
    proposal = EdgeShardLatency()(problem)
    assert float(proposal.notes["own_latency_s"]) == pytest.approx(2 + 1 + 1 + 1.5 + 0.004)
    assert [stage["node"] for stage in solve(problem, "edgeshard_latency").stages()] == ["n0", "n1"]


def test_memory_taken_off_along_the_path_can_leave_no_plan() -> None:
    """The best path to the third layer fills the only device that takes the fourth; a used set remembers better."""
    graph = chain([1] * 4, weights=[1000, 1000, 1000, 5000], first=1)
    seconds = {"n0": [1.0, 3.0, 50.0, 50.0], "n1": [9.0, 1.0, 50.0, 1.0], "n2": [9.0, 9.0, 1.0, 50.0]}
    problem = problem_of(graph, star(1e9, (2100, 5500, 1900)), profile_of(graph, seconds))
    with pytest.raises(InfeasibleError, match="searched over all placements of blocks that begin at the source"):
        EdgeShardLatency(memory="greedy")(problem)
    cost = solve(problem, "edgeshard_latency").cost
    assert cost.feasible
    assert cost.sequential_s == pytest.approx(1 + 3 + 1 + 1, abs=1e-6)


def test_hpipe_keeps_its_order_and_slices_attention_only() -> None:
    graph = graph_of([[-1], [0], [1], [2]], [1] * 4, inputs=(1,), kinds=["Conv", "MatMul", "Softmax", "Conv"])
    seconds = {f"n{i}": [1.0, 4.0, 1.0, 1.0] for i in range(3)}
    problem = problem_of(graph, star(1e9), profile_of(graph, seconds), "period")
    solution = solve(problem, "hpipe", order="n2, n0", tokens=8, granularity=1)
    assert [stage["node"] for stage in solution.stages()] == ["n2", "n0"]
    lengths = [int(length) for length in solution.notes["slices"].split(", ")]
    assert sum(lengths) == 8
    assert len(lengths) > 1
    plain = problem_of(chain([1] * 4), star(1e9), profile_of(chain([1] * 4), seconds), "period")
    assert "slices" not in solve(plain, "hpipe", tokens=8).notes
    assert HPipe(order="n9").refuses(problem) == (
        "the order names 'n9', which is no node of the cluster that the profile knows"
    )


def test_pdd_charges_all_tensors_of_a_boundary() -> None:
    """A tensor that is read two vertices later passes both boundaries, so the cut goes where it is alone."""
    graph = graph_of([[-1], [0], [0, 1], [2]], [1000, 1000, 10, 1], inputs=(1,))
    seconds = {"d": [1.0, 1.0, 1.0, 1.0], "s": [1.0, 1.0, 1.0, 1.0]}
    problem = problem_of(graph, two(up=4e3 / 1.5), profile_of(graph, seconds), "period")
    plan = Pdd()(problem)
    assert float(plan.notes["own_period_s"]) == pytest.approx(2.5 if "2 on" in plan.notes["stages"] else 3.0)
    assert plan.notes["stages"] in ("units: 3 on d, 1 on s", "units: 1 on d, 3 on s")


def timed(problem: Problem, places: tuple[int, ...]) -> float:
    """When the answers arrive, by sending everything in turn."""
    task, send, now = problem.task, sender(problem), 0.0
    names = [node.name for node in problem.cluster.nodes]
    here, tensor = task.source, task.graph.inputs[0].name
    for place, operator in zip(places, task.graph.operators, strict=True):
        now = send(now, here, names[place], task.graph.tensor[tensor].nbytes)
        here, tensor = names[place], operator.name
        now += task.profile.at(here).seconds[operator.name]
    return send(now, here, task.outputs[tensor], task.graph.tensor[tensor].nbytes)


def test_mdpo_arrives_first_of_all_paths_while_links_come_and_go() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        graph = chain([rng.choice([1, 500, 2000]) for _ in range(4)], first=500)
        begin = rng.uniform(0.0, 4.0)
        links = tuple(
            Link(between=pair, up=Direction(bytes_per_s=rng.choice([1e3, 1e4])),
                 down=Direction(bytes_per_s=rng.choice([1e3, 1e4])), available=windows)
            for pair, windows in (
                (("n0", "n1"), ((0.0, begin + 1),)), (("n0", "n2"), ((begin, 1e4),)), (("n1", "n2"), ()),
            )
        )  # fmt: skip
        cluster = Cluster(name="road", nodes=star().nodes, links=links)
        seconds = {f"n{i}": [rng.uniform(0.1, 3.0) * (1 if i else 4) for _ in range(4)] for i in range(3)}
        problem = problem_of(graph, cluster, profile_of(graph, seconds), "latency")
        assert len(units(graph)) == 4
        found = earliest(chain_of(problem), sender(problem))
        assert found is not None
        assert found[0] == pytest.approx(min(timed(problem, places) for places in product(range(3), repeat=4)))
        assert evaluate(problem, Mdpo()(problem).plan).latency_s == pytest.approx(found[0])


def test_mdpo_moves_on_with_the_next_base_station() -> None:
    """The first server is left at 2 s: what still runs there then cannot come back, so the second one goes on."""
    graph = chain([250, 1, 1], first=250)
    d = Direction(bytes_per_s=1e4)
    links = (
        Link(between=("n0", "n1"), up=d, down=d, available=((0.0, 2.0),)),
        Link(between=("n0", "n2"), up=d, down=d, available=((0.5, 1e4),)),
        Link(between=("n1", "n2"), up=d, down=d, latency_s=0.6),
    )
    cluster = Cluster(name="road", nodes=star().nodes, links=links)
    seconds = {"n0": [9.0, 9.0, 9.0], "n1": [1.0, 1.0, 1.0], "n2": [2.0, 1.0, 0.5]}
    problem = problem_of(graph, cluster, profile_of(graph, seconds), "latency")
    assert [stage["node"] for stage in solve(problem, "mdpo").stages()] == ["n1", "n2"]


def by_metric(problem: Problem, metric: str, places: list[int]) -> float:
    additive = Additive(Layout(problem, problem.task), {metric: 1.0})
    return additive.costs.value(places)


@pytest.mark.parametrize("limited", [False, True])
def test_jointdnn_is_the_best_path_that_keeps_the_limits(limited: bool) -> None:
    binding = 0
    for seed in range(40):
        problem = straight(seed, "sequential", nodes=2, size=6)
        size = len(units(problem.task.graph))
        options = [list(places) for places in product((0, 1), repeat=size)]
        free = min(options, key=lambda places: by_metric(problem, "sequential", places))
        limit = by_metric(problem, "energy", free) * 0.8
        if limited:
            problem = problem.replace(objective=Objective(metric="sequential", limits={"energy": limit}))
            options = [places for places in options if by_metric(problem, "energy", places) <= limit]
        best = min((by_metric(problem, "sequential", places) for places in options), default=None)
        if best is None:
            with pytest.raises(InfeasibleError, match="all paths over layers on the mobile and one cloud"):
                JointDnn()(problem)
            continue
        binding += best > by_metric(problem, "sequential", free)
        proposal = JointDnn()(problem)
        assert float(proposal.notes["own_value"]) == pytest.approx(best)
        assert evaluate(problem, proposal.plan).sequential_s == pytest.approx(best)
    assert binding >= 5 or not limited


def test_jointdnn_changes_sides_as_often_as_it_pays_and_counts_the_mobile_only() -> None:
    graph = chain([1, 1, 1], first=1)
    seconds = {"d": [1.0, 9.0, 1.0], "s": [9.0, 1.0, 9.0]}
    cluster = two(compute_w=1.0, transmit_w=1.0)
    problem = problem_of(graph, cluster, profile_of(graph, seconds))
    proposal = JointDnn()(problem)
    assert proposal.notes["changes"] == "2"
    energy = JointDnn(mode="energy")(problem)
    assert energy.notes["changes"] == "0"
    assert float(energy.notes["own_value"]) == pytest.approx(4e-6)  # one input of 4 bytes at 1 MB/s and 1 W
    assert JointDnn().refuses(problem_of(graph, cluster, profile_of(graph, {"d": [1.0, 1.0, 1.0]}))) == (
        "there is no cloud: only 'd', where the inputs are, can compute"
    )


def test_adamec_ends_where_no_neighbour_is_better() -> None:
    for seed in range(15):
        problem = random_problem(seed, METRICS[seed % 5], nodes=3, size=5)
        proposal = AdaMec(most_vertices=10_000)(problem)
        search = NeighbourSearch(problem, 1, 10_000)
        hosts, size = search.layout.hosts, len(search.layout.units)
        found = {places: search.plan(places) for places in product(hosts, repeat=size)}
        here = next(places for places, plan in found.items() if plan == proposal.plan)
        value = evaluate(problem, proposal.plan).value
        assert all(evaluate(problem, found[near]).value >= value * (1 - 1e-9) for near in neighbours(here, hosts))


def test_adamec_goes_on_from_the_plan_in_use() -> None:
    """From the best plan it judges its neighbours only; a plan of yesterday is a better start than the source."""
    problem = random_problem(4, "latency", nodes=3, size=7, shape="chain")
    best = Exhaustive()(problem).plan
    again = AdaMec(current=best.to_json())(problem)
    assert evaluate(problem, again.plan).value == pytest.approx(evaluate(problem, best).value)
    assert again.notes["steps"] == "1"
    assert int(again.notes["judged"]) <= 1 + 3 * 3 * 7


def test_neighbours_are_one_boundary_or_one_segment_away() -> None:
    """One boundary: it moves by one unit either way, a new one appears at each end, and each segment goes elsewhere."""
    found = set(neighbours((0, 0, 1, 1), (0, 1)))
    assert found == {(1, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 0, 0)}


def coded_problem(seed: int, *, rate_per_s: float = 0.0) -> Problem:
    """A chain between a device and a server with codecs in the profile."""
    rng = random.Random(seed)
    graph = chain([rng.choice([10, 1000, 4000]) for _ in range(5)], first=rng.choice([100, 4000]))
    codecs = {
        "bits4+zlib": CodecCost(ratio=0.1, encode_s_per_byte=1e-5, decode_s_per_byte=1e-5),
        "raw+zlib": CodecCost(ratio=rng.choice([0.4, 0.9]), encode_s_per_byte=rng.choice([1e-8, 1e-4])),
        "int8": CodecCost(ratio=0.25, encode_s_per_byte=2e-8),
    }
    seconds = {"d": [rng.uniform(0.01, 0.3) for _ in range(5)], "s": [rng.uniform(0.001, 0.1) for _ in range(5)]}
    cluster = two(up=rng.choice([1e4, 1e5, 1e6]))
    profile = profile_of(graph, seconds, codecs=codecs)
    return problem_of(graph, cluster, profile, "latency", task={"rate_per_s": rate_per_s})


def each_choice(problem: Problem, *, lossy: bool) -> list[tuple[float, float, float, float]]:
    """(device, uplink, server and back, coding) seconds of each cut with each codec, worked out by hand."""
    task = problem.task
    device, server = task.profile.at("d"), task.profile.at("s")
    link = problem.cluster.links[0]
    sizes = [task.graph.inputs[0].nbytes, *(task.graph.tensor[f"t{i}"].nbytes for i in range(5))]
    codecs = {"raw": CodecCost(ratio=1.0), **device.codecs}
    found = []
    for cut in range(6):
        away = cut < 5
        for name, codec in codecs.items() if away else [("raw", codecs["raw"])]:
            if not lossy and not name.startswith("raw"):
                continue
            sent = sizes[cut] if away else 0
            back = sizes[5] / (link.down.bytes_per_s or 1) if away else 0.0
            computing = sum(device.seconds[f"t{i}"] for i in range(cut))
            serving = sum(server.seconds[f"t{i}"] for i in range(cut, 5)) + back
            coding = sent * (codec.encode_s_per_byte + codec.decode_s_per_byte)
            found.append((computing, sent * codec.ratio / (link.up.bytes_per_s or 1), serving, coding))
    return found


@pytest.mark.parametrize("lossy", [False, True])
def test_jalad_takes_the_best_pair_of_cut_and_codec(lossy: bool) -> None:
    lossless_only = 0
    for seed in range(40):
        problem = coded_problem(seed)
        proposal = Jalad(lossy=lossy)(problem)
        down = problem.task.graph.tensor["t4"].nbytes / (problem.cluster.links[0].down.bytes_per_s or 1)
        choices = each_choice(problem, lossy=lossy)
        # The way back is left out, as published.
        best = min(
            d + u + s - (down if number < len(choices) - 1 else 0) for number, (d, u, s, _) in enumerate(choices)
        )
        assert float(proposal.notes["own_value"]) == pytest.approx(best)
        codecs = {crossing.codec for crossing in proposal.plan.entries[0].codecs}
        lossless_only += codecs <= {"raw+zlib"}
        assert (proposal.bound is None) == bool(codecs)
    assert lossless_only == 40 if not lossy else lossless_only < 40


def test_pipeline_coinfer_filters_by_the_longest_stage_and_judges_as_the_judge() -> None:
    kept = 0
    for seed in range(40):
        problem = coded_problem(seed, rate_per_s=4.0)
        try:
            proposal = PipelineCoinfer(lossy=True)(problem)
        except InfeasibleError as error:
            assert "keeps up with 4 requests per second" in str(error) or "keeps the constraints" in str(error)
            continue
        kept += 1
        cost = evaluate(problem, proposal.plan)  # on a chain the judge has the figure of the method
        assert cost.latency_s == pytest.approx(float(proposal.notes["own_value"]))
        assert cost.latency_s >= min(sum(choice) for choice in each_choice(problem, lossy=True)) * (1 - 1e-9)
        assert cost.period_s <= 0.25
    assert kept >= 10


def test_a_lossless_codec_is_used_only_where_it_pays() -> None:
    graph = chain([1000, 1], first=1000)
    codecs = {"raw+zlib": CodecCost(ratio=0.5, encode_s_per_byte=1e-3)}
    profile = profile_of(graph, {"d": [1.0, 9.0], "s": [9.0, 1.0]}, codecs=codecs)
    problem = problem_of(graph, two(up=4e3), profile, "latency", task={"rate_per_s": 0.0})
    assert Jalad()(problem).plan.entries[0].codecs[0].codec == "raw+zlib"  # coding is not counted, as published
    assert PipelineCoinfer()(problem).plan.entries[0].codecs == ()  # 4 s of coding save 0.5 s


def test_job_schedule_takes_the_cut_of_least_makespan_and_notes_the_mix() -> None:
    """Whole on the device 8 s each; cut after the first unit 1 + 3; after the second 3 + 1: two jobs 7 s or 5 s."""
    graph = chain([750, 250, 1], first=5000)
    profile = profile_of(graph, {"d": [1.0, 2.0, 5.0], "s": [0.0, 0.0, 0.0]})
    problem = problem_of(graph, two(up=1e3), profile, "latency")
    proposal = JobSchedule(jobs=2)(problem)
    assert float(proposal.notes["own_value"]) == 7.0
    assert proposal.notes["two_cuts"] == (
        "1 jobs with 1 of 3 units on d, the rest on s, then 1 with 2 of 3 units on d, the rest on s: 5 s"
    )
    assert JobSchedule(jobs=1)(problem).notes["own_value"] == "4"


def test_ocdst_trades_delay_for_the_longest_stage_as_the_stream_grows() -> None:
    """A single request stays on one device, a long stream is divided."""
    graph = chain([250] * 6, first=1)
    profile = profile_of(graph, {f"n{i}": [1.0] * 6 for i in range(3)})
    problem = problem_of(graph, star(1e3), profile, "period")
    assert len(solve(problem, "ocdst", requests=1).stages()) == 1
    assert len(solve(problem, "ocdst", requests=1000).stages()) == 3
    notes = solve(problem, "ocdst", requests=1000).notes
    assert float(notes["mean_delay_s"]) == pytest.approx((6 + 2 * 1 + 999 * 2) / 1000, rel=0.01)


def test_busy_seconds_are_those_of_the_judge() -> None:
    """Of every placement of a DAG over links that share media and ports."""
    for seed in range(12):
        problem = random_problem(seed, "period", nodes=3, size=4, media=seed % 2 == 0, relay=seed % 3 == 0)
        layout = Layout(problem, problem.task)
        placements = np.array(list(product(layout.hosts, repeat=len(layout.units))))
        busy = Busy(layout).seconds(placements).max(axis=1)
        for places, found in zip(placements.tolist(), busy.tolist(), strict=True):
            assert found == pytest.approx(evaluate(problem, layout.plan(places, {})).period_s)


def test_the_linear_pipeline_is_no_worse_than_pdd_and_mostly_the_best() -> None:
    best = 0
    for seed in range(30):
        problem = random_problem(seed, "period", nodes=3, size=6)
        value = evaluate(problem, LinearPipeline(rounds=20)(problem).plan).value
        assert value <= evaluate(problem, Pdd()(problem).plan).value * (1 + 1e-9)
        best += value <= evaluate(problem, Exhaustive()(problem).plan).value * (1 + 1e-9)
    assert best >= 25


def test_nodes_that_take_equally_long_but_differ_in_power_are_not_of_a_kind() -> None:
    """Memory takes one run per node; the second of two equally fast nodes needs a tenth of the power."""
    graph = chain([1, 1], weights=[1000, 1000], first=1)
    nodes = tuple(
        Node(name=f"n{i}", flops_per_s=1e9, memory_bytes=1500, compute_w=watts)
        for i, watts in enumerate((1.0, 10.0, 1.0))
    )
    cluster = star().replace(nodes=nodes)
    profile = profile_of(graph, {"n0": [5.0, 5.0], "n1": [1.0, 1.0], "n2": [1.0, 1.0]})
    cost = solve(problem_of(graph, cluster, profile, "energy"), "chain_dp").cost
    assert cost.energy_j == pytest.approx(6.0)
