"""Predicted profiles: laws that are put in come out, also for a model that was not seen."""

import numpy as np
import pytest
from graphs import graph_of, mesh, node, operator, profile_of, random_graph, zoo_model

from hocket.errors import FormatError, ProfileError
from hocket.graph import Graph
from hocket.profile import NodeProfile, Predictor, Profile, formula_profile, predict_node, predict_profile, train
from hocket.profile.features import FEATURES, samples
from hocket.profile.fits import Training, best_fit, linear_fit, log_fit, predicted_s

MODELS = ("mobilenet_v1", "mobilenet_v2", "resnet18", "resnet50", "googlenet", "squeezenet1_1")


def law(category: str, features: tuple[float, ...]) -> float:
    """A device: 20 GFLOP/s, a quarter of it for grouped convolutions, 5 GB/s, 3 us per call."""
    flops, other, read, written, weights = features[:5]
    speed = 5e9 if category == "Conv/grouped" else 20e9
    return flops / speed + other / 4e9 + (read + written + weights) / 5e9 + 3e-6


def measured(graph: Graph, *, noise: float = 0.0, seed: int = 0, call_s: float = 1e-5) -> Profile:
    generator = np.random.default_rng(seed)
    seconds = {
        sample.operator: law(sample.category, sample.features) * float(np.exp(noise * generator.standard_normal()))
        for sample in samples(graph)
    }
    return profile_of(graph, {"pi": seconds}, call_s=call_s, host="arm", threads=2)


def training(noise: float = 0.0, models: tuple[str, ...] = MODELS) -> list[tuple[Graph, Profile]]:
    graphs = [zoo_model(name).graph for name in models]
    return [(graph, measured(graph, noise=noise, seed=i)) for i, graph in enumerate(graphs)]


def total(profile: Profile) -> float:
    return sum(profile.entries[0].seconds.values())


def test_a_law_is_found_and_holds_for_a_model_never_seen() -> None:
    predictor = train(training())
    unseen = zoo_model("inception_v3").graph
    predicted = predict_profile(predictor, unseen, "n")
    assert total(predicted) == pytest.approx(total(measured(unseen)), rel=0.02)
    assert predictor.error is not None
    assert predictor.error < 0.02


def test_noise_is_averaged_out_and_the_error_is_told() -> None:
    predictor = train(training(noise=0.2))
    unseen = zoo_model("inception_v3").graph
    assert total(predict_profile(predictor, unseen, "n")) == pytest.approx(total(measured(unseen)), rel=0.1)
    assert predictor.error is not None
    assert 0.001 < predictor.error < 0.15
    assert predictor.errors.keys() == set(MODELS)
    assert predictor.error == pytest.approx(float(np.median(np.abs(list(predictor.errors.values())))))


def test_what_a_predicted_profile_says_of_itself() -> None:
    predictor = train(training(models=("resnet18", "googlenet")))
    graph = zoo_model("mobilenet_v2").graph
    profile = predict_profile(predictor, graph, "p", "q")
    assert profile.how == "predicted"
    assert [entry.node for entry in profile.entries] == ["p", "q"]
    entry = profile.at("q")
    assert (entry.error, entry.host, entry.threads, entry.call_s) == (predictor.error, "arm", 2, pytest.approx(1e-5))
    assert entry == predict_node(predictor, graph, "q")
    assert entry.seconds.keys() == graph.operator.keys()
    folded = {row.name for row in graph.operators} - {sample.operator for sample in samples(graph)}
    assert folded
    assert all(entry.seconds[name] == 0 for name in folded)


def test_a_predictor_survives_the_file() -> None:
    predictor = train(training(noise=0.1, models=MODELS[:3]))
    assert Predictor.from_json(predictor.to_json()) == predictor


def test_training_twice_gives_the_same() -> None:
    assert train(training(noise=0.1)) == train(training(noise=0.1))


def test_kinds_that_were_never_measured_get_the_roofline() -> None:
    predictor = train(training(models=("resnet18", "mobilenet_v1")))
    graph = graph_of(operator("s", "x", kind="Softmax", flops=1e6), sizes={"x": 10**6, "s": 10**6})
    assert predictor.unknown(graph) == ("Softmax",)
    (sample,) = samples(graph)
    expected = predicted_s(predictor.roofline, np.array([sample.features]))[0]
    assert predict_node(predictor, graph, "n").seconds["s"] == pytest.approx(expected)
    assert expected > 0


def test_one_model_leaves_nothing_to_check_with() -> None:
    predictor = train(training(models=("resnet18",)))
    assert (predictor.error, predictor.errors) == (None, {})
    assert all(fit.form == "linear" for fit in predictor.kinds.values())


