"""The model of a step with its caches as buffers: what counts, what is free, what is refused."""

import pytest
from language_nodes import CAPACITY, LAYERS, small

from hocket.errors import GraphError
from hocket.language.divided import MOST_TOKENS, dividable
from hocket.language.language_model import LanguageModel
from hocket.language.planning import layer_of


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return small(request.param)


def test_tokens_go_in_and_scores_come_out_and_nothing_else(model: LanguageModel) -> None:
    graph = dividable(model, capacity=CAPACITY).graph
    assert [tensor.name for tensor in graph.inputs] == ["tokens"]
    assert graph.outputs == ("logits",)
    assert len(graph.buffers) == 2 * LAYERS
    assert {counter.counts for counter in graph.counters} == {"last", "total"} or model.config.family == "llama"


def test_caches_are_weights_of_the_operators_that_keep_them(model: LanguageModel) -> None:
    graph = dividable(model, capacity=CAPACITY).graph
    names = {buffer.past for buffer in graph.buffers}
    for operator in graph.operators:
        own = names.intersection(operator.weights)
        layer = layer_of(operator.name)
        assert own in (set(), {f"past_key.{layer}", f"past_value.{layer}"})
    assert sum(graph.weights[name] for name in names) == model.config.cache_bytes(CAPACITY)
    for buffer in graph.buffers:
        assert buffer.shape == (1, model.config.kv_heads, CAPACITY, model.config.head_size)


def test_a_step_may_bring_as_many_tokens_as_there_is_room_for(model: LanguageModel) -> None:
    graph = dividable(model, capacity=CAPACITY).graph
    assert graph.free["tokens"] == ((1, min(CAPACITY, MOST_TOKENS)),)
    assert graph.tensor["tokens"].shape == (1, 1)
    assert "logits" not in graph.free


def test_the_cost_is_of_as_many_tokens_as_are_planned(model: LanguageModel) -> None:
    one, many = (dividable(model, capacity=CAPACITY, tokens=tokens).graph for tokens in (1, 16))
    assert 10 * one.flops < many.flops < 16 * one.flops  # scores are of the last token alone
    assert one.free == many.free
    assert one.weights == many.weights


@pytest.mark.parametrize("capacity", [0, 65])
def test_capacities_outside_of_the_context_are_refused(model: LanguageModel, capacity: int) -> None:
    with pytest.raises(GraphError, match=f"1 to 64 tokens, got {capacity}"):
        dividable(model, capacity=capacity)
