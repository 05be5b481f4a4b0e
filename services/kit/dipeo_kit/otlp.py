"""The OpenTelemetry SDK behind the hooks of telemetry.py: traces, metrics and logs over OTLP gRPC.

Imported only where an endpoint is configured: SDK and exporters cost more to load than the rest of a service.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from dipeo_kit import ids

TIMEOUT_S = 3.0  # of one export; what a collector that is away costs at the end of a process
_FOREIGN = ("opentelemetry", "grpc")  # what they say about a failed export must not be exported
_SEVERITIES = {
    logging.DEBUG: _logs.SeverityNumber.DEBUG,
    logging.INFO: _logs.SeverityNumber.INFO,
    logging.WARNING: _logs.SeverityNumber.WARN,
    logging.ERROR: _logs.SeverityNumber.ERROR,
    logging.CRITICAL: _logs.SeverityNumber.FATAL,
}


@contextmanager
def exporting(service: str) -> Iterator[None]:
    """Installs the providers of this process, and sends what is left at the end. Once per process."""
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or service,
            "service.namespace": "dipeo",
            "service.version": version("dipeo-kit"),
            "service.instance.id": ids.new_hex(),
        }
    )
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=TIMEOUT_S)))
    trace.set_tracer_provider(traces)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=TIMEOUT_S))
    meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    metrics.set_meter_provider(meters)
    logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(timeout=TIMEOUT_S)))
    handler = _Handler(logs.get_logger("dipeo"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        for provider in (traces, meters, logs):
            provider.shutdown()


class _Handler(logging.Handler):
    """Log records as OTLP: the event name as body, the fields as attributes, in the trace they were written in."""

    def __init__(self, logger: _logs.Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_FOREIGN):
            return
        said: Any = record.msg  # a dictionary when it came through structlog
        fields = dict(said) if isinstance(said, dict) else {"event": record.getMessage()}
        body = str(fields.pop("event", ""))
        for known in ("level", "logger", "timestamp", "trace_id", "span_id"):
            fields.pop(known, None)
        self._logger.emit(
            timestamp=int(record.created * 1e9),
            observed_timestamp=time.time_ns(),
            severity_number=_SEVERITIES.get(record.levelno, _logs.SeverityNumber.UNSPECIFIED),
            severity_text=record.levelname,
            body=body,
            attributes={"logger.name": record.name, **{name: _plain(value) for name, value in fields.items()}},
        )


def _plain(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
