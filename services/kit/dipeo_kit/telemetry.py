"""OpenTelemetry hooks: the API only, so a no-op unless the process installs an SDK. W3C trace context in and out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

_tracer = trace.get_tracer("dipeo")


@contextmanager
def span(name: str, attributes: Mapping[str, AttributeValue] | None = None, *, parent: str = "") -> Iterator[Span]:
    """A span around a piece of work. `parent` is a W3C traceparent; empty = the current span."""
    carrier = {"traceparent": parent} if parent else {}
    with _tracer.start_as_current_span(
        name, context=propagate.extract(carrier) if carrier else None, attributes=attributes
    ) as it:
        yield it


@contextmanager
def remote_parent(headers: Mapping[str, str]) -> Iterator[None]:
    """Continue the trace whose context came in `headers` (lower-case names)."""
    token = context.attach(propagate.extract(headers))
    try:
        yield
    finally:
        context.detach(token)


def outgoing() -> dict[str, str]:
    """Headers that carry the current trace on; empty without an SDK."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def traceparent() -> str:
    """The current W3C traceparent, or "" when nothing is traced."""
    return outgoing().get("traceparent", "")
