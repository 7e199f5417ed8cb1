"""Commands that show or run a part: the solvers, the zoo, keys, a node."""

import runpy
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hocket import view
from hocket.cli.common import Json, print_json, read_model
from hocket.graph.topology import blocks, boundaries
from hocket.runtime.keys import save_keys
from hocket.solvers import all_solvers, table_of
from hocket.units import show
from hocket.zoo import NAMES


def solvers(json: Json = False) -> None:
    """List the solvers: what each solves, what its answer is worth, its source, where it departs from it."""
    rows = table_of(all_solvers().values())
    if json:
        print_json({"solvers": rows})
    else:
        view.print_table("solvers", [{key: row[key] for key in ("name", "solves", "answer", "source")} for row in rows])


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
