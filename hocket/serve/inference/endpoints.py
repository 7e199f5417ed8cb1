"""The routes of the Open Inference Protocol over HTTP."""

import asyncio
import functools

from hocket.serve.guard import JSON, Call, Reply, json_reply
from hocket.serve.inference.messages import LENGTH_HEADER, read_request, timeout_s, write_response
from hocket.serve.inference.models import EXTENSIONS, PLATFORM, SERVER, VERSION, Models, described
from hocket.version import __version__


class Inference:
    """The routes, over some models."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def server(self, _: Call) -> Reply:
        """`GET /v2`."""
        return json_reply({"name": SERVER, "version": __version__, "extensions": EXTENSIONS})

    async def live(self, _: Call) -> Reply:
        """`GET /v2/health/live`."""
        return json_reply({"live": True})

    async def ready(self, _: Call) -> Reply:
        """`GET /v2/health/ready`: 200 where every model is."""
        waiting = self._models.waiting_for()
        return json_reply({"ready": not waiting}, 503 if waiting else 200)

    async def model(self, call: Call) -> Reply:
        """`GET /v2/models/NAME`."""
        answerer = self._models.get(call.path["name"], call.path.get("version", ""))
        return json_reply(
            {
                "name": answerer.name,
                "versions": [VERSION],
                "platform": PLATFORM,
                "inputs": [described(spec) for spec in answerer.inputs],
                "outputs": [described(spec) for spec in answerer.outputs],
            }
        )

    async def model_ready(self, call: Call) -> Reply:
        """`GET /v2/models/NAME/ready`."""
        answerer = self._models.get(call.path["name"], call.path.get("version", ""))
        ready = answerer.ready()
        return json_reply({"name": answerer.name, "ready": ready}, 200 if ready else 503)

    async def infer(self, call: Call) -> Reply:
        """`POST /v2/models/NAME/infer`."""
        answerer = self._models.get(call.path["name"], call.path.get("version", ""))
        # Lists of millions of numbers take a while: others are served meanwhile.
        request, inputs = await asyncio.to_thread(read_request, call.body, call.headers.get(LENGTH_HEADER))
        outputs = await self._models.infer(answerer, inputs, call, timeout_s(request.parameters))
        write = functools.partial(write_response, answerer.name, request, outputs)
        body, headers = await asyncio.to_thread(write)
        return Reply(body, media="application/octet-stream" if headers else JSON, headers=headers)
