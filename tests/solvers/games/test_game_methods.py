"""What each method of the family claims, on problems where another method would not do it."""

from itertools import product

import numpy as np
import pytest
from many_problems import many_to_many
from problems import chain, problem_of, profile_of, random_problem
from solvers.games.game_problems import cells

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, Problem, evaluate
from hocket.solvers import Solver, check_solver, solve
from hocket.solvers.additive import Additive
from hocket.solvers.fixed import plan_at
from hocket.solvers.games import SOLVERS, CameraCoalition, Dds, Dia, Dina, Gafpd, Ucl, VcgAuction
from hocket.solvers.games.best_response import fault
from hocket.solvers.games.camera_coalition import Cameras
from hocket.solvers.games.dds import Device, respond
from hocket.solvers.games.dia import Users
from hocket.solvers.games.dina import Pieces
from hocket.solvers.games.gafpd import Cuts, best_clock_hz
from hocket.solvers.games.groups import Groups
from hocket.solvers.games.market import Market
from hocket.solvers.games.matching import agree, blocking
from hocket.solvers.games.ucl import Competition
from hocket.solvers.layout import Layout

METRICS = ("latency", "sequential", "energy", "price", "period")


def class_of_problems(count: int) -> list[Problem]:
    """Several tasks, one task, all metrics."""
    return [
        problem
        for metric in METRICS
        for seed in range(count)
        for problem in (
            cells(seed, devices=2 + seed % 3, servers=1 + seed % 2, metric=metric, shape=("chain", "dag")[seed % 2]),
            many_to_many(seed, devices=2, servers=2, metric=metric, rates=seed % 2 == 0, cell=seed % 3 == 0),
            random_problem(seed, metric, nodes=2 + seed % 2, size=4, limited=seed % 3 == 0, packed=seed % 2 == 0),
        )
    ]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
def test_every_game_keeps_the_contract(solver: type[Solver]) -> None:
    problems = class_of_problems(2)
    assert check_solver(solver(), problems, iterations=20) >= 0.3 * len(problems)


def without(problem: Problem, name: str) -> Problem:
    return problem.replace(tasks=tuple(task for task in problem.tasks if task.name != name))


@pytest.mark.parametrize("seed", range(4))
def test_vcg_payments_are_what_the_others_lose_by_a_device(seed: int) -> None:
    problem = cells(seed, devices=4, servers=1, metric="sequential", aggregate="sum", speed_up=5.0)
    found = VcgAuction(units=16)(problem)
    welfare = float(found.notes["welfare"])
    at_home = evaluate(problem, plan_at(problem, None)).value
    assert evaluate(problem, found.plan).value == pytest.approx(at_home - welfare, rel=1e-6)
    winners = [key.removeprefix("pays:") for key in found.notes if key.startswith("pays:")]
    assert winners
    for name in winners:
        entry = next(entry for entry in found.plan.entries if entry.task == name)
        own = problem.replace(tasks=tuple(task for task in problem.tasks if task.name == name))
        saved = evaluate(own, found.plan.replace(entries=(entry,), graph={})).value
        value = evaluate(own, plan_at(own, None)).value - saved
        others = float(VcgAuction(units=16)(without(problem, name)).notes["welfare"])
        payment = float(found.notes[f"pays:{name}"])
        assert payment == pytest.approx(others - (welfare - value), abs=1e-6)
        assert -1e-9 <= payment <= value + 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_no_camera_gains_by_leaving_its_coalition(seed: int) -> None:
    problem = cells(seed, devices=5, servers=2, speed_up=6.0)
    found = CameraCoalition()(problem)
    assert found.notes["stable"] == "yes"
    cameras = Cameras(Market(problem), 0.1)
    servers = {
        problem.cluster.nodes[server].name: number for number, server in enumerate(cameras.coalitions) if server >= 0
    }
    partition = []
    for entry in found.plan.entries:
        used = [run.on for run in entry.where if run.on in servers]
        partition.append(servers[used[0]] if used else 0)
    for entry, coalition in zip(found.plan.entries, partition, strict=True):
        members = partition.count(coalition)
        server = problem.cluster.nodes[cameras.coalitions[coalition]].name
        assert not coalition or entry.shares.get(server, 1.0) == pytest.approx(1 / members)
    for camera, coalition in product(range(5), range(3)):
        moved = [*partition[:camera], coalition, *partition[camera + 1 :]]
        assert cameras.cost(camera, moved) >= cameras.cost(camera, partition) * (1 - 1e-9)


