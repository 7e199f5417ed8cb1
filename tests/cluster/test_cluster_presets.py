# ruff: noqa: E501 (messages stand whole)
"""Presets, the architectures made of them, and the radio channel."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.cluster import (
    DEVICES,
    LINKS,
    Cluster,
    capacity_bytes_per_s,
    find_preset,
    many_to_many,
    many_to_one,
    needed_snr,
    one_to_many,
    one_to_one,
    path_gain,
    peer_to_peer,
    preset_link,
    preset_medium,
    preset_node,
    read_toml,
    signal_to_noise,
    write_toml,
)
from hocket.errors import ClusterError, FormatError


@pytest.mark.parametrize("name", DEVICES)
def test_devices(name: str) -> None:
    """Each makes a node; each figure has a source; it is quicker or slower than a Pi by a sane factor."""
    node = preset_node("x", name)
    assert 1e9 < node.flops_per_s < 1e13
    assert node.memory_bytes_per_s is not None
    assert 1 < node.flops_per_s * node.cores / node.memory_bytes_per_s < 30, "operations per byte of memory traffic"
    assert 1 <= node.compute_w <= 300


@pytest.mark.parametrize("name", LINKS)
def test_links(name: str) -> None:
    """Each makes a link with a rate in both directions and a latency."""
    link = preset_link("a", "b", name)
    assert link.up.bytes_per_s is not None
    assert link.down.bytes_per_s is not None
    assert link.up.bytes_per_s <= link.down.bytes_per_s
    assert 0 < link.latency_s < 0.1


@pytest.mark.parametrize("table", [DEVICES, LINKS], ids=["devices", "links"])
def test_every_figure_has_a_source(table: dict[str, object]) -> None:
    """A document, or the word estimate and how it came about."""
    for name in table:
        preset = find_preset(name, table)  # type: ignore[arg-type]
        assert preset.title
        assert set(preset.keys) == set(preset.sources)
        assert all(len(source) > 12 for source in preset.sources.values()), name


def test_the_devices_of_the_survey_are_there() -> None:
    """All of its table of computing nodes."""
    assert len(DEVICES) == 12


def test_unknown_presets() -> None:
    """With the nearest name."""
    with pytest.raises(ClusterError, match=r"^there is no preset 'wifi5'; did you mean 'wifi_5'\?$"):
        find_preset("wifi5", LINKS)
    message = "preset: node \"a\", key 'preset': 'v10' is unknown; did you mean 'v100'?"
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        preset_node("a", "v10")


def test_other_keys_override() -> None:
    """Keys of the TOML file, in Python."""
    node = preset_node("a", "jetson_nano", memory="2 GB", cores=2)
    assert (node.memory_bytes, node.cores) == (2_000_000_000, 2)
    assert preset_link("a", "b", "wifi_5", rate="8 bit/s", media=["m"]).media == ("m",)
    assert preset_medium("m", "wifi_5").bytes_per_s == 430e6 / 8


@pytest.mark.parametrize(
    ("make", "nodes", "links", "media"),
    [
        (one_to_one, 2, 1, 0),
        (many_to_one, 4, 3, 1),
        (one_to_many, 4, 3 + 3, 0),
        (many_to_many, 5, 6 + 1, 2),
        (peer_to_peer, 4, 6, 1),
        (lambda: many_to_one(6), 7, 6, 1),
        (lambda: peer_to_peer(1), 1, 0, 1),
    ],
)
def test_architectures(make: Callable[[], Cluster], nodes: int, links: int, media: int) -> None:
    """Their size; all nodes reach each other; a file of them reads back."""
    cluster = make()
    assert (len(cluster.nodes), len(cluster.links), len(cluster.media)) == (nodes, links, media)
    assert all(cluster.reachable(a, b) for a in cluster.node for b in cluster.node)
    assert read_toml(write_toml(cluster)) == cluster


def test_the_air_of_a_cell_is_shared() -> None:
    """Every link of the cell draws on it, so it carries no more than its rate."""
    cluster = many_to_one(3)
    _, wires, _ = cluster.to_program()
    assert all("medium:cell" in wire.resources for wire in wires)


def test_architectures_refuse_nonsense() -> None:
    """No devices at all."""
    message = "an architecture has 1 to 1000 nodes called 'device', got 0; correct it"
    with pytest.raises(ClusterError, match=f"^{message}$"):
        peer_to_peer(0)


@given(st.floats(1e3, 1e9), st.floats(1e-6, 1e9))
def test_capacity_and_its_inverse(bandwidth_hz: float, snr: float) -> None:
    """The SNR that a rate needs is the SNR that gives it."""
    assert needed_snr(bandwidth_hz, capacity_bytes_per_s(bandwidth_hz, snr)) == pytest.approx(snr, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: capacity_bytes_per_s(-1, 1), "a channel has bandwidth_hz = -1, and it is a finite number >= 0; correct it"),
        (lambda: capacity_bytes_per_s(1, float("inf")), "a channel has snr = inf, and it is a finite number >= 0; correct it"),
        (lambda: needed_snr(0, 1), "no SNR carries 1 bytes/s over 0 Hz; give more bandwidth"),
        (lambda: signal_to_noise(1, 1, 0), "a channel without noise or interference has no finite SNR; give the noise, see noise_w"),
        (lambda: path_gain(1, 0), "a carrier has a frequency above 0 Hz, got 0; give it"),
    ],
)  # fmt: skip
def test_a_channel_refuses(call: Callable[[], float], message: str) -> None:
    """What is no channel."""
    with pytest.raises(ClusterError, match=f"^{re.escape(message)}$"):
        call()
