"""Spans of the calls this process makes of other services; installed by rpc.py where telemetry is exported."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc import aio
from opentelemetry.trace import SpanKind, StatusCode

from dipeo_kit import semconv, telemetry


class Spans(aio.UnaryUnaryClientInterceptor):
    """A span around every unary call, whose server's span is its child. Health is asked for too often to be traced."""

    async def intercept_unary_unary(
        self, continuation: Callable[..., Awaitable[Any]], client_call_details: Any, request: Any
    ) -> Any:
        name = client_call_details.method.decode().lstrip("/")
        if name.startswith("grpc."):
            return await continuation(client_call_details, request)
        attributes: telemetry.Attributes = {semconv.RPC_SYSTEM: "grpc", semconv.RPC_METHOD: name}
        with telemetry.span(name, attributes, kind=SpanKind.CLIENT) as span:
            own = telemetry.outgoing()
            kept = ((key, value) for key, value in client_call_details.metadata or () if key not in own)
            details = client_call_details._replace(metadata=aio.Metadata(*kept, *own.items()))
            call = await continuation(details, request)
            code = await call.code()
            span.set_attribute(semconv.RPC_STATUS, code.name)
            if code is not grpc.StatusCode.OK:
                span.set_status(StatusCode.ERROR)
            return call
