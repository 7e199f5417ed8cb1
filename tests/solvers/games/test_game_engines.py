"""The engines alone, on random games: equilibria, auctions, matchings and coalitions against enumeration."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest

from hocket.solvers.games.best_response import best_response, damped, fault, improvements
from hocket.solvers.games.coalition import overlapping, switching
from hocket.solvers.games.congestion import Congestion, local_search, lower_bound
from hocket.solvers.games.matching import blocking, deferred_acceptance, exchange
from hocket.solvers.games.vcg import Bid, auction
from hocket.solvers.layout import Floats


class Roads:
    """A congestion game: what a road costs grows with those who use it, by steps that differ from road to road."""

    def __init__(self, seed: int, players: int = 4, roads: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.steps = np.cumsum(rng.integers(0, 9, size=(roads, players)), axis=1).astype(float)
        self.players, self.roads = players, roads

    def costs(self, player: int, chosen: Sequence[int]) -> Floats:
        others = [road for other, road in enumerate(chosen) if other != player]
        return np.array([self.steps[road, others.count(road)] for road in range(self.roads)])

    def potential(self, chosen: Sequence[int]) -> float:
        return sum(float(self.steps[road, : list(chosen).count(road)].sum()) for road in range(self.roads))


@pytest.mark.parametrize("seed", range(20))
def test_a_potential_game_never_cycles_and_ends_where_nobody_can_improve(seed: int) -> None:
    game = Roads(seed)
    assert fault(game.costs, game.potential, [game.roads] * game.players) is None
    for start in product(range(game.roads), repeat=game.players):
        found = best_response(game.costs, start)
        assert found.stable
        for player, current in enumerate(found.strategies):
            costs = game.costs(player, found.strategies)
            assert costs.min() == costs[current]


def test_a_wrong_potential_is_noticed() -> None:
    game = Roads(1)
    sizes = [game.roads] * game.players
    assert "player" in (fault(game.costs, lambda chosen: -game.potential(chosen), sizes) or "")
    assert fault(game.costs, lambda chosen: 2 * game.potential(chosen), sizes) is not None
    assert fault(game.costs, lambda chosen: 2 * game.potential(chosen), sizes, exact=False) is None


def test_a_game_without_an_equilibrium_says_so() -> None:
    def pennies(player: int, chosen: Sequence[int]) -> Floats:
        return np.array([float((side == chosen[1 - player]) != (player == 0)) for side in (0, 1)])

    found = best_response(pennies, [0, 0], rounds=50)
    assert not found.stable
    assert all(any(improvements(pennies, chosen)) for chosen in product((0, 1), repeat=2))


def test_damping_finds_a_point_that_swinging_answers_miss() -> None:
    def answer(quantities: Floats) -> Floats:
        return np.maximum(12.0 - (quantities.sum() - quantities), 0.0) / 2  # Cournot: 4 firms

    assert damped(answer, np.zeros(4)).point == pytest.approx([2.4] * 4)
    assert not damped(answer, np.zeros(4), damping=0.0).converged


def random_bids(rng: np.random.Generator, bidders: int) -> list[list[Bid]]:
    return [
        [Bid(int(rng.integers(0, 5)), int(rng.integers(0, 5)), float(rng.uniform(0.1, 9.0))) for _ in range(3)]
        for _ in range(bidders)
    ]


def best_welfare(bidders: Sequence[Sequence[Bid]], units: tuple[int, int]) -> float:
    best = 0.0
    for chosen in product(*([None, *bids] for bids in bidders)):
        won = [bid for bid in chosen if bid is not None]
        if sum(bid.first for bid in won) <= units[0] and sum(bid.second for bid in won) <= units[1]:
            best = max(best, sum(bid.value for bid in won))
    return best


@pytest.mark.parametrize("seed", range(30))
def test_the_auction_is_efficient_and_its_payments_are_what_the_others_lose(seed: int) -> None:
    bidders, units = random_bids(np.random.default_rng(seed), 4), (6, 5)
    award = auction(bidders, units)
    assert award.welfare == pytest.approx(best_welfare(bidders, units))
    for bidder, (number, payment) in enumerate(zip(award.won, award.payments, strict=True)):
        value = 0.0 if number is None else bidders[bidder][number].value
        without = best_welfare([*bidders[:bidder], *bidders[bidder + 1 :]], units)
        assert payment == pytest.approx(without - (award.welfare - value), abs=1e-9)
        assert -1e-9 <= payment <= value + 1e-9  # individually rational, and nobody is paid


@pytest.mark.parametrize("seed", range(30))
def test_no_false_bid_gains_in_the_auction(seed: int) -> None:
    rng, units = np.random.default_rng(seed), (6, 5)
    truth = random_bids(rng, 4)
    honest = auction(truth, units)
    for bidder, own in enumerate(truth):
        gain = 0.0 if honest.won[bidder] is None else own[honest.won[bidder]].value - honest.payments[bidder]
        for _ in range(15):
            false = [bid._replace(value=float(bid.value * rng.uniform(0.0, 3.0))) for bid in own]
            lie = auction([*truth[:bidder], false, *truth[bidder + 1 :]], units)
            number = lie.won[bidder]
            got = 0.0 if number is None else own[number].value - lie.payments[bidder]
            assert got <= gain + 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_deferred_acceptance_leaves_no_pair_that_would_run_away(seed: int) -> None:
    rng = np.random.default_rng(seed)
    delays, costs, quotas = rng.random((6, 3)), rng.random((6, 3)), [2, 1, 2]
    places = deferred_acceptance(delays, costs, quotas)
    assert all(places.count(place) <= quota for place, quota in enumerate(quotas))
    for asker, place in product(range(6), range(3)):
        likes = places[asker] < 0 or delays[asker, place] < delays[asker, places[asker]]
        kept = [costs[other, place] for other, where in enumerate(places) if where == place]
        would_take = len(kept) < quotas[place] or costs[asker, place] < max(kept)
        assert not (likes and would_take)


@pytest.mark.parametrize("seed", range(20))
def test_exchanges_end_in_a_two_sided_exchange_stable_matching(seed: int) -> None:
    rng = np.random.default_rng(seed)
    alone, costs, quotas = rng.random((6, 3)), rng.random((6, 3)), [2, 2, 2]

    def delay(asker: int, places: Sequence[int]) -> float:
        return float(alone[asker, places[asker]])

    found = exchange(delay, costs, quotas, [0, 0, 1, 1, 2, 2])
    assert found.stable
    for a, b in product(range(6), repeat=2):
        n, m = found.places[a], found.places[b]
        change = [
            alone[a, m] - alone[a, n],
            alone[b, n] - alone[b, m],
            costs[b, n] - costs[a, n],
            costs[a, m] - costs[b, m],
        ]
        assert max(change) > 0 or min(change) == 0
    assert not any(blocking(delay, costs, quotas, found.places))


@pytest.mark.parametrize("social", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_switching_ends_in_any_game(seed: int, social: bool) -> None:
    rng = np.random.default_rng(seed)
    likes = rng.random((4, 4, 3))  # what each other player in the same coalition costs: no potential

    def cost(player: int, partition: Sequence[int]) -> float:
        own = partition[player]
        return float(sum(likes[player, other, own] for other, where in enumerate(partition) if where == own))

    found = switching(cost, 3, [0, 0, 0, 0], social=social)
    moved = [(p, k) for p in range(4) for k in range(3) if k != found.coalitions[p]]
    after = [(p, (*found.coalitions[:p], k, *found.coalitions[p + 1 :])) for p, k in moved]

    def value(player: int, partition: Sequence[int]) -> float:
        return sum(cost(other, partition) for other in range(4)) if social else cost(player, partition)

    better = [new for p, new in after if value(p, new) < value(p, found.coalitions) - 1e-9]
    assert found.stable == (not better)
    assert found.stable or not social


def test_the_history_stops_a_game_that_runs_in_circles() -> None:
    def chase(player: int, partition: Sequence[int]) -> float:  # one wants to be together, the other does not
        return float((partition[0] == partition[1]) == (player == 1))

    found = switching(chase, 2, [0, 0])
    assert not found.stable
    assert found.switches <= 4


@pytest.mark.parametrize("seed", range(10))
def test_no_single_piece_is_better_elsewhere_in_overlapping_coalitions(seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.5, 2.0, size=(3, 3))

    def cost(pieces: np.ndarray) -> float:
        return float(((weights * pieces).sum(axis=0) ** 2).sum())

    allowed = np.array([[True, True, False], [True, True, True], [False, True, True]])
    found = overlapping(cost, np.array([[4, 0, 0], [4, 0, 0], [0, 4, 0]]), allowed)
    assert found.stable
    assert found.pieces.sum(axis=1).tolist() == [4, 4, 4]
    assert not found.pieces[~allowed].any()
    for player, origin, target in product(range(3), repeat=3):
        if found.pieces[player, origin] and allowed[player, target] and origin != target:
            moved = found.pieces.copy()
            moved[player, origin] -= 1
            moved[player, target] += 1
            assert cost(moved) >= cost(found.pieces) * (1 - 1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_of_shared_places_holds_and_the_search_comes_close(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (6, 4)
    places = tuple(np.concatenate([np.full((6, 1), -1), rng.integers(0, 2, size=(6, 3))], axis=1) for _ in range(2))
    loads = tuple(np.where(where < 0, 0.0, rng.uniform(0.1, 0.6, size=shape)) for where in places)
    game = Congestion(rng.uniform(0.5, 2.0, size=shape), loads, places, (2, 2))
    best = min(game.value(np.array(chosen)) for chosen in product(range(4), repeat=6))
    bound = lower_bound(game).value
    found = game.value(local_search(game, np.zeros(6, dtype=np.int64)))
    assert bound <= best * (1 + 1e-9)
    assert best <= found * (1 + 1e-9) <= 1.1 * best
