"""Clusters that the tests of the lab share."""

from hocket.cluster import Cluster, read_toml

_HEAD = 'format = "hocket.cluster/1"\n'


def node(name: str, more: str = "") -> str:
    return f'[[node]]\nname = "{name}"\nspeed = "8 GFLOP/s"\n{more}\n'


def pair() -> Cluster:
    """Two nodes, each direction with a rate of its own, and a latency."""
    link = '[[link]]\nbetween = ["a", "b"]\nup = "40 Mbit/s"\ndown = "8 Mbit/s"\nlatency = "20 ms"\n'
    return read_toml(f'{_HEAD}name = "pair"\n{node("a")}{node("b")}{link}')


def cell() -> Cluster:
    """Three nodes of one cell, one of them with a port; two have no link, and one link has a rate of its own."""
    port = 'port = { down = "30 Mbit/s" }'
    links = (
        '[[medium]]\nname = "wifi"\nrate = "20 Mbit/s"\n'
        '[[link]]\nbetween = ["a", "c"]\nmedia = ["wifi"]\n'
        '[[link]]\nbetween = ["b", "c"]\nmedia = ["wifi"]\nrate = "5 Mbit/s"\n'
    )
    return read_toml(f'{_HEAD}name = "cell"\n{node("a")}{node("b")}{node("c", port)}{links}')


def changing() -> Cluster:
    """Two nodes whose link is down at first, then fast, and so on."""
    steps = '{ steps = [["0 s", "0 bit/s"], ["1 s", "40 Mbit/s"]], length = "2 s" }'
    link = f'[[link]]\nbetween = ["a", "b"]\nup = {steps}\ndown = "unlimited"\n'
    return read_toml(f'{_HEAD}name = "changing"\n{node("a")}{node("b")}{link}')


def real() -> Cluster:
    """What is measured: two rates of a link, those of a medium and a port, and a pair without a link."""
    text = (
        node("a")
        + node("b", 'slowdown = 4.0\nmemory = "64 MiB"')
        + node("c", 'port = { down = "30 Mbit/s" }')
        + '[[medium]]\nname = "wifi"\nrate = "24 Mbit/s"\n'
        + '[[link]]\nbetween = ["a", "b"]\nup = "40 Mbit/s"\ndown = "8 Mbit/s"\n'
        + '[[link]]\nbetween = ["b", "c"]\nmedia = ["wifi"]\n'
    )
    return read_toml(f'{_HEAD}name = "hocket-test"\n{text}')
