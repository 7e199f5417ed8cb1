"""Meters on trees of files like those of Linux."""

import time
from pathlib import Path

import numpy as np
import pytest

from hocket.runtime.power import data_bytes, open_meter, process_usage


def write(root: Path, folder: str, **files: object) -> Path:
    """Files of one device."""
    place = root / "class" / folder
    place.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (place / name).write_text(f"{value}\n")
    return place


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def rapl(root: Path, zone: str, name: str, energy_uj: int, most: int = 262_143_328_850) -> Path:
    return write(root, f"powercap/{zone}", name=name, energy_uj=energy_uj, max_energy_range_uj=most)


def test_a_computer_without_sensors_has_no_meter(tmp_path: Path) -> None:
    assert open_meter(tmp_path) is None


def test_rapl_counts_packages_and_memory_and_not_what_is_within_a_package(tmp_path: Path) -> None:
    package = rapl(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    core = rapl(tmp_path, "intel-rapl:0:0", "core", 1_000_000)
    memory = rapl(tmp_path, "intel-rapl:0:1", "dram", 0)
    meter = open_meter(tmp_path)
    assert meter is not None and meter.source == "rapl:package-0+dram" and meter.energy_j() == 0
    for zone, energy_uj in ((package, 9_000_000), (core, 4_000_000), (memory, 500_000)):
        (zone / "energy_uj").write_text(str(energy_uj))
    assert meter.energy_j() == pytest.approx(4.5)


def test_rapl_goes_on_where_the_counter_begins_again(tmp_path: Path) -> None:
    package = rapl(tmp_path, "intel-rapl:0", "package-0", 9_000_000, most=10_000_000)
    meter = open_meter(tmp_path)
    assert meter is not None
    seen = []
    for energy_uj in (9_500_000, 1_000_000, 9_000_000, 500_000):
        (package / "energy_uj").write_text(str(energy_uj))
        seen.append(meter.energy_j())
    assert seen == pytest.approx([0.5, 2.0, 10.0, 11.5])


def test_the_platforms_counter_holds_all_others(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", "package-0", 0)
    platform = rapl(tmp_path, "intel-rapl:1", "psys", 0)
    meter = open_meter(tmp_path)
    assert meter is not None and meter.source == "rapl:psys"
    (platform / "energy_uj").write_text("3000000")
    assert meter.energy_j() == 3.0


def test_a_counter_that_cannot_be_read_is_no_meter_and_one_that_vanishes_stands_still(tmp_path: Path) -> None:
    zone = rapl(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = open_meter(tmp_path)
    assert meter is not None
    (zone / "energy_uj").unlink()
    assert meter.energy_j() == 0.0
    assert open_meter(tmp_path) is None
    (zone / "energy_uj").write_text("not a number")
    assert open_meter(tmp_path) is None


def test_an_ina3221_of_a_jetson_gives_volts_times_amperes_of_its_input_rail(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", "package-0", 0)  # the whole board says more than the processor
    labels = {"in1_label": "VDD_IN", "in2_label": "VDD_CPU_GPU_CV", "in3_label": "VDD_SOC"}
    readings = {"in1_input": 5000, "curr1_input": 1000, "in2_input": 5000, "curr2_input": 400}
    chip = write(tmp_path, "hwmon/hwmon3", name="ina3221", **labels, **readings)
    clock = Clock()
    meter = open_meter(tmp_path, clock=clock)
    assert meter is not None and meter.source == "ina3221:VDD_IN"
    clock.now_s += 2  # 5 W for 2 s
    assert meter.energy_j() == pytest.approx(10)
    (chip / "curr1_input").write_text("3000")
    clock.now_s += 1  # from 5 W to 15 W in 1 s
    assert meter.energy_j() == pytest.approx(20)


def test_rails_without_a_total_are_added_and_the_average_is_preferred(tmp_path: Path) -> None:
    write(tmp_path, "hwmon/hwmon0", name="ina226", power1_input=9_000_000, power1_average=2_000_000)
    write(tmp_path, "hwmon/hwmon1", name="ina226", power2_input=1_000_000, power2_label="VDD_GPU")
    write(tmp_path, "hwmon/hwmon2", name="amdgpu", power1_average=50_000_000)
    clock = Clock()
    meter = open_meter(tmp_path, clock=clock)
    assert meter is not None and meter.source == "ina226:power1+ina226:VDD_GPU"
    clock.now_s += 1
    assert meter.energy_j() == pytest.approx(3)


def test_other_sensors_come_last(tmp_path: Path) -> None:
    write(tmp_path, "hwmon/hwmon0", name="fam15h_power", power1_input=7_000_000)
    write(tmp_path, "hwmon/hwmon1", name="coretemp", temp1_input=40_000)
    meter = open_meter(tmp_path)
    assert meter is not None and meter.source == "fam15h_power:power1"
    rapl(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = open_meter(tmp_path)
    assert meter is not None and meter.source == "rapl:package-0"


def test_a_battery_is_a_meter_while_it_discharges(tmp_path: Path) -> None:
    write(tmp_path, "power_supply/AC", type="Mains", online=0)
    write(tmp_path, "power_supply/mouse", type="Battery", scope="Device", status="Discharging", power_now=1)
    battery = write(
        tmp_path,
        "power_supply/BAT0",
        type="Battery",
        status="Discharging",
        current_now=-1_500_000,
        voltage_now=12_000_000,
    )
    clock = Clock()
    meter = open_meter(tmp_path, clock=clock)
    assert meter is not None and meter.source == "battery:BAT0"
    clock.now_s += 10
    assert meter.energy_j() == pytest.approx(180)
    (battery / "status").write_text("Charging")
    assert open_meter(tmp_path) is None
    meter.energy_j()
    clock.now_s += 100
    assert meter.energy_j() == pytest.approx(180)
    write(tmp_path, "power_supply/BAT0", status="Discharging", power_now=20_000_000)
    meter = open_meter(tmp_path, clock=clock)
    assert meter is not None
    clock.now_s += 3
    assert meter.energy_j() == pytest.approx(60)


def test_the_process_tells_its_memory_and_its_time(tmp_path: Path) -> None:
    before = process_usage()
    ballast = np.ones(8 << 20, np.float64)
    stop_s = time.process_time() + 0.02
    while time.process_time() < stop_s:
        pass
    after = process_usage()
    assert after.resident_bytes - before.resident_bytes > ballast.nbytes // 2
    assert after.cpu_s - before.cpu_s >= 0.02
    assert process_usage(tmp_path).resident_bytes >= ballast.nbytes  # the peak, where there is no /proc
    assert data_bytes(tmp_path) == 0
