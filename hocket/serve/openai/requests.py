"""What clients of OpenAI's interface ask for, read and checked."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from hocket.nouns import complaint
from hocket.serve.backend import Message, Options
from hocket.serve.failures import RequestError
from hocket.units import shown

_COMPLETION_TOKENS = 16  # OpenAI's own default for /v1/completions
_MOST_STOPS = 4

Text = Annotated[str, Meta(max_length=1 << 24)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Tokens = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Token = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Stop = Annotated[str, Meta(min_length=1, max_length=1000)]

# Field -> values that ask for nothing. With any other value the answer would not be what was asked for.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "best_of": (None, 1),
    "echo": (None, False),
    "suffix": (None, ""),
    "frequency_penalty": (None, 0, 0.0),
    "presence_penalty": (None, 0, 0.0),
    "logit_bias": (None, {}),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "web_search_options": (None,),
}
# Fields that say nothing of the text.
_IGNORED = {
    "user", "metadata", "store", "service_tier", "parallel_tool_calls", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention", "reasoning_effort", "verbosity",
}  # fmt: skip


class StreamOptions(msgspec.Struct, frozen=True):
    """How a stream ends."""

    include_usage: bool | None = None


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What both kinds of request have."""

    model: Text
    max_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    seed: Seed | None = None
    stop: Stop | Annotated[list[Stop], Meta(max_length=_MOST_STOPS)] | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def streams(self) -> bool:
        """Whether the text is wanted as it grows."""
        return bool(self.stream)

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream ends with how many tokens there were."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def options(self, prompt: int, context: int) -> Options:
        """How the text is continued after so many tokens, in a context of so many.

        Raises:
            RequestError: they do not fit.
        """
        wanted = self._most_tokens()
        room = context - prompt
        if prompt < 1:
            raise RequestError("the prompt has no tokens; write something", param=self._prompt_field)
        if room < 1 or (wanted is not None and wanted > room):
            asked = f" and {wanted} are wanted after it" if wanted is not None else ""
            raise RequestError(
                f"the context of this model is {context} tokens, the prompt has {prompt}{asked}; shorten one of them",
                param=self._prompt_field,
                code="context_length_exceeded",
            )
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return Options(
            max_tokens=room if wanted is None else wanted,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            top_k=self.top_k or 0,
            seed=None if self.seed is None else self.seed % 2**64,  # generators take no negative ones
            stop=stop,
        )

    _prompt_field = "prompt"

    def _most_tokens(self) -> int | None:
        return _COMPLETION_TOKENS if self.max_tokens is None else self.max_tokens


class Part(msgspec.Struct, frozen=True):
    """A part of a message; only text is understood."""

    type: str
    text: Text | None = None


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[Part]


class ChatRequest(_Wish, frozen=True, kw_only=True):
    """The body of `/v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    max_completion_tokens: Tokens | None = None
    _prompt_field = "messages"

    def conversation(self) -> list[Message]:
        """The messages as a writer takes them."""
        return [
            Message("system" if message.role == "developer" else message.role, _text(message.content))
            for message in self.messages
        ]

    def _most_tokens(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class CompletionRequest(_Wish, frozen=True, kw_only=True):
    """The body of `/v1/completions`."""

    prompt: Text | list[Any]

    def one_prompt(self) -> str | list[int]:
        """The text or the tokens to continue.

        Raises:
            RequestError: there are several, or it is neither.
        """
        if isinstance(self.prompt, str):
            return self.prompt
        prompt = self.prompt
        if len(prompt) == 1 and isinstance(prompt[0], str):
            return prompt[0]
        if len(prompt) == 1 and isinstance(prompt[0], list):
            prompt = prompt[0]
        elif any(isinstance(item, str | list) for item in prompt):
            raise RequestError(f"a request has one prompt, got {len(prompt)}; send a request for each", param="prompt")
        try:
            return msgspec.convert(prompt, list[Token])
        except msgspec.ValidationError as error:
            raise RequestError(
                f"a prompt is a text or a list of tokens, and this one is not: {complaint(error)}; correct it",
                param="prompt",
            ) from None


def _text(content: str | list[Part]) -> str:
    if isinstance(content, str):
        return content
    for part in content:
        if part.type != "text" or part.text is None:
            raise RequestError(
                f"the parts of a message are text, got {shown(part.type)}; send only text", param="messages"
            )
    return "".join(part.text or "" for part in content)


_Asked = TypeVar("_Asked", bound=_Wish)
_CHAT = msgspec.json.Decoder(ChatRequest)
_COMPLETION = msgspec.json.Decoder(CompletionRequest)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KNOWN: dict[type[_Wish], set[str]] = {
    kind: {field.name for field in msgspec.structs.fields(kind)} for kind in (ChatRequest, CompletionRequest)
}


def read_chat(body: bytes) -> ChatRequest:
    """Read the body of `/v1/chat/completions`.

    Raises:
        RequestError: it is not one, or asks for what this server does not do.
    """
    return _read(body, _CHAT)


def read_completion(body: bytes) -> CompletionRequest:
    """Read the body of `/v1/completions`; errors as for `read_chat`."""
    return _read(body, _COMPLETION)


def _read(body: bytes, decoder: "msgspec.json.Decoder[_Asked]") -> _Asked:
    try:
        fields = _OBJECT.decode(body)
        wish = decoder.decode(body)
        _check_rest(fields, _KNOWN[decoder.type])
    except msgspec.ValidationError as error:
        raise RequestError(f"the request has a wrong field: {complaint(error)}; correct it") from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {complaint(error)}; send a JSON object") from None
    if wish.n not in (None, 1):
        raise RequestError(f"a request has one answer, got n = {shown(wish.n)}; send several requests", param="n")
    return wish


def _check_rest(fields: Mapping[str, msgspec.Raw], known: set[str]) -> None:
    """Refuse fields that would change the answer and are not understood."""
    for name, raw in fields.items():
        if name in known or name in _IGNORED:
            continue
        if name not in _NEUTRAL:
            raise RequestError(f"the field {shown(name)} is not known here; leave it out", param=name[:100])
        value = msgspec.json.decode(raw)
        # The type counts: `logprobs = 0` asks for something, `logprobs = false` does not, and Python thinks them equal.
        if not any(type(value) is type(neutral) and value == neutral for neutral in _NEUTRAL[name]):
            raise RequestError(f"{name} is not supported by this server; leave it out", param=name)
