"""The Open Inference Protocol over HTTP, by hand and by Triton's client."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from stubs import TYPES, Echo, served

from hocket.serve.inference.messages import LENGTH_HEADER
from hocket.serve.server import Listening
from hocket.serve.settings import Limits


@pytest.fixture
def http(server: Listening) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=10.0) as client:
        yield client


def tensor(name: str = "x", shape: Any = (1, 3), datatype: str = "FP32", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def values(dtype: str) -> np.ndarray:
    """The ends of a type's range."""
    if dtype == "bool":
        return np.array([[True, False]])
    info = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
    return np.array([[info.min, info.max]], dtype)


def test_health_and_metadata(http: httpx.Client) -> None:
    assert http.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert http.get("/v2/health/live").json() == {"live": True}
    assert http.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/echo", "/v2/models/echo/versions/1"):
        assert http.get(path).json() == {
            "name": "echo",
            "versions": ["1"],
            "platform": "hocket",
            "inputs": [tensor("x", (-1, 3))],
            "outputs": [tensor("out_x", (-1, 3))],
        }
        assert http.get(f"{path}/ready").json() == {"name": "echo", "ready": True}
    assert http.get("/v2/models/echo/versions/2").status_code == 404
    missing = http.get("/v2/models/none")
    assert missing.status_code == 404
    assert missing.json() == {"error": "the model 'none' is not served here; ask for one of: echo, types, buggy"}
    assert http.get("/v2/nothing").json()["error"].startswith("there is nothing at this path")


@pytest.mark.parametrize("data", [[1, 2.5, 3, 4, 5, 6], [[1, 2.5, 3], [4, 5, 6]]])
def test_json_is_flat_or_nested(http: httpx.Client, data: list[Any]) -> None:
    answer = http.post("/v2/models/echo/infer", json={"id": "7", "inputs": [tensor(shape=(2, 3), data=data)]})
    assert answer.json() == {
        "model_name": "echo",
        "model_version": "1",
        "id": "7",
        "outputs": [tensor("out_x", (2, 3), data=[1, 2.5, 3, 4, 5, 6])],
    }


@pytest.mark.parametrize(
    ("change", "telling"),
    [
        ({"data": [1, 2]}, "has 3 elements, and 2 came"),
        ({"data": [[1, 2, 3]], "shape": [3, 1]}, "nested unlike its shape"),
        ({"data": [[1, 2], [3]], "shape": [3, 1]}, "nested unlike its shape"),
        ({"data": "AAAA"}, "the data of tensor 'x' is a list, got 'AAAA'"),
        ({"data": [1, "2", 3]}, "its data has str"),
        ({"data": [1, None, True]}, "its data has NoneType and bool"),
        ({"data": [1, 2, 3], "datatype": "BOOL"}, "its data has int"),
        ({"data": [1.0, 2, 3], "datatype": "INT32"}, "its data has float"),
        ({"data": [1, 2, 300], "datatype": "UINT8"}, "a number that is no UINT8"),
        ({"data": [1, 2, -1], "datatype": "UINT64"}, "a number that is no UINT64"),
        ({"data": [1, 2, 1e39]}, "too large for FP32"),
        ({"data": ["a", "b", "c"], "datatype": "BYTES"}, "'BYTES', which is not served here"),
        ({"data": [1, 2, 3], "datatype": "BF16"}, "'BF16', which is not served here"),
        ({"data": [], "shape": [10**12, 10**12]}, "elements, and 0 came"),
        ({"data": [1], "shape": [-1]}, r"Expected 'int' >= 0 at '\$.inputs\[0\].shape"),
        ({"data": [1], "shape": [1] * 40}, "at most 32 lengths"),
        ({"data": [1, 2, 3], "name": "y"}, r"the inputs are \['y'\]"),
        ({}, "neither data nor binary_data_size"),
        ({"data": [1, 2, 3], "parameters": {"binary_data_size": 12}}, "both data and binary_data_size"),
        ({"parameters": {"binary_data_size": 12}}, "is 12, and 0 bytes are left"),
        ({"parameters": {"binary_data_size": -1}}, "is -1, and 0 bytes are left"),
        ({"parameters": {"binary_data_size": True}}, "is True, and 0 bytes are left"),
    ],
)
def test_a_wrong_tensor_is_refused_in_a_sentence(http: httpx.Client, change: dict[str, Any], telling: str) -> None:
    answer = http.post("/v2/models/echo/infer", json={"inputs": [tensor(**change)] if change else [tensor()]})
    assert answer.status_code == 400
    with pytest.raises(AssertionError, match=telling):
        raise AssertionError(answer.json()["error"])


@pytest.mark.parametrize("cut", [0, 1, 4, 11, 12])
def test_truncated_and_overlong_bytes_are_refused(http: httpx.Client, cut: int) -> None:
    head = json.dumps({"inputs": [tensor(parameters={"binary_data_size": 12})]}).encode()
    whole = head + np.zeros(3, np.float32).tobytes()
    url, headers = "/v2/models/echo/infer", {LENGTH_HEADER: str(len(head))}
    answer = http.post(url, content=whole[: len(whole) - cut], headers=headers)
    assert answer.status_code == (400 if cut else 200)
    assert http.post(url, content=whole + b"x", headers=headers).status_code == 400
    for length in ("-1", "x", str(len(whole) + 1), "9" * 5000, "１２", ""):
        assert http.post(url, content=whole, headers={LENGTH_HEADER: length.encode()}).status_code == 400


