"""gRPC as every service of ours speaks it: one server, one way to open a channel, one way to call.

Servers turn DipeoError into a status with google.rpc.ErrorInfo.reason; clients turn it back into the same class.
"""

import asyncio
import ipaddress
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from opentelemetry.trace import SpanKind

from dipeo_kit import client_spans, errors, identity, ids, inprocess, logs, semconv, skew, telemetry

log = logs.get(__name__)
_durations = telemetry.duration(semconv.RPC_DURATION, "Unary calls answered by this service")

MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # an event carries up to four values of 8 MiB
DEFAULT_DEADLINE_S = 30.0
# Unknown names are ignored by gRPC without a word; test_rpc.py holds this table against what grpcio documents.
# The server accepts pings as often as the client sends them, else it answers GOAWAY too_many_pings.
CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # By default a service that was away for long is looked for every two minutes only.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A name with several addresses is several replicas: each gets its share of the calls.
    ("grpc.lb_policy_name", "round_robin"),
)
SERVER_OPTIONS: tuple[tuple[str, int | str], ...] = (
    *CHANNEL_OPTIONS,
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
)
INPROCESS = "inprocess:"
_REQUEST_ID = "x-request-id"
_served: dict[str, dict[str, Any]] = {}  # address -> method path -> handler, of the servers of this process

Request = TypeVar("Request")
Response = TypeVar("Response")


# --- server ----------------------------------------------------------------------------------------------------------


class _Edge(aio.ServerInterceptor):
    """Around every call: request id, trace context, a deadline for unary calls, our errors as statuses."""

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler, method = await continuation(handler_call_details), handler_call_details.method
        if method.startswith("/grpc."):
            return handler
        return _unknown(method) if handler is None else _wrapped(handler, method)


def _unknown(method: str) -> Any:
    """Answers a call of a method that a later release has; gRPC's own answer does not say who is too old."""

    async def refuse(_: object, context: aio.ServicerContext[Any, Any]) -> None:
        async with _call(method, context):
            raise skew.older_than_caller(method, method.rpartition("/")[2])

    return grpc.stream_stream_rpc_method_handler(refuse)  # waits for no request, so that every kind of call is answered


def _wrapped(handler: Any, method: str) -> Any:
    async def unary(request: Any, context: aio.ServicerContext[Any, Any]) -> Any:
        async with _call(method, context, measured=True):
            skew.understood(method, request)
            async with asyncio.timeout(None if context.time_remaining() else DEFAULT_DEADLINE_S):
                return await handler.unary_unary(request, context)

    async def unary_stream(request: Any, context: aio.ServicerContext[Any, Any]) -> None:
        async with _call(method, context):
            skew.understood(method, request)
            await _send(handler.unary_stream(request, context), context)

    async def stream_stream(requests: Any, context: aio.ServicerContext[Any, Any]) -> None:
        async with _call(method, context, spanned=False):  # stays open as long as its client lives
            await _send(handler.stream_stream(requests, context), context)

    codec = {"request_deserializer": handler.request_deserializer, "response_serializer": handler.response_serializer}
    if handler.unary_unary:
        return grpc.unary_unary_rpc_method_handler(unary, **codec)
    if handler.unary_stream:
        return grpc.unary_stream_rpc_method_handler(unary_stream, **codec)
    if handler.stream_stream:
        return grpc.stream_stream_rpc_method_handler(stream_stream, **codec)
    raise TypeError(f"{method}: client streaming with one answer is not used in this house")


async def _send(responses: AsyncGenerator[Any, None], context: aio.ServicerContext[Any, Any]) -> None:
    """Written, not yielded: a generator that gRPC leaves behind is closed by another task, and what `_call` put into
    this task's context (trace, request id) cannot be taken back there.
    """
    async with aclosing(responses):
        async for response in responses:
            await context.write(response)


@asynccontextmanager
async def _call(
    method: str, context: aio.ServicerContext[Any, Any], *, spanned: bool = True, measured: bool = False
) -> AsyncIterator[None]:
    name, status, started = method.lstrip("/"), "OK", time.perf_counter()
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    request_id = metadata.get(_REQUEST_ID) or ids.new_hex()
    with structlog.contextvars.bound_contextvars(request_id=request_id), telemetry.remote_parent(metadata):
        try:
            if not identity.admitted(metadata):
                raise errors.Unauthenticated("the secret of this house is needed")
            with _server_span(name) if spanned else nullcontext():
                yield
        except errors.DipeoError as error:
            status = errors.row_of(error).grpc_status
            await context.abort_with_status(rpc_status.to_status(_status(error)))
        except TimeoutError:
            status = "DEADLINE_EXCEEDED"
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED, f"{method} took longer than {DEFAULT_DEADLINE_S:g} s"
            )
        except (asyncio.CancelledError, aio.AbortError):
            status = "CANCELLED"
            raise
        except Exception:
            status = "INTERNAL"
            log.exception("rpc.failed", method=method)
            await context.abort(grpc.StatusCode.INTERNAL, f"internal error (request {request_id})")
        finally:
            if measured:
                measures = {semconv.RPC_METHOD: name, semconv.RPC_STATUS: status}
                _durations.record(time.perf_counter() - started, measures)


def _server_span(name: str) -> AbstractContextManager[object]:
    return telemetry.span(name, {semconv.RPC_SYSTEM: "grpc", semconv.RPC_METHOD: name}, kind=SpanKind.SERVER)


