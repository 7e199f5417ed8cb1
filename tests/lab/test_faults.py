"""Faults: read from a file, put in the order of time, drawn by chance, and done to a lab."""

from collections import Counter
from typing import Any, cast

import pytest

from hocket.errors import FormatError
from hocket.lab import Lab
from hocket.lab.chaos import happen, play
from hocket.lab.faults import KINDS, Fault, random_faults, read_faults, timeline
from tests.lab.clusters import cell, pair

TEXT = """
[[fault]]
at = "3 s"
do = "kill"
node = "b"
for = "2 s"

[[fault]]
at = "1 s"
do = "partition"
from = "a"
to = ["b", "c"]

[[fault]]
at = "4 s"
do = "rate"
from = "b"
to = "c"
rate = "2 Mbit/s"
for = "500 ms"
"""


class Recorder:
    """What a lab was told to do."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, *arguments))


def test_a_file_becomes_faults_and_what_mends_them_in_the_order_of_time() -> None:
    faults = read_faults(TEXT, cell())
    assert faults[0] == Fault(at_s=3.0, do="kill", node="b", for_s=2.0)
    assert faults[1].target == ("b", "c")
    steps = [(fault.at_s, fault.do, fault.bytes_per_s) for fault in timeline(faults)]
    assert steps == [
        (1.0, "partition", None),
        (3.0, "kill", None),
        (4.0, "rate", 250_000.0),
        (4.5, "rate", None),
        (5.0, "restart", None),
    ]


@pytest.mark.parametrize(
    ("text", "telling"),
    [
        ("", "write \\[\\[fault\\]\\]"),
        ("fault = 3", "write \\[\\[fault\\]\\]"),
        ("[[fault", "is not TOML"),
        ("[[faults]]", "'faults' is unknown; did you mean 'fault'"),
        ('[[fault]]\nat = "1 s"\ndo = "kil"', "'kil' is no kind of fault; did you mean 'kill'"),
        ('[[fault]]\nat = "1 s"\ndo = ["kill"]', "is no kind of fault"),
        ('[[fault]]\nat = "1 s"\ndo = "kill"', "a fault 'kill' needs it"),
        ('[[fault]]\ndo = "kill"\nnode = "a"', "key 'at'"),
        ('[[fault]]\nat = "1 s"\ndo = "kill"\nnode = "z"', "no node is named 'z'"),
        ('[[fault]]\nat = "1 s"\ndo = "kill"\nnode = 7', "7 is no name"),
        ('[[fault]]\nat = 1\ndo = "kill"\nnode = "a"', "text with a unit"),
        ('[[fault]]\nat = "1 s"\ndo = "kill"\nnode = "a"\nrate = "1 Mbit/s"', "'rate' is unknown"),
        ('[[fault]]\nat = "1 s"\ndo = "loss"\nfrom = "a"\nto = "c"\nloss = 1.5', "1.5 is no fraction"),
        ('[[fault]]\nat = "1 s"\ndo = "loss"\nfrom = "a"\nto = "b"\nloss = 0.5', "'a' and 'b' have no link"),
    ],
)
def test_what_is_no_file_of_faults(text: str, telling: str) -> None:
    with pytest.raises(FormatError, match=telling) as caught:
        read_faults(text, cell())
    assert "\n" not in str(caught.value)


def test_every_kind_does_its_own_to_a_lab() -> None:
    recorder = Recorder()
    lab = cast(Lab, recorder)
    for kind in KINDS:
        happen(lab, Fault(at_s=0.0, do=kind, node="b", source=("a",), target=("b",), for_s=1.0, loss=0.1))
    assert [call[0] for call in recorder.calls] == [
        "kill",
        "restart",
        "stop",
        "resume",
        "partition",
        "oneway",
        "heal",
        "set_rate",
        "set_latency",
        "set_loss",
        "load_cpu",
        "load_memory",
    ]
    assert ("set_loss", "a", "b", 0.1) in recorder.calls


def test_faults_happen_at_their_times() -> None:
    recorder, slept = Recorder(), list[float]()
    told: list[str] = []
    play(cast(Lab, recorder), read_faults(TEXT, cell()), tell=lambda fault: told.append(fault.do), sleep=slept.append)
    assert told == ["partition", "kill", "rate", "rate", "restart"]
    assert slept == sorted(slept)  # nobody slept really, so each waits from the begin
    assert slept[-1] == pytest.approx(5.0, abs=0.5)
    assert recorder.calls[0] == ("partition", ("a",), ("b", "c"))


def test_drawn_faults_are_those_of_the_seed_and_only_of_the_kinds_that_were_asked_for() -> None:
    options = {"rate_per_s": 2.0, "seconds": 1000.0, "mean_s": 3.0}
    faults = random_faults(cell(), ["kill", "rate"], seed=1, **options)  # type: ignore[arg-type]
    assert faults == random_faults(cell(), ["kill", "rate"], seed=1, **options)  # type: ignore[arg-type]
    assert faults != random_faults(cell(), ["kill", "rate"], seed=2, **options)  # type: ignore[arg-type]
    counts = Counter(fault.do for fault in faults)
    assert set(counts) == {"kill", "rate"}
    assert len(faults) == pytest.approx(2000, rel=0.1)
    assert counts["kill"] == pytest.approx(1000, rel=0.15)
    assert {fault.node for fault in faults if fault.do == "kill"} == {"b", "c"}  # never the source
    assert sum(fault.for_s or 0.0 for fault in faults) / len(faults) == pytest.approx(3.0, rel=0.1)
    for fault in faults:
        if fault.do == "rate":
            (source,), (target,) = fault.source, fault.target
            assert (source, target) in cell().link
            assert 0 < (fault.bytes_per_s or 0) < 1.25e6


def test_faults_that_cannot_be_drawn() -> None:
    for kinds, rate, telling in (
        (["kil"], 1.0, "did you mean 'kill'"),
        (["heal"], 1.0, "'heal' cannot be drawn"),
        ([], 1.0, "got no kind"),
        (["kill"], 0.0, "0 /s"),
        (["kill"], 1e9, "lower the rate"),
    ):
        with pytest.raises(FormatError, match=telling):
            random_faults(pair(), kinds, seed=0, rate_per_s=rate, seconds=10.0)
