"""Keys, limits, counters, hostile bodies, and stopping."""

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stubs import Echo, Parrot, served, until

from hocket.errors import FormatError, NodeError
from hocket.serve.app import make_app
from hocket.serve.guard import House
from hocket.serve.inference.messages import LENGTH_HEADER
from hocket.serve.keys import VARIABLE, ApiKeys
from hocket.serve.server import Listening, Place, serve
from hocket.serve.settings import Limits

KEY, OTHER = "k" * 24, "o" * 24
WORK = ("/v1/chat/completions", "/v1/completions", "/v2/models/echo/infer")


@pytest.fixture
def http(server: Listening) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20.0) as client:
        yield client


def numbers(text: str) -> dict[str, float]:
    """Name and labels -> value."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def infer(**more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}], **more}


# ------------------------------------------------------------ keys


def test_a_key_opens_and_nothing_else_does() -> None:
    with served([Echo()], [Parrot()], keys=ApiKeys([KEY, OTHER])) as found, httpx.Client(base_url=found.url) as http:
        for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
            assert http.get(path).status_code == 200
        for path in ("/metrics", "/v1/models", "/v2", "/v2/models/echo"):
            for header in (None, KEY, f"Basic {KEY}", "Bearer", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer é"):
                refused = http.get(path, headers={"authorization": header.encode()} if header else {})
                assert refused.status_code == 401
                assert "Authorization: Bearer KEY" in refused.text
                assert refused.headers["www-authenticate"] == "Bearer"
            for key in (KEY, OTHER):
                assert http.get(path, headers={"authorization": f"Bearer {key}"}).status_code == 200
        for path in WORK:
            assert http.post(path, content=b"{}").status_code == 401
        assert KEY not in http.get("/metrics", headers={"authorization": f"bearer {KEY}"}).text


def test_keys_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{KEY}  # mine\n\n{OTHER}\n")
    keys = ApiKeys.read(file)
    keys.check(f"Bearer {OTHER}")
    monkeypatch.setenv(VARIABLE, f"{KEY}, {OTHER}")
    ApiKeys.read(None).check(f"Bearer {KEY}")
    monkeypatch.delenv(VARIABLE)
    assert not ApiKeys.read(None)
    for text, telling in (("# none\n", "has no API key"), ("short\n", "at least 16"), ("é" * 20, "at least 16")):
        file.write_text(text)
        with pytest.raises(FormatError, match=telling):
            ApiKeys.read(file)
    file.write_bytes(b"\xff" * 20)
    with pytest.raises(FormatError, match="is not text"):
        ApiKeys.read(file)
    with pytest.raises(FormatError, match="cannot be read"):
        ApiKeys.read(tmp_path / "absent")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_a_server_without_keys_listens_to_this_computer_only(host: str) -> None:
    with pytest.raises(FormatError, match="has no API keys; give --api-key-file"):
        asyncio.run(serve([Echo()], place=Place(host, 0)))


@pytest.mark.parametrize(
    "place", [{"host": "0.0.0.0", "open_to_all": True}, {"host": "0.0.0.0", "keys": ApiKeys([KEY])}]
)
def test_with_keys_or_when_told_it_listens_to_all(place: dict[str, Any]) -> None:
    with served([Echo()], **place) as found:
        assert httpx.get(f"http://127.0.0.1:{found.port}/healthz").status_code == 200


def test_an_address_that_cannot_be_had_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NodeError, match=f"cannot listen at 127.0.0.1:{port}"):
            asyncio.run(serve([Echo()], place=Place(port=port)))
        with pytest.raises(NodeError, match=f"gRPC cannot listen at 127.0.0.1:{port}"):
            asyncio.run(serve([Echo()], place=Place(port=0, grpc_port=port)))


def test_models_have_names_of_their_own() -> None:
    for models in ([], [Echo("a"), Echo("a")]):
        with pytest.raises(FormatError, match="each with a name of its own"):
            make_app(House(ApiKeys(), Limits()), models)
    for wrong in ({"under_way": 0}, {"timeout_s": float("nan")}, {"body_bytes": -1}, {"stop_s": -1.0}):
        with pytest.raises(FormatError, match=f"the limit {next(iter(wrong))} is"):
            Limits(**wrong)


# ------------------------------------------------------------ limits and counters


def test_a_body_that_is_too_large_is_refused_before_and_while_it_is_read(http: httpx.Client) -> None:
    large = b" " * ((1 << 20) + 1)
    for path in WORK:
        assert http.post(path, content=large).status_code == 413
        refused = http.post(path, content=iter([large[: 1 << 19]] * 3))
        assert refused.status_code == 413
        assert "at most 1048576 bytes" in refused.text
        assert http.post(path, content=b"{}", headers={"content-encoding": "gzip"}).status_code == 415
    assert http.get("/healthz").status_code == 200


def test_more_requests_than_allowed_are_sent_away() -> None:
    echo = Echo()
    echo.gate.clear()
    with (
        served([echo], limits=Limits(under_way=2, stop_s=1.0)) as found,
        httpx.Client(base_url=found.url, timeout=10.0) as http,
    ):
        codes: list[int] = []
        ask = lambda: codes.append(http.post("/v2/models/echo/infer", json=infer()).status_code)  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: len(echo.deadlines_s) == 2)
        refused = http.post("/v2/models/echo/infer", json=infer())
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json() == {
            "error": "2 requests are under way, and this server takes no more; try again in a second"
        }
        until(
            lambda: numbers(http.get("/metrics").text)["hocket_http_requests_under_way"] == 3
        )  # and the one that asks
        echo.gate.set()
        for thread in threads:
            thread.join()
        assert codes == [200, 200]
        assert http.post("/v2/models/echo/infer", json=infer()).status_code == 200


def test_who_has_an_answer_finds_its_place_free() -> None:
    asked = {"model": "parrot", "prompt": "abc", "max_tokens": 2, "stream": True}
    with (
        served([Echo()], [Parrot()], limits=Limits(under_way=1)) as found,
        httpx.Client(base_url=found.url, timeout=10.0) as http,
    ):
        for _ in range(100):
            assert http.post("/v2/models/echo/infer", json=infer()).status_code == 200
            assert http.post("/v1/completions", json={**asked, "stream": False}).status_code == 200
            with http.stream("POST", "/v1/completions", json=asked) as answer:
                assert answer.status_code == 200
                assert any("[DONE]" in line for line in answer.iter_lines())


def test_a_model_that_ignores_its_deadline_is_late_anyway() -> None:
    class Deaf(Echo):
        def submit(self, inputs: Any, *, deadline_s: float | None = None) -> Any:
            return super().submit(inputs, deadline_s=10.0)

    deaf = Deaf()
    deaf.gate.clear()
    with served([deaf], limits=Limits(timeout_s=0.2, stop_s=1.0)) as found:
        late = httpx.post(f"{found.url}/v2/models/echo/infer", json=infer())
        assert late.status_code == 504
        assert "took longer than the server allows" in late.json()["error"]
        deaf.gate.set()


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    with (
        served(writers=[Parrot()], limits=Limits(timeout_s=0.2, stop_s=1.0)) as found,
        socket.create_connection(("127.0.0.1", found.port), timeout=10.0) as raw,
    ):
        raw.sendall(head)
        answer = raw.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 408")


def test_requests_latency_and_tokens_are_counted() -> None:
    with served([Echo()], [Parrot()]) as found, httpx.Client(base_url=found.url) as http:
        for _ in range(3):
            http.post("/v2/models/echo/infer", json=infer())
        http.post("/v2/models/none/infer", json=infer())
        asked = {"model": "parrot", "prompt": "abc", "max_tokens": 5}
        http.post("/v1/completions", json=asked)
        assert "[DONE]" in http.post("/v1/completions", json={**asked, "stream": True}).text
        # A request is counted when it has ended, which its client may know a moment before the server does.
        until(lambda: numbers(http.get("/metrics").text)["hocket_http_requests_under_way"] == 1)  # the one that asks
        answer = http.get("/metrics")
        found_numbers = numbers(answer.text)
    assert answer.headers["content-type"].startswith("text/plain")
    route = "/v2/models/{name:path}/infer"
    assert found_numbers[f'hocket_http_requests_total{{route="{route}",status="200"}}'] == 3
    assert found_numbers[f'hocket_http_requests_total{{route="{route}",status="404"}}'] == 1
    assert found_numbers[f'hocket_http_request_latency_seconds_count{{route="{route}"}}'] == 4
    assert found_numbers['hocket_tokens_total{kind="prompt",model="parrot"}'] == 6
    assert found_numbers['hocket_tokens_total{kind="completion",model="parrot"}'] == 10


# ------------------------------------------------------------ hostile requests

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["echo", "small", "x", "FP32", "user", 10**400, 2**63, -1, "text"])
)  # fmt: skip
FIELDS = st.sampled_from(
    ["model", "messages", "prompt", "role", "content", "stream", "stop", "max_tokens", "n", "inputs", "outputs", "name",
     "shape", "datatype", "data", "parameters", "binary_data_size", "id", "tools", "seed", "stream_options"]
)  # fmt: skip
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=6), max_leaves=20
)
CHAT = st.fixed_dictionaries({"model": st.just("small"), "messages": ANY, "max_tokens": LEAVES}, optional={"stop": ANY})
PROMPT = st.fixed_dictionaries({"model": st.just("small"), "prompt": ANY, "stream": LEAVES})
TENSOR = st.fixed_dictionaries(
    {"name": st.just("x"), "datatype": st.sampled_from(["FP32", "BOOL", "INT8", "BYTES"]), "shape": ANY},
    optional={"data": ANY, "parameters": st.fixed_dictionaries({"binary_data_size": LEAVES})},
)
INFER = st.fixed_dictionaries({"inputs": st.lists(TENSOR, max_size=2)}, optional={"outputs": ANY, "parameters": ANY})
hostile = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_refused(answer: httpx.Response) -> None:
    """Served or refused in one sentence of the interface's own shape; the server lives."""
    assert answer.status_code == 200 or 400 <= answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text and ".py" not in answer.text
    if answer.status_code != 200:
        error = answer.json()["error"]
        sentence = error["message"] if isinstance(error, dict) else error
        assert sentence and "\n" not in sentence and len(sentence) < 1000


