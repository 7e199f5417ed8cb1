"""Capturing a PyTorch module."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from hocket.errors import FormatError, GraphError, MissingError
from hocket.graph.torch import SCOPES, capture


def test_without_torch_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"needs torch and onnxscript, not installed here; install hocket\[torch\]"):
        capture(object(), (), tmp_path / "model.onnx")


def small(torch):
    nn = torch.nn
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    return nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 4))


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_the_file_computes_what_the_module_computes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module, x = small(torch), torch.randn(1, 3, 16, 16)
    module[0].eval()
    path = capture(module, (x,), tmp_path / "small.onnx", opset=20)
    assert path == tmp_path / "small.onnx"
    assert [file.name for file in tmp_path.iterdir()] == ["small.onnx"]
    assert (module.training, module[0].training, module[3].training) == (True, False, True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, module.eval()(x).detach().numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_module_paths_are_kept_and_nothing_else(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = onnx.load(capture(small(torch), torch.randn(1, 3, 16, 16), tmp_path / "small.onnx"))
    kept = [(entry.key, entry.value) for node in model.graph.node for entry in node.metadata_props]
    assert {key for key, _ in kept} == {SCOPES}
    assert any("'0.1'" in value or "'0.0'" in value for _, value in kept)
    assert str(Path(torch.__file__).parent).encode() not in model.SerializeToString()


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_captured_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Branching(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(GraphError, match=r"PyTorch cannot export Branching: .*; change the module"):
        capture(Branching(), (torch.randn(2),), tmp_path / "branching.onnx")
    with pytest.raises(GraphError, match=r"a torch\.nn\.Module is needed and this is a function"):
        capture(lambda x: x, (torch.randn(2),), tmp_path / "f.onnx")
    with pytest.raises(FormatError, match="cannot be written"):
        capture(small(torch), (torch.randn(1, 3, 16, 16),), tmp_path / "missing" / "small.onnx")
    assert list(tmp_path.iterdir()) == []
