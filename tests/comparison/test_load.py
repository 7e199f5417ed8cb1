"""Suites: what is read, what is refused, and those that come with hocket."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from hocket.comparison import SUITES, load_suite
from hocket.comparison.compare import rows_of, sample_of
from hocket.comparison.fleets import ARCHITECTURES
from hocket.comparison.instances import instances_of, problem_of
from hocket.comparison.load import chosen_solvers
from hocket.errors import FormatError
from hocket.solvers import all_solvers


def test_a_suite_is_the_product_of_its_lists(write: Callable[..., Path]) -> None:
    suite = load_suite(write(title="seeds = [1, 2]\ntitle"))
    names = [instance.name for group in suite.problems for instance in instances_of(suite, group)]
    assert names == [
        "pair/lenet/pair/latency",
        "pair/lenet/pair/sequential",
        "cell/lenet+toy_chain/cell/latency/every_device",
        "hasty/lenet/pair/latency/hasty",
    ]
    rows = rows_of(suite)
    assert len(rows) == 4 + 3 * 4 * 2 + 2
    assert [row.seed for row in rows if row.instance.name == names[3]] == [0, 1, 2]
    assert len({row.key for row in rows}) == len(rows)


def test_the_key_of_a_row_follows_from_its_inputs(write: Callable[..., Path]) -> None:
    first, again = (rows_of(load_suite(write()))[1] for _ in range(2))
    faster = rows_of(load_suite(write(one_to_one='one_to_one"\nserver = "v100')))[1]
    longer = rows_of(load_suite(write(**{"20 s": "30 s"})))[1]
    assert first.key == again.key
    assert len({first.key, faster.key, longer.key}) == 3


def test_solvers_by_name_family_and_setting(write: Callable[..., Path]) -> None:
    suite = load_suite(write(**{
        'solvers = ["local", "remote", "linear_scan", "min_cut"]':
        'solvers = ["family:general", "patient"]\nwithout = ["exhaustive"]\n'
        '[settings.patient]\nsolver = "descent"\njudgements = 900\n',
        'kill_after = "20 s"': "",
    }))  # fmt: skip
    chosen = chosen_solvers(suite, suite.problems[0])
    assert {"auto", "descent", "patient"} <= set(chosen)
    assert "exhaustive" not in chosen
    (row,) = [
        row for row in rows_of(suite) if row.solver == "patient" and row.instance.name == "pair/lenet/pair/latency"
    ]
    assert (row.base, row.options, row.family) == ("descent", {"judgements": 900}, "general")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"hocket.suite/1"', '"hocket.suite/9"',
         "has format 'hocket.suite/9' where 'hocket.suite/1' is needed; correct the format"),
        ("title =", "titel =", "Object contains unknown field 'titel'; correct that key"),
        ('"min_cut"', '"min_cat"', "the suite: solvers names 'min_cat', which is not there; did you mean 'min_cut'?"),
        ('"min_cut"', '"family:cut"', "the suite: solvers: family names 'cut', which is not there;"
         " did you mean 'cuts'?"),
        ('clusters = ["cell"]', 'clusters = ["sell"]',
         "problems 'cell': clusters names 'sell', which is not there; did you mean 'cell'?"),
        ('"sequential"]', '"speed"]', "problems 'pair': objectives names 'speed', which is not there; use one of"
         " energy, latency, period, price, sequential"),
        ('variants = ["hasty"]', 'variants = ["hasty", "calm"]',
         "problems 'hasty': variants names 'calm', which is not there; use one of every_device, hasty, plain"),
        ('name = "hasty"', 'name = "cell"', "two groups of problems have the name 'cell'; rename one of them"),
        ('solvers = ["local"]', 'solvers = ["local"]\nwithout = ["local"]',
         "problems 'hasty' have no solver left; take one out of 'without'"),
        ('kill_after = "20 s"', 'kill_after = "20 s"\ntime_limit = "30 s"',
         "kill_after ends a solver that does not keep its time_limit, and '20 s' is not longer than '30 s'; raise it"),
        ('kill_after = "20 s"', 'kill_after = "20"',
         "kill_after: '20' has no unit of seconds; write it like '3 ms'"),
        ("[variants.hasty]", "[variants.plain]\n[variants.hasty]",
         "variants: 'plain' asks nothing more than the rest; give the variant another name"),
        ("[variants.hasty]", '[objectives.energy]\nmetric = "price"\n[variants.hasty]',
         "objectives: 'energy' is a metric and means itself; give the objective another name"),
        ("[variants.hasty]", '[settings.auto]\nsolver = "descent"\n[variants.hasty]',
         "settings: 'auto' is the name of a solver already; choose another"),
        ("[variants.hasty]", '[settings.x]\nsolver = "local"\nseed = 3\n[variants.hasty]',
         "settings.x: local has no option 'seed'; it has none"),
        ("[variants.hasty]", '[settings.x]\nsolver = "decent"\n[variants.hasty]',
         "settings.x: the key 'solver' is the name of a solver, got 'decent'; did you mean 'descent'?"),
        ("[[problems]]", "[[problem]]", "Object contains unknown field 'problem'; correct that key"),
    ],
)  # fmt: skip
def test_what_a_suite_must_not_say(write: Callable[..., Path], old: str, new: str, sentence: str) -> None:
    path = write(**{old: new})
    with pytest.raises(FormatError) as caught:
        load_suite(path)
    assert str(caught.value) in (f"{path}: {sentence}", f"{path} {sentence}")


def test_a_suite_that_is_not_there() -> None:
    with pytest.raises(FormatError) as caught:
        load_suite("survy")
    assert str(caught.value) == "there is no suite 'survy'; give a TOML file or one of peers, scale, survey"


def test_a_problem_named_twice(write: Callable[..., Path]) -> None:
    suite = load_suite(write(**{'"latency", "sequential"': '"latency", "latency"'}))
    with pytest.raises(FormatError, match="two problems have the name 'pair/lenet/pair/latency'; name a model"):
        rows_of(suite)


@pytest.mark.parametrize("name", SUITES)
def test_the_suites_that_come_with_hocket_can_be_made(name: str) -> None:
    """Every name is known, every cluster can be built, and every problem says what it asks."""
    suite = load_suite(name)
    rows, sample = rows_of(suite), sample_of(suite)
    assert len({row.key for row in (*rows, *sample)}) == len(rows) + len(sample)
    small = [row.instance for row in rows if row.kind == "bound" and "lenet" in row.instance.name]
    for instance in small:
        assert len(problem_of(instance).tasks) >= 1


def test_the_survey_has_every_solver_and_every_architecture() -> None:
    suite = load_suite("survey")
    rows = rows_of(suite)
    assert len({row.instance.name for row in rows}) >= 20
    assert {row.instance.architecture for row in rows} == set(ARCHITECTURES)
    assert {row.solver for row in rows if row.kind == "solve"} == set(all_solvers())


def test_paths_are_relative_to_the_file(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text(
        'format = "hocket.cluster/1"\nname = "two"\n[[node]]\nname = "a"\nspeed = "1 GFLOP/s"\n'
    )
    path = write(**{'[clusters.pair]\narchitecture = "one_to_one"': '[clusters.pair]\nfile = "two.toml"'})
    suite = load_suite(path)
    assert suite.clusters["pair"].file == str(tmp_path / "two.toml")
    assert tomllib.loads(path.read_text())["clusters"]["pair"]["file"] == "two.toml"
    assert rows_of(suite)[0].instance.architecture == "file"


def test_the_suite_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
    (text,) = [part.partition("```")[0] for part in page.split("```toml\n")[1:]]
    path = tmp_path / "page.toml"
    path.write_text(text)
    suite = load_suite(path)
    problems = [row.instance for row in rows_of(suite) if row.kind == "bound"]
    assert len(problems) == 8
    assert all(problem_of(instance).tasks for instance in problems)
