"""Clusters as TOML files: reading with errors that name the place, and loading either TOML or JSON."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hocket.cluster.checks import did_you_mean
from hocket.cluster.cluster import Cluster
from hocket.cluster.keys import TEXT
from hocket.cluster.link import Link
from hocket.cluster.node import Node
from hocket.cluster.place import Place
from hocket.cluster.tables import link_of, medium_of, node_of
from hocket.errors import ClusterError, FormatError
from hocket.nouns import read_bytes
from hocket.units import shown

FORMAT = "hocket.cluster/1"
_MOST_BYTES = 1 << 24
_TOP_KEYS = ("format", "name", "source", "node", "link", "medium")
Made = TypeVar("Made")


def load_cluster(path: str | Path) -> Cluster:
    """Read a cluster from a TOML or JSON file, told apart by the content.

    Raises:
        FormatError: the file cannot be read or is not a cluster.
        ClusterError: it contradicts itself.
    """
    data = read_bytes(path)
    if data.lstrip().startswith(b"{"):
        return Cluster.from_json(data, name=str(path))
    return read_toml(data, name=str(path), folder=Path(path).parent)


def read_cluster(source: str | Path) -> Cluster:
    """Read a cluster from the path of a TOML file, or from TOML text (a string of several lines).

    Raises:
        FormatError: not readable as a cluster.
        ClusterError: it contradicts itself.
    """
    if isinstance(source, str) and "\n" in source:
        return read_toml(source)
    return load_cluster(source)


def read_toml(text: str | bytes, *, name: str = "the text", folder: Path = Path()) -> Cluster:
    """Read a cluster from TOML.

    Args:
        text: the TOML.
        name: what errors call it.
        folder: paths of trace files are relative to it.

    Raises:
        FormatError: not TOML, an unknown key, or a value that cannot be read.
        ClusterError: parts that contradict each other.
    """
    top, place = _parse(text, name), Place(name)
    place.check_keys(top, _TOP_KEYS)
    if top.get("format") != FORMAT:
        raise place.bad("format", f'{shown(top.get("format"))} is not a cluster; write format = "{FORMAT}"')
    nodes = _tables(place, top, "node", node_of)
    media = _tables(place, top, "medium", lambda at, table: medium_of(at, table, folder))
    links = _tables(place, top, "link", lambda at, table: link_of(at, table, folder))
    _check_ends(place, links, nodes)
    fields = {key: place.read(key, TEXT, top[key]) for key in ("name", "source") if key in top}
    try:
        return Cluster(**{"name": "cluster"} | fields, nodes=nodes, links=links, media=media)
    except ClusterError as error:
        raise ClusterError(place.says(str(error))) from None


def _parse(text: str | bytes, name: str) -> dict[str, Any]:
    if len(text) > _MOST_BYTES:
        raise FormatError(f"{name} has more than {_MOST_BYTES} bytes, too many for a cluster; shorten it")
    try:
        return tomllib.loads(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError:
        raise FormatError(f"{name} is not text; give a cluster in TOML or JSON") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)[:100]
        raise FormatError(f"{name} is not TOML ({reason}); correct that line") from None


def _tables(
    place: Place, top: Mapping[str, object], key: str, make: Callable[[Place, dict[str, Any]], Made]
) -> tuple[Made, ...]:
    """Make something of every table of a list."""
    tables = top.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise place.bad(key, f"{shown(tables)} is no list of tables; write [[{key}]] above each")
    made = []
    for number, table in enumerate(tables, 1):
        at = Place(place.file, _title(key, number, table))
        try:
            made.append(make(at, table))
        except ClusterError as error:
            # An error of the noun itself names it, but neither the file nor its position.
            text = str(error)
            raise ClusterError(text if text.startswith(f"{at.file}: ") else f"{at.file}: {at.table}: {text}") from None
    return tuple(made)


def _title(key: str, number: int, table: Mapping[str, object]) -> str:
    between = table.get("between")
    if key == "link" and isinstance(between, list) and len(between) == 2:
        return f"link {number} ({shown(between[0])} - {shown(between[1])})".replace("'", '"')
    name = table.get("name")
    named = isinstance(name, str) and len(name) <= 64 and name.isprintable()
    return f'{key} {number} ("{name}")' if named else f"{key} {number}"


def _check_ends(place: Place, links: tuple[Link, ...], nodes: tuple[Node, ...]) -> None:
    """Name the place of an unknown node; the cluster itself would only name the link."""
    names = {node.name for node in nodes}
    for number, link in enumerate(links, 1):
        for name in link.between:
            if names and name not in names:
                at = Place(place.file, _title("link", number, {"between": list(link.between)}))
                raise at.bad("between", f"no node is named {shown(name)}; {did_you_mean(name, names)}", ClusterError)
