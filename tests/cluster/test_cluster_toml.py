# ruff: noqa: E501 (messages stand whole)
"""Clusters in TOML: what is read, and every sentence that refuses one."""

import re
from pathlib import Path
from typing import Any

import pytest

from hocket.cluster import Cluster, Direction, Link, Medium, Node, RateTrace, load_cluster, read_cluster, read_toml
from hocket.errors import ClusterError, FormatError

HEAD = 'format = "hocket.cluster/1"\n'
PHONE = '[[node]]\nname = "phone"\nspeed = "8 GFLOP/s"\n'
EDGE = '[[node]]\nname = "edge"\nspeed = "80 GFLOP/s"\n'
LINK = '[[link]]\nbetween = ["phone", "edge"]\n'
BASE = HEAD + PHONE + EDGE + LINK

FULL = """
format = "hocket.cluster/1"
name = "home"
source = "edge"
[[node]]
name = "phone"
speed = "8 GFLOP/s"
cores = 4
memory = "2 GiB"
memory_bandwidth = "10 GB/s"
compute_power = "2 W"
idle_power = "0.5 W"
transmit_power = "1.5 W"
receive_power = "1 W"
kappa = 1e-28
frequency = ["0.6 GHz", "1.5 GHz"]
compute_price = "0.001 USD/s"
transmit_price = "3600 USD/h"
energy_price = "0.5 USD/J"
failure_probability = 0.01
slowdown = 4.0
address = "tcp://127.0.0.1:5555"
providers = ["CoreMLExecutionProvider", "CPUExecutionProvider"]
threads = 2
port = { up = "80 Mbit/s", down = "160 Mbit/s" }
available = [["0 s", "1 min"], ["2 min", "1 h"]]
trust = 2
call_time = "1 ms"
[[node]]
name = "edge"
speed = "80 GFLOP/s"
slowdown = "auto"
[[medium]]
name = "wifi"
rate = "100 Mbit/s"
[[link]]
between = ["phone", "edge"]
up = "40 Mbit/s"
down = "80 Mbit/s"
latency = "3 ms"
failure_probability = 0.001
media = ["wifi"]
timeout = "2 s"
available = [["1 s", "2 s"]]
"""


def test_every_key() -> None:
    """Each key fills its field, in SI."""
    phone = Node(
        name="phone",
        flops_per_s=8e9,
        cores=4,
        memory_bytes=2 * 2**30,
        memory_bytes_per_s=1e10,
        compute_w=2.0,
        idle_w=0.5,
        transmit_w=1.5,
        receive_w=1.0,
        kappa=1e-28,
        frequency_hz=(0.6e9, 1.5e9),
        compute_price_per_s=0.001,
        transmit_price_per_s=1.0,
        energy_price_per_j=0.5,
        failure_probability=0.01,
        slowdown=4.0,
        address="tcp://127.0.0.1:5555",
        providers=("CoreMLExecutionProvider", "CPUExecutionProvider"),
        threads=2,
        port_up_bytes_per_s=1e7,
        port_down_bytes_per_s=2e7,
        available=((0.0, 60.0), (120.0, 3600.0)),
        trust=2,
        call_s=0.001,
    )
    link = Link(
        between=("phone", "edge"),
        up=Direction(bytes_per_s=5e6),
        down=Direction(bytes_per_s=1e7),
        latency_s=0.003,
        failure_probability=0.001,
        media=("wifi",),
        timeout_s=2.0,
        available=((1.0, 2.0),),
    )
    assert read_toml(FULL) == Cluster(
        name="home",
        nodes=(phone, Node(name="edge", flops_per_s=8e10, slowdown="auto")),
        links=(link,),
        media=(Medium(name="wifi", bytes_per_s=1.25e7),),
        source="edge",
    )


