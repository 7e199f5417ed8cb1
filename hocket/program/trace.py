"""What happened, or is predicted to happen, when: one row for each thing a node or a wire did."""

from typing import Literal

from hocket.nouns import Noun, Value

Kind = Literal["compute", "encode", "transfer", "decode", "request"]


class Span(Value, frozen=True):
    """One thing that took time. Times are seconds after the trace's origin, one clock for all nodes."""

    kind: Kind
    id: str
    """Of the segment or transfer; the task's name for a request."""
    request: int
    node: str
    """The node that computed; the sender of a transfer; the source of a request."""
    start_s: float
    stop_s: float
    target: str = ""
    """The receiver of a transfer."""
    nbytes: int = 0
    """On the wire, after the codec."""


class Trace(Noun, frozen=True, tag="hocket.trace/1"):
    """Spans of one run, and how they came about."""

    name: str
    judge: Literal["predicted", "simulated", "measured"]
    spans: tuple[Span, ...]
    clock_error_s: float = 0.0
    """Half the least round trip: how far the clocks of two nodes may differ after alignment."""

    def latencies_s(self) -> list[float]:
        """Seconds of each finished request, by request number."""
        requests = sorted((span for span in self.spans if span.kind == "request"), key=lambda span: span.request)
        return [span.stop_s - span.start_s for span in requests]
