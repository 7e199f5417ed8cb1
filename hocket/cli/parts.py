"""Commands that show or run a part: the solvers, the zoo, keys, a node, and who announces one."""

import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hocket import view
from hocket.cli.common import Json, print_json, progress_bar, read_model, read_problem_file
from hocket.cluster import write_toml
from hocket.cluster.checks import did_you_mean
from hocket.control.probe import probe
from hocket.errors import NodeError, RefusedError
from hocket.graph.topology import blocks, boundaries
from hocket.nouns import write_whole
from hocket.runtime.keys import save_keys
from hocket.runtime.mdns import PLAINTEXT, Announcement, publics, split_trusted
from hocket.runtime.mdns import discover as listen_for_nodes
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


def discover(
    seconds: Annotated[float, typer.Option(help="How long to listen.", min=0.1, max=3600)] = 3.0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Measure the nodes that are trusted, and write a cluster file."),
    ] = None,
    keys: Annotated[Path | None, typer.Option(help="Our secret key file, for nodes that encrypt.")] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Trust these keys: a .pub file, a folder of them, or a public key. May be repeated."),
    ] = None,
    plaintext: Annotated[bool, typer.Option(help="Trust nodes that do not encrypt.")] = False,
    trust: Annotated[bool, typer.Option(help="Trust whatever was found, after you have compared the keys.")] = False,
    interface: Annotated[
        list[str] | None, typer.Option(help="Address of an interface to listen on; default: all. May be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """List the nodes that announce themselves in the local network (hocket node --advertise)."""
    found = listen_for_nodes(seconds, interface)
    listed = [key for source in allow or () for key in publics(source)]
    trusted, strangers = split_trusted(found, listed, plaintext=plaintext)
    if output is not None and strangers and _confirmed(strangers, trust):
        trusted = found
    rows = [
        {
            "node": each.name,
            "address": each.address,
            "key": each.key or PLAINTEXT,
            "cores": each.cores,
            "version": each.version,
            "trusted": each in trusted,
            "token": each.token,
        }
        for each in found
    ]
    if json:
        print_json({"found": rows, "cluster": str(output) if output else None})
    else:
        shown = [{key: value for key, value in row.items() if key != "token"} for row in rows]
        view.print_table(f"nodes that announced themselves within {seconds:g} s", shown)
    if output is not None:
        if not found:
            raise NodeError(
                f"no node announced itself within {seconds:g} s; start them with --advertise, or listen longer"
            )
        _measure(trusted, output, keys, plaintext=plaintext or trust, quiet=json)


def _confirmed(strangers: Sequence[Announcement], trust: bool) -> bool:
    """Whether the user says that these are the nodes they say they are."""
    if trust or not sys.stdin.isatty():
        return trust
    for each in strangers:
        print(f"{each.name} at {each.address} has the key {each.key or PLAINTEXT}", file=sys.stderr)
    return typer.confirm("Anybody can announce a node. Are these the keys that your nodes printed?", err=True)


def _measure(trusted: Sequence[Announcement], output: Path, keys: Path | None, *, plaintext: bool, quiet: bool) -> None:
    if not trusted:
        raise NodeError(
            "none of the nodes found is trusted, since no list has its key; compare keys, then give --allow or --trust"
        )
    with progress_bar(quiet=quiet) as tell:
        cluster = probe([each.token for each in trusted], keys=keys, plaintext=plaintext, progress=tell)
    write_whole(output, write_toml(cluster).encode())


def node(context: typer.Context) -> None:
    """Be a node (the same as `python -m hocket.runtime`, which loads less); --help lists its options."""
    sys.argv = ["hocket node", *context.args]
    runpy.run_module("hocket.runtime", run_name="__main__")


COMMANDS = (solvers, zoo, keys, discover)
