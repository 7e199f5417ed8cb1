"""The routes of a server as one ASGI application."""

from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hocket.errors import FormatError
from hocket.serve.backend import Answerer, Writer
from hocket.serve.failures import Failure, Shape, inference_error, openai_error
from hocket.serve.guard import Call, Guard, House, Reply, Work, json_reply
from hocket.serve.inference.endpoints import Inference
from hocket.serve.inference.models import Models
from hocket.serve.metrics import CONTENT_TYPE
from hocket.serve.openai.endpoints import OpenAi


def make_app(house: House, answerers: Sequence[Answerer] = (), writers: Sequence[Writer] = ()) -> Starlette:
    """The application that serves some models.

    Args:
        house: keys, limits and counters.
        answerers: models of tensors.
        writers: models of text.

    Raises:
        FormatError: two models have one name, or there is none.
    """
    names = [answerer.name for answerer in answerers] + [writer.name for writer in writers]
    if not names or len(set(names)) < len(names):
        raise FormatError(f"a server has models, each with a name of its own, got {names}; rename or add one")
    models = Models(answerers)
    routes = [*_health(house, models), *_openai(OpenAi(house, writers), house), *_inference(Inference(models), house)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused, Exception: _failed})


def _health(house: House, models: Models) -> list[Route]:
    async def healthy(_: Call) -> Reply:
        return json_reply({"status": "ok"})

    async def ready(_: Call) -> Reply:
        waiting = models.waiting_for()
        return json_reply({"status": "waiting" if waiting else "ok", "waiting_for": waiting}, 503 if waiting else 200)

    async def metrics(_: Call) -> Reply:
        return Reply(house.metrics.text(), media=CONTENT_TYPE)

    return [
        _route(house, "GET", "/healthz", healthy, locked=False),
        _route(house, "GET", "/readyz", ready, locked=False),
        _route(house, "GET", "/metrics", metrics),
    ]


def _openai(routes: OpenAi, house: House) -> list[Route]:
    return [
        _route(house, "GET", "/v1/models", routes.models),
        _route(house, "GET", "/v1/models/{name:path}", routes.model),
        _route(house, "POST", "/v1/chat/completions", routes.chat, works=True),
        _route(house, "POST", "/v1/completions", routes.complete, works=True),
    ]


def _inference(routes: Inference, house: House) -> list[Route]:
    shape: dict[str, Any] = {"shape": inference_error}
    found = [
        _route(house, "GET", "/v2", routes.server, **shape),
        _route(house, "GET", "/v2/health/live", routes.live, locked=False, **shape),
        _route(house, "GET", "/v2/health/ready", routes.ready, locked=False, **shape),
    ]
    # The longest path first: a model's name may have slashes.
    for model in ("/v2/models/{name:path}/versions/{version}", "/v2/models/{name:path}"):
        found += [
            _route(house, "POST", f"{model}/infer", routes.infer, works=True, **shape),
            _route(house, "GET", f"{model}/ready", routes.model_ready, **shape),
            _route(house, "GET", model, routes.model, **shape),
        ]
    return found


def _route(house: House, method: str, path: str, work: Work, **options: Any) -> Route:
    return Route(path, Guard(house, path, work, **options), methods=[method])


def _shape(request: Request) -> Shape:
    return inference_error if request.url.path.startswith("/v2") else openai_error


async def _refused(request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    sentence = (
        "this route takes another method; see docs/serving.md"
        if status == 405
        else "there is nothing at this path; see docs/serving.md for those that exist"
    )
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse(_shape(request)(Failure(status, sentence)), status, headers=headers)


async def _failed(request: Request, _: Exception) -> Response:
    """What no guard caught."""
    return JSONResponse(_shape(request)(Failure(500, "the server failed at this request; its log says why")), 500)
