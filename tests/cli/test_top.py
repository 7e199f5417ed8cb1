"""`hocket top`: what it shows is what the metrics say; whatever a server answers, it never breaks."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from threading import Thread

import pytest
from live_sessions import CLUSTER, Expected, cut, solution_of, until
from rich.console import Console

import hocket as package
from hocket.cli import top
from hocket.cluster import read_toml
from hocket.control.live.deploy import deploy
from hocket.control.live.state import Rules
from hocket.control.metrics import serve_metrics
from hocket.cost import problem_for
from hocket.runtime.inproc import Network
from hocket.zoo.listing import model_path

TEXT = """
hocket_task_up{task="camera"} 1
hocket_task_calm{task="camera"} 0
hocket_plan_info{task="camera",plan="3",nodes="a,b"} 1
hocket_requests_total{task="camera",outcome="answered"} %d
hocket_requests_total{task="camera",outcome="failed"} 2
hocket_requests_total{task="camera",outcome="late"} 0
hocket_requests_waiting{task="camera"} 4
hocket_requests_under_way{task="camera"} 6
hocket_usual_latency_seconds{task="camera"} 0.0125
hocket_resends_total{task="camera"} 8
hocket_switches_total{task="camera"} 9
hocket_node_losses_total{task="camera"} 1
hocket_node_state{task="camera",node="a",hocket_node_state="up"} 1
hocket_node_state{task="camera",node="a",hocket_node_state="down"} 0
hocket_node_state{task="camera",node="b",hocket_node_state="up"} 0
hocket_node_state{task="camera",node="b",hocket_node_state="down"} 1
hocket_node_load_factor{task="camera",node="a"} 2.5
hocket_node_compute_seconds_total{task="camera",node="a"} 1.5
hocket_node_memory_bytes{node="a"} 2097152
hocket_way_stated_bytes_per_second{task="camera",source="a",target="b"} 2500000
hocket_way_bytes_per_second{task="camera",source="a",target="b"} 1250000
hocket_way_cut{task="camera",source="a",target="b"} 0
hocket_way_stated_bytes_per_second{task="camera",source="a",target="c"} 2500000
hocket_way_cut{task="camera",source="a",target="c"} 1
hocket_way_stated_bytes_per_second{task="camera",source="b",target="c"} 2500000
hocket_way_cut{task="camera",source="b",target="c"} 0
"""


@contextmanager
def serving(pages: dict[str, bytes], status: int = 200, headers: dict[str, str] | None = None) -> Iterator[str]:
    """A server of some pages, which may change meanwhile; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path in pages else 404)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def pages(answered: int = 100, log: str = "now camera: plan 3 is in force\n") -> dict[str, bytes]:
    return {"/metrics": (TEXT % answered).encode(), "/log": log.encode()}


def words(text: str) -> str:
    return " ".join(text.split())


def test_one_frame_shows_tasks_nodes_ways_and_the_log(hocket: Callable) -> None:
    with serving(pages()) as url:
        ran = hocket("top", f"{url}/metrics", "--once")
        assert ran.code == 0, ran.err
        out = words(ran.out)
        for part in ("camera 3 a, b no 12.5 ms 4 6", "camera 100 2 0 8 9 1", "a up 2.5 2 MiB", "b down",
                     "a > b 10 Mbit/s", "20 Mbit/s 50 %", "a > c cut", "now camera: plan 3 is in force"):  # fmt: skip
            assert part in out
        assert "b > c" not in out  # nothing has been seen of it
        assert hocket("top", url).out == ran.out  # what is no terminal gets one frame, and /metrics goes without saying
        assert hocket("top", url.removeprefix("http://"), "--once").out == ran.out


def test_json_has_the_numbers(hocket: Callable) -> None:
    with serving(pages()) as url:
        data = json.loads(hocket("top", url, "--json").out)
    (task,), (first, second) = data["tasks"], data["nodes"]
    assert task["latency_s"] == 0.0125
    assert task["over"] == ["a", "b"]
    assert task["throughput_per_s"] is None  # it takes two looks
    assert (first["state"], second["state"]) == ("up", "down")
    assert [way["of_stated"] for way in data["ways"]] == [0.5, None]
    assert data["log"] == ["now camera: plan 3 is in force"]


def watched(url: str, steps: list[Callable[[], object]]) -> str:
    """What the screen showed while something happened before each new look; then it is interrupted."""
    console = Console(file=StringIO(), force_terminal=True, width=160, height=60)

    def pause(_: float) -> None:
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()

    with pytest.raises(KeyboardInterrupt):
        top._watch(f"{url}/metrics", top._look(f"{url}/metrics"), console, pause)
    return words(console.file.getvalue())  # type: ignore[attr-defined]


