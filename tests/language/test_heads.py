"""Operators of decoders divided over nodes: heads with their part of the caches, columns, sums."""

from collections.abc import Iterator, Sequence

import pytest
from language_nodes import CAPACITY, LAYERS, alone, cluster_of, small, solution_of

from hocket.control.live.state import Rules
from hocket.cost import Problem
from hocket.cost.work import weight_bytes
from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.language.divided import dividable
from hocket.language.generate import generate
from hocket.language.language_model import LanguageModel
from hocket.language.live import open_language_model
from hocket.language.planning import language_problem
from hocket.plan import Plan
from hocket.plan.build import build
from hocket.plan.lower import lower
from hocket.plan.plan import Copies, Entry, Run, Split
from hocket.program import Program
from hocket.runtime.inproc import Network

PROMPT, TOKENS = [5, 80, 33, 2, 9], 10
On = str | Split | Copies


def problem_of(model: LanguageModel, *, tokens: int = 1) -> Problem:
    return language_problem(model, cluster_of("abc"), capacity=CAPACITY, tokens=tokens, divided=True)


def suffix(model: LanguageModel) -> str:
    """GPT-2 adds a bias behind each product."""
    return ".product" if model.config.family == "gpt2" else ""


def runs(graph: Graph, ends: Sequence[tuple[str, On]]) -> Iterator[Run]:
    """Runs that end where it is said; what is behind the last of them is on a."""
    names = [operator.name for operator in graph.operators]
    at = 0
    for last, on in [*ends, (names[-1], "a")]:
        stop = names.index(last) + 1
        yield Run(operators=f"{names[at]}..{last}", on=on)
        at = stop


def plan_of(problem: Problem, ends: Sequence[tuple[str, On]]) -> Plan:
    return Plan(entries=(Entry(task=problem.task.name, where=tuple(runs(problem.task.graph, ends))),))


def by_layer(model: LanguageModel, attention: On, mlp: On) -> list[tuple[str, On]]:
    """Every layer with its heads and its hidden width divided; the norms and sums are on a."""
    ends: list[tuple[str, On]] = []
    for layer in range(LAYERS):
        block = f"block.{layer}"
        ends += [
            (f"{block}.attention_norm", "a"), (f"{block}.output{suffix(model)}", attention),
            (f"{block}.mlp_norm", "a"), (f"{block}.down{suffix(model)}", mlp),
        ]  # fmt: skip
    return ends


def contract(*parts: On, cuts: Sequence[int]) -> Split:
    return Split(axis="contract", parts=parts, cuts=tuple(cuts))


def text(model: LanguageModel, problem: Problem, plan: Plan, prompt: Sequence[int] = PROMPT) -> list[int]:
    with (
        open_language_model(
            solution_of(problem, plan), model, policy="static", rules=Rules(standby="none"), network=Network()
        ) as live,
        live.reader() as reader,
    ):
        return list(generate(reader, prompt, most=TOKENS))


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return small(request.param)


def every_cut(family: str) -> list[int]:
    """Positions in the width of the queries: between groups of heads, between heads, and inside one."""
    return [0, 16, 24, 32, 48, 64] if family == "llama" else [0, 3, 8, 16, 24, 32]


@pytest.mark.parametrize("number", range(6))
def test_any_cut_through_the_heads_and_the_hidden_width_gives_the_same_text(model: LanguageModel, number: int) -> None:
    cut = every_cut(model.config.family)[number]
    problem = problem_of(model)
    plan = plan_of(
        problem,
        by_layer(model, contract("a", "b", cuts=[cut]), contract("b", "a", cuts=[7 * number])),
    )
    assert text(model, problem, plan) == alone(model, PROMPT, TOKENS)


