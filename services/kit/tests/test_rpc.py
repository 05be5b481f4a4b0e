"""Our way of speaking gRPC, over a real socket."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dipeo_kit import errors, rpc
from dipeo_protos.store.v1 import store_pb2, store_pb2_grpc

NAME = "dipeo.store.v1.StoreService"


class Fake(store_pb2_grpc.StoreServiceServicer):
    """Raises what the test asks for."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.metadata: dict[str, str] = {}

    async def GetExecution(self, request: Any, context: Any) -> store_pb2.GetExecutionResponse:
        self.metadata = dict(context.invocation_metadata())
        if self.error:
            raise self.error
        return store_pb2.GetExecutionResponse(execution=store_pb2.Execution(execution_id=request.execution_id))

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[store_pb2.WatchResponse]:
        yield store_pb2.WatchResponse()
        if self.error:
            raise self.error

    async def Append(self, requests: Any, context: Any) -> AsyncIterator[store_pb2.AppendResponse]:
        async for request in requests:
            yield store_pb2.AppendResponse(
                results=[store_pb2.AppendResult(execution_id=it.execution_id) for it in request.appends]
            )


@pytest.fixture(params=["", rpc.INPROCESS], ids=["socket", "inprocess"], autouse=True)
def prefix(request: pytest.FixtureRequest) -> str:
    """Every test below runs over a socket and in process."""
    global PREFIX
    PREFIX = request.param
    return PREFIX


PREFIX = ""


@asynccontextmanager
async def served(fake: Fake) -> AsyncIterator[tuple["store_pb2_grpc.StoreServiceAsyncStub", Any]]:
    with tempfile.TemporaryDirectory(prefix="dipeo") as folder:
        register = lambda server: store_pb2_grpc.add_StoreServiceServicer_to_server(fake, server)  # noqa: E731
        async with (
            rpc.serve(f"unix:{folder}/s.sock", register, service_names=[NAME], reflect=True) as address,
            rpc.open_channel(PREFIX + address) as channel,
        ):
            yield store_pb2_grpc.StoreServiceStub(channel), channel


REQUEST = store_pb2.GetExecutionRequest(execution_id="exec_1")


@pytest.mark.parametrize("kind", [row.error for row in errors.TABLE if row.error is not errors.Internal])
async def test_an_error_raised_in_a_servicer_arrives_as_itself_with_its_reason(kind: type[errors.DipeoError]):
    fake = Fake()
    fake.error = kind("no such thing", reason="DIAGRAM_INVALID" if kind is errors.DiagramInvalid else "WHY")
    async with served(fake) as (stub, _):
        with pytest.raises(kind, match="no such thing") as caught:
            await rpc.call(stub.GetExecution, REQUEST)
        assert type(caught.value) is kind and caught.value.reason == fake.error.reason


async def test_an_unexpected_exception_is_masked_and_names_the_request():
    fake = Fake()
    fake.error = RuntimeError("secret words")
    async with served(fake) as (stub, _):
        with pytest.raises(errors.Internal, match=r"internal error \(request [0-9a-f]{32}\)"):
            await rpc.call(stub.GetExecution, REQUEST)


async def test_an_error_in_a_stream_arrives_after_what_was_sent():
    fake = Fake()
    fake.error = errors.Overloaded("too slow", reason="RESYNC_REQUIRED")
    async with served(fake) as (stub, _):
        seen = 0
        with pytest.raises(errors.Overloaded) as caught, rpc.translated():
            async for _ in stub.Watch(store_pb2.WatchRequest()):
                seen += 1
        assert (seen, caught.value.reason) == (1, "RESYNC_REQUIRED")


async def test_a_bidi_stream_answers_in_order():
    async with served(Fake()) as (stub, _):
        stream = stub.Append()
        for name in ("a", "b"):
            await stream.write(store_pb2.AppendRequest(appends=[store_pb2.ExecutionAppend(execution_id=name)]))
        answers = [(await stream.read()).results[0].execution_id for _ in range(2)]
        await stream.done_writing()
        assert answers == ["a", "b"]


async def test_a_request_id_travels_with_every_call():
    fake = Fake()
    async with served(fake) as (stub, _):
        await rpc.call(stub.GetExecution, REQUEST)
    assert len(fake.metadata["x-request-id"]) == 32


