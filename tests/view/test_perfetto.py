"""The Trace Event Format: the fields that viewers need."""

import json
from pathlib import Path

import pytest

from hocket.cost import Problem, evaluate
from hocket.plan.placement import plan_for
from hocket.program import Span, Trace
from hocket.view import perfetto
from hocket.view.perfetto import events


@pytest.fixture
def trace(problem: Problem) -> Trace:
    task = problem.task
    plan = plan_for(task.name, task.graph, ["phone", "edge", "edge", "phone", "cloud", "cloud"])
    found = evaluate(problem, plan, trace=True).trace
    assert found is not None
    return found


def test_the_file_is_json_with_the_fields_that_the_format_requires(trace: Trace, tmp_path: Path) -> None:
    data = json.loads(perfetto(trace, tmp_path / "trace.json").read_text())
    assert data["displayTimeUnit"] == "ms"
    needed = {
        "X": {"dur"},
        "M": {"args"},
        "b": {"id", "cat"},
        "e": {"id", "cat"},
        "s": {"id", "cat"},
        "f": {"id", "cat", "bp"},
    }
    for event in data["traceEvents"]:
        assert {"name", "ph", "pid", "tid", "ts"} | needed[event["ph"]] <= event.keys()
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event["ts"] >= 0
    assert {event["ph"] for event in data["traceEvents"]} == {"X", "M", "b", "e", "s", "f"}


def test_a_node_is_a_process_with_a_thread_for_computing_and_one_for_each_link(trace: Trace) -> None:
    names = {
        (event["name"], event["pid"], event["tid"]): event["args"]["name"]
        for event in events(trace)
        if event["name"] in ("process_name", "thread_name")
    }
    processes = {pid: name for (what, pid, _), name in names.items() if what == "process_name"}
    assert sorted(processes.values()) == ["cloud", "edge", "phone", "requests"]
    threads = {(processes[pid], name) for (what, pid, _), name in names.items() if what == "thread_name"}
    assert threads == {
        ("phone", "compute"), ("edge", "compute"), ("cloud", "compute"),
        ("phone", "link to edge"), ("edge", "link to cloud"), ("edge", "link to phone"), ("cloud", "link to edge"),
    }  # fmt: skip


def test_every_begin_has_its_end(busy: Trace) -> None:
    found = events(busy)
    begins = [(event["cat"], event["id"], event["pid"]) for event in found if event["ph"] == "b"]
    ends = [(event["cat"], event["id"], event["pid"]) for event in found if event["ph"] == "e"]
    assert sorted(begins) == sorted(ends)
    assert len(set(begins)) == len(begins) == 80


def test_an_arrow_starts_inside_the_work_before_and_ends_at_the_work_after(busy: Trace) -> None:
    found = events(busy)
    slices = [event for event in found if event["ph"] == "X"]
    arrows = {event["id"]: event for event in found if event["ph"] == "s"}
    assert len(arrows) == 40
    for stop in (event for event in found if event["ph"] == "f"):
        start = arrows[stop["id"]]
        assert start["ts"] <= stop["ts"]
        for end in (start, stop):
            assert any(
                s["ts"] <= end["ts"] < s["ts"] + s["dur"] and (s["pid"], s["tid"]) == (end["pid"], end["tid"])
                for s in slices
            )


def test_slices_of_a_thread_do_not_overlap(busy: Trace) -> None:
    last: dict[tuple[int, int], float] = {}
    for event in events(busy):
        if event["ph"] == "X":
            place = event["pid"], event["tid"]
            assert event["ts"] >= last.get(place, 0.0) - 0.002
            last[place] = event["ts"] + event["dur"]


def test_a_span_that_never_ends_is_left_out(tmp_path: Path) -> None:
    never = Span(kind="transfer", id="t", request=0, node="a", target="b", start_s=0.0, stop_s=float("inf"))
    path = perfetto(Trace(name="x", judge="simulated", spans=(never,)), tmp_path / "x.json")
    assert json.loads(path.read_text())["traceEvents"] == []
