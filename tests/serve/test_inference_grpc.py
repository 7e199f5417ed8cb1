"""The Open Inference Protocol over gRPC, by hand and by Triton's client."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from stubs import TYPES, Echo, served, until
from test_inference_http import values

from hocket.serve.grpc_api import open_inference_pb2 as api
from hocket.serve.inference.dtypes import datatype_of, field_of
from hocket.serve.inference.grpc_server import SERVICE
from hocket.serve.keys import ApiKeys
from hocket.serve.server import Listening
from hocket.serve.settings import Limits


def ask(channel: grpc.Channel, method: str, message: Any, **options: Any) -> bytes:
    """The answer in bytes; a message is one, or bytes that are none."""
    call = channel.unary_unary(f"/{SERVICE}/{method}")
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return bytes(call(data, timeout=10.0, **options))


@pytest.fixture
def channel(server: Listening) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as found:
        yield found


def request(raw: bytes | None = None, **tensor: Any) -> Any:
    asked = api.ModelInferRequest(model_name="echo")
    asked.inputs.add(**{"name": "x", "datatype": "FP32", "shape": [1, 3], **tensor})
    if raw is not None:
        asked.raw_input_contents.append(raw)
    return asked


def test_every_type_with_typed_contents(channel: grpc.Channel) -> None:
    asked = api.ModelInferRequest(model_name="types", id="4")
    for dtype in TYPES:
        sent = asked.inputs.add(name=dtype, datatype=datatype_of(dtype), shape=[1, 2])
        if dtype != "float16":
            getattr(sent.contents, field_of(dtype, datatype_of(dtype))).extend(values(dtype).ravel().tolist())
    with pytest.raises(grpc.RpcError, match="FP16, which has no typed contents"):
        ask(channel, "ModelInfer", asked)
    half = [tensor.name for tensor in asked.inputs].index("float16")
    del asked.inputs[half]
    with pytest.raises(grpc.RpcError, match="the inputs are"):
        ask(channel, "ModelInfer", asked)


@pytest.mark.parametrize(
    ("asked", "code", "telling"),
    [
        (request(b"\0" * 11), "INVALID_ARGUMENT", "has 12 bytes, and 11 came"),
        (request(b"\0" * 12, shape=[-1, 3]), "INVALID_ARGUMENT", "lengths of 0 or more"),
        (request(b"", shape=[2**62, 2**62]), "INVALID_ARGUMENT", "and 0 came"),
        (request(), "INVALID_ARGUMENT", "has 3 elements, and 0 came"),
        (request(b"\0" * 12, datatype="BYTES"), "INVALID_ARGUMENT", "not served here"),
        (request(b"\0" * 12, name="y"), "INVALID_ARGUMENT", "the inputs are"),
        (request(b"\0" * 12, contents={"fp32_contents": [1, 2, 3]}), "INVALID_ARGUMENT", "both contents and raw"),
        (request(contents={"fp32_contents": [1, 2, float("inf")]}), "INVALID_ARGUMENT", "too large for FP32"),
        (request(datatype="UINT8", contents={"uint_contents": [1, 2, 300]}), "INVALID_ARGUMENT", "is no UINT8"),
        (api.ModelInferRequest(model_name="none"), "NOT_FOUND", "ask for one of: echo"),
        (api.ModelInferRequest(model_name="echo", model_version="2"), "NOT_FOUND", "only version 1"),
        (api.ModelInferRequest(model_name="echo", raw_input_contents=[b""]), "INVALID_ARGUMENT", "0 inputs and 1 raw"),
        (b"\xff\xff\xff", "INVALID_ARGUMENT", "no ModelInferRequest"),
        (b"\0" * (1 << 21), "RESOURCE_EXHAUSTED", "larger than max"),
    ],
)
def test_a_wrong_request_is_refused_with_a_code(channel: grpc.Channel, asked: Any, code: str, telling: str) -> None:
    with pytest.raises(grpc.RpcError, match=telling) as caught:
        ask(channel, "ModelInfer", asked)
    assert caught.value.code().name == code
    assert api.ServerLiveResponse.FromString(ask(channel, "ServerLive", b"")).live


def test_a_bug_stays_in_the_log(channel: grpc.Channel, caplog: pytest.LogCaptureFixture) -> None:
    asked = request(b"\0" * 4, name="bug", shape=[1])
    asked.model_name = "buggy"
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, "ModelInfer", asked)
    assert caught.value.code().name == "INTERNAL"
    assert caught.value.details() == "the server failed at this request; its log says why"
    assert "a secret of the server" in caplog.text


def test_keys_limits_and_time_hold_here_too() -> None:
    key = "k" * 24
    echo = Echo()
    limits = Limits(under_way=1, timeout_s=5.0, stop_s=1.0)
    with (
        served([echo], limits=limits, grpc_port=0, keys=ApiKeys([key])) as found,
        grpc.insecure_channel(f"127.0.0.1:{found.grpc_port}") as channel,
    ):
        ask(channel, "ServerReady", b"")
        asked = request(b"\0" * 12)
        with pytest.raises(grpc.RpcError, match="wants an API key") as caught:
            ask(channel, "ModelInfer", asked)
        assert caught.value.code().name == "UNAUTHENTICATED"
        metadata = (("authorization", f"Bearer {key}"),)
        echo.gate.clear()
        first = threading.Thread(target=ask, args=(channel, "ModelInfer", asked), kwargs={"metadata": metadata})
        first.start()
        until(lambda: echo.deadlines_s)
        with pytest.raises(grpc.RpcError, match="1 requests are under way") as caught:
            ask(channel, "ModelInfer", asked, metadata=metadata)
        assert caught.value.code().name == "RESOURCE_EXHAUSTED"
        echo.gate.set()
        first.join()
        echo.gate.clear()
        asked.parameters["timeout"].int64_param = 20_000
        until(lambda: code_of(channel, asked, metadata) == "DEADLINE_EXCEEDED")
        assert echo.deadlines_s[-1] == 0.02


def test_what_is_under_way_ends_before_the_server_does() -> None:
    echo = Echo()
    echo.gate.clear()
    answers: list[bytes] = []
    with served([echo], limits=Limits(stop_s=10.0), grpc_port=0) as found:
        channel = grpc.insecure_channel(f"127.0.0.1:{found.grpc_port}")
        asking = threading.Thread(target=lambda: answers.append(ask(channel, "ModelInfer", request(b"\0" * 12))))
        asking.start()
        until(lambda: echo.deadlines_s)
        opener = threading.Timer(0.5, echo.gate.set)
        opener.start()
    asking.join()
    opener.join()
    channel.close()
    assert api.ModelInferResponse.FromString(answers[0]).raw_output_contents == [b"\0" * 12]


def code_of(channel: grpc.Channel, asked: Any, metadata: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, "ModelInfer", asked, metadata=metadata)
    return str(caught.value.code().name)


# ------------------------------------------------------------ Triton's client


@pytest.fixture
def triton(server: Listening) -> Iterator[Any]:
    module = pytest.importorskip("tritonclient.grpc")
    client = module.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
    yield client
    client.close()


def test_tritons_client_finds_health_and_metadata(triton: Any) -> None:
    assert triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready("echo")
    assert triton.get_server_metadata().name == "hocket"
    found = triton.get_model_metadata("echo")
    assert (found.inputs[0].name, found.inputs[0].datatype, list(found.inputs[0].shape)) == ("x", "FP32", [-1, 3])
    assert found.outputs[0].name == "out_x"


def test_every_type_comes_back_as_it_went(triton: Any) -> None:
    from tritonclient.grpc import InferInput, InferRequestedOutput
    from tritonclient.utils import np_to_triton_dtype

    inputs = []
    for dtype in TYPES:
        sent = InferInput(dtype, [1, 2], np_to_triton_dtype(np.dtype(dtype)))
        sent.set_data_from_numpy(values(dtype))
        inputs.append(sent)
    result = triton.infer("types", inputs, request_id="3")
    for dtype in TYPES:
        np.testing.assert_array_equal(result.as_numpy(f"out_{dtype}"), values(dtype))
    assert result.get_response().id == "3"
    one = triton.infer("types", inputs, outputs=[InferRequestedOutput("out_int8")])
    assert [output.name for output in one.get_response().outputs] == ["out_int8"]


def test_names_and_numbers_are_the_protocols() -> None:
    """Each message and field of ours is in Triton's, with the same number, type and repetition."""
    theirs = pytest.importorskip("tritonclient.grpc.service_pb2").DESCRIPTOR

    def facts(message: Any) -> dict[str, Any]:
        found: dict[str, Any] = {
            field.name: (
                field.number,
                field.type,
                field.is_repeated,
                field.message_type and field.message_type.full_name,
            )
            for field in message.fields
        }
        return found | {nested.name: facts(nested) for nested in message.nested_types}

    assert api.DESCRIPTOR.package == theirs.package
    for name, message in api.DESCRIPTOR.message_types_by_name.items():
        assert facts(message) == facts(theirs.message_types_by_name[name])
    ours = api.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    for name, method in ours.methods_by_name.items():
        other = theirs.services_by_name["GRPCInferenceService"].methods_by_name[name]
        assert method.input_type.full_name == other.input_type.full_name
        assert method.output_type.full_name == other.output_type.full_name
