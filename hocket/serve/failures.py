"""What went wrong, as each interface says it: one sentence, a status, and never a stack trace."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hocket.errors import AssetError, HocketError, LateError, MissingError, NodeError

# HTTP status -> type and code of OpenAI's errors.
_OPENAI = {
    401: ("authentication_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", "unavailable"),
    504: ("server_error", "timeout"),
}


class RequestError(HocketError):
    """A request that the server refuses itself, before a model has seen it.

    Args:
        sentence: why, and what to do.
        status: of HTTP.
        param: the field at fault.
        code: OpenAI's word for it, where it has one.
        headers: to send with it.
    """

    def __init__(
        self,
        sentence: str,
        status: int = 400,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status, self.param, self.code, self.headers = status, param, code, headers or {}


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told."""

    status: int
    sentence: str
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def failure_of(error: BaseException) -> Failure:
    """What to tell the client of an error; what hocket did not raise on purpose stays in the log.

    >>> failure_of(LateError("request 3 had no answer")).status
    504
    >>> failure_of(KeyError("secret")).sentence
    'the server failed at this request; its log says why'
    """
    if isinstance(error, RequestError):
        return Failure(error.status, str(error), error.param, error.code, error.headers)
    if isinstance(error, HocketError):
        return Failure(_status(error), str(error))
    if isinstance(error, TimeoutError):
        return Failure(504, "the request took longer than the server allows; send a smaller one, or later")
    return Failure(500, "the server failed at this request; its log says why")


def _status(error: HocketError) -> int:
    if isinstance(error, LateError):
        return 504
    return 503 if isinstance(error, NodeError | AssetError | MissingError) else 400


Shape = Callable[[Failure], dict[str, Any]]
"""A failure -> the JSON object that an interface has for it."""


def openai_error(failure: Failure) -> dict[str, Any]:
    """OpenAI's shape of an error."""
    kind, code = _OPENAI.get(failure.status, ("invalid_request_error", None))
    return {
        "error": {
            "message": failure.sentence,
            "type": kind,
            "param": failure.param,
            "code": failure.code or code,
        }
    }


def inference_error(failure: Failure) -> dict[str, Any]:
    """The Open Inference Protocol's shape of an error."""
    return {"error": failure.sentence}
