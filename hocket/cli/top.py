"""The command that shows a live session in the terminal."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from io import StringIO
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from hocket import view
from hocket.cli.common import Json, print_json
from hocket.errors import FormatError, HocketError, NodeError
from hocket.units import shown

_EVERY_S = 1.0
_TIMEOUT_S = 5.0
_MOST_BYTES = 16 << 20
_MOST_WAYS = 20
_MOST_LINES = 5
_WORST = ("down", "suspect", "up")
_SHARES = ("computing", "processor", "of_stated")
_NOTHING: tuple[Any, ...] = (None, "", [])

Row = dict[str, Any]
Frame = dict[str, list[Any]]


def top(
    address: Annotated[str, typer.Argument(metavar="URL", help="Of metrics, such as http://127.0.0.1:9400/metrics.")],
    once: Annotated[
        bool, typer.Option("--once", help="Print one frame and end, as where stdout is no terminal.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a live session does, once a second, until Ctrl-C."""
    url, console = _url(address), Console()
    first = _look(url)
    if json:
        print_json(_frame(first, None))
    elif once or not console.is_terminal:
        _show(_frame(first, None), console)
    else:
        with suppress(KeyboardInterrupt):
            _watch(url, first, console)


def _watch(url: str, look: "Look", console: Console, pause: Callable[[float], None] = time.sleep) -> None:
    """Look and show until interrupted; a server that is silent is said to be, and asked again."""
    before, trouble = None, ""
    with Live(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            page = Console(file=StringIO(), width=console.width, force_terminal=True)
            _show(_frame(look, before), page, trouble)
            screen.update(Text.from_ansi(page.file.getvalue()), refresh=True)  # type: ignore[attr-defined]
            pause(_EVERY_S)
            try:
                before, look, trouble = look, _look(url), ""
            except HocketError as error:
                trouble = str(error)


# ------------------------------------------------------------ over HTTP


class Look:
    """What the metrics said at a moment."""

    def __init__(self, at_s: float, readings: Iterable[Any], log: list[str]) -> None:
        self.at_s, self.log = at_s, log
        self._values = {(each.name, frozenset(each.labels.items())): each.value for each in readings}

    def value(self, name: str, **labels: str) -> float | None:
        """One value; None = it is not told."""
        return self._values.get((f"hocket_{name}", frozenset(labels.items())))

    def labels(self, name: str) -> list[dict[str, str]]:
        """The labels of all values of a name, in their order in the text."""
        return [dict(labels) for known, labels in self._values if known == f"hocket_{name}"]


def _url(address: str) -> str:
    """The address of the metrics; `127.0.0.1:9400` is enough."""
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise FormatError(
            f"an address looks like http://127.0.0.1:9400/metrics, got {shown(address)}; give one like it"
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or "/metrics", parts.query, ""))


def _look(url: str) -> Look:
    from hocket.control.metrics import printable, read_metrics

    readings = read_metrics(_get(url))
    if not any(reading.name == "hocket_task_up" for reading in readings):
        raise FormatError(f"what {url} serves are not the metrics of a live session; give the address of some")
    log: list[str] = []
    with suppress(HocketError):  # a server may have none
        log = [printable(line) for line in _get(_log_url(url)).splitlines()]
    return Look(time.monotonic(), readings, log)


def _log_url(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.removesuffix("metrics") + "log", query=""))


