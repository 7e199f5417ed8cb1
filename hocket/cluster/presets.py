"""Figures of common devices and links, each with its source.

Keys and texts are those of the cluster's TOML file, so a preset reads like a part of one. Where a source begins
with "estimate" the figure is ours, and the text says how it came about: rounded to one or two digits, computed from
the width and clock of a memory, or listed by reviews and not checked against a page of the maker.

Speeds are half of the theoretical single-precision peak of one core (of the whole device for a GPU): floating-point
operations per cycle times clock, from the vendor's description. Good convolution and matrix kernels reach 40 to
70 % of a peak; small operators far less. Use a measured profile where one can be had.

Memory is given where the board has a fixed one, and is not limited where it depends on what was bought.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hocket.cluster.checks import did_you_mean
from hocket.errors import ClusterError


class Preset(NamedTuple):
    """A device or a link: its title, its keys as in the TOML file, and the source of each figure."""

    title: str
    keys: Mapping[str, Any]
    sources: Mapping[str, str]


_PI_PAGE = "Raspberry Pi documentation, list of its computers"
_PI_MEMORY = f"{_PI_PAGE}; the operating system takes a part of it"
_PI_POWER = "Raspberry Pi documentation, power supplies: typical bare-board active current of {} at 5 V; {}"
_PI_RADIO = "estimate: order of magnitude of a small Wi-Fi radio that sends"
_CORES = "estimate: as reviews list it"
_TDP = "estimate: thermal design power of the whole processor, all cores busy, as reviews list it"
_BANDWIDTH = "estimate: {} channels x 8 bytes x {} million transfers per second, never reached in practice"
_CARD = "estimate: as reviews of the card list it"


def _peak(peak: str) -> str:
    return f"estimate: half of the peak of {peak}"


def _preset(title: str, **figures: tuple[Any, str]) -> Preset:
    keys = {key: figure for key, (figure, _) in figures.items()}
    return Preset(
        title, MappingProxyType(keys), MappingProxyType({key: source for key, (_, source) in figures.items()})
    )


DEVICES: Mapping[str, Preset] = MappingProxyType({
    "raspberry_pi_3b": _preset(
        "Raspberry Pi 3 Model B",
        speed=("5 GFLOP/s", _peak("9.6 GFLOP/s: Cortex-A53 at 1.2 GHz, 8 operations per cycle at best")),
        cores=(4, "estimate: as reviews list the Cortex-A53 of its BCM2837"),
        memory=("1 GB", _PI_MEMORY),
        memory_bandwidth=("3.6 GB/s", "estimate: 32-bit LPDDR2 at 900 MT/s, never reached in practice"),
        compute_power=("2 W", _PI_POWER.format("400 mA", "0.85 A where all cores are under stress")),
        transmit_power=("1 W", _PI_RADIO),
    ),
    "raspberry_pi_3b_plus": _preset(
        "Raspberry Pi 3 Model B+",
        speed=("6 GFLOP/s", _peak("11.2 GFLOP/s: Cortex-A53 at 1.4 GHz, 8 operations per cycle at best")),
        cores=(4, "The Official Raspberry Pi Beginner's Guide, appendix on specifications"),
        memory=("1 GB", _PI_MEMORY),
        memory_bandwidth=("3.6 GB/s", "estimate: 32-bit LPDDR2 at 900 MT/s, never reached in practice"),
        compute_power=("2.5 W", _PI_POWER.format("500 mA", "more where all cores are busy")),
        transmit_power=("1 W", _PI_RADIO),
        port=(
            {"up": "300 Mbit/s", "down": "300 Mbit/s"},
            f"{_PI_PAGE}: Ethernet of 300 Mbit/s (it hangs on USB 2.0)",
        ),
    ),
    "raspberry_pi_4b": _preset(
        "Raspberry Pi 4 Model B, 4 GB",
        speed=("6 GFLOP/s", _peak("12 GFLOP/s: Cortex-A72 at 1.5 GHz, 8 operations per cycle")),
        cores=(4, "estimate: as reviews list the Cortex-A72 of its BCM2711"),
        memory=("4 GB", f"{_PI_PAGE}: sold with 1, 2, 4 or 8 GB"),
        memory_bandwidth=("12.8 GB/s", "estimate: 32-bit LPDDR4 at 3200 MT/s, about a third of it reached in practice"),
        compute_power=("3 W", _PI_POWER.format("600 mA", "1.2 A where all cores are under stress")),
        transmit_power=("1 W", _PI_RADIO),
    ),
    "jetson_nano": _preset(
        "NVIDIA Jetson Nano, its GPU",
        speed=("118 GFLOP/s", _peak("236 GFLOP/s: 128 cores, 2 operations per cycle, 921.6 MHz")),
        memory=("4 GB", "NVIDIA data sheet DA-09366-001; shared by processor and GPU"),
        memory_bandwidth=("25.6 GB/s", "NVIDIA data sheet DA-09366-001: peak of four 16-bit channels at 1600 MHz"),
        compute_power=("10 W", "NVIDIA data sheet DA-09366-001: module power of 5 W to 10 W, the larger of both"),
    ),
    "jetson_xavier_nx": _preset(
        "NVIDIA Jetson Xavier NX, its GPU",
        speed=("420 GFLOP/s", _peak("845 GFLOP/s: 384 cores, 2 operations per cycle, 1100 MHz; no tensor cores")),
        memory=("8 GB", "NVIDIA data sheet of the module; shared by processor and GPU"),
        memory_bandwidth=("51.2 GB/s", "NVIDIA data sheet of the module: 128-bit LPDDR4x at 1600 MHz"),
        compute_power=("15 W", "NVIDIA data sheet of the module: power modes of 10 W to 15 W, the larger of both"),
    ),
    "i3_3240": _preset(
        "Intel Core i3-3240",
        speed=("27 GFLOP/s", _peak("54 GFLOP/s: 3.4 GHz, 16 operations per cycle with AVX")),
        cores=(2, _CORES),
        memory_bandwidth=("25.6 GB/s", _BANDWIDTH.format("two", 1600)),
        compute_power=("55 W", _TDP),
    ),
    "i7_8700": _preset(
        "Intel Core i7-8700",
        speed=("51 GFLOP/s", _peak("102 GFLOP/s: base clock of 3.2 GHz, 32 operations per cycle with AVX2 and FMA")),
        cores=(6, _CORES),
        memory_bandwidth=("42.7 GB/s", _BANDWIDTH.format("two", 2666)),
        compute_power=("65 W", _TDP),
    ),
    "i7_9700k": _preset(
        "Intel Core i7-9700K",
        speed=("58 GFLOP/s", _peak("115 GFLOP/s: base clock of 3.6 GHz, 32 operations per cycle with AVX2 and FMA")),
        cores=(8, _CORES),
        memory_bandwidth=("42.7 GB/s", _BANDWIDTH.format("two", 2666)),
        compute_power=("95 W", _TDP),
    ),
    "xeon_e5_2620_v4": _preset(
        "Intel Xeon E5-2620 v4",
        speed=("34 GFLOP/s", _peak("67 GFLOP/s: base clock of 2.1 GHz, 32 operations per cycle with AVX2 and FMA")),
        cores=(8, _CORES),
        memory_bandwidth=("68.3 GB/s", _BANDWIDTH.format("four", 2133)),
        compute_power=("85 W", _TDP),
    ),
    "quadro_k620": _preset(
        "NVIDIA Quadro K620",
        speed=("430 GFLOP/s", _peak("863 GFLOP/s: 384 cores, 2 operations per cycle, 1124 MHz")),
        memory=("2 GB", _CARD),
        memory_bandwidth=("28.8 GB/s", "estimate: 128-bit DDR3 at 1800 million transfers per second"),
        compute_power=("41 W", f"{_CARD}; some list 45 W"),
    ),
    "rtx_2080_ti": _preset(
        "NVIDIA GeForce RTX 2080 Ti",
        speed=("6.7 TFLOP/s", _peak("13.4 TFLOP/s: 4352 cores, 2 operations per cycle, 1545 MHz; no tensor cores")),
        memory=("11 GB", _CARD),
        memory_bandwidth=("616 GB/s", "estimate: 352-bit GDDR6 at 14 Gbit/s per line"),
        compute_power=("260 W", f"{_CARD}, as its default power"),
    ),
    "v100": _preset(
        "NVIDIA Tesla V100, PCI Express, 16 GB (the survey's Titan V100)",
        speed=("7 TFLOP/s", _peak("14 TFLOP/s, as reported when NVIDIA announced the card; no tensor cores")),
        memory=("16 GB", "estimate: as reported when NVIDIA announced the card"),
        memory_bandwidth=("900 GB/s", "estimate: as reported when NVIDIA announced the card"),
        compute_power=("250 W", "estimate: as reported when NVIDIA announced the card"),
    ),
})  # fmt: skip
"""Servers and devices of Table 14 of the survey."""

_WIFI_LATENCY = "estimate: a quiet cell; a busy one takes many times as long"
_WIFI_RATE = "estimate: about half of the {} of the radio with {}; half is what transport reaches"
_ETHERNET_RATE = "line rate x 1448 / 1538: payload of a TCP segment over its bytes on the wire"
_ETHERNET_LATENCY = "estimate: one switch, operating systems included"
_5G_RATE = "ITU-R M.2410, a requirement, not a measurement: what a user shall experience in a dense town"
_MOBILE_LATENCY = "estimate: order of magnitude, to a server near the operator"

LINKS: Mapping[str, Preset] = MappingProxyType({
    "wifi_4": _preset(
        "IEEE 802.11n",
        rate=("36 Mbit/s", _WIFI_RATE.format("72 Mbit/s", "20 MHz and one stream")),
        latency=("3 ms", _WIFI_LATENCY),
    ),
    "wifi_5": _preset(
        "IEEE 802.11ac",
        rate=("430 Mbit/s", _WIFI_RATE.format("867 Mbit/s", "80 MHz and two streams")),
        latency=("2 ms", _WIFI_LATENCY),
    ),
    "wifi_6": _preset(
        "IEEE 802.11ax",
        rate=("600 Mbit/s", _WIFI_RATE.format("1201 Mbit/s", "80 MHz and two streams")),
        latency=("2 ms", _WIFI_LATENCY),
    ),
    "ethernet_100m": _preset(
        "100BASE-TX Ethernet",
        rate=("94.1 Mbit/s", _ETHERNET_RATE),
        latency=("0.2 ms", _ETHERNET_LATENCY),
    ),
    "ethernet_1g": _preset(
        "Gigabit Ethernet",
        rate=("941 Mbit/s", _ETHERNET_RATE),
        latency=("0.1 ms", _ETHERNET_LATENCY),
    ),
    "ethernet_10g": _preset(
        "10 Gigabit Ethernet",
        rate=("9.41 Gbit/s", _ETHERNET_RATE),
        latency=("0.05 ms", _ETHERNET_LATENCY),
    ),
    "3g": _preset(
        "UMTS with HSPA",
        up=("1 Mbit/s", "estimate: typical of deployed networks, far below the peak of 5.76 Mbit/s"),
        down=("5 Mbit/s", "estimate: typical of deployed networks, far below the peak of 14.4 Mbit/s"),
        latency=("50 ms", _MOBILE_LATENCY),
    ),
    "4g": _preset(
        "LTE",
        up=("10 Mbit/s", "estimate: typical of deployed networks, far below the peak of 50 Mbit/s of category 4"),
        down=("30 Mbit/s", "estimate: typical of deployed networks, far below the peak of 150 Mbit/s of category 4"),
        latency=("25 ms", _MOBILE_LATENCY),
    ),
    "5g": _preset(
        "5G NR",
        up=("50 Mbit/s", _5G_RATE),
        down=("100 Mbit/s", _5G_RATE),
        latency=("10 ms", "estimate: the 4 ms of the radio that ITU-R M.2410 allows, and the way to a server"),
    ),
    "internet": _preset(
        "A fixed line to a data centre",
        up=("40 Mbit/s", "estimate: a common household contract"),
        down=("100 Mbit/s", "estimate: a common household contract"),
        latency=("15 ms", "estimate: a data centre on the same continent"),
    ),
})  # fmt: skip
"""Wi-Fi and Ethernet of Table 14 of the survey, and what joins devices to servers besides."""


def find_preset(name: str, table: Mapping[str, Preset]) -> Preset:
    """A preset by name.

    Raises:
        ClusterError: there is none of that name.

    >>> find_preset("wifi_5", LINKS).keys["rate"]
    '430 Mbit/s'
    """
    if name not in table:
        raise ClusterError(f"there is no preset {name!r}; {did_you_mean(name, table)}")
    return table[name]
