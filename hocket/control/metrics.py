"""What live sessions do, for Prometheus: collected when asked, served over HTTP, and read again."""

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from hocket.control.live.deploy import Live
from hocket.control.live.session import LiveSession
from hocket.control.live.thinking import stated
from hocket.control.live.watching import Totals
from hocket.errors import FormatError, MissingError, NodeError

try:
    from prometheus_client import CollectorRegistry, make_wsgi_app
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
        Metric,
        StateSetMetricFamily,
    )
    from prometheus_client.parser import text_string_to_metric_families
    from prometheus_client.registry import Collector
except ImportError:
    raise MissingError(
        "metrics need the package 'prometheus_client', which this Python lacks; run pip install 'hocket[serve]'"
    ) from None

STATES = ("up", "suspect", "down")
"""Of a node."""
_OUTCOMES = ("answered", "failed", "late")
_EVENTS = {"resent": "hocket_resends", "switches": "hocket_switches", "losses": "hocket_node_losses"}
_REFUSALS = (
    "malformed", "unknown", "foreign", "oversized", "throttled", "strangers", "broken_handshakes", "unsent", "faults",
)  # fmt: skip
_LOG_LINES = 100
_WAY = ("task", "source", "target")
# Name without the ending that its kind adds -> kind, meaning, labels.
_FAMILIES: Mapping[str, tuple[Callable[..., Metric], str, Sequence[str]]] = {
    "hocket_task_up": (GaugeMetricFamily, "1 = a plan is in force, 0 = none can run or none is ready.", ["task"]),
    "hocket_task_calm": (GaugeMetricFamily, "1 = nothing is being prepared, tried or thought about.", ["task"]),
    "hocket_plan": (InfoMetricFamily, "Plan in force, by its number in the session.", ["task"]),
    "hocket_requests": (CounterMetricFamily, "Requests that have ended.", ["task", "outcome"]),
    "hocket_requests_waiting": (GaugeMetricFamily, "Requests that wait for room.", ["task"]),
    "hocket_requests_under_way": (GaugeMetricFamily, "Requests on the nodes.", ["task"]),
    "hocket_request_latency_seconds": (
        HistogramMetricFamily, "From the input at its source to the answer, of answered requests.", ["task"],
    ),
    "hocket_usual_latency_seconds": (GaugeMetricFamily, "Smoothed latency of requests sent once.", ["task"]),
    "hocket_resends": (CounterMetricFamily, "Times that a request was sent again.", ["task"]),
    "hocket_switches": (CounterMetricFamily, "Times that a plan came into force.", ["task"]),
    "hocket_node_losses": (CounterMetricFamily, "Times that a node was taken to be down.", ["task"]),
    "hocket_spot_checks": (CounterMetricFamily, "Answers that were computed again.", ["task", "outcome"]),
    "hocket_node_state": (StateSetMetricFamily, "Whether a node is relied on.", ["task", "node"]),
    "hocket_node_load_factor": (GaugeMetricFamily, "Measured / predicted time of computations.", ["task", "node"]),
    "hocket_node_compute_seconds": (CounterMetricFamily, "Time that segments took.", ["task", "node"]),
    "hocket_node_memory_bytes": (GaugeMetricFamily, "Resident memory of the node's process.", ["node"]),
    "hocket_node_weight_bytes": (GaugeMetricFamily, "Weights that the node holds.", ["node"]),
    "hocket_node_cpu_seconds": (CounterMetricFamily, "Processor time of the node's process.", ["node"]),
    "hocket_node_energy_joules": (CounterMetricFamily, "Energy of the node's computer.", ["node"]),
    "hocket_node_refused": (CounterMetricFamily, "Messages that a node dropped.", ["node", "reason"]),
    "hocket_way_cut": (GaugeMetricFamily, "1 = nothing gets through.", _WAY),
    "hocket_way_bytes_per_second": (GaugeMetricFamily, "Rate that was seen lately.", _WAY),
    "hocket_way_stated_bytes_per_second": (GaugeMetricFamily, "Rate that the cluster states.", _WAY),
    "hocket_way_sent_bytes": (CounterMetricFamily, "Bytes of requests that were sent.", _WAY),
}  # fmt: skip