def test_a_bool_is_0_or_1_and_twice_is_refused(http: httpx.Client) -> None:
    sent = tensor("bool", (1, 2), "BOOL", parameters={"binary_data_size": 2})
    head = json.dumps({"inputs": [sent]}).encode()
    answer = http.post("/v2/models/types/infer", content=head + b"\1\2", headers={LENGTH_HEADER: str(len(head))})
    assert "is BOOL and has the byte 2" in answer.json()["error"]
    twice = http.post("/v2/models/echo/infer", json={"inputs": [tensor(data=[1, 2, 3]), tensor(data=[1, 2, 3])]})
    assert "comes twice" in twice.json()["error"]


def test_an_output_that_does_not_exist_and_one_that_json_cannot_say(http: httpx.Client) -> None:
    asked = {"inputs": [tensor(data=[1, 2, 3])], "outputs": [{"name": "z"}]}
    assert "no output 'z'" in http.post("/v2/models/echo/infer", json=asked).json()["error"]
    head = json.dumps({"inputs": [tensor(parameters={"binary_data_size": 12})]}).encode()
    nan = head + np.full(3, np.nan, np.float32).tobytes()
    answer = http.post("/v2/models/echo/infer", content=nan, headers={LENGTH_HEADER: str(len(head))})
    assert "ask for binary data" in answer.json()["error"]


def test_a_request_has_its_own_timeout() -> None:
    echo = Echo()
    with served([echo], limits=Limits(timeout_s=50.0, stop_s=1.0)) as found, httpx.Client(base_url=found.url) as http:
        asked = {"inputs": [tensor(data=[1, 2, 3])]}
        http.post("/v2/models/echo/infer", json=asked)
        assert echo.deadlines_s[-1] is not None and 40 < echo.deadlines_s[-1] <= 50
        echo.gate.clear()
        late = http.post("/v2/models/echo/infer", json={**asked, "parameters": {"timeout": 50_000}})
        assert echo.deadlines_s[-1] == 0.05
        assert late.status_code == 504
        assert late.json() == {"error": "the gate stayed shut; open it"}
        for wrong in (-1, 1.5, "1", True, 2**63):
            assert http.post("/v2/models/echo/infer", json={**asked, "parameters": {"timeout": wrong}}).is_client_error


def test_a_model_that_is_not_ready_says_so() -> None:
    with served([Echo(is_ready=False)]) as found, httpx.Client(base_url=found.url) as http:
        assert http.get("/v2/models/echo/ready").status_code == 503
        assert http.get("/v2/health/ready").status_code == 503
        assert http.get("/readyz").json() == {"status": "waiting", "waiting_for": ["echo"]}
        assert http.get("/healthz").status_code == http.get("/v2/health/live").status_code == 200


def test_a_model_with_slashes_in_its_name() -> None:
    with served([Echo("zoo/echo")]) as found, httpx.Client(base_url=found.url) as http:
        assert http.get("/v2/models/zoo%2Fecho").json()["name"] == "zoo/echo"
        asked = {"inputs": [tensor(data=[1, 2, 3])]}
        assert http.post("/v2/models/zoo/echo/infer", json=asked).status_code == 200


# ------------------------------------------------------------ Triton's client


@pytest.fixture
def triton(server: Listening) -> Iterator[Any]:
    module = pytest.importorskip("tritonclient.http")
    client = module.InferenceServerClient(server.url.removeprefix("http://"))
    yield client
    client.close()


@pytest.mark.parametrize("binary_out", [False, True])
@pytest.mark.parametrize("binary_in", [False, True])
def test_every_type_comes_back_as_it_went(triton: Any, binary_in: bool, binary_out: bool) -> None:
    from tritonclient.http import InferInput, InferRequestedOutput
    from tritonclient.utils import np_to_triton_dtype

    inputs, outputs = [], []
    for dtype in TYPES:
        sent = InferInput(dtype, [1, 2], np_to_triton_dtype(np.dtype(dtype)))
        # Triton's client sends FP16 in bytes only.
        sent.set_data_from_numpy(values(dtype), binary_data=binary_in or dtype == "float16")
        inputs.append(sent)
        outputs.append(InferRequestedOutput(f"out_{dtype}", binary_data=binary_out or dtype == "float16"))
    result = triton.infer("types", inputs, outputs=outputs, request_id="9")
    for dtype in TYPES:
        found = result.as_numpy(f"out_{dtype}")
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, values(dtype))
    assert result.get_response()["id"] == "9"


def test_tritons_client_finds_health_and_metadata(triton: Any) -> None:
    from tritonclient.http import InferInput
    from tritonclient.utils import InferenceServerException

    assert triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready("echo")
    assert not triton.is_model_ready("none")
    assert triton.get_server_metadata()["name"] == "hocket"
    assert triton.get_model_metadata("echo")["inputs"] == [tensor("x", (-1, 3))]
    sent = InferInput("x", [2, 3], "FP32")
    sent.set_data_from_numpy(np.ones((2, 3), np.float32))
    # Without a list of outputs its client asks for all of them in bytes.
    np.testing.assert_array_equal(triton.infer("echo", [sent]).as_numpy("out_x"), np.ones((2, 3)))
    with pytest.raises(InferenceServerException, match="'none' is not served here"):
        triton.infer("none", [sent])
    with pytest.raises(InferenceServerException, match="compressed body is not read here"):
        triton.infer("echo", [sent], request_compression_algorithm="gzip")