async def test_a_call_past_its_deadline_is_unavailable():
    class Slow(Fake):
        async def GetExecution(self, request: Any, context: Any) -> store_pb2.GetExecutionResponse:
            await asyncio.Event().wait()
            raise AssertionError("never")

    async with served(Slow()) as (stub, _):
        with pytest.raises(errors.Unavailable):
            await rpc.call(stub.GetExecution, REQUEST, timeout_s=0.05)


async def test_nobody_listening_is_unavailable():
    async with rpc.open_channel("unix:/nowhere/at/all.sock") as channel:
        stub: Any = store_pb2_grpc.StoreServiceStub(channel)
        with pytest.raises(errors.Unavailable):
            await rpc.call(stub.GetExecution, REQUEST, timeout_s=2)


async def test_health_names_the_service():
    async with served(Fake()) as (_, channel):
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=NAME))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_taken_port_is_a_sentence():
    async with rpc.serve("127.0.0.1:0", lambda server: None, service_names=[]) as address:
        with pytest.raises(errors.Unavailable, match=f"cannot listen on {address}"):
            async with rpc.serve(address, lambda server: None, service_names=[]):
                pass


async def test_the_socket_is_its_owners_only():
    with tempfile.TemporaryDirectory(prefix="dipeo") as folder:
        async with rpc.serve(f"unix:{folder}/s.sock", lambda server: None, service_names=[]):
            assert Path(folder, "s.sock").stat().st_mode & 0o777 == 0o600


def test_channel_options_are_names_grpc_knows():
    """gRPC ignores unknown names without a word; these are the documented ones (grpc/impl/channel_arg_names.h)."""
    names = {name for name, _ in rpc.CHANNEL_OPTIONS + rpc.SERVER_OPTIONS}
    assert names <= {
        "grpc.max_send_message_length",
        "grpc.max_receive_message_length",
        "grpc.keepalive_time_ms",
        "grpc.keepalive_timeout_ms",
        "grpc.http2.max_pings_without_data",
        "grpc.initial_reconnect_backoff_ms",
        "grpc.max_reconnect_backoff_ms",
        "grpc.http2.min_ping_interval_without_data_ms",
        "grpc.so_reuseport",
        "grpc.lb_policy_name",
    }
    assert grpc.__version__


class TestReplicas:
    """A list of addresses is one service: whoever of them lives answers."""

    @pytest.fixture(params=["unix:{folder}/{name}", "127.0.0.1:0"], ids=["unix", "ip"])
    def address(self, request: pytest.FixtureRequest) -> str:
        return request.param

    async def test_calls_go_to_all_of_them_and_around_those_that_are_gone(self, address: str):
        one, two = Fake(), Fake()
        with tempfile.TemporaryDirectory(prefix="dipeo") as folder:
            async with contextlib.AsyncExitStack() as both, contextlib.AsyncExitStack() as first:
                addresses = [
                    await stack.enter_async_context(
                        rpc.serve(
                            address.format(folder=folder, name=name),
                            lambda server, fake=fake: store_pb2_grpc.add_StoreServiceServicer_to_server(fake, server),
                            service_names=[NAME],
                            grace_s=0,
                        )
                    )
                    for stack, name, fake in ((first, "1", one), (both, "2", two))
                ]
                channel = await both.enter_async_context(rpc.open_channel(", ".join(addresses)))
                stub: store_pb2_grpc.StoreServiceAsyncStub = store_pb2_grpc.StoreServiceStub(channel)
                async with asyncio.timeout(10):
                    while not (one.metadata and two.metadata):
                        await rpc.call(stub.GetExecution, store_pb2.GetExecutionRequest())
                    await first.aclose()
                    one.metadata = {}
                    for _ in range(20):
                        with contextlib.suppress(errors.Unavailable):  # a call that met the one that is going
                            await rpc.call(stub.GetExecution, store_pb2.GetExecutionRequest())
                    await rpc.call(stub.GetExecution, store_pb2.GetExecutionRequest())
                    assert not one.metadata

    @pytest.mark.parametrize("wrong", ["store-1:7801,store-2:7801", "127.0.0.1:1,[::1]:2", "unix:/a,127.0.0.1:1"])
    async def test_a_list_that_means_nothing_is_a_sentence(self, wrong: str):
        with pytest.raises(errors.BadInput, match="list"):
            async with rpc.open_channel(wrong):
                pass
