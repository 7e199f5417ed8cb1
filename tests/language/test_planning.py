"""Problems of language models: what a step costs, where caches count, and models too large for any node."""

import pytest
from language_nodes import CAPACITY, LAYERS, cluster_of, small

from hocket.cluster import Cluster, read_toml
from hocket.cost import Objective
from hocket.errors import GraphError, InfeasibleError
from hocket.language.config import PRESETS
from hocket.language.planning import capacity_of, language_problem, layer_of
from hocket.plan.placement import placement
from hocket.solvers import Solution, solve

CONFIG = PRESETS["tiny_llama"].replace(layers=LAYERS)


def unlike(memory: list[float], speed: list[float], *, trust: list[int] | None = None, unit: str = "GB") -> Cluster:
    """Nodes n0, n1, ... on links of 10 Gbit/s."""
    nodes = [
        f'[[node]]\nname = "n{i}"\nspeed = "{flops} GFLOP/s"\nmemory = "{room} {unit}"\n'
        + (f"trust = {trust[i]}\n" if trust else "")
        for i, (room, flops) in enumerate(zip(memory, speed, strict=True))
    ]
    links = [
        f'[[link]]\nbetween = ["n{a}", "n{b}"]\nrate = "10 Gbit/s"\n' for a in range(len(memory)) for b in range(a)
    ]
    return read_toml('format = "hocket.cluster/1"\n' + "".join(nodes + links))


def nodes_by_layer(solution: Solution) -> dict[int | None, set[object]]:
    graph = solution.problem.task.graph
    found: dict[int | None, set[object]] = {}
    for operator, place in zip(graph.operators, placement(graph, solution.plan.entries[0]), strict=True):
        found.setdefault(layer_of(operator.name), set()).add(place)
    return found


def test_caches_count_as_memory_of_their_layers() -> None:
    cluster = cluster_of("a")
    small_, large = (
        solve(language_problem(CONFIG, cluster, capacity=capacity), "local").cost.memory_bytes["a"]
        for capacity in (16, CAPACITY)
    )
    more = CONFIG.cache_bytes(CAPACITY) - CONFIG.cache_bytes(16)
    assert large - small_ >= more
    assert capacity_of(language_problem(CONFIG, cluster, capacity=16).task.graph) == 16


def test_a_context_that_does_not_fit_moves_layers() -> None:
    need = solve(language_problem(CONFIG, cluster_of("a"), capacity=8), "local").cost.memory_bytes["a"]
    cluster = unlike([need * 1.01, 1e9], [10, 0.5], unit="B")
    for capacity, fits in ((8, True), (64, False)):
        solution = solve(language_problem(CONFIG, cluster, capacity=capacity), "descent")
        assert not solution.cost.violations
        assert (set().union(*nodes_by_layer(solution).values()) == {"n0"}) is fits


def test_one_node_is_best_where_it_is() -> None:
    cluster = read_toml(
        'format = "hocket.cluster/1"\n[[node]]\nname = "a"\nspeed = "1 GFLOP/s"\n[[node]]\nname = "b"\n'
        'speed = "1.1 GFLOP/s"\n[[link]]\nbetween = ["a", "b"]\nrate = "1 Mbit/s"\n'
    )
    solution = solve(language_problem(CONFIG, cluster, capacity=CAPACITY), "chain_dp")
    assert set().union(*nodes_by_layer(solution).values()) == {"a"}
    assert solution.optimal_over


def test_reading_a_prompt_costs_more_than_a_token() -> None:
    cluster = cluster_of("ab")
    token, prompt = (
        solve(language_problem(CONFIG, cluster, capacity=CAPACITY, tokens=tokens), "local").cost.latency_s
        for tokens in (1, 32)
    )
    # Scores are of the last token alone, so 32 tokens cost less than 32 times one.
    assert 10 * token < prompt < 32 * token


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_every_family_is_planned_without_dividing_operators(family: str) -> None:
    config = PRESETS[f"tiny_{family}"].replace(layers=LAYERS)
    cluster = unlike([1, 1, 1], [1, 2, 3])
    problem = language_problem(config, cluster, capacity=CAPACITY, objective=Objective(metric="period"))
    solution = solve(problem, "auto")
    assert not solution.cost.violations
    assert all(isinstance(place, str) for places in nodes_by_layer(solution).values() for place in places)


def test_weights_are_not_needed_and_change_nothing() -> None:
    cluster = cluster_of("ab")
    model = small("llama")
    with_, without = (language_problem(each, cluster, capacity=CAPACITY) for each in (model, model.config))
    assert with_.task.graph.weights == without.task.graph.weights
    assert with_.task.profile.entries == without.task.profile.entries
    again = language_problem(with_.task.graph, cluster, capacity=CAPACITY)
    assert again.task.graph == with_.task.graph


@pytest.mark.parametrize("layers", [0, 1, LAYERS])
def test_private_layers_stay_on_trusted_nodes(layers: int) -> None:
    cluster = unlike([1, 1], [1, 50], trust=[1, 0])
    solution = solve(language_problem(CONFIG, cluster, capacity=CAPACITY, private_layers=layers), "chain_dp")
    assert not solution.cost.violations
    where = nodes_by_layer(solution)
    assert all(where[layer] == {"n0"} for layer in range(layers))
    if layers < LAYERS:
        assert where[LAYERS - 1] == {"n1"}


def test_private_layers_need_trust_and_exist() -> None:
    with pytest.raises(InfeasibleError, match="give the source more trust"):
        language_problem(CONFIG, cluster_of("ab"), capacity=CAPACITY, private_layers=1)
    cluster = unlike([1, 1], [1, 50], trust=[1, 0])
    with pytest.raises(GraphError, match=f"0 to {LAYERS} layers .* got 9"):
        language_problem(CONFIG, cluster, capacity=CAPACITY, private_layers=9)


def test_what_is_no_language_model_has_no_capacity() -> None:
    graph = language_problem(CONFIG, cluster_of("a"), capacity=8).task.graph.replace(buffers=())
    with pytest.raises(GraphError, match="keeps caches"):
        capacity_of(graph)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["period", "latency"])
def test_seventy_billion_weights_of_four_bits_over_eight_unlike_devices(metric: str) -> None:
    config = PRESETS["llama2_70b"].replace(precision="int4")
    cluster = unlike([8, 8, 10, 10, 12, 16, 24, 32], [100, 120, 150, 200, 250, 300, 400, 600])
    problem = language_problem(config, cluster, capacity=2048, objective=Objective(metric=metric))
    assert problem.task.graph.weight_bytes > 32e9  # no device has room for it
    solution = solve(problem, "chain_dp")
    assert not solution.cost.violations
    assert solution.optimal_over == "stages"
    assert len({stage["node"] for stage in solution.stages()}) > 1
