"""Language models over nodes as a server has them: OpenAI's own client, several texts, a node that stops."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from language_nodes import CAPACITY, alone, deployed, small
from stubs import served, until

from hocket.errors import FormatError
from hocket.language.live import LiveLanguageModel
from hocket.language.tokenizer import Tokenizer
from hocket.runtime.launch import Threads
from hocket.serve.backend import Message, Options
from hocket.serve.writers import LiveWriter

openai = pytest.importorskip("openai")


def letters() -> Tokenizer:
    """96 tokens: a printable character each."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    found = tokenizers.Tokenizer(models.WordLevel({chr(32 + n): n for n in range(96)}, unk_token="?"))
    found.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex("."), "isolated")
    found.decoder = decoders.Fuse()
    template = "{% for message in messages %}{{ message.role[0] }}:{{ message.content }};{% endfor %}a:"
    return Tokenizer(found.to_str(), chat_template=template)


@pytest.fixture(scope="module")
def live() -> Iterator[LiveLanguageModel]:
    with deployed(small("llama", letters()), "aabbb", "ab", standby="ready") as found:
        yield found


@pytest.fixture(scope="module")
def writer(live: LiveLanguageModel) -> LiveWriter:
    return LiveWriter("tiny", live)


@pytest.fixture
def client(writer: LiveWriter) -> Iterator[Any]:
    with (
        served(writers=[writer]) as listening,
        openai.OpenAI(base_url=f"{listening.url}/v1", api_key="none", max_retries=0, timeout=60.0) as found,
    ):
        yield found


def written(live: LiveLanguageModel, text: str, most: int) -> str:
    """What one node makes of a user's words."""
    tokenizer = letters()
    prompt = tokenizer.encode_chat([Message("user", text)])
    return tokenizer.decode(alone(live.model, prompt, most))


def say(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def nothing_kept(live: LiveLanguageModel) -> bool:
    return all(counters.get("state_bytes", 0) == 0 for counters in live.session.counters().values())


def test_a_chat_is_what_one_node_writes(client: Any, live: LiveLanguageModel) -> None:
    answer = client.chat.completions.create(model="tiny", messages=say("hello"), temperature=0, max_tokens=12)
    assert answer.choices[0].message.content == written(live, "hello", 12)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.total_tokens == len("u:hello;a:") + 12


def test_texts_at_once_are_what_each_is_alone(client: Any, live: LiveLanguageModel) -> None:
    words = ["hello", "x", "what?", "0123456789"]
    found: dict[str, str] = {}

    def ask(text: str) -> None:
        answer = client.chat.completions.create(model="tiny", messages=say(text), temperature=0, max_tokens=10)
        found[text] = answer.choices[0].message.content

    threads = [threading.Thread(target=ask, args=(text,)) for text in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert found == {text: written(live, text, 10) for text in words}


def test_seeded_texts_repeat(client: Any) -> None:
    first, again, other = (
        client.chat.completions.create(model="tiny", messages=say("dice"), seed=seed, max_tokens=12).choices[0].message
        for seed in (1, 1, 2)
    )
    assert first.content == again.content != other.content


def test_a_stream_that_is_left_gives_its_caches_back(client: Any, live: LiveLanguageModel) -> None:
    stream = client.chat.completions.create(model="tiny", messages=say("a"), temperature=0, stream=True)
    next(iter(stream))
    stream.close()
    until(lambda: nothing_kept(live), 20.0)


def test_a_stop_event_ends_a_text(writer: LiveWriter, live: LiveLanguageModel) -> None:
    stop = threading.Event()
    text = writer.generate([1, 2, 3], Options(max_tokens=30, temperature=0), stop)
    found = [next(text), next(text)]
    stop.set()
    assert list(text) == []
    assert found == alone(live.model, [1, 2, 3], 2)
    until(lambda: nothing_kept(live), 20.0)


def test_the_context_limits_prompt_and_continuation(client: Any, writer: LiveWriter) -> None:
    assert writer.context == CAPACITY
    answer = client.chat.completions.create(model="tiny", messages=say("hello"), temperature=0)
    assert answer.usage.total_tokens <= CAPACITY + 1
    with pytest.raises(openai.BadRequestError, match=str(CAPACITY)):
        client.chat.completions.create(model="tiny", messages=say("x" * CAPACITY))
    with pytest.raises(FormatError, match=f"at most {CAPACITY} tokens"):
        list(writer.generate([1] * (CAPACITY + 1), Options(max_tokens=1), threading.Event()))
    with pytest.raises(FormatError, match="96"):
        list(writer.generate([96], Options(max_tokens=1), threading.Event()))


def test_a_writer_needs_a_tokenizer(live: LiveLanguageModel) -> None:
    bare = LiveLanguageModel(small("llama"), live.session, live.fleet, live.capacity)
    with pytest.raises(FormatError, match="'tiny' has none"):
        LiveWriter("tiny", bare)


def test_a_node_that_stops_in_mid_sentence_changes_no_letter() -> None:
    model = small("llama", letters())
    with deployed(model, "aabbb", "ab", standby="ready") as live:
        until(lambda: live.session.status().calm, 20.0)
        expected = written(live, "once upon", 30)
        with (
            served(writers=[LiveWriter("tiny", live)]) as listening,
            openai.OpenAI(base_url=f"{listening.url}/v1", api_key="none", max_retries=0, timeout=60.0) as client,
        ):
            stream = client.chat.completions.create(
                model="tiny", messages=say("once upon"), temperature=0, max_tokens=30, stream=True
            )
            found = ""
            for chunk in stream:
                found += chunk.choices[0].delta.content or ""
                if len(found) == 5:
                    assert isinstance(live.fleet.launcher, Threads)
                    live.fleet.launcher.node("b").stop()
        assert found == expected
        assert live.session.status().used == {"a"}
