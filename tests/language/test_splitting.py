"""Where to cut a decoder while a channel changes: rewards, episodes, the best policy."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language_nodes import LAYERS, alone, small

from hocket.errors import ClusterError, GraphError, PlanError
from hocket.language.config import PRESETS, Config
from hocket.language.divided import dividable
from hocket.language.language_model import LanguageModel
from hocket.language.lossy import Channel, Crossing
from hocket.language.planning import front_size, layer_count
from hocket.language.split_rewards import Quality, layer_bytes, loads, moving_costs
from hocket.language.splitting import SplitProblem, neighbouring

FAMILIES = ["llama", "gpt2"]
MODELS = {family: small(family) for family in FAMILIES}
PROMPT = [5, 17, 80]
# What a model writes itself it foretells well, though its weights are random: only so can losses do harm.
TEXTS = {family: PROMPT + alone(model, PROMPT, 40) for family, model in MODELS.items()}
SHORT_PACKET = 16
CHANNELS = [Channel(mean_snr=snr) for snr in (0.5, 3.0, 30.0)]
BY_FAMILY = pytest.mark.parametrize("family", FAMILIES)


@BY_FAMILY
def test_the_quality_is_what_is_left_of_the_probabilities(family: str) -> None:
    seeds = (0, 1, 2)
    quality = Quality(MODELS[family], TEXTS[family], seeds=seeds, packet_bytes=SHORT_PACKET, window=48)
    assert [quality(cut, 0.0) for cut in range(LAYERS + 1)] == [1.0] * (LAYERS + 1)
    crossing = Crossing(MODELS[family], TEXTS[family], 1, window=48)
    disturbed = [crossing.surprise(0.3, seed=seed, packet_bytes=SHORT_PACKET) for seed in seeds]
    expected = math.exp(crossing.surprise() - np.mean(disturbed))
    assert quality(1, 0.3) == pytest.approx(expected)
    assert 0 < quality(1, 0.3) < 1


def test_the_loads_rise_by_one_layer_each_and_leave_the_output_to_the_server() -> None:
    model = MODELS["llama"].model(sequence=20, capacity=20, logits="all")
    found = loads(model.graph)
    assert layer_count(model.graph) == LAYERS
    assert found[0] == 0  # looking a token up is no arithmetic
    assert np.diff(found) == pytest.approx([found[1]] * LAYERS)
    output = sum(operator.flops for operator in model.graph.operators[front_size(model.graph, LAYERS) :])
    assert 1 - found[-1] == pytest.approx(output / model.graph.flops)


def test_layers_have_the_bytes_of_their_weights_and_not_of_their_caches() -> None:
    model = MODELS["llama"]
    expected = sum(value.nbytes for name, value in model.weights.items() if name.startswith("block.1."))
    plain = layer_bytes(model.model(sequence=1, capacity=20).graph)
    assert plain == layer_bytes(dividable(model, capacity=20).graph) == (expected,) * LAYERS


@pytest.mark.parametrize(("rate", "price"), [(0.0, 1.0), (math.nan, 1.0), (1.0, -1.0), (1.0, math.inf)])
def test_moving_without_a_rate_or_a_price_is_refused(rate: float, price: float) -> None:
    with pytest.raises(PlanError, match="layers move at a rate above 0"):
        moving_costs([1, 2], rate, price_per_s=price)


def test_a_quality_without_seeds_is_refused() -> None:
    with pytest.raises(GraphError, match="a mean over seeds"):
        Quality(MODELS["llama"], TEXTS["llama"], seeds=())


def counted(quality: Callable[[int, float], float]) -> tuple[Callable[[int, float], float], list[tuple[int, float]]]:
    """The same quality, and a list of what it was asked."""
    asked: list[tuple[int, float]] = []

    def ask(cut: int, loss: float) -> float:
        asked.append((cut, loss))
        return quality(cut, loss)

    return ask, asked


def invented(seed: int, cuts: int, channels: int, *, moving: bool, discount: float = 0.9) -> SplitProblem:
    """A problem of random numbers."""
    random = np.random.default_rng(seed)
    qualities = random.random((channels, cuts))
    states = [Channel(mean_snr=float(snr)) for snr in np.sort(random.uniform(0.1, 20.0, channels))]
    places = {state.loss: place for place, state in enumerate(states)}
    chain = random.dirichlet([0.5] * channels, channels)
    costs = moving_costs(random.integers(1, 100, cuts - 1).tolist(), 200.0) if moving else None
    return SplitProblem(
        lambda cut, loss: float(qualities[places[loss], cut]), np.linspace(0, 0.9, cuts).tolist(), states, chain,
        weight=0.6, moving=costs, discount=discount,
    )  # fmt: skip


def real(family: str, *, bytes_per_s: float | None = None, steps: int = 50) -> SplitProblem:
    """Of a small model and its own text."""
    model = MODELS[family]
    graph = model.model(sequence=20, capacity=20, logits="all").graph
    quality = Quality(model, TEXTS[family], seeds=(0, 1), packet_bytes=SHORT_PACKET, window=48)
    moving = None if bytes_per_s is None else moving_costs(layer_bytes(graph), bytes_per_s)
    return SplitProblem(
        quality, loads(graph), CHANNELS, neighbouring(3, 0.8), weight=0.7, moving=moving, steps=steps
    )  # fmt: skip


Choice = Callable[[int, int], int]


def played(problem: SplitProblem, seed: int, choose: Choice, *, discounted: bool = False) -> float:
    """The sum of the rewards of an episode."""
    _, info = problem.reset(seed)
    total, factor, over = 0.0, 1.0, False
    while not over:
        _, reward, ended, over, info = problem.step(choose(info["cut"], info["channel"]))
        assert not ended
        total += factor * reward
        factor *= problem.discount if discounted else 1.0
    return total


def follow(cuts: np.ndarray) -> Choice:
    return lambda cut, channel: int(cuts[cut, channel])


def all_policies(problem: SplitProblem) -> Sequence[np.ndarray]:
    shape = problem.cuts, len(problem.channels)
    return [np.array(cuts).reshape(shape) for cuts in itertools.product(range(shape[0]), repeat=shape[0] * shape[1])]


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("cuts", "channels"), [(2, 3), (3, 2)])
def test_the_oracle_is_the_best_of_all_policies(seed: int, cuts: int, channels: int, moving: bool) -> None:
    problem = invented(seed, cuts, channels, moving=moving)
    policies = all_policies(problem)
    values = np.array([problem.values(policy) for policy in policies])
    oracle = problem.oracle()
    assert oracle.values == pytest.approx(values.max(0), rel=1e-9)
    best = policies[int(values.sum((1, 2)).argmax())]
    assert problem.values(best) == pytest.approx(oracle.values, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 8), st.integers(1, 5), st.booleans(), st.sampled_from([0.0, 0.5, 0.99]))
def test_no_single_change_improves_the_oracle(
    seed: int, cuts: int, channels: int, moving: bool, discount: float
) -> None:
    problem = invented(seed, cuts, channels, moving=moving, discount=discount)
    oracle = problem.oracle()
    rewards = problem.table()[None] - problem.moving[:, None]
    returns = rewards + discount * (problem.transitions @ oracle.values.T)
    assert returns.max(-1) == pytest.approx(oracle.values, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_where_moving_is_free_the_oracle_is_a_table_of_channels(seed: int) -> None:
    problem = invented(seed, 6, 4, moving=False)
    assert problem.oracle().cuts.tolist() == [problem.table().argmax(1).tolist()] * 6


def test_of_equally_good_cuts_the_oracle_takes_the_first() -> None:
    problem = SplitProblem(lambda cut, loss: 0.5, [0.2, 0.2, 0.2], CHANNELS, neighbouring(3, 0.5))
    assert (problem.oracle().cuts == 0).all()


def test_where_moving_costs_more_than_it_brings_nothing_moves() -> None:
    problem = real("llama", bytes_per_s=1.0)
    assert problem.oracle().cuts.tolist() == [[cut] * 3 for cut in range(LAYERS + 1)]


def test_moving_changes_the_oracle() -> None:
    free, dear = real("gpt2"), real("gpt2", bytes_per_s=2e5)
    kept, moved = free.oracle().cuts, dear.oracle().cuts
    assert (kept == kept[0]).all()
    assert (moved != moved[0]).any()
    assert (moved != np.arange(LAYERS + 1)[:, None]).any()


@BY_FAMILY
@pytest.mark.parametrize("bytes_per_s", [None, 2e5])
def test_over_episodes_the_oracle_is_no_worse_than_any_fixed_cut_and_better_than_chance(
    family: str, bytes_per_s: float | None
) -> None:
    problem = real(family, bytes_per_s=bytes_per_s)
    random = np.random.default_rng(9)
    drawn = [random.integers(problem.cuts, size=(problem.cuts, len(problem.channels))) for _ in range(5)]

    def mean(choose: Choice) -> float:
        return float(np.mean([played(problem, seed, choose, discounted=True) for seed in range(60)]))

    best = mean(follow(problem.oracle().cuts))
    fixed = [mean(lambda cut, channel, keep=keep: keep) for keep in range(problem.cuts)]  # type: ignore[misc]
    assert best >= max(fixed)
    assert best > max(mean(follow(policy)) for policy in drawn)
    assert best > mean(lambda cut, channel: int(random.integers(problem.cuts)))


def test_where_moving_is_free_the_oracle_is_no_worse_in_any_single_episode() -> None:
    problem = real("llama", steps=20)
    oracle = follow(problem.oracle().cuts)
    for seed in range(20):
        best = played(problem, seed, oracle)
        assert all(best >= played(problem, seed, lambda cut, channel, keep=keep: keep) for keep in range(4))  # type: ignore[misc]


def test_episodes_are_worth_what_the_values_say_on_average() -> None:
    problem = invented(2, 4, 3, moving=True, discount=0.8)
    policy = np.random.default_rng(0).integers(4, size=(4, 3))
    # Every state is alike likely at first, and what would follow the last step counts for 1e-5.
    found = np.mean([played(problem, seed, follow(policy), discounted=True) for seed in range(1500)])
    assert found == pytest.approx(problem.values(policy).mean(), abs=0.03)


def test_a_worse_channel_puts_more_layers_on_the_device_where_late_cuts_are_sturdy() -> None:
    problem = SplitProblem(
        lambda cut, loss: 1 - loss * (1 - cut / 10), [cut / 10 for cut in range(11)], CHANNELS, neighbouring(3, 0.9),
        weight=0.6,
    )  # fmt: skip
    first = problem.oracle().cuts[0].tolist()
    assert first == sorted(first, reverse=True)
    assert first[0] > first[-1]


def test_rewards_are_evaluated_when_needed_and_once() -> None:
    quality, asked = counted(lambda cut, loss: 1 - loss * cut)
    problem = SplitProblem(quality, [0.0, 0.5], CHANNELS, neighbouring(3, 0.8), weight=0.25, steps=30)
    played(problem, 0, lambda cut, channel: 1)
    assert {cut for cut, _ in asked} == {1}
    table = problem.table()
    problem.oracle()
    assert sorted(asked) == sorted((cut, channel.loss) for cut in (0, 1) for channel in CHANNELS)
    assert table[2, 1] == pytest.approx(0.25 * (1 - CHANNELS[2].loss) - 0.75 * 0.5)
    assert table.shape == (3, 2)


def test_an_episode_is_the_same_for_the_same_seed_and_observations_are_bounded() -> None:
    problem = invented(1, 5, 3, moving=True)

    def seen(seed: int | None) -> list[list[float]]:
        observations = [problem.reset(seed)[0]]
        observations += [problem.step(step % 5)[0] for step in range(problem.steps)]
        assert all(each.dtype == np.float32 and each.shape == (3,) for each in observations)
        assert all(((each >= 0) & (each <= 1)).all() for each in observations)
        return [each.tolist() for each in observations]

    first, onward, again = seen(4), seen(None), seen(4)
    assert first == again
    assert first != onward


def test_observations_tell_the_state() -> None:
    problem = invented(1, 5, 3, moving=False)
    problem.reset(0)
    for action in (4, 0, 2, 3):
        observation, _, _, _, info = problem.step(action)
        assert info["cut"] == action
        assert observation == pytest.approx([action / 4, info["channel"] / 2, problem.channels[info["channel"]].loss])


def test_the_channel_moves_as_its_chain_says_whatever_is_done() -> None:
    chain = np.array([[0.7, 0.3, 0.0], [0.1, 0.5, 0.4], [0.0, 0.2, 0.8]])
    problem = SplitProblem(lambda cut, loss: 1.0, [0.0, 0.1], CHANNELS, chain, steps=20_000)
    _, info = problem.reset(0)
    counts = np.zeros((3, 3))
    for step in range(problem.steps):
        before = info["channel"]
        *_, info = problem.step(step % 2)
        counts[before, info["channel"]] += 1
    assert counts / counts.sum(1, keepdims=True) == pytest.approx(chain, abs=0.02)


def test_a_step_costs_what_moving_costs() -> None:
    problem = SplitProblem(
        lambda cut, loss: 1.0, [0.0, 0.5], CHANNELS, np.eye(3), moving=np.array([[0.0, 0.3], [0.2, 0.0]])
    )
    problem.reset(0)
    problem.step(0)
    assert [problem.step(action)[1] for action in (0, 1, 1, 0)] == pytest.approx([0.5, -0.05, 0.25, 0.3])


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"channels": []}, ClusterError, "a chain over 0 channels"),
        ({"transitions": np.eye(2)}, ClusterError, "a chain over 3 channels"),
        ({"transitions": 0.9 * np.eye(3)}, ClusterError, "each with a sum of 1"),
        ({"transitions": np.full((3, 3), math.nan)}, ClusterError, "rows of probabilities"),
        ({"load": []}, PlanError, "the load of each cut is a share"),
        ({"load": [0.0, 1.5]}, PlanError, "the load of each cut is a share"),
        ({"moving": np.zeros((3, 3))}, PlanError, "moving between 2 cuts"),
        ({"moving": -np.ones((2, 2))}, PlanError, "costs at least 0 each"),
        ({"weight": 1.5}, PlanError, "a weight is 0 to 1"),
        ({"discount": 1.0}, PlanError, "a discount 0 to below 1"),
        ({"steps": 0}, PlanError, "at least 1 step"),
    ],
)
def test_a_problem_that_contradicts_itself_is_refused(
    change: dict[str, object], kind: type[Exception], message: str
) -> None:
    given = {
        "quality": lambda cut, loss: 1.0, "load": [0.0, 0.5], "channels": CHANNELS, "transitions": np.eye(3), **change
    }  # fmt: skip
    with pytest.raises(kind, match=message):
        SplitProblem(**given)  # type: ignore[arg-type]


def test_what_no_episode_allows_is_refused() -> None:
    problem = SplitProblem(lambda cut, loss: math.nan, [0.0, 0.5], CHANNELS, np.eye(3), steps=1)
    with pytest.raises(PlanError, match="call reset first"):
        problem.step(0)
    problem.reset(0)
    with pytest.raises(PlanError, match="a cut of 0 to 1, got 2"):
        problem.step(2)
    with pytest.raises(PlanError, match="a quality is a finite number"):
        problem.step(1)
    with pytest.raises(PlanError, match="a policy has a cut of 0 to 1"):
        problem.values(np.zeros((2, 2)))
    with pytest.raises(ClusterError, match="stays with a probability"):
        neighbouring(3, 1.2)


def test_a_model_of_one_layer_has_two_cuts() -> None:
    config: Config = PRESETS["tiny_llama"].replace(layers=1)
    graph = LanguageModel(config).model(sequence=4, capacity=4).graph
    assert len(loads(graph)) == 2