def _status(error: errors.DipeoError) -> status_pb2.Status:
    status = status_pb2.Status(code=code_pb2.Code.Value(errors.row_of(error).grpc_status), message=str(error))
    info = error_details_pb2.ErrorInfo(reason=error.reason or error.code, domain="dipeo")
    detail = any_pb2.Any()
    detail.Pack(info)
    status.details.append(detail)
    return status


@asynccontextmanager
async def serve(
    address: str,
    register: Callable[[Any], None],
    *,
    service_names: Sequence[str],
    grace_s: float = 5.0,
    reflect: bool = False,
) -> AsyncIterator[str]:
    """Serve on "host:port" or "unix:/path" with health; yields the address with the port it got (":0" = any free one).

    Raises errors.Unavailable when the address is taken. On exit running calls get `grace_s` seconds.
    """
    server = aio.server(interceptors=[_Edge()], options=SERVER_OPTIONS)
    here = inprocess.Handlers()
    servicer = health.aio.HealthServicer()
    for target in (server, here):
        register(target)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, target)
    if reflect:
        from grpc_reflection.v1alpha import reflection

        reflection.enable_server_reflection([*service_names, reflection.SERVICE_NAME], server)
    ours = identity.certificates_at(address)
    try:
        port = server.add_secure_port(address, ours.of_server()) if ours else server.add_insecure_port(address)
    except RuntimeError as error:
        raise errors.Unavailable(f"cannot listen on {address}: {error}") from error
    await server.start()
    if address.startswith("unix:"):
        Path(address.removeprefix("unix:")).chmod(0o600)
    for name in ("", *service_names):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    bound = address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
    _served[bound] = {path: _wrapped(handler, path) for path, handler in here.methods.items()}
    try:
        yield bound
    finally:
        del _served[bound]
        await servicer.enter_graceful_shutdown()
        await server.stop(grace_s)
        if address.startswith("unix:"):
            Path(address.removeprefix("unix:")).unlink(missing_ok=True)


# --- client ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_channel(address: str) -> AsyncIterator[aio.Channel]:
    """The one way to reach another service: "host:port" or "unix:/path". Connects at the first call.

    Several replicas are a name with several addresses, or "10.0.0.1:7801,10.0.0.2:7801", or "unix:/a,unix:/b".
    "inprocess:" before the address of a server of this very process and loop leaves the socket out (inprocess.py).
    Raises errors.Unavailable when there is no such server.
    """
    if address.startswith(INPROCESS):
        methods = _served.get(address.removeprefix(INPROCESS))
        if methods is None:
            raise errors.Unavailable(f"nothing in this process serves {address.removeprefix(INPROCESS)}")
        yield cast(aio.Channel, inprocess.Channel(methods))
        return
    if address.startswith("unix:"):
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    async with _channel(address) as channel:
        yield channel


def _channel(address: str) -> aio.Channel:
    ours = identity.certificates_at(address)
    interceptors = [client_spans.Spans()] if telemetry.configured() else []
    if ours is None:
        return aio.insecure_channel(_target(address), options=CHANNEL_OPTIONS, interceptors=interceptors)
    if "," in address:
        raise errors.BadInput(f'"{address}": no certificate is for a list; give one name that has several addresses')
    return aio.secure_channel(address, ours.of_client(), options=CHANNEL_OPTIONS, interceptors=interceptors)


def _target(address: str) -> str:
    """In gRPC's spelling. Raises errors.BadInput."""
    if "," not in address:
        return address
    each = [part.strip() for part in address.split(",")]
    if all(part.startswith("unix:") for part in each):
        return "unix:" + ",".join(part.removeprefix("unix:") for part in each)
    try:
        versions = {ipaddress.ip_address(part.rpartition(":")[0].strip("[]")).version for part in each}
    except ValueError as error:
        raise errors.BadInput(f'"{address}": in a list every address is an IP and a port, or unix:/path') from error
    if len(versions) > 1:
        raise errors.BadInput(f'"{address}": a list has IPv4 addresses or IPv6 addresses, not both')
    return f"ipv{versions.pop()}:{','.join(each)}"


def metadata() -> tuple[tuple[str, str], ...]:
    """Request id, trace context of the current task and the secret of this house, for an outgoing call."""
    request_id = structlog.contextvars.get_contextvars().get("request_id") or ids.new_hex()
    return ((_REQUEST_ID, request_id), *identity.credentials(), *telemetry.outgoing().items())


async def call(
    method: Callable[..., Awaitable[Response]], request: Request, *, timeout_s: float = DEFAULT_DEADLINE_S
) -> Response:
    """One unary call with a deadline. Raises the DipeoError the server raised; Unavailable: it cannot be reached."""
    with translated():
        return await method(request, timeout=timeout_s, metadata=metadata())


@contextmanager
def translated() -> Iterator[None]:
    """Turn a failed call or stream into the DipeoError the server raised."""
    try:
        yield
    except aio.AioRpcError as error:
        raise error_of(error) from error


def error_of(error: aio.AioRpcError) -> errors.DipeoError:
    """The DipeoError a status stands for, its reason taken from google.rpc.ErrorInfo."""
    status = rpc_status.from_call(error)
    reason = ""
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            reason = info.reason
    said = identity.explained(error.details() or error.code().name)
    return errors.from_status(error.code().name, said, reason)
