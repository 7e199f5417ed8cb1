"""A trace for ui.perfetto.dev and chrome://tracing: the Trace Event Format, in JSON."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hocket.nouns import write_whole
from hocket.program import Span, Trace

Event = dict[str, Any]
_COMPUTE, _FIRST_LINK = 1, 2  # threads of a process: its computation, then one for each link out of it


def perfetto(trace: Trace, path: str | Path) -> Path:
    """Write a trace for the viewers of Chrome and Perfetto.

    A node is a process; its computation and each link out of it are threads; requests are a process of their own.
    An arrow leads from the computation that made a tensor over its transfer to the next computation.

    Args:
        trace: spans that never ended are left out.
        path: a .json file.
    """
    data = {
        "traceEvents": events(trace),
        "displayTimeUnit": "ms",
        "otherData": {"name": trace.name, "judge": trace.judge, "clock_error_us": trace.clock_error_s * 1e6},
    }
    return write_whole(path, json.dumps(data, allow_nan=False).encode())


def events(trace: Trace) -> list[Event]:
    """The events of a trace: names of processes and threads, then spans and arrows by time."""
    spans = [span for span in trace.spans if math.isfinite(span.stop_s) and math.isfinite(span.start_s)]
    nodes = list(dict.fromkeys(node for span in spans for node in (span.node, span.target) if node))
    process = {node: number for number, node in enumerate(nodes, start=1)}
    links = dict.fromkeys((span.node, span.target) for span in spans if span.kind == "transfer")
    thread = {link: _FIRST_LINK + number for number, link in enumerate(links)}
    places = {id(span): _place(span, process, thread) for span in spans}
    named = _names(process, thread, has_requests=any(span.kind == "request" for span in spans))
    timed = [event for span in spans for event in _slices(span, places[id(span)])]
    timed += _arrows(spans, places)
    return named + sorted(timed, key=lambda event: float(event["ts"]))


def _place(span: Span, process: dict[str, int], thread: dict[tuple[str, str], int]) -> tuple[int, int]:
    if span.kind == "request":
        return 0, 0
    if span.kind == "transfer":
        return process[span.node], thread[span.node, span.target]
    return process[span.node], _COMPUTE


def _names(process: dict[str, int], thread: dict[tuple[str, str], int], *, has_requests: bool) -> list[Event]:
    named: list[Event] = []
    if has_requests:
        named += [_meta("process_name", 0, 0, name="requests"), _meta("process_sort_index", 0, 0, sort_index=-1)]
    for node, pid in process.items():
        named.append(_meta("process_name", pid, 0, name=node))
        named.append(_meta("process_sort_index", pid, 0, sort_index=pid))
        named.append(_meta("thread_name", pid, _COMPUTE, name="compute"))
    named += [_meta("thread_name", process[a], tid, name=f"link to {b}") for (a, b), tid in thread.items()]
    return named


def _meta(what: str, pid: int, tid: int, **args: Any) -> Event:
    return {"name": what, "ph": "M", "pid": pid, "tid": tid, "ts": 0, "args": args}


def _slices(span: Span, place: tuple[int, int]) -> list[Event]:
    """A complete event; a pair of asynchronous ones where spans of a thread may overlap, which a thread must not."""
    pid, tid = place
    args: Event = {"request": span.request, "id": span.id}
    if span.kind == "transfer":
        args |= {"bytes": span.nbytes, "to": span.target}
    event = {"name": _title(span), "cat": span.kind, "pid": pid, "tid": tid, "ts": _us(span.start_s), "args": args}
    if span.kind in ("compute", "encode", "decode"):
        return [event | {"ph": "X", "dur": _us(span.stop_s - span.start_s)}]
    # An id joins begin and end; requests and links need one each.
    joint = f"{span.kind}/{span.id}/{span.request}/{span.node}"
    end = {key: event[key] for key in ("name", "cat", "pid", "tid")}
    return [event | {"ph": "b", "id": joint}, end | {"ph": "e", "id": joint, "ts": _us(span.stop_s)}]


def _title(span: Span) -> str:
    if span.kind == "request":
        return f"request {span.request}"
    return span.id if span.kind in ("compute", "transfer") else f"{span.kind} {span.id}"


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 3)


def _arrows(spans: Sequence[Span], places: dict[int, tuple[int, int]]) -> Iterable[Event]:
    """From the last work on the sender before a transfer to the first on the receiver after it."""
    work: dict[tuple[str, int], list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.start_s):
        if span.kind in ("compute", "encode", "decode"):
            work.setdefault((span.node, span.request), []).append(span)
    number = 0
    for span in spans:
        if span.kind != "transfer":
            continue
        before = [s for s in work.get((span.node, span.request), ()) if s.stop_s <= span.start_s + 1e-9]
        after = [s for s in work.get((span.target, span.request), ()) if s.start_s >= span.stop_s - 1e-9]
        if not before or not after:
            continue  # an input that nothing computed, an answer that nothing reads, or a node that only relays
        number += 1
        start, stop = before[-1], after[0]
        common: Event = {"name": "tensor", "cat": "flow", "id": number}
        for phase, end, at_s in (("s", start, start.stop_s), ("f", stop, stop.start_s)):
            pid, tid = places[id(end)]
            # An arrow binds to the slice that encloses it: its start lies just inside the slice's end.
            at_us = max(_us(at_s) - 0.001, _us(end.start_s)) if phase == "s" else _us(at_s)
            binding = {"bp": "e"} if phase == "f" else {}
            yield common | binding | {"ph": phase, "pid": pid, "tid": tid, "ts": at_us}
