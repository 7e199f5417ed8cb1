"""Only the scores of the likeliest tokens leave the nodes: the same texts as with all of them."""

import numpy as np
import pytest
from language_nodes import CAPACITY, LAYERS, alone, cluster_of, plan_by_layers, small, solution_of

from hocket.control.live.state import Rules
from hocket.errors import GraphError
from hocket.language.config import PRESETS
from hocket.language.divided import candidates_of, dividable, spread
from hocket.language.generate import generate
from hocket.language.live import open_language_model
from hocket.language.planning import language_problem
from hocket.language.sampling import GREEDY, Sampling
from hocket.language.session import DecoderSession
from hocket.runtime.inproc import Network

PROMPT = [5, 80, 33]
FEW = 8


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("precision", ["float32", "int4"])
@pytest.mark.parametrize(
    "sampling", [GREEDY, Sampling(temperature=1.5, top_k=FEW, seed=3), Sampling(temperature=2.0, top_k=5, seed=4)]
)
def test_texts_are_those_of_all_scores(family: str, precision: str, sampling: Sampling) -> None:
    model = small(family, precision=precision)
    problem = language_problem(model, cluster_of("ab"), capacity=CAPACITY, candidates=FEW)
    solution = solution_of(problem, plan_by_layers(problem, ["a"] * LAYERS + ["b", "b"]))
    whole = list(generate(DecoderSession(model, capacity=CAPACITY), PROMPT, sampling, most=12))
    options = {"policy": "static", "rules": Rules(standby="none"), "network": Network()}
    with open_language_model(solution, model, **options) as live, live.reader() as reader:
        assert list(generate(reader, PROMPT, sampling, most=12)) == whole
    assert sampling == GREEDY or whole != alone(model, PROMPT, 12)


def test_what_is_brought_is_the_likeliest_scores_and_no_others() -> None:
    model = small("llama")
    problem = language_problem(model, cluster_of("ab"), capacity=CAPACITY, candidates=FEW)
    solution = solution_of(problem, plan_by_layers(problem, ["a", "a", "b", "b", "b"]))
    expected = DecoderSession(model, capacity=CAPACITY).read(PROMPT)
    options = {"policy": "static", "rules": Rules(standby="none"), "network": Network()}
    with open_language_model(solution, model, **options) as live, live.reader() as reader:
        found = reader.read(PROMPT)
    best = np.argsort(-expected)[:FEW]
    assert np.flatnonzero(np.isfinite(found)).tolist() == sorted(best)
    assert found[best] == pytest.approx(expected[best], rel=1e-5)


def test_a_plan_counts_the_bytes_that_are_brought() -> None:
    config = PRESETS["smollm2_135m"]
    few, every = (
        language_problem(config, cluster_of("ab"), capacity=64, candidates=count).task.graph for count in (256, 0)
    )
    assert [few.tensor[name].nbytes for name in few.outputs] == [2 * 256 * 4]
    assert [every.tensor[name].nbytes for name in every.outputs] == [config.vocabulary * 4]
    assert (candidates_of(few), candidates_of(every)) == (256, 0)


def test_all_scores_are_brought_where_the_vocabulary_is_small() -> None:
    model = small("llama")
    for count in (0, model.config.vocabulary // 2, model.config.vocabulary, 256):
        assert candidates_of(dividable(model, capacity=CAPACITY, candidates=count).graph) == 0


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(GraphError, match="candidates are 1 or more, or 0 for all scores, got -1"):
        dividable(small("llama"), capacity=CAPACITY, candidates=-1)


@pytest.mark.parametrize("token", [-1.0, 4.0, float("nan"), float("inf")])
def test_tokens_that_the_model_does_not_have_are_refused(token: float) -> None:
    with pytest.raises(GraphError, match="tokens are 0 to 3, and a node says"):
        spread(np.array([[0.5], [token]], np.float32), 4)