@pytest.mark.parametrize(
    ("keys", "up", "down"),
    [
        ('rate = "40 Mbit/s"', Direction(bytes_per_s=5e6), Direction(bytes_per_s=5e6)),
        ('rate = "unlimited"', Direction(), Direction()),
        ('bandwidth = "20 MHz"\nsnr = 15', Direction(bytes_per_s=1e7), Direction(bytes_per_s=1e7)),
        ('bandwidth = "8 MHz"\nsnr = "0 dB"', Direction(bytes_per_s=1e6), Direction(bytes_per_s=1e6)),
        ('up = "8 bit/s"\ndown = {bandwidth = "8 MHz", snr = 1}', Direction(bytes_per_s=1.0), Direction(bytes_per_s=1e6)),
        ('up = "unlimited"\ndown = {steps = [["0 s", "8 bit/s"], ["1 s", 0]], length = "3 s"}', Direction(), Direction(trace=RateTrace(steps=((0.0, 1.0), (1.0, 0.0)), length_s=3.0))),
        ('preset = "ethernet_1g"', Direction(bytes_per_s=941e6 / 8), Direction(bytes_per_s=941e6 / 8)),
        ('preset = "4g"', Direction(bytes_per_s=10e6 / 8), Direction(bytes_per_s=30e6 / 8)),
        ('preset = "4g"\nrate = "8 bit/s"', Direction(bytes_per_s=1.0), Direction(bytes_per_s=1.0)),
        ('preset = "4g"\nup = "8 bit/s"', Direction(bytes_per_s=1.0), Direction(bytes_per_s=30e6 / 8)),
        ('preset = "wifi_5"\nbandwidth = "8 MHz"\nsnr = 1', Direction(bytes_per_s=1e6), Direction(bytes_per_s=1e6)),
    ],
)  # fmt: skip
def test_rates(keys: str, up: Direction, down: Direction) -> None:
    """All ways to give the rate of a link."""
    link = read_toml(BASE + keys).links[0]
    assert (link.up, link.down) == (up, down)


def test_a_medium_can_set_the_pace_alone() -> None:
    """A link that draws on a medium needs no rate of its own; a medium takes a preset of links."""
    cluster = read_toml(BASE + 'media = ["air"]\n[[medium]]\nname = "air"\npreset = "wifi_4"')
    assert cluster.links[0].up == Direction()
    assert cluster.transfer_s("phone", "edge", 36e6 / 8) == 1.0


def test_a_preset_gives_defaults() -> None:
    """Its figures are there, and other keys override them."""
    text = HEAD + '[[node]]\nname = "pi"\npreset = "raspberry_pi_4b"\nmemory = "2 GB"\nslowdown = 3'
    node = read_toml(text).nodes[0]
    assert (node.cores, node.memory_bytes, node.slowdown, node.compute_w) == (4, 2_000_000_000, 3.0, 3.0)


def test_a_price_per_speed() -> None:
    """Price per time and speed, for the speed of all cores."""
    node = read_toml(HEAD + PHONE + 'cores = 2\ncompute_price = "0.225 USD/h per GFLOP/s"').nodes[0]
    assert node.compute_price_per_s == pytest.approx(0.001)


def test_a_trace_file_is_beside_the_cluster(tmp_path: Path) -> None:
    """Its path is relative to the TOML file."""
    (tmp_path / "wifi.csv").write_text("at_s,Mbit_per_s\n0,8\n1,16\n2,end\n")
    path = tmp_path / "cluster.toml"
    path.write_text(BASE + 'trace = "wifi.csv"')
    trace = RateTrace(steps=((0.0, 1e6), (1.0, 2e6)), length_s=2.0)
    assert read_cluster(path).links[0].up == Direction(trace=trace)
    assert read_cluster(str(path)) == load_cluster(path)


def test_text_toml_and_json(tmp_path: Path) -> None:
    """The same cluster from text, a TOML file and a JSON file."""
    cluster = read_cluster(FULL)
    (tmp_path / "a.toml").write_text(FULL)
    cluster.save(tmp_path / "a.json")
    assert load_cluster(tmp_path / "a.toml") == load_cluster(tmp_path / "a.json") == cluster