@hostile
@given(st.sampled_from(WORK), ANY | CHAT | PROMPT | INFER)
def test_json_of_any_kind_is_served_or_refused(http: httpx.Client, path: str, data: Any) -> None:
    check_refused(http.post(path, content=json.dumps(data).encode()))


@hostile
@given(st.sampled_from(WORK), st.binary(max_size=200), st.none() | st.binary(max_size=8) | st.integers(-2, 210))
def test_bytes_of_any_kind_are_served_or_refused(
    http: httpx.Client, path: str, data: bytes, length: bytes | int | None
) -> None:
    header = str(length).encode() if isinstance(length, int) else (length or b"0").hex().encode()
    check_refused(http.post(path, content=data, headers={LENGTH_HEADER: header}))


@pytest.mark.parametrize("path", WORK)
@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{", b"\xff\xfe", b'"\\ud800"', b"[" * 500_000, b'{"model":' * 50_000, b"1e999", b"NaN",
        b'{"model":"parrot","max_tokens":1' + b"0" * 5000 + b"}", b'{"a\\u0000b":1}', b"{}" * 3, b'{"inputs":[[[]]]}',
        b'{"model":"parrot","prompt":"\\ud83d"}', b'{"model":"parrot","prompt":"a","prompt":1}',
    ],
    ids=range(16),
)  # fmt: skip
def test_known_traps_are_refused(http: httpx.Client, path: str, body: bytes) -> None:
    answer = http.post(path, content=body)
    check_refused(answer)
    assert answer.status_code == 400
    assert http.get("/healthz").status_code == 200


