"""The command line: parses, calls the verb of the same name, prints."""

import _thread
import sys
import threading

import typer

from hocket.cli import comparing, execution, lab, language, parts, planning, preparing, privacy, serving, top
from hocket.errors import HocketError

app = typer.Typer(
    name="hocket",
    help="Plan, run and measure one neural network divided over unequal devices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (planning, preparing, execution, comparing, parts, privacy, serving, language, top):
    for command in module.COMMANDS:
        app.command()(command)
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)(parts.node)
app.add_typer(lab.app)


def main() -> None:
    """Run the command line; exit code 0 = done, 1 = the user's error in one sentence, 2 = wrong usage."""
    sys.unraisablehook = _unraisable
    try:
        app()
    except HocketError as error:
        print(f"hocket: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing left to say.
        sys.stderr.close()
        raise SystemExit(1) from None


def _unraisable(problem: "sys.UnraisableHookArgs") -> None:
    """Let an interrupt through that came while a message was freed: where pyzmq frees one nothing can be raised.

    Nor can it be here, so it comes again in a moment, from another thread.
    """
    if issubclass(problem.exc_type, KeyboardInterrupt):
        threading.Timer(0.01, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(problem)