def test_predictions_are_never_negative_nor_infinite() -> None:
    predictor = train(training(noise=1.0))
    for name in ("toy_dag", "toy_chain", "bert_base", "swin_t", "vgg16", "charcnn"):
        seconds = predict_node(predictor, zoo_model(name).graph, "n").seconds.values()
        assert all(0 <= value < 1e3 for value in seconds)
    for seed in range(5):
        assert min(predict_node(predictor, random_graph(seed), "n").seconds.values()) >= 0


def test_convolutions_are_told_apart_by_their_shape() -> None:
    found = {sample.operator: sample.category for sample in samples(zoo_model("mobilenet_v2").graph)}
    kinds = list(found.values())
    assert kinds.count("Conv/grouped") == 17
    assert kinds.count("Conv/dense") == 1
    assert kinds.count("Conv/1x1") == 34
    (first, *_) = samples(zoo_model("resnet18").graph)
    assert first.features[FEATURES.index("window")] == 49
    assert first.features[FEATURES.index("in_channels")] == 3
    assert first.features[FEATURES.index("out_channels")] == 64


def rows(function: object, count: int = 60) -> list[Training]:
    generator = np.random.default_rng(1)
    made = []
    for number in range(count):
        features = (*(float(v) for v in 10 ** generator.uniform(1, 6, len(FEATURES) - 1)), 1.0)
        made.append(Training(f"m{number % 5}", "Conv", features, function(features)))  # type: ignore[operator]
    return made


def test_the_form_is_chosen_by_leaving_models_out() -> None:
    assert best_fit(rows(lambda f: 1e-9 * f[0] + 2e-9 * f[2] + 1e-6)).form == "linear"
    assert best_fit(rows(lambda f: 1e-7 * f[0] ** 0.6 * f[5] ** -0.4)).form == "log"


def test_coefficients_of_the_linear_form_are_found_and_not_negative() -> None:
    fit = linear_fit(rows(lambda f: 1e-9 * f[0] + 2e-9 * f[2] + 1e-6))
    assert fit.coefficients[0] == pytest.approx(1e-9, rel=1e-6)
    assert fit.coefficients[2] == pytest.approx(2e-9, rel=1e-6)
    falling = linear_fit(rows(lambda f: 1 / (1 + f[0])))
    assert min(falling.coefficients) >= 0
    assert linear_fit([]).coefficients == (0.0,) * len(FEATURES)


def test_exponents_of_the_log_form_are_found() -> None:
    fit = log_fit(rows(lambda f: 1e-7 * f[0] ** 0.6 * f[5] ** -0.4, count=300))
    assert fit.coefficients[1] == pytest.approx(0.6, abs=0.02)
    assert fit.coefficients[6] == pytest.approx(-0.4, abs=0.02)


def test_what_cannot_be_trained_on() -> None:
    graph = zoo_model("toy_chain").graph
    good = measured(graph)
    cases = {
        "a predictor is trained on measured profiles, got none; measure a few models first": [],
        "each model is there once, got toy_chain, toy_chain; leave out the repeated ones": [(graph, good)] * 2,
        "a predictor is for one node, and the profile of 'toy_chain' has a, b; name one of them": [
            (graph, formula_profile(graph, mesh(node("a"), node("b"))))
        ],
        "a profile has every operator of its graph, and that of 'toy_chain' lacks"
        f" {graph.operators[0].name!r}; give the profile with the graph that it was made of": [
            (graph, good.replace(entries=(NodeProfile(node="pi", seconds={}),)))
        ],
    }
    for sentence, profiles in cases.items():
        with pytest.raises(ProfileError) as caught:
            train(profiles)
        assert str(caught.value) == sentence
    with pytest.raises(ProfileError, match=r"^the profile has no node 'q' \(it has pi\); measure that node$"):
        train([(graph, good)], node="q")
    with pytest.raises(ProfileError, match=r"^a profile is of at least one node, got none; name a node$"):
        predict_profile(train([(graph, good)]), graph)


def test_a_file_that_does_not_fit_is_refused() -> None:
    predictor = train(training(models=("toy_chain", "toy_dag")))
    with pytest.raises(FormatError) as caught:
        Predictor.from_json(predictor.to_json().replace('"window"', '"colour"'), name="p.json")
    assert str(caught.value).startswith("p.json: a predictor works on the features contracted_flops, ")
    with pytest.raises(ProfileError) as caught_profile:
        predictor.replace(roofline=predictor.roofline.replace(coefficients=(1.0,)))
    assert str(caught_profile.value) == (
        "a linear fit has 9 coefficients, and that of 'any kind' has 1; train it again"
    )
