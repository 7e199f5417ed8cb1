"""Opening language models, and the commands that continue a text and export a plan."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from language_nodes import deployed, plan_by_layers, problem_of, small, solution_of

from hocket.errors import FormatError, GraphError, PlanError
from hocket.language.config import PRESETS
from hocket.language.generate import generate
from hocket.language.language_model import LanguageModel
from hocket.language.live import is_language_model, open_language_model, read_language_model
from hocket.language.session import DecoderSession
from hocket.runtime.inproc import Network

CLUSTER = """format = "hocket.cluster/1"
[[node]]
name = "a"
speed = "1 GFLOP/s"
[[node]]
name = "b"
speed = "4 GFLOP/s"
[[link]]
between = ["a", "b"]
rate = "1 Gbit/s"
"""


def test_presets_have_random_weights_and_other_names_are_refused(tmp_path: Path) -> None:
    assert read_language_model("tiny_gpt2").weights
    sizes = [
        sum(value.nbytes for value in read_language_model("tiny_llama", each).weights.values())
        for each in ("float32", "float16", "int8", "int4")
    ]
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(FormatError, match="'tiny_bird' is none"):
        read_language_model("tiny_bird")
    file = tmp_path / "model.gguf"
    file.write_bytes(b"no model at all")
    with pytest.raises(FormatError) as told:
        read_language_model(str(file))
    assert "\n" not in str(told.value)
    with pytest.raises(FormatError, match=r"config\.json"):
        read_language_model(str(tmp_path))


def test_a_plan_is_of_the_model_that_it_is_run_with() -> None:
    model = small("llama")
    problem = problem_of(model, "ab")
    solution = solution_of(problem, plan_by_layers(problem, "aabbb"))
    other = LanguageModel(PRESETS["tiny_llama"]).with_random_weights()
    with pytest.raises(PlanError, match="has other weights"), open_language_model(solution, other, network=Network()):
        pass
    bare = LanguageModel(model.config)
    with pytest.raises(GraphError, match="has none; load"), open_language_model(solution, bare, network=Network()):
        pass


def test_a_live_model_has_the_capacity_of_its_plan() -> None:
    with deployed(small("llama"), "aabbb", "ab") as live, live.reader() as reader:
        assert reader.capacity == live.capacity == 48


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The command line: exit code, stdout, stderr."""

    def command(*words: object) -> tuple[int, str, str]:
        from hocket.cli import main

        monkeypatch.setattr("sys.argv", ["hocket", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return command


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(CLUSTER)
    return path


@pytest.mark.parametrize(
    ("words", "telling"),
    [
        (["nothing.gguf", "--prompt", "5"], "'nothing.gguf' is none"),
        (["tiny_llama", "--prompt", " "], "the prompt is empty"),
        (["tiny_llama", "--prompt", "hello"], "numbers of tokens, got 'hello'"),
        (["tiny_llama", "--prompt", "5", "--top-p", "0"], "top-p is more than 0"),
        (["tiny_llama", "--prompt", "5", "--context", "65"], "1 to 64 tokens, got 65"),
        (["tiny_llama", "--prompt", "5", "--profile", "none.json"], "none.json"),
        (["tiny_llama", "--prompt", "5", "--precision", "int2"], "float32, float16, int8, int4, got 'int2'"),
    ],
)
def test_wrong_wishes_are_told_in_a_sentence(
    run: Callable[..., Any], cluster: Path, words: list[str], telling: str
) -> None:
    code, out, err = run("generate", words[0], cluster, *words[1:])
    assert (code, out) == (1, "")
    assert telling in err
    assert err.count("\n") == 1


@pytest.mark.cluster
def test_a_text_is_written_over_node_processes(run: Callable[..., Any], cluster: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    code, out, err = run(
        "generate", "tiny_llama", cluster, "--prompt", "5 80 33", "--max-tokens", 8, "--solver", "remote", "-o", plan
    )
    model = read_language_model("tiny_llama")
    expected = list(generate(DecoderSession(model), [5, 80, 33], most=8))
    assert (code, [int(word) for word in out.split()]) == (0, expected)
    assert "8 tokens" in err
    assert "predicted" in err
    code, out, _ = run("generate", "tiny_llama", plan, "--prompt", "5 80 33", "--max-tokens", 90, "--json")
    told = json.loads(out)
    assert (code, told["prompt_tokens"], told["tokens"], told["full"]) == (0, 3, 62, True)
    assert [int(word) for word in told["text"].split()][:8] == expected
    code, out, err = run("generate", "tiny_llama", plan, "--prompt", " ".join(["5"] * 65))
    assert (code, out) == (1, "")
    assert "room for 64 tokens, and the prompt has 65" in err


@pytest.mark.cluster
def test_a_measured_profile_is_planned_with(run: Callable[..., Any], cluster: Path, tmp_path: Path) -> None:
    profile, prompt = tmp_path / "profile.json", ["--prompt", "5 80 33", "--max-tokens", 3]
    code, out, _ = run("measure", "tiny_gpt2", cluster, "--context", 40, "--repeats", 3, "-o", profile, "--json")
    assert (code, [row["node"] for row in json.loads(out)["nodes"]]) == (0, ["a", "b"])
    code, out, _ = run("generate", "tiny_gpt2", cluster, *prompt, "--profile", profile, "--json")
    measured = json.loads(out)
    assert (code, measured["predicted_by"]) == (0, "measured")
    code, out, _ = run("generate", "tiny_gpt2", cluster, *prompt, "--context", 40, "--json")
    by_formula = json.loads(out)
    assert (code, by_formula["predicted_by"], by_formula["text"]) == (0, "formula", measured["text"])
    code, _, err = run("generate", "tiny_gpt2", cluster, *prompt, "--profile", profile, "--context", 41)
    assert code == 1
    assert "(capacity 40, not 41); give each profile with its model" in err
    code, _, err = run("generate", "tiny_gpt2", cluster, *prompt, "--profile", profile, "--measure")
    assert code == 1
    assert "--measure makes the profile" in err


@pytest.mark.cluster
def test_a_model_is_measured_before_it_is_planned(run: Callable[..., Any], cluster: Path, tmp_path: Path) -> None:
    plan, prompt = tmp_path / "plan.json", ["--prompt", "5 80 33", "--max-tokens", 3]
    code, _, err = run("generate", "tiny_llama", cluster, *prompt, "--measure", "-o", plan)
    assert code == 0
    assert "tokens/s predicted from a measured profile" in err
    code, _, err = run("generate", "tiny_llama", plan, *prompt)
    assert (code, "from a measured profile" in err) == (0, True)


@pytest.mark.cluster
def test_a_text_is_the_same_over_divided_layers(run: Callable[..., Any], cluster: Path, tmp_path: Path) -> None:
    plan, prompt = tmp_path / "plan.json", ["--prompt", "5 80 33", "--max-tokens", 8]
    words = ["generate", "tiny_llama", cluster, *prompt]
    code, out, _ = run(*words, "--divide", "--solver", "megatron", "-o", plan)
    places = [part["on"] for part in json.loads(plan.read_text())["plan"]["entries"][0]["where"]]
    assert any(isinstance(place, dict) and place["kind"] == "split" for place in places)
    expected = list(generate(DecoderSession(read_language_model("tiny_llama")), [5, 80, 33], most=8))
    assert (code, [int(word) for word in out.split()]) == (0, expected)


def test_a_step_longer_than_the_context_is_refused(run: Callable[..., Any], cluster: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    code, _, err = run("measure", "tiny_llama", cluster, "--context", 40, "--tokens", 41, "-o", profile)
    assert (code, profile.exists()) == (1, False)
    assert "have room for 40 positions, and 41 new ones" in err


@pytest.mark.parametrize(
    ("words", "telling"),
    [
        (["zoo:toy_dag", "--tokens", 4], "'zoo:toy_dag' is read as another; leave them out"),
        (["tiny_llama", "--shape", "tokens=1,4"], "follow from --tokens and --context; leave --shape out"),
    ],
)
def test_options_of_another_kind_of_model_are_refused(
    run: Callable[..., Any], cluster: Path, tmp_path: Path, words: list[Any], telling: str
) -> None:
    code, _, err = run("measure", *words, cluster, "-o", tmp_path / "profile.json")
    assert code == 1
    assert telling in err


def test_published_models_are_fetched_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    def fetch(name: str) -> Path:
        fetched.append(name)
        return Path("no-such-file.gguf")

    monkeypatch.setattr("hocket.language.live.fetch", fetch)
    assert is_language_model("smollm2_135m_instruct")
    with pytest.raises(FormatError, match="no-such-file"):
        read_language_model("smollm2_135m_instruct")
    assert fetched == ["smollm2_135m_instruct"]
    assert not is_language_model("zoo:resnet18")
    assert not is_language_model("model.onnx")


def test_plans_are_exported_by_the_command(run: Callable[..., Any], tmp_path: Path) -> None:
    problem = problem_of(small("llama"), "ab")
    path = tmp_path / "plan.json"
    solution_of(problem, plan_by_layers(problem, "aaabb")).save(path)
    code, out, err = run("export", path, "--to", "vllm")
    assert (code, out.split()[0]) == (0, "VLLM_PP_LAYER_PARTITION=2,1")
    assert "0 = a, 1 = b" in err
    code, out, _ = run("export", path, "--to", "llama.cpp", "--json")
    assert json.loads(out)["tensor_split"] == [2, 2]
    code, _, err = run("export", path, "--to", "prima")
    assert code == 1
    assert "on one device" in err


@pytest.mark.cluster
def test_an_interrupt_ends_quietly_and_leaves_no_node(cluster: Path) -> None:
    words = ["generate", "tiny_llama", str(cluster), "--prompt", "5", "--max-tokens", "60", "--solver", "remote"]
    code = "import sys, time, hocket.cli.writing as l; t = l._timed\n"
    code += "def slow(*a):\n    for x in t(*a):\n        time.sleep(0.5)\n        yield x\n"
    code += f"l._timed = slow; sys.argv = ['hocket', *{words!r}]; from hocket.cli import main; main()"
    found = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        assert found.stdout is not None
        assert found.stdout.read(1)  # the first token is there, so the nodes are
        os.killpg(found.pid, signal.SIGINT)  # as a terminal does: to the nodes too
        _, err = found.communicate(timeout=30.0)
        assert (found.returncode, err) == (130, b"")
        with pytest.raises(ProcessLookupError):
            os.killpg(found.pid, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(found.pid, signal.SIGKILL)
