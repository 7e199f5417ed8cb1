"""Write the pages that are made from the code: docs/solvers.md, docs/commands.md, and the table in docs/slicing.md.

python -m tools.make_docs [--check]
"""

import argparse
import inspect
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

from hocket.cli import app
from hocket.runtime.__main__ import _parser as node_parser
from hocket.solvers import SOLVERS, table_of
from tools import make_slicing_table

DOCS = Path(__file__).resolve().parents[1] / "docs"
_NOTICE = "<!-- Made by `python -m tools.make_docs`; do not edit by hand. -->"
_HEADS = ("solves", "answer", "time", "source", "departs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of a command."""

    names: tuple[str, ...]
    kind: str
    """`flag`, or what its value is."""
    default: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A positional argument of a command."""

    name: str
    required: bool
    many: bool
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as its function declares it."""

    name: str
    help: str
    arguments: tuple[Argument, ...]
    options: tuple[Option, ...]

    def option(self, name: str) -> Option | None:
        """The option of a name such as `--json`; None = there is none."""
        return next((each for each in self.options if any(name in names.split("/") for names in each.names)), None)


def commands() -> dict[str, Command]:
    """Every command of `hocket` by its name."""
    found = [_command(info.name, info.callback) for info in app.registered_commands if info.callback]
    for group in app.registered_groups:
        part = group.typer_instance
        for info in part.registered_commands if part is not None else ():
            if info.callback:
                found.append(_command(f"{part.info.name} {info.name or info.callback.__name__}", info.callback))
    return {command.name: command for command in found if command.name != "node"} | {"node": _node()}


def _command(name: str | None, function: Any) -> Command:
    arguments, options = [], []
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        kind, info = _parts(hints[parameter.name])
        if isinstance(info, ArgumentInfo):
            named, required = info.metavar or parameter.name.upper(), parameter.default is parameter.empty
            arguments.append(Argument(name=named, required=required, many="..." in named, help=info.help or ""))
        else:
            options.append(_option(parameter, kind, info))
    text = " ".join((inspect.getdoc(function) or "").split())
    named = name or function.__name__.replace("_", "-")
    return Command(name=named, help=text, arguments=tuple(arguments), options=tuple(options))


def _parts(hint: Any) -> tuple[str, Any]:
    """The type of an annotation in words, and typer's part of it."""
    info = None
    if get_origin(hint) is Annotated:
        hint, info = get_args(hint)[:2]
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not types.NoneType)
    hint = (get_args(hint) or (hint,))[0]
    return {bool: "flag", str: "text", int: "whole number", float: "number", Path: "path"}.get(hint, "text"), info


def _option(parameter: inspect.Parameter, kind: str, info: Any) -> Option:
    # Within Annotated, typer takes the first spelling for a default.
    declared = (info.default, *(info.param_decls or ())) if info else ()
    names = tuple(text for text in declared if isinstance(text, str) and text.startswith("-"))
    names = names or (f"--{parameter.name.replace('_', '-')}",)
    default = "required" if parameter.default is parameter.empty else _shown(parameter.default)
    return Option(names=names, kind=kind, default=default, help=(info.help if info else "") or "")


def _shown(default: object) -> str:
    return "" if default is None or default is False or default == [] else str(default)


def _node() -> Command:
    """The node reads its options without typer, because it loads nothing that it does not need."""
    parser, options = node_parser(), []
    for action in parser._actions:
        if action.dest == "help":
            continue
        value: Any = action.type
        kind = "flag" if action.nargs == 0 else {int: "whole number", Path: "path"}.get(value, "text")
        default = "required" if action.required else _shown(action.default)
        options.append(Option(names=tuple(action.option_strings), kind=kind, default=default, help=action.help or ""))
    return Command(
        name="node",
        help=f"{parser.description} The same as `python -m hocket.runtime`, which loads less.",
        arguments=(),
        options=tuple(options),
    )


def commands_page() -> str:
    """The text of docs/commands.md."""
    lines = ["# Commands", _NOTICE, ""]
    lines += ["A command is a function of the package, and its options are the parameters.",
              "With `--json` one JSON object goes to stdout and everything else to stderr.",
              "Exit codes: 0 = done, 1 = refused with one sentence on stderr, 2 = wrong usage, 130 = stopped.",
              ""]  # fmt: skip
    for command in commands().values():
        names = (argument.name if argument.required else f"[{argument.name}]" for argument in command.arguments)
        lines += [f"## hocket {' '.join([command.name, *names])}", command.help, ""]
        if command.arguments:
            lines += [*_table(("argument", "meaning"), [(a.name, a.help) for a in command.arguments]), ""]
        rows = [(", ".join(f"`{name}`" for name in o.names), o.kind, o.default, o.help) for o in command.options]
        if rows:
            lines += [*_table(("option", "value", "default", "meaning"), rows), ""]
    return "\n".join(lines)


def solvers_page() -> str:
    """The text of docs/solvers.md."""
    lines = ["# Solvers", _NOTICE, ""]
    lines += ["Each solver returns a plan; what it costs is always said by the same evaluator.",
              "`hocket solve --solver NAME` takes one of these; `auto` is the default.",
              "Solvers of other packages join through the entry points `hocket.solvers`.",
              "",
              "*Departs* says where the code leaves its source on purpose.",
              ""]  # fmt: skip
    for row in table_of(SOLVERS.values()):
        lines += [f"## {row['name']}", row["summary"], ""]
        lines += [*_table(("", ""), [(head, row[head]) for head in _HEADS]), ""]
        options = fields(SOLVERS[row["name"]])  # type: ignore[arg-type]
        if options:
            lines += [f"Options: {', '.join(_default(option) for option in options)}.", ""]
    return "\n".join(lines)


def _default(option: "Field[Any]") -> str:
    return f"`{option.name}`" if option.default is MISSING else f"`{option.name} = {option.default!r}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield "|" + "---|" * len(head)
    yield from (_row(row) for row in rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def pages() -> Mapping[Path, str]:
    """Path -> what it should hold."""
    made = {DOCS / "commands.md": commands_page(), DOCS / "solvers.md": solvers_page()}
    if make_slicing_table.PAGE.exists():
        made[make_slicing_table.PAGE] = make_slicing_table.renewed(make_slicing_table.PAGE.read_text(encoding="utf-8"))
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or say which are not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is not current")
    options = parser.parse_args(arguments)
    old = [page for page, text in pages().items() if not page.exists() or page.read_text(encoding="utf-8") != text]
    for page in old:
        if options.check:
            print(f"{page} is not current; run python -m tools.make_docs", file=sys.stderr)
        else:
            page.write_text(pages()[page], encoding="utf-8")
            print(f"wrote {page}", file=sys.stderr)
    return 1 if old and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
