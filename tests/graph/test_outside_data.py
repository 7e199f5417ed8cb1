"""Data of constants are read from the model's folder, and from nowhere else."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hocket.errors import FormatError
from hocket.graph.onnx import load_model

SECRET = np.arange(4, dtype=np.float32)


def write(folder: Path, location: str, *, folded: bool = False) -> Path:
    """A model that adds what is at a place; `folded` = to a constant, so that it is read when the model is."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(4,), data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    one = helper.make_tensor("one", TensorProto.FLOAT, (4,), [1.0] * 4)
    nodes = [helper.make_node("Add", ["one" if folded else "x", "w"], ["y"])]
    if folded:
        nodes = [helper.make_node("Add", ["one", "w"], ["sum"]), helper.make_node("Add", ["x", "sum"], ["y"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (4,)) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weight, one] if folded else [weight])
    path = folder / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    (made / "own.bin").write_bytes(SECRET.tobytes())
    (made / "link.bin").symlink_to(tmp_path / "secret.bin")
    return made


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("location", ["../secret.bin", "SECRET", "link.bin", "none.bin"])
def test_a_model_reads_nothing_outside_of_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, location: str, bare: bool, folded: bool
) -> None:
    location = str(folder.parent / "secret.bin") if location == "SECRET" else location
    path = write(folder, location, folded=folded)
    monkeypatch.chdir(folder)
    with pytest.raises(FormatError, match=r"the data of 'w' cannot be read \(.*\); export the model again"):
        load_model(Path(path.name) if bare else path).weight("w")


def test_what_is_beside_the_model_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder, "own.bin")
    monkeypatch.chdir(folder)
    for each in (path, Path(path.name)):
        assert load_model(each).weight("w").tolist() == SECRET.tolist()