def test_rates_are_differences_between_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(0, 1000, 2))
    monkeypatch.setattr(top.time, "monotonic", lambda: float(next(moments)))
    before, after = (top.Look(at_s, top_readings(count), []) for at_s, count in ((0.0, 100), (2.0, 150)))
    assert top._frame(after, before)["tasks"][0]["throughput_per_s"] == 25.0
    assert top._frame(before, after)["tasks"][0]["throughput_per_s"] is None  # it has begun again


def top_readings(answered: int) -> list:
    from hocket.control.metrics import read_metrics

    return read_metrics(TEXT % answered)


def test_the_screen_goes_on_while_the_server_is_silent() -> None:
    shown = pages()
    with serving(shown) as url:
        out = watched(url, [lambda: shown.pop("/metrics"), lambda: shown.update(pages(222))])
    assert "nothing can be read at" in out
    assert out.index("nothing can be read at") < out.index("222")


def test_an_interrupt_ends_quietly(hocket: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(Console):
        def __init__(self, **options: object) -> None:
            super().__init__(**{"force_terminal": True, **options})  # type: ignore[arg-type]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(top, "Console", Terminal)
    monkeypatch.setattr(top, "_watch", stop)
    with serving(pages()) as url:
        ran = hocket("top", url)
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize(
    "address", ["", "ftp://a/metrics", "file:///etc/passwd", "http://", "http://a:x/", "http://[1"]
)
def test_a_wrong_address_is_one_sentence(hocket: Callable, address: str) -> None:
    ran = hocket("top", address, "--once")
    assert ran.code == 1
    assert "an address looks like http://127.0.0.1:9400/metrics, got" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_no_server_is_one_sentence(hocket: Callable) -> None:
    with serving({}) as url:
        pass
    for address in (url, "http://no such host/metrics", "http://127.0.0.1:9/a b"):
        ran = hocket("top", address)
        assert ran.code == 1
        assert "nothing can be read at" in ran.err
        assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (b"<html>hello</html>", "the text is not in Prometheus's format"),
        (b"process_cpu_seconds_total 3\n", "are not the metrics of a live session"),
        (b"\xff\xfe\x00", "are not the metrics|not in Prometheus"),
        (b"", "are not the metrics of a live session"),
    ],
)
def test_what_is_not_hocket_s_is_one_sentence(hocket: Callable, page: bytes, sentence: str) -> None:
    with serving({"/metrics": page}) as url:
        ran = hocket("top", url)
    assert ran.code == 1
    assert any(part in ran.err for part in sentence.split("|"))
    assert len(ran.err.strip().splitlines()) == 1


def test_redirections_are_not_followed(hocket: Callable) -> None:
    with serving(pages()) as other, serving({"/metrics": b""}, 302, {"Location": f"{other}/metrics"}) as url:
        ran = hocket("top", url)
    assert ran.code == 1
    assert "nothing can be read at" in ran.err


def test_too_much_is_not_read(hocket: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "_MOST_BYTES", 100)
    with serving(pages()) as url:
        assert "serves more than 100 bytes" in hocket("top", url).err


def test_nothing_that_a_server_says_steers_the_terminal(hocket: Callable) -> None:
    evil = "\x1b]0;owned\x07\x9b2J[bold]"
    hostile = TEXT.replace("camera", f"camera{evil}") % 1
    with serving({"/metrics": hostile.encode(), "/log": f"{evil}\n".encode()}) as url:
        out = hocket("top", url).out
    assert "[bold]" in out
    assert not any((ord(letter) < 32 and letter != "\n") or 127 <= ord(letter) < 160 for letter in out)


def test_a_server_without_a_log_or_with_odd_values_is_shown(hocket: Callable) -> None:
    odd = (TEXT % 5).replace(" 4\n", " NaN\n").replace(" 6\n", " +Inf\n").replace(" 2500000\n", " 0\n")
    with serving({"/metrics": odd.encode()}) as url:
        ran = hocket("top", url)
        assert ran.code == 0, ran.err
        json.loads(hocket("top", url, "--json").out)


def test_a_real_session_is_shown(hocket: Callable) -> None:
    model = package.load_model(model_path("toy_dag"))
    problem = problem_for(model.graph, read_toml(CLUSTER))
    solution, expected = solution_of(problem, cut(problem, "a", "b")), Expected(model)
    with (
        deploy(solution, models=model, policy="static", rules=Rules(standby="none"), network=Network()) as live,
        serve_metrics(live) as url,
    ):
        live.batch([expected.inputs[number % 3] for number in range(5)])
        until(lambda: "b" in live.counters())
        out = words(hocket("top", url, "--once").out)
    assert "toy_dag 0 a, b" in out
    assert "toy_dag: plan 0 is in force, over a, b" in out
