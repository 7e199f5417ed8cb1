"""What the server counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
GONE = 499
"""Status of a request whose client went away, as proxies count it; nobody is sent it."""


class Metrics:
    """Counters of one server, in a registry of their own: two servers in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "hocket_http_requests", "Requests answered, by route and HTTP status.", ["route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._latency = Histogram(
            "hocket_http_request_latency_seconds", "From the head of a request to the end of its answer.", ["route"],
            buckets=_BUCKETS_S, registry=self.registry,
        )  # fmt: skip
        self._under_way = Gauge("hocket_http_requests_under_way", "Requests being served now.", registry=self.registry)
        self._tokens = Counter(
            "hocket_tokens", "Tokens of prompts read and of texts written.", ["model", "kind"], registry=self.registry
        )

    def begin(self) -> None:
        """A request has come."""
        self._under_way.inc()

    def end(self, route: str, status: int, seconds: float) -> None:
        """It has been answered."""
        self._under_way.dec()
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def tokens(self, model: str, kind: str, count: int) -> None:
        """So many tokens of a kind, `prompt` or `completion`."""
        self._tokens.labels(model, kind).inc(count)

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self.registry)