def test_three_uneven_parts_and_two_stages(model: LanguageModel) -> None:
    """A split inside a stage: the first layer over three nodes, the second over two others, the third whole."""
    problem, p = problem_of(model), suffix(model)
    width = model.config.query_width
    ends: list[tuple[str, On]] = [
        ("block.0.attention_norm", "a"),
        (f"block.0.output{p}", contract("a", "b", "c", cuts=[width // 4, 3 * width // 4])),
        ("block.0.mlp_sum", "a"),
        ("block.1.attention_norm", "b"),
        (f"block.1.output{p}", contract("b", "c", cuts=[width // 2])),
        ("block.1.mlp_norm", "c"),
        (f"block.1.down{p}", contract("c", "b", cuts=[16])),
        ("block.2.mlp_sum", "c"),
    ]
    assert text(model, problem, plan_of(problem, ends)) == alone(model, PROMPT, TOKENS)


def test_columns_without_a_sum(model: LanguageModel) -> None:
    """Columns of queries' heads, of the wide layer and of the scores: gathered, not added."""
    problem, p = problem_of(model), suffix(model)
    ends: list[tuple[str, On]] = [
        ("block.0.attention_norm", "a"),
        ("block.0.attention", Split(axis=2, parts=("b", "c"), cuts=(model.config.query_width // 4,))),
        (f"block.0.output{p}", Split(axis=2, parts=("a", "c"), cuts=(10,))),
        ("block.0.mlp_norm", "a"),
        ("block.0.hidden", Split(axis=2, parts=("a", "b"), cuts=(33,))),
        ("logits.rows", "c"),
        ("logits.flat", Split(axis=1, parts=("a", "b", "c"), cuts=(20, 70))),
    ]
    assert text(model, problem, plan_of(problem, ends)) == alone(model, PROMPT, TOKENS)


def test_a_long_prompt_is_read_by_the_same_parts(model: LanguageModel) -> None:
    """The plan was made for one token; the prompt comes with all of its tokens at once."""
    problem = problem_of(model)
    half = model.config.query_width // 2
    plan = plan_of(problem, by_layer(model, contract("a", "b", cuts=[half]), contract("a", "b", cuts=[48])))
    prompt = [(7 * number) % 90 for number in range(CAPACITY - TOKENS - 1)]
    assert text(model, problem, plan, prompt) == alone(model, prompt, TOKENS)


def program_of(problem: Problem, plan: Plan) -> Program:
    task = problem.task
    return lower(task.graph, plan.entries[0], problem.cluster, task.inputs, task.outputs)


def test_each_node_keeps_the_caches_of_its_own_heads(model: LanguageModel) -> None:
    problem, config = problem_of(model), model.config
    quarter = config.query_width // config.kv_heads
    plan = plan_of(problem, by_layer(model, contract("a", "b", cuts=[quarter]), "a"))
    program = program_of(problem, plan)
    kept = dict.fromkeys("ab", 0)
    homes = {segment.id: segment.node for segment in program.segments}
    for state in program.states:
        kept[homes[state.segment]] += state.nbytes
    assert sum(kept.values()) == config.cache_bytes(CAPACITY)
    assert kept["a"] * (config.kv_heads - 1) == kept["b"]
    # The tables of the rotation and a bias or two are on both.
    held = sum(weight_bytes(problem.task.graph, program.at(node)) for node in "ab")
    assert held == pytest.approx(problem.task.graph.weight_bytes, rel=0.05)


def test_a_cut_inside_a_head_keeps_that_head_twice(model: LanguageModel) -> None:
    problem = problem_of(model)
    plan = plan_of(problem, by_layer(model, contract("a", "b", cuts=[3]), "a"))
    program = program_of(problem, plan)
    assert sum(state.nbytes for state in program.states) > model.config.cache_bytes(CAPACITY)


def test_the_axis_of_the_tokens_is_not_divided(model: LanguageModel) -> None:
    problem = problem_of(model, tokens=8)
    plan = plan_of(problem, [("block.0.attention_norm", Split(axis=1, parts=("a", "b"), cuts=(4,)))])
    with pytest.raises(PlanError, match="another length in every request, so it is not divided"):
        program_of(problem, plan)


def test_what_depends_on_the_number_of_tokens_is_not_in_a_split(model: LanguageModel) -> None:
    """The last row of whatever comes has no place that is known beforehand."""
    whole = dividable(model, capacity=CAPACITY)
    problem = problem_of(model)
    plan = plan_of(problem, [("block.2.mlp_sum", "a"), ("last", Split(axis=2, parts=("a", "b"), cuts=(8,)))])
    with pytest.raises(PlanError, match="'last' depends on how long a request is"):
        build(whole, program_of(problem, plan))


@pytest.mark.parametrize("precision", ["float16", "int8", "int4"])
def test_packed_weights_are_divided_by_blocks(precision: str) -> None:
    model = LanguageModel(small("llama").config.replace(precision=precision)).with_random_weights()
    problem = problem_of(model)
    # Two zeros of four bits share a byte, so sums are cut at every second block of 32.
    heads: On = "a" if precision == "int4" else contract("a", "b", cuts=[32])
    plan = plan_of(problem, by_layer(model, heads, contract("a", "b", cuts=[64])))
    assert text(model, problem, plan) == alone(model, PROMPT, TOKENS)
    columns: list[tuple[str, On]] = [
        ("block.1.attention_norm", "a"), ("block.1.attention", Split(axis=2, parts=("a", "b"), cuts=(32,))),
    ]  # fmt: skip
    assert text(model, problem, plan_of(problem, columns)) == alone(model, PROMPT, TOKENS)