def test_cameras_that_care_for_privacy_give_less_away() -> None:
    problem = cells(3, devices=4, servers=1)
    given = [
        sum(float(value) for key, value in CameraCoalition(privacy=weight)(problem).notes.items() if "leak:" in key)
        for weight in (0.0, 0.3, 100.0)
    ]
    assert given[0] > given[1] > given[2] == 0.0


def device_of(problem: Problem, task: int = 0) -> Device:
    chosen = problem.tasks[task]
    additive = Additive(Layout(problem, chosen), {"sequential": 1.0})
    index = problem.cluster.index
    return Device(additive, 1.0, index[chosen.source], index["server0"])


@pytest.mark.parametrize("seed", range(6))
def test_the_envelope_of_dds_has_the_best_cut_of_a_dag_for_every_share(seed: int) -> None:
    problem = cells(seed, devices=1, servers=1, shape="dag", metric="sequential", speed_up=3.0)
    device = device_of(problem)
    size, server = len(Layout(problem, problem.task).units), problem.cluster.index["server0"]
    everything = [device.line_of([server * bit for bit in bits]) for bits in product((0, 1), repeat=size)]
    lines = device.lines(0.01)
    for share in np.geomspace(0.01, 1.0, 40):
        best = min(line.at + line.per / share for line in everything)
        assert min(line.at + line.per / share for line in lines) == pytest.approx(best, rel=1e-7)
    for price in (0.001, 0.02, 0.5):
        bought = respond(lines, 1.0, price, 0.01)
        assert bought is not None
        if 0.01 < bought.share < 1:
            assert bought.share == pytest.approx((bought.line.per / price) ** 0.5)


@pytest.mark.parametrize("price", [None, 0.0, 0.02])
def test_no_device_gains_by_another_cut_or_share_in_the_game_of_dds(price: float | None) -> None:
    problem = cells(2, devices=3, servers=1, metric="sequential", aggregate="sum", speed_up=4.0)
    found = Dds(price=price)(problem)
    assert found.notes["stable"] == "yes"
    paid = float(found.notes["price"])
    shares = [
        entry.shares.get("server0", float(any(run.on == "server0" for run in entry.where)))
        for entry in found.plan.entries
    ]
    assert sum(shares) <= 1 + 1e-9
    for number, (task, entry) in enumerate(zip(problem.tasks, found.plan.entries, strict=True)):
        own = problem.replace(tasks=(task,))
        left = 1 - (sum(shares) - shares[number])
        mine = evaluate(own, found.plan.replace(entries=(entry,), graph={})).value + paid * shares[number]
        device, size = device_of(problem, number), len(Layout(problem, task).units)
        server = problem.cluster.index["server0"]
        for cut in range(size + 1):
            line = device.line_of([problem.cluster.index[task.source]] * cut + [server] * (size - cut))
            if line.per and left < 0.01:
                continue
            for share in np.linspace(0.01, max(left, 0.01), 25):
                cost = line.at + line.per / share + (paid * share if line.per else 0.0)
                assert mine <= cost * (1 + 1e-6)


def clocks_problem(latency: float, energy: float, **options: int) -> Problem:
    problem = cells(5, clocks=True, metric="sequential", aggregate="sum", speed_up=2.0, **options)
    objective = Objective(metric="weighted", weights={"sequential": latency, "energy": energy}, aggregate="sum")
    return problem.replace(objective=objective)


