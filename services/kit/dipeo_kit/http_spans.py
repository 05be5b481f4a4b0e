"""A span and a duration per HTTP request of an ASGI application."""

import time
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import SpanKind, StatusCode

from dipeo_kit import semconv, telemetry

_durations = telemetry.duration(semconv.HTTP_DURATION, "HTTP requests answered")

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


@contextmanager
def request(scope: MutableMapping[str, Any], send: Send, routes: Collection[tuple[str, str]]) -> Iterator[Send]:
    """Around one request of one of these (method, path); use the `send` it gives.

    Sockets, and whatever else lives as long as its client, have no span.
    """
    if scope["type"] != "http" or (scope["method"], scope["path"]) not in routes:
        yield send
        return
    status, started = 0, time.perf_counter()
    attributes = {semconv.HTTP_METHOD: scope["method"], semconv.HTTP_ROUTE: scope["path"]}
    with telemetry.span(f"{scope['method']} {scope['path']}", attributes, kind=SpanKind.SERVER) as span:

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            yield sent
        finally:
            span.set_attribute(semconv.HTTP_STATUS, status)
            if status >= 500:
                span.set_status(StatusCode.ERROR)
            _durations.record(time.perf_counter() - started, attributes | {semconv.HTTP_STATUS: status})
