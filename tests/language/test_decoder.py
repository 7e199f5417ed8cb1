"""Decoders compute what the papers say, with caches and without, whole and cut."""

import numpy as np
import onnxruntime
import pytest
from language_models import reference_logits

from hocket.errors import FormatError, GraphError
from hocket.graph.execute import Runner
from hocket.graph.layers import layers_of
from hocket.graph.onnx import load_model
from hocket.graph.regions import rewrite, slicer_of
from hocket.graph.topology import boundaries
from hocket.language.config import PRESETS, Config, Rope
from hocket.language.decoder import decoder
from hocket.language.language_model import LanguageModel
from hocket.language.session import DecoderSession
from hocket.plan.build import subgraph, whole
from hocket.program import ABSENT

TINY = PRESETS["tiny_llama"]
CONFIGS = {
    "llama": TINY,
    "llama_untied": TINY.replace(tied=False, head_size=32, kv_heads=1),
    "llama_biased": TINY.replace(projection_bias=True),
    "llama_scaled": TINY.replace(rope=Rope(base=500.0, factor=2.0, divisors=(1.0, 1.0, 1.0, 1.5, 2.0, 4.0, 8.0, 8.0))),
    "gpt2": PRESETS["tiny_gpt2"],
}
TOKENS = [int(token) for token in np.random.default_rng(0).integers(0, 96, 12)]


def with_weights(config: Config) -> LanguageModel:
    """Tables of tokens are scaled down, so that scores have the size that those of a trained model have."""
    model = LanguageModel(config).with_random_weights()
    weights = {name: value * (0.2 if "embedding" in name else 1) for name, value in model.weights.items()}
    return LanguageModel(config, {name: value.astype(np.float32) for name, value in weights.items()})


def plain_session(model: LanguageModel) -> onnxruntime.InferenceSession:
    """Operators of the ONNX standard only."""
    proto = decoder(model.config, plain=True, logits="all")
    assert {node.domain for node in proto.graph.node} == {""}
    options = onnxruntime.SessionOptions()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in model.weights.values()]
    options.add_external_initializers(list(model.weights), values)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.kept = values
    return session


@pytest.mark.parametrize("name", CONFIGS)
def test_scores_are_those_of_a_reference_written_apart(name: str) -> None:
    model = with_weights(CONFIGS[name])
    expected = reference_logits(model.config, model.weights, TOKENS)
    found = DecoderSession(model, capacity=16, logits="all").read(TOKENS)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("pieces", [(12,), (5, 1, 1, 1, 4), (1,) * 12])
def test_tokens_one_by_one_or_in_pieces_give_the_same_scores(name: str, pieces: tuple[int, ...]) -> None:
    model = with_weights(CONFIGS[name])
    expected = reference_logits(model.config, model.weights, TOKENS)
    session = DecoderSession(model, capacity=12)
    start = 0
    for count in pieces:
        found = session.read(TOKENS[start : start + count])
        start += count
        assert np.abs(found - expected[start - 1]).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_standard_operators_compute_the_same_with_and_without_a_past(name: str) -> None:
    model = with_weights(CONFIGS[name])
    config = model.config
    expected = reference_logits(config, model.weights, TOKENS)
    session = plain_session(model)
    caches = {cache.past: np.zeros((1, config.kv_heads, 0, config.head_size), np.float32) for cache in model.caches}
    start = 0
    for count in (7, 1, 4):
        names = ["logits", *(cache.present for cache in model.caches)]
        new = np.array([TOKENS[start : start + count]])
        scores, *present = session.run(names, {"tokens": new, **caches})
        start += count
        assert np.abs(scores[0] - expected[start - count : start]).max() <= 1e-5 * np.abs(expected).max()
        caches = dict(zip(caches, present, strict=True))
        assert caches["past_key.0"].shape[2] == start


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gpt2"])
def test_a_step_as_a_model_for_planners_equals_the_session(name: str) -> None:
    language_model = with_weights(PRESETS[name])
    config = language_model.config
    session = DecoderSession(language_model, capacity=16)
    session.read(TOKENS[:5])
    caches = {cache.past: buffer.copy() for cache, buffer in zip(language_model.caches, session._caches, strict=True)}
    expected = session.read(TOKENS[5:6])
    model = language_model.model(sequence=1, capacity=16)
    inputs = {
        "tokens": np.array([TOKENS[5:6]]),
        "last_position": np.array([5], np.int32),
        "total_length": np.array([6], np.int32),
        **caches,
    }
    made = Runner(model, whole(model)).run(inputs)
    assert np.abs(made["logits"][0, 0] - expected).max() <= 1e-5
    assert made["present_key.0"].shape == (1, config.kv_heads, 16, config.head_size)


