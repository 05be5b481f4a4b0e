"""A real OTLP receiver: what services export arrives here as protobuf, over gRPC."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc


class Span(NamedTuple):
    service: str
    name: str
    trace_id: str
    id: str
    parent_id: str  # "" = a root
    attributes: dict[str, Any]


class Received:
    """Everything so far; read it while the services run."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[Span] = []
        self.metrics: set[tuple[str, str]] = set()  # (service, name)
        self.logs: list[tuple[str, str, str]] = []  # (service, event, trace id)
        self.raw: list[bytes] = []  # every request as it came

    def trace(self, trace_id: str) -> list[Span]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]


class _Receiver(traces_grpc.TraceServiceServicer):
    def __init__(self, received: Received) -> None:
        self._received = received

    def Export(self, request: Any, context: Any) -> Any:
        self._received.raw.append(request.SerializeToString())
        for resource in request.resource_spans:
            service = _attributes(resource.resource)["service.name"]
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                self._received.spans.append(Span(service, span.name, *ids, _attributes(span)))
        return traces.ExportTraceServiceResponse()


class _Metrics(metrics_grpc.MetricsServiceServicer):
    def __init__(self, received: Received) -> None:
        self._received = received

    def Export(self, request: Any, context: Any) -> Any:
        self._received.raw.append(request.SerializeToString())
        for resource in request.resource_metrics:
            service = _attributes(resource.resource)["service.name"]
            names = {metric.name for scope in resource.scope_metrics for metric in scope.metrics}
            self._received.metrics |= {(service, name) for name in names}
        return metrics.ExportMetricsServiceResponse()


class _Logs(logs_grpc.LogsServiceServicer):
    def __init__(self, received: Received) -> None:
        self._received = received

    def Export(self, request: Any, context: Any) -> Any:
        self._received.raw.append(request.SerializeToString())
        for resource in request.resource_logs:
            service = _attributes(resource.resource)["service.name"]
            for record in (record for scope in resource.scope_logs for record in scope.log_records):
                self._received.logs.append((service, record.body.string_value, record.trace_id.hex()))
        return logs.ExportLogsServiceResponse()


def _attributes(holder: Any) -> dict[str, Any]:
    return {it.key: getattr(it.value, it.value.WhichOneof("value")) for it in holder.attributes}


@contextmanager
def receiver() -> Iterator[Received]:
    """Listens on a free loopback port while the block runs; `endpoint` is its address."""
    received = Received()
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        traces_grpc.add_TraceServiceServicer_to_server(_Receiver(received), server)
        metrics_grpc.add_MetricsServiceServicer_to_server(_Metrics(received), server)
        logs_grpc.add_LogsServiceServicer_to_server(_Logs(received), server)
        received.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield received
        finally:
            stopped: threading.Event = server.stop(None)
            stopped.wait()