class Metrics(Collector):
    """Metrics of all tasks of a `Live`; register it in a registry, or see `serve_metrics`.

    What is summed over spans (latencies, compute time, bytes) is taken from the trace of a session, which remembers
    20 000 of them: with ten spans a request, whoever asks every 15 s misses none below about 130 requests/s.
    """

    def __init__(self, live: Live) -> None:
        self._sessions = dict(live.tasks)
        self._totals = {task: Totals(session.spans) for task, session in self._sessions.items()}
        self._stated = {task: stated(session.problem.cluster).rates for task, session in self._sessions.items()}
        self._lock = threading.Lock()  # the sums are one, and several may ask at once

    def describe(self) -> Iterable[Metric]:
        """All families without values, by which a registry sees that a name is taken."""
        return _families().values()

    def collect(self) -> Iterable[Metric]:
        """All families with the values of this moment."""
        families = _families()
        with self._lock:
            for task, session in self._sessions.items():
                self._add_task(families, task, session)
        _add_readings(families, self._sessions.values())
        return families.values()

    def log(self) -> str:
        """The last sentences of all tasks, a line each, oldest first: moment (UTC), task, sentence."""
        offset_s = time.time() - time.monotonic()
        lines = [(at_s, task, text) for task, session in self._sessions.items() for at_s, text in session.log()]
        return "".join(
            f"{datetime.fromtimestamp(at_s + offset_s, UTC):%Y-%m-%dT%H:%M:%SZ} {task}: {printable(text)}\n"
            for at_s, task, text in sorted(lines)[-_LOG_LINES:]
        )

    def _add_task(self, families: dict[str, Any], task: str, session: LiveSession) -> None:
        status, totals = session.status(), self._totals[task]
        counts = Counter(status.counts)
        totals.update()
        gauges = {
            "hocket_task_up": status.plan >= 0,
            "hocket_task_calm": status.calm,
            "hocket_requests_waiting": status.waiting,
            "hocket_requests_under_way": status.under_way,
            "hocket_usual_latency_seconds": status.latency_s,
        }
        for name, value in (gauges | {name: counts[what] for what, name in _EVENTS.items()}).items():
            families[name].add_metric([task], value)
        if status.plan >= 0:
            plan = {"plan": str(status.plan), "nodes": ",".join(sorted(status.used))}
            families["hocket_plan"].add_metric([task], plan)
        for outcome in _OUTCOMES:
            families["hocket_requests"].add_metric([task, outcome], counts[outcome])
        agreed = counts["checked"] - counts["disagreed"]
        for outcome, value in (("agreed", agreed), ("disagreed", counts["disagreed"]), ("undone", counts["unchecked"])):
            families["hocket_spot_checks"].add_metric([task, outcome], value)
        families["hocket_request_latency_seconds"].add_metric([task], totals.answered_within(), totals.latency_s)
        for node, state in status.nodes.items():
            families["hocket_node_state"].add_metric([task, node], {each: each == state for each in STATES})
            families["hocket_node_load_factor"].add_metric([task, node], status.loads.get(node, 1.0))
            families["hocket_node_compute_seconds"].add_metric([task, node], totals.compute_s[node])
        cut = set(status.cut)
        for hop, rate in self._stated[task].items():
            families["hocket_way_stated_bytes_per_second"].add_metric([task, *hop], rate)
            families["hocket_way_cut"].add_metric([task, *hop], hop in cut)
            families["hocket_way_sent_bytes"].add_metric([task, *hop], totals.nbytes[hop])
            if hop in status.rates:
                families["hocket_way_bytes_per_second"].add_metric([task, *hop], status.rates[hop])


def _families() -> dict[str, Any]:
    return {name: make(name, text, labels=labels) for name, (make, text, labels) in _FAMILIES.items()}


def _add_readings(families: dict[str, Any], sessions: Iterable[LiveSession]) -> None:
    """What nodes say of themselves, once each: all sessions ask the same processes."""
    readings: dict[str, Mapping[str, int]] = {}
    for session in sessions:
        states = session.status().nodes
        for node, counters in session.counters().items():
            if states.get(node) != "down":  # what it held is gone
                readings.setdefault(node, counters)
    scales = {
        "hocket_node_memory_bytes": ("memory_bytes", 1.0),
        "hocket_node_weight_bytes": ("weight_bytes", 1.0),
        "hocket_node_cpu_seconds": ("cpu_us", 1e-6),
        "hocket_node_energy_joules": ("energy_uj", 1e-6),
    }
    for node, counters in readings.items():
        for name, (counter, scale) in scales.items():
            if counter in counters:
                families[name].add_metric([node], counters[counter] * scale)
        for reason in _REFUSALS:
            families["hocket_node_refused"].add_metric([node, reason], counters.get(reason, 0))


# ------------------------------------------------------------ over HTTP


@contextmanager
def serve_metrics(live: Live, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve `/metrics` for Prometheus, and the last sentences of the log as `/log`; gives the address of the metrics.

    Anybody who reaches the port may read them: another host than this one belongs on a network that is trusted.

    Args:
        live: what `deploy` gave.
        port: 0 = any free one.
        host: address to listen at.

    Raises:
        NodeError: the port cannot be had.
    """
    metrics = Metrics(live)
    registry = CollectorRegistry()
    registry.register(metrics)
    page: Any = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            pages: Iterable[bytes] = page(environ, start)
            return pages
        found = environ["PATH_INFO"] == "/log"
        start("200 OK" if found else "404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [(metrics.log() if found else "there are /metrics and /log\n").encode()]

    kind: type[WSGIServer] = type(
        "_Server", (_Server,), {"address_family": socket.AF_INET6 if ":" in host else socket.AF_INET}
    )
    try:
        server = make_server(host, port, answer, server_class=kind, handler_class=_Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NodeError(f"cannot listen at {host}:{port} ({reason}); choose another address or port") from None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="hocket-metrics", daemon=True)
    thread.start()
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10.0  # of a client that says nothing

    def log_message(self, *_: Any) -> None:
        """Nobody wants a line for every look."""


# ------------------------------------------------------------ read again


class Reading(NamedTuple):
    """One value of some metrics."""

    name: str
    labels: Mapping[str, str]
    value: float


def read_metrics(text: str) -> list[Reading]:
    """The values in Prometheus's text format, with names that are safe to print.

    Raises:
        FormatError: it is something else.

    >>> read_metrics('hocket_requests_total{task="camera",outcome="late"} 3')
    [Reading(name='hocket_requests_total', labels={'task': 'camera', 'outcome': 'late'}, value=3.0)]
    """
    try:
        return [
            Reading(sample.name, {key: printable(value) for key, value in sample.labels.items()}, float(sample.value))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]
    except (ValueError, LookupError, TypeError, AttributeError):  # what the parser makes of text that is none
        raise FormatError("the text is not in Prometheus's format; give the address of metrics") from None


def printable(text: str) -> str:
    """Text in which whatever could steer a terminal is a question mark."""
    return re.sub(r"[^ -~]", lambda found: found[0] if found[0].isprintable() else "?", text)
