"""How the timeline treats segments with several sources: all of them, the first, or what comes in time."""

from typing import Literal

import pytest

from hocket.cost import Durations, Job, timeline
from hocket.program import INPUT, Binding, Port, Program, Resource, Segment, Site, TensorInfo, Transfer, Wire

NODES = ("a", "b", "c")


def program(take: Literal["all", "first", "deadline"], deadline_s: float | None = None) -> Program:
    """x on a goes to b and c, which both make y for a last segment on a; links of 1000 B/s, c's answer is late."""
    wires = tuple(Wire(source=s, target=t, resources=(f"{s}>{t}",)) for s in NODES for t in NODES if s != t)
    made = [
        Segment(id=f"y@{n}", node=n, operators=(), inputs=(Port(tensor="x", sources=(f"x>{n}",)),), outputs=("y",))
        for n in "bc"
    ]
    port = Port(tensor="y", sources=("y<b", "y<c"), take=take, deadline_s=deadline_s)
    last = Segment(id="z", node="a", operators=(), inputs=(port,), outputs=("z",))
    return Program(
        name="t",
        sites=tuple(Site(name=name) for name in NODES),
        wires=wires,
        resources=tuple(Resource(name=f"{w.source}>{w.target}", bytes_per_s=1000.0) for w in wires),
        tensors=tuple(TensorInfo(name=name, dtype="uint8", shape=(1000,)) for name in "xyz"),
        segments=(*made, last),
        transfers=(
            *(Transfer(id=f"x>{n}", tensor="x", source=INPUT, path=("a", n), nbytes=1000) for n in "bc"),
            *(Transfer(id=f"y<{n}", tensor="y", source=f"y@{n}", path=(n, "a"), nbytes=1000) for n in "bc"),
        ),
        inputs=(Binding(tensor="x", node="a"),),
        outputs=(Binding(tensor="z", node="a", source="z"),),
    )  # fmt: skip


SECONDS = {"y@b": 2.0, "y@c": 5.0, "z": 1.0}


@pytest.mark.parametrize(
    ("take", "deadline_s", "answer_s"),
    [
        ("all", None, 8.0),  # 1 there, 5 on c, 1 back, 1
        ("first", None, 5.0),  # 1 there, 2 on b, 1 back, 1
        ("deadline", 1.5, 6.5),  # 1.5 after b's came, then 1
        ("deadline", 9.0, 8.0),
    ],
)
def test_a_port_waits_for_what_it_takes(
    take: Literal["all", "first", "deadline"], deadline_s: float | None, answer_s: float
) -> None:
    spans = timeline([Job(program(take, deadline_s), Durations(segments=SECONDS))])
    assert [span.stop_s for span in spans if span.kind == "request"] == [answer_s]
    assert len([span for span in spans if span.id == "z"]) == 1