def _get(url: str) -> str:
    """The text at an address, asked directly: neither proxies nor redirections are followed."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler, urllib.request.HTTPSHandler, urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    try:
        with opener.open(urllib.request.Request(url), timeout=_TIMEOUT_S) as answer:
            data = answer.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        said = " ".join(str(getattr(reason, "strerror", None) or reason or type(error).__name__).split())[:100]
        raise NodeError(f"nothing can be read at {url} ({said}); check the address and whether it is served") from None
    if len(data) > _MOST_BYTES:
        raise FormatError(f"{url} serves more than {_MOST_BYTES} bytes; give the address of metrics")
    text: str = data.decode("utf-8", "replace")
    return text


# ------------------------------------------------------------ frames


def _frame(now: Look, before: Look | None) -> Frame:
    """Rows of tasks, nodes and ways, and the last sentences; what needs two looks is missing in the first."""
    rates = _Rates(now, before)
    tasks = [labels["task"] for labels in now.labels("task_up")]
    ways = [_way(now, rates, labels, several=len(tasks) > 1) for labels in now.labels("way_stated_bytes_per_second")]
    return {
        "tasks": [_task(now, rates, task) for task in tasks],
        "counts": [_counts(now, task) for task in tasks],
        "nodes": [_node(now, rates, node) for node in dict.fromkeys(each["node"] for each in now.labels("node_state"))],
        "ways": [way for way in ways if way["state"] or way["seen_bytes_per_s"] is not None],
        "log": now.log[-_MOST_LINES:],
    }


class _Rates(NamedTuple):
    """How fast counters grew between two looks."""

    now: Look
    before: Look | None

    def per_s(self, name: str, **labels: str) -> float | None:
        if self.before is None:
            return None
        last, first = self.now.value(name, **labels), self.before.value(name, **labels)
        if last is None or first is None or last < first:  # it began again
            return None
        return (last - first) / max(self.now.at_s - self.before.at_s, 1e-3)


def _task(now: Look, rates: _Rates, task: str) -> Row:
    plans = [labels for labels in now.labels("plan_info") if labels["task"] == task]
    return {
        "task": task,
        "plan": plans[0]["plan"] if plans else "none",
        "over": plans[0]["nodes"].split(",") if plans else [],
        "calm": bool(now.value("task_calm", task=task)),
        "throughput_per_s": rates.per_s("requests_total", task=task, outcome="answered"),
        "latency_s": now.value("usual_latency_seconds", task=task) or None,
        "waiting": _count(now.value("requests_waiting", task=task)),
        "under_way": _count(now.value("requests_under_way", task=task)),
    }


def _counts(now: Look, task: str) -> Row:
    """What has happened so far; a table of its own, so that both fit into 80 columns."""
    outcomes = ("answered", "failed", "late")
    ended = {each: _count(now.value("requests_total", task=task, outcome=each)) for each in outcomes}
    return {
        "task": task,
        **ended,
        "resent": _count(now.value("resends_total", task=task)),
        "switches": _count(now.value("switches_total", task=task)),
        "losses": _count(now.value("node_losses_total", task=task)),
    }


def _node(now: Look, rates: _Rates, node: str) -> Row:
    """A node as the most worried of its tasks sees it."""
    states = {
        labels["hocket_node_state"]
        for labels in now.labels("node_state")
        if labels["node"] == node and now.value("node_state", **labels)
    }
    tasks = [labels["task"] for labels in now.labels("node_load_factor") if labels["node"] == node]
    computing = [rates.per_s("node_compute_seconds_total", task=task, node=node) for task in tasks]
    known = [share for share in computing if share is not None]
    return {
        "node": node,
        "state": next((state for state in _WORST if state in states), "unknown"),
        "load": max((now.value("node_load_factor", task=task, node=node) or 1.0 for task in tasks), default=None),
        "computing": sum(known) if known else None,
        "processor": rates.per_s("node_cpu_seconds_total", node=node),
        "memory_bytes": _count(now.value("node_memory_bytes", node=node)),
        "weight_bytes": _count(now.value("node_weight_bytes", node=node)),
        "power_w": rates.per_s("node_energy_joules_total", node=node),
    }


def _way(now: Look, rates: _Rates, labels: Mapping[str, str], *, several: bool) -> Row:
    seen = now.value("way_bytes_per_second", **labels)
    said = now.value("way_stated_bytes_per_second", **labels)
    return {
        **({"task": labels["task"]} if several else {}),
        "way": f"{labels['source']} > {labels['target']}",
        "state": "cut" if now.value("way_cut", **labels) else "",
        "seen_bytes_per_s": seen,
        "stated_bytes_per_s": said,
        "of_stated": seen / said if seen is not None and said else None,
        "sent_bytes_per_s": rates.per_s("way_sent_bytes_total", **labels),
    }


def _count(value: float | None) -> int | None:
    return None if value is None or not abs(value) < 1e18 else round(value)


def _cell(name: str, value: Any) -> Any:
    """Shares as per cent; what else there is knows its unit by its name."""
    if name in _SHARES and value is not None:
        return f"{100 * value:.0f} %"
    return f"{value:.3g} W" if name == "power_w" and value is not None else value


def _show(frame: Frame, console: Console, trouble: str = "") -> None:
    """Print a frame; columns of which nothing is known are left out."""
    if trouble:
        console.print(Text(trouble, style="bold red"))
    for title in ("tasks", "counts", "nodes", "ways"):
        rows = frame[title]
        names = [name for name in (rows[0] if rows else ()) if any(row[name] not in _NOTHING for row in rows)]
        kept = [
            {name: _cell(name, row[name]) for name in names} for row in rows[: _MOST_WAYS if title == "ways" else None]
        ]
        view.print_table(title, kept, console=console)
        if len(kept) < len(rows):
            console.print(Text(f"and {len(rows) - len(kept)} more"))
    for line in frame["log"]:
        console.print(Text(line, style="dim"))


COMMANDS = (top,)
