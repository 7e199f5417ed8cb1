"""Clusters and problems that several benchmarks share."""

from itertools import combinations

from hocket.cluster import Cluster, read_toml

RATES = ("20 Mbit/s", "100 Mbit/s", "500 Mbit/s")


def three_nodes(rate: str, slowdowns: tuple[float, float, float] = (2.0, 1.5, 1.0)) -> Cluster:
    """Three unlike emulated nodes, all linked at one rate, 2 ms one way."""
    names = ("slow", "middle", "fast")
    nodes = "".join(
        f'[[node]]\nname = "{name}"\nspeed = "20 GFLOP/s"\nslowdown = {slowdown}\n'
        for name, slowdown in zip(names, slowdowns, strict=True)
    )
    links = "".join(
        f'[[link]]\nbetween = ["{a}", "{b}"]\nrate = "{rate}"\nlatency = "2 ms"\n'
        for a, b in (("slow", "middle"), ("middle", "fast"), ("slow", "fast"))
    )
    return read_toml(f'format = "hocket.cluster/1"\nname = "three"\n{nodes}{links}')


def two_nodes() -> Cluster:
    """Two equal nodes with nothing emulated between them."""
    nodes = "".join(f'[[node]]\nname = "{name}"\nspeed = "20 GFLOP/s"\n' for name in ("first", "second"))
    return read_toml(
        f'format = "hocket.cluster/1"\nname = "two"\n{nodes}'
        '[[link]]\nbetween = ["first", "second"]\nrate = "unlimited"\n'
    )


def port_nodes(slowdowns: tuple[float, ...], rate: str) -> Cluster:
    """Emulated nodes, each with one port of a rate to all others, 0.2 ms one way."""
    names = [f"n{number}" for number in range(len(slowdowns))]
    nodes = "".join(
        f'[[node]]\nname = "{name}"\nspeed = "{60 / slowdown} GFLOP/s"\nslowdown = {slowdown}\n'
        f'port = {{ up = "{rate}", down = "{rate}" }}\n'
        for name, slowdown in zip(names, slowdowns, strict=True)
    )
    links = "".join(
        f'[[link]]\nbetween = ["{a}", "{b}"]\nrate = "unlimited"\nlatency = "0.2 ms"\n'
        for a, b in combinations(names, 2)
    )
    return read_toml(f'format = "hocket.cluster/1"\nname = "ports"\n{nodes}{links}')
