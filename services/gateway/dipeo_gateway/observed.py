"""What the gateway tells about itself: its spans called after their operations, and /metrics for Prometheus."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from graphql import FieldNode, OperationDefinitionNode
from opentelemetry import metrics, trace
from strawberry.extensions import SchemaExtension

from dipeo_kit import semconv, telemetry

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

# /health and /ready are asked too often to be traced
ROUTES = frozenset({("GET", "/graphql"), ("POST", "/graphql"), ("GET", "/metrics")})
subscriptions = telemetry.level(semconv.SUBSCRIPTIONS, "{subscription}", "Clients that follow an execution")


class NamedSpans(SchemaExtension):
    """Calls the request's span after its operation: `mutation executeDiagram`. Says nothing of its arguments."""

    def on_execute(self) -> Iterator[None]:
        span, document = trace.get_current_span(), self.execution_context.graphql_document
        if span.is_recording() and document is not None:
            operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
            kind, field = operation.operation.value, _first_field(operation)
            span.update_name(f"{kind} {self.execution_context.operation_name or field}")
            span.set_attributes({semconv.GRAPHQL_TYPE: kind, semconv.GRAPHQL_FIELD: field})
        yield


def _first_field(operation: OperationDefinitionNode) -> str:
    fields = (node.name.value for node in operation.selection_set.selections if isinstance(node, FieldNode))
    return next(fields, "")


def prometheus_text() -> bytes:
    """Everything this process measured since the first call, which begins the counting unless OTLP already did."""
    from prometheus_client import generate_latest

    return generate_latest(_registry())


@cache
def _registry() -> "CollectorRegistry":
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry)
    provider = metrics.get_meter_provider()
    if isinstance(provider, MeterProvider):
        provider.add_metric_reader(reader)
    else:
        metrics.set_meter_provider(MeterProvider([reader]))
    return registry
