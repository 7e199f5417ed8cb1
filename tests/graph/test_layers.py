"""Attention and MLP are found in Transformers as exporters write them, and in nothing else."""

import pytest
from graphs import random_graph, zoo_model
from transformers_small import STYLES, transformer

from hocket.graph.layers import layers_of


@pytest.mark.parametrize(("name", "product"), [("bert_base", "val_53"), ("gpt2", "addmm_1"), ("vit_b_16", "linear_1")])
def test_large_transformers_have_twelve_layers_of_twelve_heads(name: str, product: str) -> None:
    layers = layers_of(zoo_model(name).graph)
    assert layers is not None
    assert [half.kind for half in layers.halves] == ["attention", "mlp"] * 12
    assert {(half.size, half.granule, half.units) for half in layers.halves} == {(768, 64, 12), (3072, 1, 3072)}
    assert layers.halves[0].product == product
    assert len(layers.groups()) == 12


@pytest.mark.parametrize("style", STYLES)
def test_every_operator_has_its_place_and_heads_have_one_result(style: str) -> None:
    graph = transformer(style).graph
    layers = layers_of(graph)
    assert layers is not None
    names = [*layers.prologue, *(name for half in layers.halves for name in half.names), *layers.epilogue]
    assert names == [operator.name for operator in graph.operators]
    assert [(half.kind, half.units) for half in layers.halves] == [("attention", 4), ("mlp", 64)] * 2
    for half in layers.halves:
        inside = {graph.index[name] for name in half.head}
        assert all(set(graph.readers[name]) <= inside for name in half.head[:-1])


@pytest.mark.parametrize("name", ["charcnn", "lenet", "toy_dag", "resnet18"])
def test_other_models_have_no_layers(name: str) -> None:
    assert layers_of(zoo_model(name).graph) is None


def test_graphs_made_by_hand_have_no_layers() -> None:
    assert layers_of(random_graph(1)) is None
    assert layers_of(transformer().graph.replace(body=b"")) is None
