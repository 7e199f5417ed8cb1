"""The command that serves a plan to others."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hocket.cli.common import Json, MirrorOption, PlanArgument, PrecisionOption, console, print_json, read_solution
from hocket.units import parse

if TYPE_CHECKING:
    from hocket.serve.backend import Answerer, Writer
    from hocket.serve.server import Listening


def serve(
    plan: PlanArgument,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of HTTP; 0 = any free one.", min=0, max=65535)] = 8000,
    grpc_port: Annotated[
        int | None, typer.Option(help="Of gRPC; 0 = any free one. Absent = no gRPC.", min=0, max=65535)
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with an API key on each line. Absent = those in HOCKET_API_KEYS.")
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Let other machines in without API keys.")] = False,
    name: Annotated[str, typer.Option(help="What clients call the model. Absent = the task's name.")] = "",
    timeout: Annotated[float, typer.Option(help="Most seconds that a request may take.")] = 120.0,
    under_way: Annotated[int, typer.Option(help="Most requests under way; more are told to come again.")] = 64,
    body_bytes: Annotated[int, typer.Option(help="Most bytes of one request.")] = 64 << 20,
    stop: Annotated[float, typer.Option(help="Seconds that requests may go on when the server is stopped.")] = 30.0,
    keys: Annotated[Path | None, typer.Option(help="Our secret key file, for join tokens.")] = None,
    plaintext: Annotated[bool, typer.Option(help="Allow unencrypted links to other machines.")] = False,
    policy: Annotated[
        str, typer.Option(help="When to have another plan: static, table, threshold or replan.")
    ] = "replan",
    standby: Annotated[
        str, typer.Option(help="What is prepared for the loss of a node: none, plan, weights or ready.")
    ] = "weights",
    language: Annotated[str, typer.Option(help="The plan's model, as for generate: speak OpenAI's protocol.")] = "",
    precision: PrecisionOption = "float32",
    mirror: MirrorOption = "0",
    problem: Annotated[Path | None, typer.Option(help="The problem, where PLAN is a plan alone.")] = None,
    json: Json = False,
) -> None:
    """Serve a plan over HTTP and gRPC (Open Inference Protocol, OpenAI) until SIGTERM or Ctrl-C."""
    from hocket.serve.extra import check_installed

    check_installed()
    from hocket.control.live.state import Rules
    from hocket.serve.opening import open_answerers
    from hocket.serve.server import read_place
    from hocket.serve.server import serve as serve_models
    from hocket.serve.settings import Limits
    from hocket.serve.writers import open_writers

    limits = Limits(body_bytes=body_bytes, under_way=under_way, timeout_s=timeout, stop_s=stop)
    place = read_place(host, port, grpc_port, api_key_file, open_to_all=open)
    solution = read_solution(plan, problem)
    with ExitStack() as stack:
        options: dict[str, Any] = {
            "policy": policy,
            "rules": replace(Rules.of(standby), mirror_bytes=round(parse(mirror, "bytes"))),
            "keys": keys,
            "plaintext": plaintext,
            "timeout_s": timeout,
        }
        answerers: Sequence[Answerer] = ()
        writers: Sequence[Writer] = ()
        if language:
            writers = stack.enter_context(open_writers(solution, language, name, precision=precision, **options))
        else:
            answerers = stack.enter_context(open_answerers(solution, name, **options))

        def tell_where(listening: "Listening") -> None:
            _tell_where(listening, [*(each.name for each in answerers), *(each.name for each in writers)], json=json)

        asyncio.run(serve_models(answerers, writers, place=place, limits=limits, started=tell_where))


def _tell_where(listening: "Listening", models: Sequence[str], *, json: bool) -> None:
    if json:
        print_json({"url": listening.url, "grpc": listening.grpc_address, "models": models})
        sys.stdout.flush()
        return
    grpc = f" and gRPC at {listening.grpc_address}" if listening.grpc_address else ""
    text = f"{', '.join(models)} is served at {listening.url}{grpc}; Ctrl-C stops"
    console.print(text, soft_wrap=True, markup=False, highlight=False)


COMMANDS = (serve,)
