"""Faults of a lab: what is to happen when, read from a file or drawn by chance."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from hocket.cluster import Cluster
from hocket.cluster.checks import did_you_mean
from hocket.cluster.place import Place
from hocket.errors import FormatError, UnitError
from hocket.nouns import Value, read_bytes
from hocket.units import parse, shown

MOST_FAULTS = 100_000


class Fault(Value, frozen=True):
    """Something that goes wrong at a moment, and is mended after some time."""

    at_s: float
    do: str
    """A key of `KINDS`."""
    node: str = ""
    source: tuple[str, ...] = ()
    """The nodes that it hinders from sending."""
    target: tuple[str, ...] = ()
    """The nodes that they would send to."""
    for_s: float | None = None
    """When it is mended; None = never."""
    bytes_per_s: float | None = None
    latency_s: float | None = None
    loss: float | None = None
    """Fraction of the packets."""
    share: float = 1.0
    """Of a processor."""
    nbytes: int = 0


class Kind(NamedTuple):
    """What a kind of fault needs, and how it is mended."""

    needs: tuple[str, ...]
    may: tuple[str, ...] = ()
    undo: str = ""
    """The kind that mends it; empty = it ends by itself, or mends something."""


KINDS: Mapping[str, Kind] = MappingProxyType({
    "kill": Kind(("node",), ("for",), "restart"),
    "restart": Kind(("node",)),
    "stop": Kind(("node",), ("for",), "continue"),
    "continue": Kind(("node",)),
    "partition": Kind(("from", "to"), ("for",), "heal"),
    "oneway": Kind(("from", "to"), ("for",), "heal"),
    "heal": Kind((), ("from", "to")),
    "rate": Kind(("from", "to"), ("rate", "for"), "rate"),
    "delay": Kind(("from", "to"), ("delay", "for"), "delay"),
    "loss": Kind(("from", "to", "loss"), ("for",), "loss"),
    "load_cpu": Kind(("node", "for"), ("share",)),
    "load_memory": Kind(("node", "for", "memory")),
})  # fmt: skip
"""Without `rate` or `delay` the cluster's own comes back."""
_EVERY = ("at", "do")


def _seconds(value: object) -> float:
    return parse(value, "seconds")


