"""Reading PyTorch's older files without PyTorch, and binding ImageNet weights to the zoo's MobileNetV2."""

import io
import os
import pickle
import random
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from hocket.errors import FormatError
from hocket.zoo.assets import fetch
from hocket.zoo.preprocess import imagenet_input, top_classes
from hocket.zoo.weights import fold_batch_norm, mobilenet_v2_weights, read_pth

MODEL = Path(__file__).parents[2] / "hocket" / "zoo" / "models" / "mobilenet_v2.onnx"
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Global:
    """Pickled as a bare name, whatever it is."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """Pickled as a call of a name."""

    def __init__(self, name: Global, *arguments: object) -> None:
        self.name, self.arguments = name, arguments


class Stored(tuple):
    """Pickled as a persistent id."""


FLOAT = Global("torch", "FloatStorage")
REBUILD = Global("torch._utils", "_rebuild_tensor_v2")


class Writer(pickle._Pickler):
    """Writes what torch would write, and what a hostile file could hold."""

    def persistent_id(self, obj: object) -> object:
        return tuple(obj) if isinstance(obj, Stored) else None

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.name)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(thing: object) -> bytes:
    stream = io.BytesIO()
    Writer(stream, protocol=2).dump(thing)
    return stream.getvalue()


def tensor(shape: tuple, strides: tuple, count: int, *, key: str = "7", offset: int = 0) -> Call:
    storage = Stored(("storage", FLOAT, key, "cpu", count, None))
    return Call(REBUILD, storage, offset, shape, strides, False, Call(Global("collections", "OrderedDict")))


def legacy(state: object, storages: dict[str, np.ndarray], *, system: object = SYSTEM) -> bytes:
    head = [pickled(part) for part in (0x1950A86A20F9469CFC6C, 1001, system, state, list(storages))]
    tail = [struct.pack("<q", values.size) + values.tobytes() for values in storages.values()]
    return b"".join(head + tail)


@pytest.fixture
def read(tmp_path: Path):
    def from_bytes(data: bytes) -> dict[str, np.ndarray]:
        path = tmp_path / "state.pth"
        path.write_bytes(data)
        return read_pth(path)

    return from_bytes


SIX = np.arange(6, dtype=np.float32)


def test_a_state_dict_is_read(read) -> None:
    state = OrderedDict(a=tensor((2, 3), (3, 1), 6), b=tensor((3, 2), (1, 3), 6), c=tensor((2,), (1,), 6, offset=4))
    found = read(legacy(state, {"7": SIX}))
    assert list(found) == ["a", "b", "c"]
    np.testing.assert_array_equal(found["a"], SIX.reshape(2, 3))
    np.testing.assert_array_equal(found["b"], SIX.reshape(2, 3).T)
    np.testing.assert_array_equal(found["c"], SIX[4:])
    assert not found["b"].flags.writeable


def test_scalars_and_empty_tensors(read) -> None:
    found = read(legacy({"one": tensor((), (), 6, offset=5), "none": tensor((0, 4), (4, 1), 6)}, {"7": SIX}))
    assert found["one"].shape == ()
    assert found["one"] == 5
    assert found["none"].shape == (0, 4)


def test_parameters_are_tensors(read) -> None:
    parameter = Call(Global("torch._utils", "_rebuild_parameter"), tensor((6,), (1,), 6), True, ())
    np.testing.assert_array_equal(read(legacy({"p": parameter}, {"7": SIX}))["p"], SIX)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"x": Call(Global("os", "system"), "true")}, r"asks for 'os\.system', and only tensors are read"),
        ({"x": Call(Global("builtins", "eval"), "1")}, r"asks for 'builtins\.eval'"),
        ({"x": Call(Global("torch", "load"), "x")}, r"asks for 'torch\.load'"),
        ({"x": Call(FLOAT, 10**9)}, "calls something that makes no tensor"),
        ({"x": 3, "y": tensor((6,), (1,), 6)}, "'x' is a int and not a tensor"),
        ({3: tensor((6,), (1,), 6)}, "a key is a int and not a name"),
        ([tensor((6,), (1,), 6)], "it holds a list where a dictionary"),
        ({"x": tensor((7,), (1,), 6)}, "'x' is larger than its storage"),
        ({"x": tensor((10**9,), (0,), 6)}, "'x' is larger than its storage"),
        ({"x": tensor((2,), (6,), 6)}, "'x' reaches beyond its storage"),
        ({"x": tensor((6,), (1,), 6, offset=1)}, "'x' reaches beyond its storage"),
        ({"x": tensor((6,), (-1,), 6, offset=5)}, "do not fit one another"),
        ({"x": tensor((2, 3), (1,), 6)}, "do not fit one another"),
        ({"x": tensor((6,), (1,), 10**12)}, "storage 7 has 6 values where 1000000000000 are needed"),
        ({"x": tensor((6,), (1,), 6, key="8")}, "its list of storages is not that of its tensors"),
        ({"x": tensor((6,), (1,), 6), "y": tensor((5,), (1,), 5)}, "storage '7' is described twice"),
        ({"x": Stored(("module", 1, 2, 3, 4, 5))}, "a persistent id is not a whole storage"),
        ({"x": 1.5}, "asks for 'BINFLOAT'"),
    ],
)
def test_anything_but_tensors_is_refused(read, state: object, reason: str) -> None:
    with pytest.raises(FormatError, match=rf"is not a PyTorch state dict: .*{reason}.*; give an unchanged \.pth file"):
        read(legacy(state, {"7": SIX}))


def test_no_code_of_the_file_runs(read, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "made"),)

    for data in (pickle.dumps(Evil()), legacy(OrderedDict(), {}) + b"x", pickle.dumps(Evil(), protocol=2)):
        with pytest.raises(FormatError):
            read(data)
    assert not (tmp_path / "made").exists()


def test_the_head_is_checked(read) -> None:
    with pytest.raises(FormatError, match="first number is not PyTorch's"):
        read(pickled(5))
    with pytest.raises(FormatError, match="not little-endian"):
        read(legacy({}, {}, system={"little_endian": False}))
    with pytest.raises(FormatError, match=r"zipped PyTorch file and only the older format .* save it again"):
        read(b"PK\x03\x04")
    with pytest.raises(FormatError, match="cannot be read"):
        read_pth("/nonexistent/state.pth")


def test_a_truncated_file_is_refused_everywhere(read) -> None:
    data = legacy({"a": tensor((2, 3), (3, 1), 6)}, {"7": SIX})
    for length in range(len(data)):
        with pytest.raises(FormatError, match="give an unchanged"):
            read(data[:length])
    with pytest.raises(FormatError, match="1 bytes follow its last storage"):
        read(data + b"x")


def test_damaged_files_never_do_more_than_be_refused(read) -> None:
    data = legacy({"a": tensor((2, 3), (3, 1), 6)}, {"7": SIX})
    maker = random.Random(5)
    for _ in range(3000):
        broken = bytearray(data)
        for _ in range(maker.randint(1, 4)):
            broken[maker.randrange(len(data))] = maker.randrange(256)
        try:
            found = read(bytes(broken))
        except FormatError:
            continue
        assert all(values.size <= 6 for values in found.values())


def test_deep_nesting_is_refused_without_recursion(read) -> None:
    head = [pickled(part) for part in (0x1950A86A20F9469CFC6C, 1001, SYSTEM)]
    deep = b"\x80\x02)" + b"\x85" * 200_000 + b"."
    with pytest.raises(FormatError, match="it holds a tuple"):
        read(b"".join(head) + deep)
    key = b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"Ns."
    with pytest.raises(FormatError, match="a key is a tuple"):
        read(b"".join(head) + key)


def test_folding_a_batch_norm_changes_nothing() -> None:
    maker = np.random.default_rng(3)
    weight, x = maker.normal(size=(4, 5)), maker.normal(size=(5, 7))
    bias, gamma, beta, mean = maker.normal(size=(4, 4))
    variance = maker.uniform(0.5, 2, 4)
    plain = weight @ x + bias[:, None]
    wanted = (plain - mean[:, None]) / np.sqrt(variance[:, None] + 1e-3) * gamma[:, None] + beta[:, None]
    folded, shift = fold_batch_norm(weight, bias=bias, gamma=gamma, beta=beta, mean=mean, variance=variance, eps=1e-3)
    assert folded.dtype == np.float32
    np.testing.assert_allclose(folded @ x + shift[:, None], wanted, rtol=1e-4, atol=1e-5)


def test_a_batch_norm_must_fit() -> None:
    four, one = np.ones(4), np.ones((3, 2))
    with pytest.raises(FormatError, match=r"as many channels as its convolution.*\(4,\).*\(3, 2\)"):
        fold_batch_norm(one, gamma=four, beta=four, mean=four, variance=four)
    three = np.ones(3)
    with pytest.raises(FormatError, match=r"variance must be positive, but one is -1\.0"):
        fold_batch_norm(one, gamma=three, beta=three, mean=three, variance=-three)


def test_another_networks_state_is_refused() -> None:
    with pytest.raises(FormatError, match="MobileNetV2 has 52 convolutions, but the state has 1; give torchvision's"):
        mobilenet_v2_weights({"conv1.weight": np.zeros((1, 1, 1, 1), np.float32)})
    names = {f"features.{index}.weight": np.zeros((1, 1, 1, 1), np.float32) for index in range(0, 104, 2)}
    with pytest.raises(FormatError, match=r"MobileNetV2 needs 'features\.1\.weight', which is not there"):
        mobilenet_v2_weights(names)


@pytest.mark.network
def test_imagenet_weights_recognise_cat_and_coffee() -> None:
    weights = mobilenet_v2_weights(read_pth(fetch("mobilenet_v2_weights")))
    model = onnx.load(MODEL, load_external_data=False)
    for initializer in model.graph.initializer:
        if initializer.name in weights:
            assert tuple(initializer.dims) == weights[initializer.name].shape
            initializer.CopyFrom(onnx.numpy_helper.from_array(weights.pop(initializer.name), initializer.name))
        else:  # what is left are the bounds of ReLU6 and shapes
            assert initializer.data_type == onnx.TensorProto.INT64 or list(initializer.dims) == []
    assert not weights
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for picture, index, share in (("cat", 285, 0.71), ("coffee", 967, 0.99)):
        (logits,) = session.run(None, {"input": imagenet_input(fetch(picture))})
        (best, found), *_ = top_classes(logits)
        assert best == index
        assert found == pytest.approx(share, abs=0.02)


def test_pictures_become_inputs(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (400, 300), (255, 0, 128)).save(tmp_path / "plain.png")
    x = imagenet_input(tmp_path / "plain.png")
    assert (x.shape, x.dtype) == ((1, 3, 224, 224), np.float32)
    np.testing.assert_allclose(
        x[0, :, 100, 50], [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225], 1e-5
    )
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(FormatError, match="is not a picture that can be read"):
        imagenet_input(tmp_path / "text.png")
    with pytest.raises(FormatError, match="does not exist"):
        imagenet_input(tmp_path / "none.png")