def test_nothing_stays_under_way_after_refusals(http: httpx.Client) -> None:
    for path in WORK:
        for _ in range(20):  # more than may be under way at once
            assert http.post(path, content=b"{}").status_code == 400
    until(lambda: numbers(http.get("/metrics").text)["hocket_http_requests_under_way"] == 1)  # the one that asks


def test_what_is_no_route_or_method_is_refused(http: httpx.Client) -> None:
    assert http.get("/v1/chat/completions").status_code == 405
    assert "another method" in http.get("/v1/chat/completions").text
    for path in ("/", "/v1/nothing", "/%00", "/v2/models/", "/v1/models/" + "a" * 5000, "/v2/models/%ff%fe/infer"):
        check_refused(http.get(path))
    assert http.get("/v1/nothing").json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"POST /v1/completions HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: " + b"a" * (1 << 20) + b"\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
    ],
    ids=range(6),
)  # fmt: skip
def test_what_is_no_http_ends_the_connection_alone(server: Listening, http: httpx.Client, data: bytes) -> None:
    answer = b""
    # It may close while we still send.
    with socket.create_connection(("127.0.0.1", server.port), timeout=5.0) as raw, contextlib.suppress(OSError):
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
        while chunk := raw.recv(1 << 16):
            answer += chunk
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert b"Traceback" not in answer
    assert http.get("/healthz").status_code == 200


def test_a_bug_stays_in_the_log(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    asked = {"inputs": [{"name": "bug", "shape": [1], "datatype": "FP32", "data": [1]}]}
    with caplog.at_level(logging.ERROR):
        answer = http.post("/v2/models/buggy/infer", json=asked)
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server failed at this request; its log says why"}
    assert "a secret of the server" in caplog.text


# ------------------------------------------------------------ stopping


def test_what_is_under_way_ends_before_the_server_does() -> None:
    echo = Echo()
    echo.gate.clear()
    codes: list[int] = []
    with served([echo], limits=Limits(stop_s=10.0)) as found:
        ask = lambda: codes.append(httpx.post(f"{found.url}/v2/models/echo/infer", json=infer()).status_code)  # noqa: E731
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: echo.deadlines_s)
        opener = threading.Timer(0.5, echo.gate.set)
        opener.start()
    asking.join()
    opener.join()
    assert codes == [200]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{found.url}/healthz")


def test_what_takes_longer_than_allowed_is_broken_off() -> None:
    parrot = Parrot(context=1 << 30, pause_s=0.01)
    begun_s = time.monotonic()
    with served(writers=[parrot], limits=Limits(stop_s=1.0)) as found:
        client = httpx.Client(base_url=found.url, timeout=20.0)
        stream = client.stream(
            "POST", "/v1/completions", json={"model": "parrot", "prompt": "a", "max_tokens": 10**6, "stream": True}
        )
        answer = stream.__enter__()
        assert answer.status_code == 200
    assert parrot.stopped.wait(5.0)
    assert time.monotonic() - begun_s < 15.0
    answer.close()
    client.close()