F, C = FormatError, ClusterError
PLACE = 'the text: node 1 ("phone"), '
AT_LINK = 'the text: link 1 ("phone" - "edge"), '
REFUSED: list[tuple[str, type[Exception], str]] = [
    ("name = ", F, "the text is not TOML (Invalid value (at end of document)); correct that line"),
    ("", F, "the text: key 'format': None is not a cluster; write format = \"hocket.cluster/1\""),
    ('format = "hocket.plan/1"', F, "the text: key 'format': 'hocket.plan/1' is not a cluster; write format = \"hocket.cluster/1\""),
    (HEAD, C, "the text: cluster 'cluster' has no node; give at least one"),
    (HEAD + "name = 3", F, "the text: key 'name': 3 is not text; put it in quotes"),
    (HEAD + 'name = "a b"\n' + PHONE, C, "the text: a cluster has the name 'a b', and a name is 1 to 64 letters, digits, '_', '-' or '.', not starting with '-' or '.'; rename it"),
    (HEAD + 'nodes = "x"', F, "the text: key 'nodes' is unknown; did you mean 'node'?"),
    (HEAD + "[node]\nname = 'a'", F, "the text: key 'node': {'name': 'a'} is no list of tables; write [[node]] above each"),
    (HEAD + 'source = "phon"\n' + PHONE, C, "the text: the source 'phon' is no node; did you mean 'phone'?"),
    (HEAD + PHONE + PHONE, C, "the text: two nodes have the name 'phone'; rename one of them"),
    (HEAD + '[[node]]\nspeed = "1 FLOP/s"', F, "the text: node 1, key 'name' is missing; add name = \"phone\""),
    (HEAD + '[[node]]\nname = "phone"', F, PLACE + "key 'speed' is missing; add speed = \"8 GFLOP/s\", the speed of one core"),
    (HEAD + PHONE + EDGE + "sped = 3", F, "the text: node 2 (\"edge\"), key 'sped' is unknown; did you mean 'speed'?"),
    (HEAD + '[[node]]\nname = "phone"\nspeed = "8 GB"', F, PLACE + "key 'speed': '8 GB' has no unit of flops per s; write it like '8 GFLOP/s'"),
    (HEAD + '[[node]]\nname = "phone"\nspeed = 8e9', F, PLACE + "key 'speed': a quantity is text with a unit, got 8000000000.0; write it like '8 GFLOP/s'"),
    (HEAD + '[[node]]\nname = "phone"\nspeed = "0 FLOP/s"', F, PLACE + "key 'speed': '0 FLOP/s' is not above 0; give a positive quantity or leave the key out"),
    (HEAD + '[[node]]\nname = "phone"\nspeed = "1e200 FLOP/s"', C, "the text: node 1 (\"phone\"): node 'phone' has flops_per_s = 1e+200, and it is a number above 0 and at most 1e+100; correct it"),
    (HEAD + PHONE + "cores = 1.5", F, PLACE + "key 'cores': 1.5 is not a whole number from 1 to 65536; correct it"),
    (HEAD + PHONE + "cores = true", F, PLACE + "key 'cores': True is not a whole number from 1 to 65536; correct it"),
    (HEAD + PHONE + 'memory = "0 B"', F, PLACE + "key 'memory': '0 B' is not from 1 B to 1e18 B; correct it or leave the key out"),
    (HEAD + PHONE + 'compute_power = "-1 W"', F, PLACE + "key 'compute_power': a quantity is finite and not negative, got '-1 W'; write it like '2 W'"),
    (HEAD + PHONE + "kappa = 0", F, PLACE + "key 'kappa': 0 is not a number above 0; correct it or leave the key out"),
    (HEAD + PHONE + "kappa = 1e-28", C, "the text: node 1 (\"phone\"): node 'phone' has kappa = 1e-28 and no frequency; give its least and greatest"),
    (HEAD + PHONE + 'frequency = "1 GHz"', F, PLACE + "key 'frequency': '1 GHz' is not a list of two; write it like [\"0.6 GHz\", \"1.5 GHz\"]"),
    (HEAD + PHONE + 'frequency = ["2 GHz", "1 GHz"]', C, "the text: node 1 (\"phone\"): node 'phone' has a least frequency of 2e+09 Hz above its greatest of 1e+09 Hz; swap them"),
    (HEAD + PHONE + 'compute_price = "1 USD"', F, PLACE + "key 'compute_price': '1 USD' has no unit of usd per s; write it like '0.5 USD/h'"),
    (HEAD + PHONE + 'compute_price = "1 USD/h per core"', F, PLACE + "key 'compute_price': '1 core' has no unit of flops per s; write it like '8 GFLOP/s'"),
    (HEAD + PHONE + "failure_probability = 2", F, PLACE + "key 'failure_probability': 2 is not a number from 0 to 1; correct it"),
    (HEAD + PHONE + "failure_probability = nan", F, PLACE + "key 'failure_probability': nan is not a number from 0 to 1; correct it"),
    (HEAD + PHONE + 'slowdown = "fast"', F, PLACE + "key 'slowdown': 'fast' is not a number from 1 to 1e+06; correct it"),
    (HEAD + PHONE + 'address = "pi"', C, "the text: node 1 (\"phone\"): node 'phone' has the address 'pi', which is none; write it like 'tcp://192.168.1.7:5555'"),
    (HEAD + PHONE + 'providers = "CPU"', F, PLACE + "key 'providers': 'CPU' is not a list of texts; write it like [\"one\", \"two\"]"),
    (HEAD + PHONE + 'port = "1 Gbit/s"', F, PLACE + "key 'port': '1 Gbit/s' is no table; write it like {up = \"1 Gbit/s\", down = \"1 Gbit/s\"}"),
    (HEAD + PHONE + 'port = {upp = "1 Gbit/s"}', F, PLACE + "key 'port', key 'upp' is unknown; did you mean 'up'?"),
    (HEAD + PHONE + 'port = {up = "1 Gbit"}', F, PLACE + "key 'port', key 'up': '1 Gbit' has no unit of bytes per s; write it like '40 Mbit/s'"),
    (HEAD + PHONE + "available = 3", F, PLACE + "key 'available': 3 is not a list; write it like [[\"0 s\", \"60 s\"]]"),
    (HEAD + PHONE + "available = [3]", F, PLACE + "key 'available': 3 is not a list of two; write it like [\"0 s\", \"60 s\"]"),
    (HEAD + PHONE + 'preset = "raspberry_pi_4"', F, PLACE + "key 'preset': 'raspberry_pi_4' is unknown; did you mean 'raspberry_pi_4b'?"),
    (HEAD + PHONE + "[[link]]", F, "the text: link 1, key 'between' is missing; add between = [\"phone\", \"edge\"]"),
    (HEAD + PHONE + '[[link]]\nbetween = "phone"\nrate = "1 B/s"', F, "the text: link 1, key 'between': 'phone' is not a list of two; write it like [\"phone\", \"edge\"]"),
    (HEAD + PHONE + '[[link]]\nbetween = ["phone", "phon"]\nrate = "1 B/s"', C, "the text: link 1 (\"phone\" - \"phon\"), key 'between': no node is named 'phon'; did you mean 'phone'?"),
    (HEAD + PHONE + '[[link]]\nbetween = ["phone", "phone"]\nrate = "1 B/s"', C, "the text: link 1 (\"phone\" - \"phone\"): the link 'phone' - 'phone' joins a node with itself; name two different nodes"),
    (BASE, F, AT_LINK + "key 'rate' is missing; add rate = \"40 Mbit/s\""),
    (BASE + "rate = 3", F, AT_LINK + "key 'rate': 3 is no rate; write \"40 Mbit/s\", \"unlimited\", {trace = \"file.csv\"}, {bandwidth = \"20 MHz\", snr = \"15 dB\"} or {steps = [...]}"),
    (BASE + "rate = {}", F, AT_LINK + "key 'rate': {} is no rate; write \"40 Mbit/s\", \"unlimited\", {trace = \"file.csv\"}, {bandwidth = \"20 MHz\", snr = \"15 dB\"} or {steps = [...]}"),
    (BASE + 'rate = {rate = "1 B/s"}', F, AT_LINK + "key 'rate', key 'rate' is unknown; did you mean 'trace'?"),
    (BASE + 'rate = "40 Mbit"', F, AT_LINK + "key 'rate': '40 Mbit' has no unit of bytes per s; write it like '40 Mbit/s'"),
    (BASE + 'rate = "1 B/s"\nup = "1 B/s"', C, AT_LINK + "key 'up': 'rate' is there too, and gives both directions; keep one"),
    (BASE + 'rate = "1 B/s"\ntrace = "x"', C, AT_LINK + "key 'trace': 'rate' is there too, and both give the rate; keep one of them"),
    (BASE + 'up = "1 B/s"', C, AT_LINK + "key 'up': the other direction is missing; add down = \"40 Mbit/s\""),
    (BASE + 'down = "1 B/s"', C, AT_LINK + "key 'down': the other direction is missing; add up = \"40 Mbit/s\""),
    (BASE + 'bandwidth = "20 MHz"', C, AT_LINK + "key 'bandwidth': a channel has a bandwidth and an snr; add snr = \"15 dB\""),
    (BASE + 'snr = "15 dB"', C, AT_LINK + "key 'snr': a channel has a bandwidth and an snr; add bandwidth = \"20 MHz\""),
    (BASE + 'bandwidth = "20 MHz"\nsnr = "x"', F, AT_LINK + "key 'snr': 'x' is not a ratio; write it like '15 dB' or 31.6"),
    (BASE + 'bandwidth = "20 MHz"\nsnr = 0', C, AT_LINK + "key 'snr': 0 carries nothing; give an SNR above 0"),
    (BASE + "trace = 3", F, AT_LINK + "key 'trace': 3 is no path; write it like 'traces/wifi.csv'"),
    (BASE + 'trace = "/no/such"', F, AT_LINK + "key 'trace': /no/such cannot be read (No such file or directory); give the path of a readable file"),
    (BASE + "rate = {steps = 3}", F, AT_LINK + "key 'rate', key 'steps': 3 is no list of times and rates; write it like [[\"0 s\", \"40 Mbit/s\"], [\"10 s\", \"5 Mbit/s\"]]"),
    (BASE + 'rate = {steps = [["1 s", "1 B/s"]]}', F, AT_LINK + "key 'rate', key 'steps': a trace starts at 0 s, got 1.0 s; shift its times"),
    (BASE + 'rate = "1 B/s"\nlatency = "3"', F, AT_LINK + "key 'latency': '3' has no unit of seconds; write it like '3 ms'"),
    (BASE + 'rate = "1 B/s"\ntimeout = "0 s"', F, AT_LINK + "key 'timeout': '0 s' is not above 0; give a positive quantity or leave the key out"),
    (BASE + 'media = ["air"]', C, "the text: the link 'phone' - 'edge' names the unknown medium 'air'; add a medium of that name"),
    (BASE + 'preset = "wifi5"', F, AT_LINK + "key 'preset': 'wifi5' is unknown; did you mean 'wifi_5'?"),
    (HEAD + PHONE + '[[medium]]\nname = "air"', F, "the text: medium 1 (\"air\"), key 'rate' is missing; add rate = \"100 Mbit/s\""),
    (HEAD + PHONE + '[[medium]]\nname = "air"\nrate = "unlimited"', C, "the text: medium 1 (\"air\"): medium 'air' has either a rate or a trace; give exactly one of them"),
    (BASE + 'rate = "1 B/s"\n[[link]]\nbetween = ["edge", "phone"]\nrate = "1 B/s"', C, "the text: the link 'edge' - 'phone' is there twice; keep one of them"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "message"), REFUSED)