def _fraction(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise UnitError(f"{shown(value)} is no fraction; write it like 0.1")
    return float(value)


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise UnitError(f'{shown(value)} is no name; write it like "edge"')
    return value


def _names(value: object) -> tuple[str, ...]:
    return tuple(_name(each) for each in (value if isinstance(value, list) else [value]))


_KEYS: Mapping[str, tuple[str, Callable[[object], Any]]] = MappingProxyType({
    "at": ("at_s", _seconds),
    "do": ("do", _name),
    "node": ("node", _name),
    "from": ("source", _names),
    "to": ("target", _names),
    "for": ("for_s", _seconds),
    "rate": ("bytes_per_s", lambda value: parse(value, "bytes_per_s")),
    "delay": ("latency_s", _seconds),
    "loss": ("loss", _fraction),
    "share": ("share", _fraction),
    "memory": ("nbytes", lambda value: round(parse(value, "bytes"))),
})  # fmt: skip


def load_faults(path: str | Path, cluster: Cluster) -> list[Fault]:
    """Read the faults of a file.

    Raises:
        FormatError: it is no such file, or names what the cluster does not have.
    """
    return read_faults(read_bytes(path), cluster, name=str(path))


def read_faults(text: str | bytes, cluster: Cluster, *, name: str = "the text") -> list[Fault]:
    """Read faults from TOML, a table `[[fault]]` for each.

    Raises:
        FormatError: a key that is unknown, missing or of no use, or a name that the cluster does not have.
    """
    try:
        top = tomllib.loads(text.decode() if isinstance(text, bytes) else text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is not TOML ({str(error)[:100]}); correct that line") from None
    place = Place(name)
    place.check_keys(top, ("fault",))
    tables = top.get("fault", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables) or not tables:
        raise place.bad("fault", f"{shown(tables)} is no list of faults; write [[fault]] above each")
    return [_fault(Place(name, f"fault {number}"), table, cluster) for number, table in enumerate(tables, 1)]


def _fault(place: Place, table: Mapping[str, object], cluster: Cluster) -> Fault:
    do = table.get("do")
    if not isinstance(do, str) or do not in KINDS:
        raise place.bad("do", f"{shown(do)} is no kind of fault; {did_you_mean(do, KINDS)}")
    kind = KINDS[do]
    place.check_keys(table, (*_EVERY, *kind.needs, *kind.may))
    for key in ("at", *kind.needs):
        if key not in table:
            raise place.bad(key, f"a fault {do!r} needs it; add it")
    fields: dict[str, Any] = {}
    for key, value in table.items():
        field, read = _KEYS[key]
        try:
            fields[field] = read(value)
        except UnitError as error:
            raise place.bad(key, str(error)) from None
    fault = Fault(**fields)
    _check_names(place, fault, cluster)
    return fault


def _check_names(place: Place, fault: Fault, cluster: Cluster) -> None:
    for key, names in (("node", (fault.node,) if fault.node else ()), ("from", fault.source), ("to", fault.target)):
        for name in names:
            if name not in cluster.node:
                raise place.bad(key, f"no node is named {shown(name)}; {did_you_mean(name, cluster.node)}")
    if fault.do in ("rate", "delay", "loss"):
        for source in fault.source:
            for target in fault.target:
                if (source, target) not in cluster.link:
                    raise place.bad("to", f"{source!r} and {target!r} have no link; name two nodes that have one")


def timeline(faults: Sequence[Fault]) -> list[Fault]:
    """The faults in the order of time, each with what mends it.

    >>> [(fault.at_s, fault.do) for fault in timeline([Fault(at_s=1.0, do="kill", node="a", for_s=2.0)])]
    [(1.0, 'kill'), (3.0, 'restart')]
    """
    steps = list(faults)
    for fault in faults:
        undo = KINDS[fault.do].undo
        if undo and fault.for_s is not None:
            mended = fault.replace(do=undo, at_s=fault.at_s + fault.for_s, for_s=None, bytes_per_s=None, latency_s=None)
            steps.append(mended.replace(loss=0.0) if undo == "loss" else mended)
    return sorted(steps, key=lambda fault: fault.at_s)


def random_faults(
    cluster: Cluster, kinds: Sequence[str], *, seed: int, rate_per_s: float, seconds: float, mean_s: float = 2.0
) -> list[Fault]:
    """Draw faults: Poisson arrivals, each of one of the kinds, at a node or link drawn evenly, mended after a time
    that is exponentially distributed.

    Args:
        cluster: whose nodes and links are hit; its source is spared where a node is: nobody could tell of it.
        kinds: what may be drawn; only those that are mended or end by themselves.
        seed: of the draws.
        rate_per_s: faults per second.
        seconds: for how long.
        mean_s: mean time until one is mended.

    Raises:
        FormatError: a kind that cannot be drawn, or nothing to hit.
    """
    drawn = sorted(name for name, kind in KINDS.items() if kind.undo or "for" in kind.needs)
    for kind in kinds:
        if kind not in drawn:
            raise FormatError(f"faults of the kind {shown(kind)} cannot be drawn; {did_you_mean(kind, drawn)}")
    nodes = [node.name for node in cluster.nodes if node.name != cluster.source]
    pairs = [pair for link in cluster.links for pair in (link.between, link.between[::-1])]
    if not kinds or not nodes or not pairs or not (rate_per_s > 0 and seconds > 0 and mean_s > 0):
        raise FormatError(
            f"random faults need kinds, a link, and a rate and times above 0, got {', '.join(kinds) or 'no kind'},"
            f" {len(pairs) // 2} links, {rate_per_s:g} /s, {seconds:g} s and {mean_s:g} s; give them"
        )
    if rate_per_s * seconds > MOST_FAULTS / 2:
        raise FormatError(f"at most {MOST_FAULTS // 2} faults are drawn, got {rate_per_s * seconds:g}; lower the rate")
    generator = np.random.default_rng(seed)
    faults: list[Fault] = []
    at_s = float(generator.exponential(1 / rate_per_s))
    while at_s < seconds:
        do = kinds[int(generator.integers(len(kinds)))]
        for_s = float(generator.exponential(mean_s))
        if "node" in KINDS[do].needs:
            chosen: dict[str, Any] = {"node": nodes[int(generator.integers(len(nodes)))], "nbytes": 64 << 20}
        else:
            source, target = pairs[int(generator.integers(len(pairs)))]
            chosen = {"source": (source,), "target": (target,), **_severity(cluster, do, source, target, generator)}
        faults.append(Fault(at_s=at_s, do=do, for_s=for_s, **chosen))
        at_s += float(generator.exponential(1 / rate_per_s))
    return faults


def _severity(cluster: Cluster, do: str, source: str, target: str, generator: np.random.Generator) -> dict[str, float]:
    """How bad a fault of a link is: a tenth to nine tenths of its rate, 10 to 200 ms more, or 1 to 20 % lost."""
    known = cluster.resource[f"link:{source}>{target}"]
    rate = known.bytes_per_s or max((rate for _, rate in known.trace), default=1.25e6)
    drawn = {
        "rate": {"bytes_per_s": rate * float(generator.uniform(0.1, 0.9))},
        "delay": {"latency_s": cluster.link[source, target].latency_s + float(generator.uniform(0.01, 0.2))},
        "loss": {"loss": float(generator.uniform(0.01, 0.2))},
    }
    return drawn.get(do, {})
