"""Commands that show or run a part: the solvers, the zoo, keys, a node."""

import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hocket import view
from hocket.cli.common import Json, print_json, read_model, read_problem_file
from hocket.cluster.checks import did_you_mean
from hocket.errors import RefusedError
from hocket.graph.topology import blocks, boundaries
from hocket.runtime.keys import save_keys
from hocket.solvers import all_solvers, table_of
from hocket.units import show
from hocket.zoo import NAMES

Row = Mapping[str, Any]


def solvers(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this one, with all that is said of it.")
    ] = None,
    problem: Annotated[
        Path | None,
        typer.Option("--for", metavar="PROBLEM", help="Which would solve this problem, and why not others."),
    ] = None,
    json: Json = False,
) -> None:
    """List the solvers by family: what each does; with a name or as JSON also its answer, source and departures."""
    known = all_solvers()
    if name is not None:
        if name not in known:
            raise RefusedError(f"there is no solver {name!r}; {did_you_mean(name, known)}")
        known = {name: known[name]}
    rows: list[dict[str, Any]] = [dict(row) for row in table_of(known.values())]
    if problem is not None:
        given = read_problem_file(problem)
        for row in rows:
            row["refuses"] = known[row["name"]]().refuses(given)
    if json:
        print_json({"solvers": rows})
    elif name is not None:
        view.print_facts(name, {key: value for key, value in rows[0].items() if key != "name"})
    elif problem is not None:
        _print_for(problem, rows)
    else:
        _print_by_family("", rows, ("name", "summary"))


def _print_for(problem: Path, rows: Sequence[Row]) -> None:
    """Who would solve a problem; then the others with their reasons."""
    able = [row for row in rows if row["refuses"] is None]
    _print_by_family("would solve it: ", able, ("name", "answer"))
    _print_by_family("refuse it: ", [row for row in rows if row["refuses"] is not None], ("name", "refuses"))
    print(f"{len(able)} of {len(rows)} solvers would solve {problem}")


def _print_by_family(start: str, rows: Sequence[Row], columns: Sequence[str]) -> None:
    for family in dict.fromkeys(row["family"] for row in rows):
        its = [{key: row[key] for key in columns} for row in rows if row["family"] == family]
        view.print_table(f"{start}{family} ({len(its)})", its)


def zoo(json: Json = False) -> None:
    """List the models that come with hocket."""
    rows: list[dict[str, Any]] = []
    for name in NAMES:
        graph = read_model(f"zoo:{name}").graph
        rows.append(
            {
                "name": name,
                "operators": len(graph.operators),
                "parameters": sum(size // 4 for size in graph.weights.values()),
                "flops": graph.flops,
                "cut_points": len(boundaries(graph)),
                "blocks": len(blocks(graph)),
            }
        )
    if json:
        print_json({"models": rows})
    else:
        view.print_table("zoo", [{**row, "flops": show(row["flops"], "FLOP")} for row in rows])


def keys(
    name: Annotated[str, typer.Argument(help="Name of the node or of the session.")],
    folder: Annotated[Path, typer.Option("--keys", help="Folder for the key files.")] = Path("keys"),
    json: Json = False,
) -> None:
    """Make a key pair for encrypted links; the secret file stays on its machine."""
    public = save_keys(folder, name).public
    if json:
        print_json({"key": public, "folder": str(folder)})
    else:
        print(f"public key {public} in {folder}; the secret beside it stays on its machine")


def node(context: typer.Context) -> None:
    """Be a node (the same as `python -m hocket.runtime`, which loads less); --help lists its options."""
    sys.argv = ["hocket node", *context.args]
    runpy.run_module("hocket.runtime", run_name="__main__")


COMMANDS = (solvers, zoo, keys)
