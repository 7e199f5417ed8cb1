"""OpenAI's interface, asked by OpenAI's own client."""

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from stubs import Parrot, served, until

from hocket.serve.server import Listening
from hocket.serve.settings import Limits

openai = pytest.importorskip("openai")
NEVER = "\x00"  # the parrot ends there


@pytest.fixture
def client(server: Listening) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=10.0) as found:
        yield found


def say(text: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": "be a parrot"}, {"role": "user", "content": text}]


def test_models_are_listed_and_found(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["parrot", "small"]
    assert client.models.retrieve("parrot").owned_by == "hocket"
    with pytest.raises(openai.NotFoundError, match="'macaw' is not served here; ask for one of: parrot, small"):
        client.models.retrieve("macaw")


def test_a_chat_has_text_usage_and_a_reason(client: Any) -> None:
    answer = client.chat.completions.create(model="parrot", messages=say("hello" + NEVER))
    assert answer.choices[0].message.content == "hello"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (6, 5, 11)
    short = client.chat.completions.create(model="parrot", messages=say("hello"), max_tokens=3)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("hel", "length")
    newer = client.chat.completions.create(model="parrot", messages=say("hello"), max_completion_tokens=2)
    assert newer.choices[0].message.content == "he"


def test_content_may_come_in_parts_and_a_developer_is_a_system(client: Any) -> None:
    parts = [{"type": "text", "text": "he"}, {"type": "text", "text": "llo" + NEVER}]
    messages = [{"role": "developer", "content": "x"}, {"role": "user", "content": parts}]
    assert client.chat.completions.create(model="parrot", messages=messages).choices[0].message.content == "hello"
    picture = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    with pytest.raises(openai.BadRequestError, match="are text, got 'image_url'"):
        client.chat.completions.create(model="parrot", messages=[{"role": "user", "content": picture}])


def test_a_text_without_a_limit_fills_the_context(client: Any) -> None:
    answer = client.chat.completions.create(model="small", messages=say("ab"))
    assert (answer.usage.total_tokens, answer.choices[0].finish_reason) == (64, "length")


@pytest.mark.parametrize("text", ["hello, world", "naïve – 日本語 🎼🇨🇭 e\u0301"])
def test_a_stream_has_whole_characters_and_the_same_text(client: Any, text: str) -> None:
    stream = client.chat.completions.create(
        model="parrot", messages=say(text + NEVER), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    pieces = [delta.content or "" for delta in deltas]
    assert "".join(pieces) == text
    assert len([piece for piece in pieces if piece]) == len(text)
    assert "\ufffd" not in "".join(pieces)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == len(text.encode())
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_has_no_usage_unless_it_is_wanted(client: Any) -> None:
    chunks = list(client.chat.completions.create(model="parrot", messages=say("abc"), max_tokens=2, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("stop", "wanted"), [("END", "one "), (["zzz", "two", "END"], "one "), ("nowhere", None)])
def test_stop_strings_work_across_tokens(client: Any, stop: Any, wanted: str | None, stream: bool) -> None:
    text = "one END two"
    answer = client.completions.create(model="parrot", prompt=text + NEVER, stop=stop, max_tokens=100, stream=stream)
    if stream:
        chunks = list(answer)
        found, reason = "".join(chunk.choices[0].text for chunk in chunks), chunks[-1].choices[0].finish_reason
    else:
        found, reason = answer.choices[0].text, answer.choices[0].finish_reason
    assert found == (text if wanted is None else wanted)
    assert reason == "stop"


def test_a_seed_repeats_a_text(client: Any) -> None:
    def text(seed: int) -> str:
        asked = client.completions.create(model="parrot", prompt="abcdefgh", max_tokens=8, seed=seed)
        return str(asked.choices[0].text)

    assert text(1) == text(1) != text(2)


def test_a_completion_takes_tokens_and_has_sixteen_unless_told(client: Any) -> None:
    answer = client.completions.create(model="parrot", prompt=[104, 105])
    assert answer.choices[0].text == "hi" * 8
    assert client.completions.create(model="parrot", prompt=[[104, 105]], max_tokens=2).choices[0].text == "hi"
    assert client.completions.create(model="parrot", prompt=["hi"], max_tokens=2).choices[0].text == "hi"
    for prompt, telling in (
        (["a", "b"], "one prompt, got 2"),
        ([1, "b"], "one prompt, got 2"),
        ([-1], "a text or a list of tokens"),
        ([], "has no tokens"),
        ("", "has no tokens"),
        ([999], "a token is 0 to 255"),
    ):
        with pytest.raises(openai.BadRequestError, match=telling):
            client.completions.create(model="parrot", prompt=prompt)


@pytest.mark.parametrize(
    ("field", "value", "telling"),
    [
        ("n", 2, "one answer, got n = 2"),
        ("logprobs", True, "logprobs is not supported"),
        ("top_logprobs", 3, "top_logprobs is not supported"),
        ("tools", [{"type": "function", "function": {"name": "f"}}], "tools is not supported"),
        ("response_format", {"type": "json_object"}, "response_format is not supported"),
        ("frequency_penalty", 0.5, "frequency_penalty is not supported"),
        ("logit_bias", {"5": 1}, "logit_bias is not supported"),
        ("temperature", 3.0, "temperature"),
        ("top_p", 0.0, "top_p"),
        ("max_tokens", 0, "max_tokens"),
        ("max_tokens", 5000, "context of this model is 4096 tokens, the prompt has 2 and 5000 are wanted after it"),
        ("stop", ["a"] * 5, "stop"),
        ("stop", "", "stop"),
        ("extra_body", {"beams": 4}, "'beams' is not known here"),
    ],
)
def test_what_is_not_done_is_refused_in_a_sentence(client: Any, field: str, value: Any, telling: str) -> None:
    with pytest.raises(openai.BadRequestError, match=telling) as caught:
        client.chat.completions.create(model="parrot", messages=say("hi"), **{field: value})
    error = caught.value.response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


def test_what_asks_for_nothing_is_let_through(client: Any) -> None:
    client.chat.completions.create(
        model="parrot",
        messages=say("hi"),
        max_tokens=1,
        n=1,
        logprobs=False,
        tools=[],
        tool_choice="none",
        response_format={"type": "text"},
        presence_penalty=0,
        frequency_penalty=0.0,
        user="me",
        extra_body={"top_k": 3},
    )


def test_a_prompt_longer_than_the_context_is_refused_with_openais_code(client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="the prompt has 5000; shorten") as caught:
        client.chat.completions.create(model="parrot", messages=say("x" * 5000))
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"


def test_a_conversation_that_the_model_refuses_is_a_bad_request(client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="the last message is the user's"):
        client.chat.completions.create(model="parrot", messages=[{"role": "assistant", "content": "hi"}])


def test_options_reach_the_writer_as_they_were_asked_for() -> None:
    parrot = Parrot()
    with served(writers=[parrot]) as found, openai.OpenAI(base_url=f"{found.url}/v1", api_key="x") as client:
        client.completions.create(
            model="parrot", prompt="a", max_tokens=3, temperature=0, top_p=0.5, seed=-7, extra_body={"top_k": 9}
        )
    options = parrot.asked[0]
    assert (options.max_tokens, options.temperature, options.top_p, options.top_k) == (3, 0.0, 0.5, 9)
    assert (options.seed, options.stop) == (2**64 - 7, ())


def body(**more: Any) -> bytes:
    return json.dumps({"model": "parrot", "messages": say("abc"), **more}).encode()


@pytest.mark.parametrize("stream", [False, True])
def test_the_text_ends_when_the_client_goes_away(stream: bool) -> None:
    parrot = Parrot(context=1 << 30, pause_s=0.002)
    with served(writers=[parrot]) as found:
        with httpx.Client(base_url=found.url, timeout=0.5) as client, pytest.raises(httpx.TimeoutException):
            if stream:
                with client.stream("POST", "/v1/chat/completions", content=body(stream=True)) as answer:
                    next(answer.iter_bytes())
                    raise httpx.ReadTimeout("we go")
            client.post("/v1/chat/completions", content=body())
        until(parrot.stopped.is_set)
        until(lambda: b"hocket_http_requests_under_way 1.0" in httpx.get(f"{found.url}/metrics").content)  # itself
        assert b'status="499"' in httpx.get(f"{found.url}/metrics").content


class Loud(Parrot):
    """Fills the buffers on the way to the client with few tokens."""

    def decode(self, tokens: Sequence[int]) -> str:
        return "x" * 100_000 * len(tokens)


def test_a_client_that_does_not_read_pauses_its_text_and_loses_it_at_the_timeout() -> None:
    parrot = Loud(context=1 << 30)
    limits = Limits(timeout_s=3.0, stop_s=1.0)
    with (
        served(writers=[parrot], limits=limits) as found,
        httpx.Client(base_url=found.url, timeout=10.0) as client,
        client.stream("POST", "/v1/chat/completions", content=body(stream=True)),
    ):
        seen = -1
        while seen != parrot.drawn and not parrot.stopped.is_set():
            seen = parrot.drawn
            threading.Event().wait(0.3)
        assert not parrot.stopped.is_set(), "it was not paused but ended"
        until(parrot.stopped.is_set)


def test_a_timeout_in_a_stream_is_its_last_event() -> None:
    parrot = Parrot(context=1 << 30, pause_s=0.01)
    with (
        served(writers=[parrot], limits=Limits(timeout_s=0.5, stop_s=1.0)) as found,
        openai.OpenAI(base_url=f"{found.url}/v1", api_key="x", max_retries=0) as client,
        pytest.raises(openai.APIError, match="took longer than the server allows"),
    ):
        for _ in client.chat.completions.create(model="parrot", messages=say("abc"), stream=True):
            pass


def test_work_that_cannot_be_interrupted_keeps_its_slot() -> None:
    parrot = Parrot()
    parrot.gate.clear()
    limits = Limits(timeout_s=0.3, under_way=1, stop_s=1.0)
    with served(writers=[parrot], limits=limits) as found, httpx.Client(base_url=found.url, timeout=10.0) as client:
        assert client.post("/v1/chat/completions", content=body()).status_code == 504
        assert client.post("/v1/chat/completions", content=body()).status_code == 429
        parrot.gate.set()
        until(parrot.stopped.is_set)
        until(lambda: client.post("/v1/chat/completions", content=body(max_tokens=1)).status_code == 200)
