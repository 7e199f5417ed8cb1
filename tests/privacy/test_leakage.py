"""Leakage: what the attack gets back falls with depth and with noise, and everything around it without PyTorch."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from graphs import zoo_model
from typer.testing import CliRunner

from hocket.cli import app
from hocket.cost.leakage import Leak, LeakageTable
from hocket.errors import FormatError, GraphError, MissingError, PlanError
from hocket.graph.onnx import load_model
from hocket.privacy import drawings, leakage
from hocket.privacy.activations import Activations, as_sent, depths, needed
from hocket.privacy.inversion import Attack
from hocket.privacy.measures import mse, ssim
from hocket.privacy.pictures import KINDS

TOY = "toy_chain"


def test_drawings_are_seeded_and_of_every_kind() -> None:
    pictures, kinds = drawings(200, (3, 16, 12), seed=1)
    assert pictures.shape == (200, 3, 16, 12) and pictures.dtype == np.float32
    assert set(kinds.tolist()) == set(range(len(KINDS)))
    assert pictures.min() >= 0 and pictures.max() <= 1 and pictures.std() > 0.1
    again, other = drawings(200, (3, 16, 12), seed=1)[0], drawings(200, (3, 16, 12), seed=2)[0]
    np.testing.assert_array_equal(pictures, again)
    assert (pictures != other).any()


def test_similarity_is_one_for_the_same_picture_and_falls_with_noise() -> None:
    pictures = drawings(5, (1, 16, 16))[0].astype(np.float64)
    noise = np.random.default_rng(0).normal(size=pictures.shape)
    values = [ssim(pictures, pictures + scale * noise) for scale in (0.0, 0.05, 0.5)]
    assert values[0] == pytest.approx(1.0) and values[0] > values[1] > values[2] > -1
    assert mse(pictures, pictures + 0.5) == pytest.approx(0.25)


def test_similarity_by_hand() -> None:
    """Two constant pictures of 0 and 1 have equation 6 alone: c1 / (1 + c1)."""
    zeros, ones = np.zeros((1, 1, 7, 7)), np.ones((1, 1, 7, 7))
    assert ssim(zeros, ones) == pytest.approx(1e-4 / (1 + 1e-4))


def test_activations_are_those_of_the_model_and_its_rest_answers_with_them() -> None:
    model = zoo_model(TOY)
    graph = model.graph
    inputs = np.random.default_rng(0).normal(size=(6, *graph.inputs[0].shape)).astype(np.float32)
    activations = Activations(model, inputs)
    names = [operator.name for operator in graph.operators]
    found = activations.of([*names, graph.inputs[0].name])
    for name in names:
        assert found[name].shape == (6, *graph.tensor[name].shape)
        assert activations.changed(name, found[name]) == 0.0
    assert activations.changed(graph.inputs[0].name, inputs) == 0.0
    shuffled = np.roll(found[names[0]], 1, axis=0)
    expected = float((np.roll(activations.answers, 1) != activations.answers).mean())
    assert activations.changed(names[0], shuffled) == pytest.approx(expected)


def test_depth_counts_operators_on_the_longest_way() -> None:
    graph = zoo_model("toy_dag").graph
    depth = depths(graph)
    assert depth[graph.inputs[0].name] == 0
    for operator in graph.operators:
        assert depth[operator.name] == 1 + max(depth[name] for name in operator.inputs)
    assert needed(graph, [graph.operators[0].name], ()) == [graph.operators[0].name]


@pytest.mark.parametrize(
    "codec", ["bits1", "float16", "laplace:epsilon=8:norm=4", "gaussian:epsilon=8:delta=1e-5:norm=4"]
)
def test_what_a_codec_leaves_is_seeded(codec: str) -> None:
    values = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    first = as_sent(codec, values, np.random.default_rng(1))
    assert first.shape == values.shape and (first != values).any()
    np.testing.assert_array_equal(first, as_sent(codec, values, np.random.default_rng(1)))
    np.testing.assert_array_equal(as_sent("raw+zlib", values, np.random.default_rng(1)), values)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    entries = (Leak(tensor="t", leakage=0.5, mse=0.1), Leak(tensor="t", codec="bits1", leakage=0.25, mse=0.1, ssim=0.1))
    table = LeakageTable(model="m", input="x", attack="a", known=3, held_out=1, mean_mse=0.2, entries=entries)
    assert LeakageTable.load(table.save(tmp_path / "t.json")) == table
    assert table.by_tensor() == {"t": {"raw": 0.5, "bits1": 0.25}}
    text = (tmp_path / "t.json").read_text().replace("0.25", "1.25")
    with pytest.raises(FormatError):
        LeakageTable.from_json(text, name="t.json")


@pytest.mark.parametrize(
    ("arguments", "telling"),
    [
        ({"tensors": ["nope"]}, "there is no tensor"),
        ({"inputs": np.zeros((30, 2, 2))}, "inputs are finite numbers of shape"),
        ({"inputs": np.full((30, 1, 3, 32, 32), np.nan)}, "finite"),
        ({"inputs": np.zeros((30, 1, 3, 32, 32))}, "all equal"),
        ({"inputs": np.zeros((9, 1, 3, 32, 32))}, "learns from at least 20 inputs"),
        ({"held_out": 1.5}, "learns from at least 20 inputs"),
        ({"codecs": ("gzip",)}, "no codec"),
    ],
)
def test_what_cannot_be_attacked_is_refused(arguments: dict[str, object], telling: str) -> None:
    model = zoo_model(TOY)
    shape = model.graph.inputs[0].shape
    if "inputs" in arguments and arguments["inputs"].ndim == 5:  # type: ignore[attr-defined]
        value, count = arguments["inputs"].flat[0], len(arguments["inputs"])  # type: ignore[attr-defined,arg-type]
        arguments = {**arguments, "inputs": np.full((count, *shape), value)}
    with pytest.raises((GraphError, PlanError), match=telling):
        leakage(model, **arguments)  # type: ignore[arg-type]


def test_a_model_of_words_has_no_leakage_to_measure() -> None:
    with pytest.raises(GraphError, match=r"floating-point numbers"):
        leakage(zoo_model("bert_base"))


def test_without_torch_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingError, match=r"leakage needs torch, not installed here; install hocket\[torch\]"):
        leakage(
            zoo_model(TOY), inputs=np.random.default_rng(0).normal(size=(30, *zoo_model(TOY).graph.inputs[0].shape))
        )


def test_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x80\x04.")
    np.save(tmp_path / "b.npy", np.array(["text"]))
    for name in ("a.npy", "b.npy"):
        ran = CliRunner().invoke(app, ["leakage", f"zoo:{TOY}", "--inputs", str(tmp_path / name)])
        assert isinstance(ran.exception, FormatError) and "no array of numbers" in str(ran.exception)


# ---------------------------------------------------------------- the attack itself


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch").set_num_threads(1)  # small layers gain nothing from more
    trained = runpy.run_path(str(Path(__file__).with_name("small_cnn.py")))["trained"]
    made: Path = trained(tmp_path_factory.mktemp("cnn") / "cnn.onnx", steps=150, count=500)
    return made


QUICK = Attack(steps=150, width=8)


@pytest.mark.torch
def test_deeper_cuts_leak_less_and_noise_hides(cnn: Path) -> None:
    model = load_model(cnn)
    pictures = drawings(240, (1, 16, 16))[0].reshape(-1, 1, 1, 16, 16)
    weak, strong = "gaussian:epsilon=1000:delta=1e-5:norm=8", "gaussian:epsilon=8:delta=1e-5:norm=8"
    table = leakage(model, ["relu_1", "relu_3", "logits"], pictures, attack=QUICK)
    first, middle, last = (entry.leakage for entry in table.entries)
    assert first > 0.9 and first > middle + 0.05 and middle > last + 0.15
    assert [entry.depth for entry in table.entries] == [2, 6, 10]
    similar = [entry.ssim for entry in table.entries]
    assert similar == sorted(similar, reverse=True)
    noisy = leakage(model, ["relu_1"], pictures, attack=QUICK, codecs=(weak, strong))
    assert first > noisy.entries[0].leakage + 0.05 and noisy.entries[0].leakage > noisy.entries[1].leakage
    assert noisy.entries[1].leakage < 0.4 and noisy.entries[1].changed > noisy.entries[0].changed
    assert all(entry.changed == 0 for entry in table.entries)


@pytest.mark.torch
def test_the_same_seed_gives_the_same_table_and_nothing_is_got_from_nothing(cnn: Path) -> None:
    model = load_model(cnn)
    pictures = drawings(120, (1, 16, 16))[0].reshape(-1, 1, 1, 16, 16)
    tiny = Attack(steps=30, width=4)
    destroyed = "laplace:epsilon=0.001:norm=1"
    one, two = (leakage(model, ["relu_4"], pictures, attack=tiny, codecs=("raw", destroyed)) for _ in range(2))
    assert one == two
    assert one.entries[1].leakage < 0.1


@pytest.mark.torch
def test_inputs_that_are_no_pictures_are_reconstructed_too() -> None:
    pytest.importorskip("torch").set_num_threads(1)
    from hocket.privacy.inversion import reconstructed

    rng = np.random.default_rng(0)
    inputs = rng.uniform(0, 1, (400, 6))
    seen = inputs @ rng.normal(size=(6, 6))
    found = reconstructed(Attack(steps=400, width=8), seen[:300], inputs[:300], seen[300:], seed=0)
    assert mse(found, inputs[300:]) < 0.1 * mse(inputs[300:], inputs[:300].mean(axis=0))


@pytest.mark.torch
def test_the_command_writes_a_table_that_problems_read(cnn: Path, tmp_path: Path) -> None:
    pictures = drawings(60, (1, 16, 16))[0].reshape(-1, 1, 1, 16, 16)
    np.save(tmp_path / "in.npy", pictures)
    arguments = ["leakage", str(cnn), "--tensor", "relu_3", "--codec", "raw", "--codec", "bits1", "--steps", "5",
                 "--inputs", str(tmp_path / "in.npy"), "-o", str(tmp_path / "leakage.json")]  # fmt: skip
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 0, ran.output
    table = LeakageTable.load(tmp_path / "leakage.json")
    assert set(table.by_tensor()["relu_3"]) == {"raw", "bits1"} and table.held_out == 15
    assert table.sha256 == load_model(cnn).graph.source.sha256
