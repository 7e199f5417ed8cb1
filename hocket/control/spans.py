"""What happened to requests, for OpenTelemetry: a trace of each, with a child for everything that nodes and wires did.

A request's span bears the name of its task; below it stand `compute`, `encode`, `transfer` and `decode` with the id of
the segment or transfer. Their attributes:

    hocket.task          name of the task (of the request)
    hocket.request       its number in the session
    hocket.judge         `measured`, `simulated` or `predicted` (of the request)
    hocket.node          the node that computed, encoded or decoded; the sender; of a request its source
    hocket.segment.id, hocket.transfer.id
    hocket.target        the receiver of a transfer
    hocket.message.size  bytes on the wire, after the codec
"""

import time
from collections.abc import Sequence

from hocket.control.live.session import LiveSession
from hocket.control.live.watching import Tail
from hocket.errors import MissingError
from hocket.program import Span, Trace
from hocket.version import __version__

try:
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TracerProvider, set_span_in_context
    from opentelemetry.util.types import AttributeValue
except ImportError:
    raise MissingError(
        "traces need the package 'opentelemetry', which this Python lacks; run pip install 'hocket[otel]'"
    ) from None

_MOST_REQUESTS = 10_000


def export(trace: Trace, provider: TracerProvider, *, origin_unix_s: float | None = None) -> int:
    """Hand a whole trace, whoever judged it, to OpenTelemetry; returns the number of spans.

    Args:
        trace: of one task, because requests are known by their numbers; what belongs to one that was not answered is
            left out.
        provider: with its exporters.
        origin_unix_s: when the trace began, in seconds since 1970; None = so that it ends now.
    """
    if origin_unix_s is None:
        origin_unix_s = time.time() - max((span.stop_s for span in trace.spans), default=0.0)
    return _Writer(provider, trace.judge, origin_unix_s).write(trace.spans)


class Spans:
    """Hands what is new of a live session to OpenTelemetry, each time that `export` is called.

    Nodes tell what they did up to a second after a request was answered; it joins the request's trace then. A session
    remembers 20 000 spans: what is not exported before they are forgotten is lost.

    Args:
        session: of one task.
        provider: with its exporters.
    """

    def __init__(self, session: LiveSession, provider: TracerProvider) -> None:
        self._tail = Tail(session.spans)
        self._writer = _Writer(provider, "measured", time.time() - time.monotonic())

    def export(self) -> int:
        """Export what has become known since the last call; returns the number of spans."""
        return self._writer.write(self._tail.new())


class _Writer:
    """Writes spans below those of their requests; what comes before its request waits for it."""

    def __init__(self, provider: TracerProvider, judge: str, origin_unix_s: float) -> None:
        self._tracer = provider.get_tracer("hocket", __version__)
        self._judge, self._origin_ns = judge, round(1e9 * origin_unix_s)
        self._requests: dict[int, SpanContext] = {}
        self._early: dict[int, list[Span]] = {}

    def write(self, spans: Sequence[Span]) -> int:
        count = 0
        for span in spans:
            if span.kind == "request":
                self._requests[span.request] = self._write(span, None)
                count += 1
            else:
                self._early.setdefault(span.request, []).append(span)
        for request in self._early.keys() & self._requests.keys():
            for span in self._early.pop(request):
                self._write(span, self._requests[request])
                count += 1
        for kept in (self._requests, self._early):
            for request in list(kept)[:-_MOST_REQUESTS]:  # the oldest: nothing comes of them any more
                del kept[request]
        return count

    def _write(self, span: Span, parent: SpanContext | None) -> SpanContext:
        context = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
        written = self._tracer.start_span(
            span.id if parent is None else f"{span.kind} {span.id}",
            context,
            kind=SpanKind.SERVER if parent is None else SpanKind.INTERNAL,
            attributes=self._attributes(span),
            start_time=self._moment_ns(span.start_s),
        )
        written.end(self._moment_ns(span.stop_s))
        return written.get_span_context()

    def _attributes(self, span: Span) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {"hocket.request": span.request, "hocket.node": span.node}
        if span.kind == "request":
            return {**found, "hocket.task": span.id, "hocket.judge": self._judge}
        found["hocket.segment.id" if span.kind == "compute" else "hocket.transfer.id"] = span.id
        if span.target:
            found["hocket.target"] = span.target
        if span.nbytes:
            found["hocket.message.size"] = span.nbytes
        return found

    def _moment_ns(self, at_s: float) -> int:
        return self._origin_ns + round(1e9 * at_s)
