"""Random clusters through both file formats, and damaged files through the readers."""

import json
import tomllib
from typing import Any

from cluster_strategies import clusters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hocket.cluster import Cluster, read_toml, write_toml
from hocket.errors import HocketError

many = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just([]), st.just({}),
    st.sampled_from([10**400, -1, 1e308, "1e400 B/s", "5 ms", "auto", [1, 2, 3], "x" * 5000]),
)  # fmt: skip


@many
@given(clusters())
def test_toml_and_json_keep_everything(cluster: Cluster) -> None:
    """What is written is read back equal, to the last bit."""
    assert Cluster.from_json(cluster.to_json()) == cluster
    assert read_toml(write_toml(cluster)) == cluster


def read_or_refuse(read: Any, text: str | bytes) -> None:
    """A file is read or refused on purpose; nothing else may happen."""
    try:
        read(text)
    except HocketError as error:
        assert "\n" not in str(error)


@many
@given(clusters(), st.data())
def test_damaged_text(cluster: Cluster, data: st.DataObject) -> None:
    """Cut off, or with a few characters changed."""
    for read, text in ((read_toml, write_toml(cluster)), (Cluster.from_json, cluster.to_json())):
        position = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 5))
        replaced = data.draw(st.text(max_size=4))
        read_or_refuse(read, text[:position])
        read_or_refuse(read, text[:position] + replaced + text[position + length :])
        read_or_refuse(read, text.encode()[: position + 1] + b"\xff")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a tree of tables and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, inner in items for place in places(inner, (*path, key))]


def put(tree: Any, path: tuple[Any, ...], value: Any) -> None:
    """Replace one value of the tree."""
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value


@many
@given(clusters(), st.data())
def test_wrong_values_in_json(cluster: Cluster, data: st.DataObject) -> None:
    """Any value in place of any other."""
    tree = json.loads(cluster.to_json())
    put(tree, data.draw(st.sampled_from(places(tree))), data.draw(junk))
    read_or_refuse(Cluster.from_json, json.dumps(tree))


@many
@given(clusters(), st.data())
def test_wrong_values_in_toml(cluster: Cluster, data: st.DataObject) -> None:
    """Any value in place of any other, written again by a small writer of TOML."""
    tree = tomllib.loads(write_toml(cluster))
    put(tree, data.draw(st.sampled_from(places(tree))), data.draw(junk))
    read_or_refuse(read_toml, "\n".join(f"{key} = {inline(value)}" for key, value in tree.items()))


def inline(value: Any) -> str:
    """A value in TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    if isinstance(value, int) and value.bit_length() > 100:
        return hex(value)
    return json.dumps(value) if isinstance(value, str | bool) or value is None else repr(value)
