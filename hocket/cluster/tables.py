"""One table of a cluster's TOML file as a node, a link or a medium; a preset gives what the table leaves out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hocket.cluster.checks import did_you_mean
from hocket.cluster.keys import LINK_KEYS, NODE_KEYS, TEXT, Kind, quantity, read_price
from hocket.cluster.link import Direction, Link, Medium
from hocket.cluster.node import Node
from hocket.cluster.place import Place
from hocket.cluster.presets import DEVICES, LINKS, Preset
from hocket.cluster.rates import SOURCES, read_direction, read_rate
from hocket.errors import ClusterError, FormatError
from hocket.units import shown

_DIRECTIONS = ("up", "down")
_NODE_KEYS = (*NODE_KEYS, "port", "preset")
_LINK_KEYS = (*LINK_KEYS, *SOURCES, *_DIRECTIONS, "preset")
_MEDIUM_KEYS = ("name", *SOURCES, "preset")
_PORT_RATE = quantity("bytes_per_s", above_zero=True)
_HERE = Path()


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


def node_of(place: Place, table: Mapping[str, Any]) -> Node:
    """The node that a table describes.

    Raises:
        FormatError: a key that is unknown, missing, or of a value that cannot be read.
        ClusterError: keys that contradict each other.
    """
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


def medium_of(place: Place, table: Mapping[str, Any], folder: Path = _HERE) -> Medium:
    """The medium that a table describes; it refuses like `node_of`."""
    place.check_keys(table, _MEDIUM_KEYS)
    _need(place, table, "name", '"wifi"')
    own = read_rate(place, table, folder)
    if own is None:
        preset = _preset(place, table, LINKS)
        _need(place, {**table, **preset}, "rate", '"100 Mbit/s"')
        own = read_direction(place, "rate", preset["rate"], folder)
    name = place.read("name", TEXT, table["name"])
    return Medium(name=name, bytes_per_s=own.bytes_per_s, trace=own.trace)


def link_of(place: Place, table: Mapping[str, Any], folder: Path = _HERE) -> Link:
    """The link that a table describes; it refuses like `node_of`."""
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
        raise place.bad(single[0], f'the other direction is missing; add {other} = "40 Mbit/s"', ClusterError)
    if single:
        up, down = (read_direction(place, key, table[key], folder) for key in _DIRECTIONS)
        return up, down
    if table.get("media"):
        return Direction(), Direction()  # the medium sets the pace
    _need(place, table, "rate", '"40 Mbit/s"')
    return Direction(), Direction()