@pytest.mark.parametrize("weights", [(1.0, 0.2), (0.5, 0.5), (0.2, 1.0)])
def test_nobody_gains_by_another_clock_in_the_game_of_gafpd(weights: tuple[float, float]) -> None:
    problem = clocks_problem(*weights, devices=2, servers=1)
    found = Gafpd()(problem)
    assert found.notes["stable"] == "yes"
    value = evaluate(problem, found.plan).value
    clocks = {setting.node: setting.frequency_hz for entry in found.plan.entries for setting in entry.settings}
    market = Market(problem)
    for node, clock in clocks.items():
        least, most = problem.cluster.node[node].frequency_hz
        if node.startswith("device"):
            rates = market.rates[int(node[6:])]
            free = (rates.second / (2 * rates.joule * problem.cluster.node[node].kappa)) ** (1 / 3)
            assert clock == pytest.approx(min(max(free, least), most))
        for factor in (0.8, 0.95, 1.05, 1.25):
            other = min(max(clock * factor, least), most)
            entries = tuple(
                entry.replace(
                    settings=tuple(s.replace(frequency_hz=other) if s.node == node else s for s in entry.settings)
                )
                for entry in found.plan.entries
            )
            assert evaluate(problem, found.plan.replace(entries=entries)).value >= value * (1 - 1e-9)


def test_the_cuts_of_gafpd_are_an_exact_potential_game() -> None:
    problem = clocks_problem(1.0, 0.3, devices=3, servers=2)
    market = Market(problem)
    game = Cuts(market, np.array([best_clock_hz(market.cluster.nodes[server], 1.0, 0.01) for server in market.servers]))
    for device in range(3):  # a few strategies of each are enough to see it
        kept = [0, 2, 5, 9]
        for table in (game.at, game.loads, game.servers):
            table[device] = table[device][kept]
    assert fault(game.costs, game.potential, [4, 4, 4]) is None


def test_slower_clocks_save_energy_where_that_counts_more() -> None:
    fast, slow = (evaluate(p, Gafpd()(p).plan) for p in (clocks_problem(1.0, 0.01), clocks_problem(0.01, 1.0)))
    assert fast.sequential_s < slow.sequential_s
    assert fast.energy_j > slow.energy_j


@pytest.mark.parametrize("seed", range(6))
def test_the_matching_of_dina_leaves_no_exchange_that_its_parties_want(seed: int) -> None:
    problem = cells(seed, devices=3, servers=2, shape=("chain", "dag")[seed % 2])
    found = Dina()(problem)
    assert found.notes["stable"] == "yes"
    market = Pieces(problem, None)
    of_entries = {entry.task: entry for entry in found.plan.entries}
    matching = []
    for group in market.players:
        task = problem.tasks[market.groups.task_of[group]]
        layout = market.groups.layouts[market.groups.task_of[group]]
        unit = market.groups.unit_groups[market.groups.task_of[group]].index(group)
        operator = layout.graph.operators[layout.units[unit].operators[0]].name
        run = next(run for run in of_entries[task.name].where if operator in covered(problem, task.name, run.operators))
        matching.append(problem.cluster.index[run.on])
    for fog in market.fogs:
        assert matching.count(fog) <= market.quotas[fog]
    total = sum(market.delay_s(piece, matching) for piece in range(len(matching)))
    for other in blocking(market.delay_s, market.compute_s, market.quotas, matching):
        assert not agree([total], [sum(market.delay_s(piece, other) for piece in range(len(matching)))])


def covered(problem: Problem, task: str, run: str) -> list[str]:
    names = [operator.name for operator in next(t for t in problem.tasks if t.name == task).graph.operators]
    first, _, last = run.partition("..")
    return names[names.index(first) : names.index(last or first) + 1]


