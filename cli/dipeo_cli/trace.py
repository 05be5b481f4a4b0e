"""The command as the root of a trace, or as a part of the one that TRACEPARENT names.

OpenTelemetry is loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set; TRACEPARENT alone is passed on as it is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "TRACEPARENT"  # W3C trace context handed down by environment, as other tools do
_current = ""


@contextmanager
def command(name: str) -> Iterator[None]:
    """A span around one command; what it asks of the gateway belongs to its trace."""
    global _current
    _current = os.environ.get(VARIABLE, "")
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        yield
        return
    from dipeo_kit import semconv, telemetry

    with (
        telemetry.exporting("dipeo-cli"),
        telemetry.span(f"dipeo {name}", {semconv.COMMAND: name}, parent=_current),
    ):
        _current = telemetry.traceparent()
        yield


def headers() -> dict[str, str]:
    """For every request of this command."""
    return {"traceparent": _current} if _current else {}