@pytest.mark.parametrize("precision", ["float32", "float16", "int4"])
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gpt2"])
def test_one_tensor_crosses_between_halves_and_the_pieces_compute_the_whole(name: str, precision: str) -> None:
    config = PRESETS[name].replace(precision=precision)
    model = LanguageModel(config).with_random_weights().model(sequence=4, capacity=8)
    graph = model.graph
    feeds = {
        "tokens": np.array([TOKENS[:4]]),
        "last_position": np.array([3], np.int32),
        "total_length": np.array([4], np.int32),
    }
    shape = (1, config.kv_heads, 8, config.head_size)
    feeds |= {tensor.name: np.zeros(shape, np.float32) for tensor in graph.inputs if tensor.name.startswith("past_")}
    expected = Runner(model, whole(model)).run(feeds)["logits"]
    operators = [operator.name for operator in graph.operators]
    cuts = [position for position in boundaries(graph) if operators[position - 1].endswith("_sum")]
    assert len(cuts) == 2 * config.layers
    for cut in cuts:
        crossing = operators[cut - 1]
        first, second = operators[:cut], operators[cut:]
        given, values = dict(feeds), {}
        for part in (first, second):
            read = dict.fromkeys(name for op in part for name in graph.operator[op].inputs)
            entering = [name for name in read if name in given]
            made = [name for op in part for name in graph.operator[op].outputs]
            leaving = [name for name in made if name in graph.outputs or (part is first and name == crossing)]
            proto = subgraph(model, part, entering, leaving)
            values |= Runner(model, proto).run({name: given[name] for name in entering})
            given[crossing] = values[crossing]
        # Integers round what enters a product: it need not be equal to the last bit.
        assert np.abs(values["logits"] - expected).max() <= 1e-5 * np.abs(expected).max()
        assert set(graph.outputs) <= values.keys()


def test_a_step_costs_what_its_products_and_its_attention_cost() -> None:
    config = TINY
    graph = LanguageModel(config).model(sequence=1, capacity=16).graph
    products = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96
    attention = 2 * 16 * 64
    assert graph.macs == config.layers * (products + attention) + 64 * 96
    operator = graph.operator["block.0.attention"]
    assert operator.kind == "com.microsoft.GroupQueryAttention"
    # The result, all of the caches, and the tables of the rotation.
    assert operator.moved_bytes == 4 * (64 + 2 * 16 * 32) + 2 * 4 * 64 * 8


def test_a_matrix_of_integers_costs_the_same_and_weighs_less() -> None:
    graphs = {
        precision: LanguageModel(TINY.replace(precision=precision)).model(sequence=3, capacity=8).graph
        for precision in ("float32", "int8", "int4")
    }
    assert len({graph.macs for graph in graphs.values()}) == 1
    weights = {precision: graph.operator["block.0.up"].weight_bytes for precision, graph in graphs.items()}
    assert weights == {"float32": 4 * 64 * 96, "int8": 96 * (64 + 2 * 4 + 2), "int4": 96 * (32 + 2 * 4 + 1)}


def test_a_file_with_symbolic_sizes_is_bound_as_any_other(tmp_path: object) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(decoder(TINY).SerializeToString())
    model = load_model(path, sizes={"batch": 2, "sequence": 3, "capacity": 8})
    assert model.graph.tensor["logits"].shape == (2, 1, 96)
    assert model.graph.tensor["present_value.1"].shape == (2, 2, 8, 16)
    assert not model.graph.source.has_weights


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_structures_hold_no_weights_and_can_be_planned(config: Config) -> None:
    proto = decoder(config)
    assert len(proto.SerializeToString()) <= 6e6
    model = LanguageModel(config).model(sequence=1, capacity=32)
    layers = layers_of(model.graph)
    assert layers is not None
    assert [half.kind for half in layers.halves] == ["attention", "mlp"] * config.layers
    assert {half.units for half in layers.halves if half.kind == "attention"} == {config.kv_heads}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("smollm2_135m", 134.5e6),
        ("gpt2", 124.4e6),
        ("gpt2_medium", 354.8e6),
        ("llama2_7b", 6.738e9),
        ("llama2_13b", 13.016e9),
        ("llama2_70b", 68.977e9),
    ],
)
def test_parameters_as_published(name: str, parameters: float) -> None:
    proto = decoder(PRESETS[name])
    count = sum(
        int(np.prod(weight.dims, dtype=np.int64))
        for weight in proto.graph.initializer
        if any(entry.value == ABSENT for entry in weight.external_data)
    )
    assert count == pytest.approx(parameters, rel=1e-3)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gpt2"])