@pytest.mark.parametrize("seed", range(4))
def test_dia_deals_a_user_to_several_servers_and_no_piece_is_better_elsewhere(seed: int) -> None:
    problem = cells(seed, devices=2, servers=3, speed_up=3.0)
    found = Dia()(problem)
    assert found.notes["stable"] == "yes"
    users = Users(Market(problem), 8)
    pieces = np.zeros((2, 4), dtype=np.int64)
    for entry in found.plan.entries:
        hosts = [run.on for run in entry.where if run.on.startswith("server")]
        column = users.columns.index(problem.cluster.index[hosts[0]]) if hosts else 0
        pieces[int(entry.task[4:]), column] += int(entry.weight)
    assert pieces.sum(axis=1).tolist() == [8, 8]
    assert (pieces > 0).sum(axis=1).max() > 1
    here = users.total_s(pieces)
    assert here == pytest.approx(float(found.notes["total_s"]))
    for user, origin, target in product(range(2), range(4), range(4)):
        if pieces[user, origin] and origin != target:
            moved = pieces.copy()
            moved[user, origin] -= 1
            moved[user, target] += 1
            assert users.total_s(moved) >= here * (1 - 1e-9)


@pytest.mark.parametrize("start", ["source", "speed"])
@pytest.mark.parametrize("seed", range(4))
def test_no_unit_of_ucl_lowers_the_delay_of_the_stream_alone(seed: int, start: str) -> None:
    problem = cells(seed, devices=2, servers=2, size=4, shape=("chain", "dag")[seed % 2], speed_up=3.0)
    found = Ucl(start=start)(problem)  # type: ignore[arg-type]
    groups = Groups(problem, lambda layout: range(len(layout.units)))
    game = Competition(groups, 10)
    places = []
    for layout, entry in zip(groups.layouts, found.plan.entries, strict=True):
        for unit in layout.units:
            name = layout.graph.operators[unit.operators[0]].name
            run = next(run for run in entry.where if name in covered(problem, entry.task, run.operators))
            places.append(problem.cluster.index[run.on])
    here = game.delay_s(places)
    assert here == pytest.approx(float(found.notes["delay_s"]))
    assert found.notes["stable"] == "yes"
    for unit, node in product(range(len(places)), range(4)):
        if np.isfinite(groups.seconds[unit, node]):
            assert game.delay_s([*places[:unit], node, *places[unit + 1 :]]) >= here * (1 - 1e-9)


def pair_of_nodes(bytes_per_s: float, server_s: float = 0.5) -> Problem:
    """Two operators with a tensor of 400 bytes between them; the input and the answer have 4 bytes."""
    graph = chain([100, 1], first=1)
    both = Direction(bytes_per_s=bytes_per_s)
    nodes = (Node(name="device", flops_per_s=1e9), Node(name="server", flops_per_s=1e9))
    cluster = Cluster(name="two", nodes=nodes, links=(Link(between=("device", "server"), up=both, down=both),))
    return problem_of(graph, cluster, profile_of(graph, {"device": [1.0, 1.0], "server": [server_s, server_s]}))


def test_ucl_ends_in_an_equilibrium_that_is_not_the_optimum() -> None:
    """Both on the server would take 1 s and not 2 s; but 400 bytes keep each from going alone."""
    problem = pair_of_nodes(400.0)
    assert solve(problem, "min_cut").cost.sequential_s == pytest.approx(1.0 + 8 / 400)
    found = Ucl(stream=1)(problem)
    assert evaluate(problem, found.plan).sequential_s == pytest.approx(2.0)
    assert found.notes["moves"] == "0"


def test_a_longer_stream_spreads_the_units_of_ucl() -> None:
    """One request is done sooner on the server alone, in 1.6 s; of many, one starts every second on both nodes."""
    problem = pair_of_nodes(4e6, server_s=0.8)
    alone, spread = (evaluate(problem, Ucl(stream=stream)(problem).plan) for stream in (1, 100))
    assert (alone.sequential_s, alone.period_s) == pytest.approx((1.6, 1.6), rel=1e-3)
    assert (spread.sequential_s, spread.period_s) == pytest.approx((1.8, 1.0), rel=1e-3)


def test_the_cost_of_a_unit_in_ucl_is_an_exact_potential() -> None:
    problem = cells(1, devices=1, servers=2, size=4, speed_up=3.0)
    game = Competition(Groups(problem, lambda layout: range(len(layout.units))), 5)
    units = len(game.groups.task_of)
    assert fault(game.costs, game.delay_s, [3] * units) is None
