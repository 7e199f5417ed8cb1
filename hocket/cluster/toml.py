"""Clusters as TOML files: reading with errors that name the place, and loading either TOML or JSON."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hocket.cluster.checks import did_you_mean
from hocket.cluster.cluster import Cluster
from hocket.cluster.keys import LINK_KEYS, NODE_KEYS, TEXT, Kind, quantity, read_price, shown
from hocket.cluster.link import Direction, Link, Medium
from hocket.cluster.node import Node
from hocket.cluster.place import Place
from hocket.cluster.presets import DEVICES, LINKS, Preset
from hocket.cluster.rates import SOURCES, read_direction, read_rate
from hocket.errors import ClusterError, FormatError
from hocket.nouns import read_bytes

FORMAT = "hocket.cluster/1"
_MOST_BYTES = 1 << 24
_TOP_KEYS = ("format", "name", "source", "node", "link", "medium")
_DIRECTIONS = ("up", "down")
_NODE_KEYS = (*NODE_KEYS, "port", "preset")
_LINK_KEYS = (*LINK_KEYS, *SOURCES, *_DIRECTIONS, "preset")
_MEDIUM_KEYS = ("name", *SOURCES, "preset")
_PORT_RATE = quantity("bytes_per_s", above_zero=True)
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
    nodes = _tables(place, top, "node", lambda at, table: _node(at, table))
    media = _tables(place, top, "medium", lambda at, table: _medium(at, table, folder))
    links = _tables(place, top, "link", lambda at, table: _link(at, table, folder))
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
    return f'{key} {number} ("{name}")' if isinstance(name, str) and len(name) <= 64 else f"{key} {number}"


def _need(place: Place, table: Mapping[str, object], key: str, example: str) -> None:
    if key not in table:
        raise FormatError(place.says(f"key {key!r} is missing; add {key} = {example}"))


def _preset(place: Place, table: Mapping[str, object], presets: Mapping[str, Preset]) -> Mapping[str, Any]:
    if "preset" not in table:
        return {}
    name = place.read("preset", TEXT, table["preset"])
    if name not in presets:
        raise place.bad("preset", f"{shown(name)} is unknown; {did_you_mean(name, presets)}")
    return presets[name].keys


def _node(place: Place, table: dict[str, Any]) -> Node:
    place.check_keys(table, _NODE_KEYS)
    table = {**_preset(place, table, DEVICES), **table}
    _need(place, table, "name", '"phone"')
    _need(place, table, "speed", '"8 GFLOP/s", the speed of one core')
    price = table.pop("compute_price", 0)
    fields = place.read_fields(table, NODE_KEYS) | _port(place, table.get("port", {}))
    speed = fields["flops_per_s"] * fields.get("cores", 1)
    fields["compute_price_per_s"] = place.read("compute_price", Kind(lambda v: read_price(v, speed), str), price)
    return Node(**fields)


def _port(place: Place, port: object) -> dict[str, float]:
    if not isinstance(port, dict):
        raise place.bad("port", f'{shown(port)} is no table; write it like {{up = "1 Gbit/s", down = "1 Gbit/s"}}')
    inner = Place(place.file, f"{place.table}, key 'port'")
    inner.check_keys(port, _DIRECTIONS)
    return {f"port_{key}_bytes_per_s": inner.read(key, _PORT_RATE, value) for key, value in port.items()}


def _medium(place: Place, table: dict[str, Any], folder: Path) -> Medium:
    place.check_keys(table, _MEDIUM_KEYS)
    _need(place, table, "name", '"wifi"')
    own = read_rate(place, table, folder)
    if own is None:
        preset = _preset(place, table, LINKS)
        _need(place, {**table, **preset}, "rate", '"100 Mbit/s"')
        own = read_direction(place, "rate", preset["rate"], folder)
    name = place.read("name", TEXT, table["name"])
    return Medium(name=name, bytes_per_s=own.bytes_per_s, trace=own.trace)


def _link(place: Place, table: dict[str, Any], folder: Path) -> Link:
    place.check_keys(table, _LINK_KEYS)
    _need(place, table, "between", '["phone", "edge"]')
    preset = dict(_preset(place, table, LINKS))
    if any(key in table for key in SOURCES):
        preset = {key: value for key, value in preset.items() if key not in (*SOURCES, *_DIRECTIONS)}
    elif any(key in table for key in _DIRECTIONS):
        preset = {key: value for key, value in preset.items() if key not in SOURCES}
    table = {**preset, **table}
    up, down = _rates(place, table, folder)
    return Link(**place.read_fields(table, LINK_KEYS), up=up, down=down)


def _rates(place: Place, table: Mapping[str, object], folder: Path) -> tuple[Direction, Direction]:
    both, single = read_rate(place, table, folder), [key for key in _DIRECTIONS if key in table]
    if both is not None:
        if single:
            given = next(key for key in SOURCES if key in table)
            raise place.bad(single[0], f"{given!r} is there too, and gives both directions; keep one", ClusterError)
        return both, both
    if len(single) == 1:
        other = "down" if single == ["up"] else "up"
        raise place.bad(single[0], f"the other direction is missing; add {other} = \"40 Mbit/s\"", ClusterError)
    if single:
        up, down = (read_direction(place, key, table[key], folder) for key in _DIRECTIONS)
        return up, down
    if table.get("media"):
        return Direction(), Direction()  # the medium sets the pace
    _need(place, table, "rate", '"40 Mbit/s"')
    return Direction(), Direction()


def _check_ends(place: Place, links: tuple[Link, ...], nodes: tuple[Node, ...]) -> None:
    """Name the place of an unknown node; the cluster itself would only name the link."""
    names = {node.name for node in nodes}
    for number, link in enumerate(links, 1):
        for name in link.between:
            if names and name not in names:
                at = Place(place.file, f'link {number} ("{link.between[0]}" - "{link.between[1]}")')
                raise at.bad("between", f"no node is named {name!r}; {did_you_mean(name, names)}", ClusterError)