def test_an_attention_divided_by_heads_keeps_each_part_of_the_caches_with_its_heads(name: str) -> None:
    language_model = with_weights(PRESETS[name])
    config = language_model.config
    model = language_model.model(sequence=1, capacity=8)
    graph, slicer = model.graph, slicer_of(model.graph)
    head = layers_of(graph).halves[0].head
    block = slicer.part(head[:-1])
    generator = np.random.default_rng(1)
    entry = layers_of(graph).halves[0].entry
    feeds = {
        entry: generator.standard_normal((1, 1, config.width)).astype(np.float32),
        "last_position": np.array([3], np.int32),
        "total_length": np.array([4], np.int32),
    }
    shape = (1, config.kv_heads, 8, config.head_size)
    feeds |= {name: generator.standard_normal(shape).astype(np.float32) for name in ("past_key.0", "past_value.0")}

    def run(first: int, last: int) -> list[np.ndarray]:
        shared = config.heads // config.kv_heads * config.head_size
        caches = ((0, 1), (first, last), (0, 8), (0, config.head_size))
        columns = ((0, 1), (0, 1), (first * shared, last * shared))
        wanted = {"block.0.attention": [columns], "present_key.0": [caches], "present_value.0": [caches]}
        piece = rewrite(block, wanted)
        kinds = [node.op_type for node in piece.model.graph.node]
        assert kinds.count("GroupQueryAttention") == 1
        proto = piece.filled(model.weight)
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        given = {}
        for each in session.get_inputs():
            value = feeds[each.name.split("[")[0]]
            given[each.name] = value[:, first:last] if each.name.startswith("past_") else value
        return session.run(None, given)

    together = run(0, config.kv_heads)
    parts = [run(number, number + 1) for number in range(config.kv_heads)]
    for index, (result, axis) in enumerate(zip(together, (2, 1, 1), strict=True)):
        joined = np.concatenate([part[index] for part in parts], axis=axis)
        filled = (slice(None), slice(None), slice(0, 4)) if index else ()
        assert np.abs(joined[filled] - result[filled]).max() <= 1e-6


def test_sizes_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(FormatError, match="the key-value heads divide the heads"):
        TINY.replace(kv_heads=3)
    with pytest.raises(FormatError, match="16 and 3"):
        TINY.replace(rope=Rope(divisors=(1.0, 1.0, 1.0)))
    with pytest.raises(FormatError, match="every head of GPT-2"):
        PRESETS["tiny_gpt2"].replace(kv_heads=2)
    with pytest.raises(GraphError, match="new tokens <= capacity <= context"):
        LanguageModel(TINY).model(sequence=1, capacity=65)
    with pytest.raises(GraphError, match="new tokens <= capacity <= context"):
        LanguageModel(TINY).model(sequence=9, capacity=8)


def test_weights_that_do_not_fit_are_refused() -> None:
    model = with_weights(TINY)
    lacking = {name: value for name, value in model.weights.items() if name != "block.1.up.weight"}
    with pytest.raises(GraphError, match=r"lacks 'block\.1\.up\.weight'"):
        LanguageModel(TINY, lacking)
    with pytest.raises(GraphError, match="has no weight 'extra'"):
        LanguageModel(TINY, {**model.weights, "extra": np.zeros(1, np.float32)})
    with pytest.raises(GraphError, match="convert it"):
        LanguageModel(TINY, {**model.weights, "norm.weight": np.zeros(3, np.float32)})


def test_a_configuration_is_a_file() -> None:
    config = TINY.replace(rope=Rope(base=7.0))
    assert Config.from_json(config.to_json()) == config


def test_caches_are_listed_with_the_axis_that_grows_and_the_one_of_heads() -> None:
    caches = LanguageModel(TINY).caches
    assert [cache.past for cache in caches] == ["past_key.0", "past_value.0", "past_key.1", "past_value.1"]
    assert caches[0].shape == ("batch", 2, "capacity", 16)
    assert (caches[0].shape[caches[0].grows], caches[0].shape[caches[0].heads]) == ("capacity", 2)
    assert TINY.cache_bytes(10) == sum(2 * 10 * 16 * 4 for _ in caches)