def test_every_refusal_is_one_sentence(text: str, kind: type[Exception], message: str) -> None:
    """The place, the key, the value and the remedy."""
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        read_toml(text)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe", "{} is not text; give a cluster in TOML or JSON"),
        (b"{", "{} is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); give a file that hocket wrote"),
        (b'{"format": "hocket.plan/1"}', "{} has format 'hocket.plan/1' where 'hocket.cluster/1' is needed; give the right kind of file"),
    ],
)  # fmt: skip
def test_files_of_another_kind(tmp_path: Path, data: bytes, message: str) -> None:
    """Told with the path in front."""
    path = tmp_path / "cluster"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=f"^{re.escape(message.format(path))}$"):
        load_cluster(path)


@pytest.mark.parametrize("name", ["missing.toml", ".", "nul\0"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """Missing, a folder, and no path at all."""
    with pytest.raises(FormatError, match=r"give the path of a readable file$"):
        load_cluster(tmp_path / name)


HOSTILE: list[Any] = [
    "x = " + "[" * 100_000,
    "x = " + "9" * 10_000,
    HEAD + PHONE + "cores = 0x" + "f" * 100_000,
    HEAD + PHONE + 'memory = "' + "9" * 1_000_000 + ' B"',
    HEAD + PHONE + 'memory = "' + "9" * 40 + ' B"',
    HEAD + PHONE + "slowdown = 0x" + "f" * 100_000,
    HEAD + PHONE + "kappa = 0x" + "f" * 100_000,
    HEAD + PHONE + "trust = 1979-05-27",
    HEAD + PHONE + '"' + "k" * 100_000 + '" = 1',
    HEAD + "node = [" + "1," * 100_000 + "]",
    BASE + "bandwidth = '1 Hz'\nsnr = 0x" + "f" * 100_000,
    BASE + "rate = {steps = [[" + "1," * 100_000 + "]]}",
    BASE + 'rate = "1e-320 B/s"',
    BASE + 'trace = "a\\u0000b"',
    HEAD + PHONE + 'name = "twice"',
    HEAD + '[[node]]\nspeed = "1 FLOP/s"\nname = "a\\nb"',
    HEAD + '[[node]]\nspeed = "1 FLOP/s"\nname = "a\\nb"\nspeeed = 1',
    BASE + 'rate = "1 B/s"\nmedia = ["' + "x" * 900 + '"]',
    HEAD + PHONE + '[[link]]\nrate = "1 B/s"\nbetween = ["phone", "' + "x" * 900 + '"]',
    HEAD + PHONE + 'address = "' + "x" * 900 + '"',
    HEAD + 'source = "nobody"\n' + "".join(f'[[node]]\nname = "n{n}"\nspeed = "1 FLOP/s"\n' for n in range(500)),
    "#" * (1 << 24) + "#",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_gets_a_short_sentence(text: str) -> None:
    """Huge, deep and wrong: refused quickly, in a sentence that can be read."""
    with pytest.raises((FormatError, ClusterError)) as caught:
        read_toml(text)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)
