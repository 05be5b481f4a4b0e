"""OpenTelemetry hooks: the API only, so a no-op unless `exporting` installs the SDK. W3C trace context in and out."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from opentelemetry import context, metrics, propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from dipeo_kit import semconv

Attributes: TypeAlias = Mapping[str, AttributeValue]

_tracer = trace.get_tracer("dipeo")
_meter = metrics.get_meter("dipeo")
ENDPOINT_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
# OpenTelemetry's default boundaries are meant for milliseconds
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


def configured() -> bool:
    """Whether `exporting` does anything here."""
    return bool(os.environ.get(ENDPOINT_VARIABLE)) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


@contextmanager
def exporting(service: str) -> Iterator[None]:
    """Send traces, metrics and logs of this process over OTLP while the block runs.

    Does nothing, and imports nothing, unless OTEL_EXPORTER_OTLP_ENDPOINT is set; OTEL_* variables steer the rest.
    """
    if not configured():
        yield
        return
    from dipeo_kit import otlp

    with otlp.exporting(service):
        yield


@contextmanager
def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    parent: str = "",
    kind: SpanKind = SpanKind.INTERNAL,
) -> Iterator[Span]:
    """A span around a piece of work. `parent` is a W3C traceparent; empty = the current span.

    Of what is raised it keeps the class only: messages and stacks repeat what services said, prompts and keys among it.
    """
    if not parent and not _traced():
        yield trace.INVALID_SPAN
        return
    carrier = {"traceparent": parent} if parent else {}
    with _tracer.start_as_current_span(
        name,
        context=propagate.extract(carrier) if carrier else None,
        attributes=attributes,
        kind=kind,
        record_exception=False,
        set_status_on_exception=False,
    ) as it:
        try:
            yield it
        except Exception as error:
            it.set_attribute(semconv.ERROR_TYPE, type(error).__name__)
            it.set_status(StatusCode.ERROR)
            raise


def _traced() -> bool:
    """Whether a span would be seen: an SDK is installed, or the trace of a caller passes through.

    Asked first, because a span that nobody sees costs as much as a condition node (20 µs).
    """
    installed = not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    return installed or trace.get_current_span().get_span_context().is_valid


def past_span(name: str, attributes: Attributes, *, parent: str, started_ns: int) -> None:
    """A span that ends now and is known only now. `parent` is a W3C traceparent; `started_ns` Unix time."""
    carrier = propagate.extract({"traceparent": parent})
    _tracer.start_span(name, context=carrier, attributes=attributes, start_time=started_ns).end()


@contextmanager
def remote_parent(headers: Mapping[str, str]) -> Iterator[None]:
    """Continue the trace whose context came in `headers` (lower-case names)."""
    token = context.attach(propagate.extract(headers))
    try:
        yield
    finally:
        context.detach(token)


def outgoing() -> dict[str, str]:
    """Headers that carry the current trace on; empty when nothing is traced."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def traceparent() -> str:
    """The current W3C traceparent, or "" when nothing is traced."""
    return outgoing().get("traceparent", "")


def trace_ids() -> dict[str, str]:
    """trace_id and span_id of the current span in hex; empty when nothing is traced."""
    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return {}
    return {"trace_id": f"{current.trace_id:032x}", "span_id": f"{current.span_id:016x}"}


# --- metrics: names are in semconv.py --------------------------------------------------------------------------------


def duration(name: str, description: str) -> metrics.Histogram:
    """A histogram of seconds."""
    return _meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=SECONDS)


def histogram(name: str, unit: str, description: str) -> metrics.Histogram:
    return _meter.create_histogram(name, unit, description)


def counter(name: str, unit: str, description: str) -> metrics.Counter:
    return _meter.create_counter(name, unit, description)


def level(name: str, unit: str, description: str) -> "metrics._Gauge":
    """A number that is told whenever it changes."""
    return _meter.create_gauge(name, unit, description)
