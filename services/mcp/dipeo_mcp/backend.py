"""The two services behind this edge: stubs, deadlines, health."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from grpc_health.v1 import health_pb2, health_pb2_grpc

from dipeo_kit import errors, rpc
from dipeo_protos.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from dipeo_protos.store.v1 import events_pb2, store_pb2
from dipeo_protos.store.v1.store_pb2_grpc import StoreServiceStub

if TYPE_CHECKING:  # these two exist in the stubs only
    from dipeo_protos.executor.v1.executor_pb2_grpc import ExecutorServiceAsyncStub
    from dipeo_protos.store.v1.store_pb2_grpc import StoreServiceAsyncStub

Request = TypeVar("Request")
Response = TypeVar("Response")

CALL_TIMEOUT_S = 15.0
HEALTH_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Backend:
    """`await backend.call(backend.store.GetExecution, request)`."""

    store: "StoreServiceAsyncStub"
    executor: "ExecutorServiceAsyncStub"
    healths: tuple[health_pb2_grpc.HealthStub, health_pb2_grpc.HealthStub]

    async def call(self, method: Callable[..., Awaitable[Response]], request: Request) -> Response:
        """Raises the DipeoError the service raised; Unavailable: it does not answer."""
        return await rpc.call(method, request, timeout_s=CALL_TIMEOUT_S)

    async def watch(self, execution_id: str, after_seq: int) -> AsyncGenerator[events_pb2.Event, None]:
        """Every event after `after_seq`, once, in order; ends after the terminal one."""
        request = store_pb2.WatchRequest(execution_id=execution_id, after_seq=after_seq)
        call = self.store.Watch(request, metadata=rpc.metadata())
        try:
            with rpc.translated():
                async for response in call:
                    for event in response.events:
                        yield event
        finally:
            call.cancel()

    async def execution(self, execution_id: str, *, details: bool = True) -> store_pb2.GetExecutionResponse:
        request = store_pb2.GetExecutionRequest(
            execution_id=execution_id, include_node_runs=details, include_interactions=details
        )
        return await self.call(self.store.GetExecution, request)

    async def health(self) -> dict[str, bool]:
        """Which of the two services says SERVING."""
        store, executor = await asyncio.gather(*map(_is_serving, self.healths))
        return {"store": store, "executor": executor}


async def _is_serving(stub: health_pb2_grpc.HealthStub) -> bool:
    try:
        response = await rpc.call(stub.Check, health_pb2.HealthCheckRequest(), timeout_s=HEALTH_TIMEOUT_S)
    except errors.DipeoError:
        return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


@asynccontextmanager
async def connected(store: str, executor: str) -> AsyncIterator[Backend]:
    """Channels to both services; they connect at the first call and again after an outage."""
    async with rpc.open_channel(store) as to_store, rpc.open_channel(executor) as to_executor:
        yield Backend(
            StoreServiceStub(to_store),
            ExecutorServiceStub(to_executor),
            (health_pb2_grpc.HealthStub(to_store), health_pb2_grpc.HealthStub(to_executor)),
        )


async def follow(backend: Backend, execution_id: str, after_seq: int = 0) -> AsyncGenerator[events_pb2.Event, None]:
    """As `watch`, over outages and slow reading: it comes back after the last event it gave. Raises NotFound."""
    pause_s = 0.1
    while True:
        try:
            async with aclosing(backend.watch(execution_id, after_seq)) as events:
                async for event in events:
                    after_seq, pause_s = event.seq, 0.1
                    yield event
            return
        except (errors.Unavailable, errors.Overloaded):
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 2.0)
