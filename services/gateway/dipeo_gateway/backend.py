"""The two services behind the gateway: stubs, deadlines, retries of reads, health."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dipeo_kit import errors, rpc
from dipeo_protos.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from dipeo_protos.store.v1 import events_pb2, store_pb2
from dipeo_protos.store.v1.store_pb2_grpc import StoreServiceStub

if TYPE_CHECKING:  # these two exist in the stubs only
    from dipeo_protos.executor.v1.executor_pb2_grpc import ExecutorServiceAsyncStub
    from dipeo_protos.store.v1.store_pb2_grpc import StoreServiceAsyncStub

Stub = TypeVar("Stub")
Request = TypeVar("Request")
Response = TypeVar("Response")

READ_TRIES = 3
RETRY_PAUSE_S = 0.05
HEALTH_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Peer(Generic[Stub]):
    """One service: `await peer.read(peer.rpc.GetExecution, request)`."""

    name: str
    rpc: Stub
    health: health_pb2_grpc.HealthStub
    read_timeout_s: float
    write_timeout_s: float

    async def read(self, method: Callable[..., Awaitable[Response]], request: Request) -> Response:
        """A call that changes nothing: tried again, within its one deadline, while the service is unreachable."""
        try:
            async with asyncio.timeout(self.read_timeout_s):
                for attempt in range(READ_TRIES - 1):
                    try:
                        return await rpc.call(method, request, timeout_s=self.read_timeout_s)
                    except errors.Unavailable:
                        await asyncio.sleep(RETRY_PAUSE_S * 2**attempt * random.uniform(0.5, 1.5))
                return await rpc.call(method, request, timeout_s=self.read_timeout_s)
        except (errors.Unavailable, TimeoutError) as error:
            raise self._silent(error) from error

    async def write(self, method: Callable[..., Awaitable[Response]], request: Request) -> Response:
        try:
            return await rpc.call(method, request, timeout_s=self.write_timeout_s)
        except errors.Unavailable as error:
            raise self._silent(error) from error

    async def stream(self, call: aio.UnaryStreamCall[Request, Response]) -> AsyncGenerator[Response, None]:
        """The answers of a streaming call. Close it to stop the service's work."""
        try:
            with rpc.translated():
                async for response in call:
                    yield response
        except errors.Unavailable as error:
            raise self._silent(error) from error
        finally:
            call.cancel()

    async def is_serving(self) -> bool:
        try:
            response = await rpc.call(self.health.Check, health_pb2.HealthCheckRequest(), timeout_s=HEALTH_TIMEOUT_S)
        except errors.DipeoError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def _silent(self, error: errors.Unavailable | TimeoutError) -> errors.Unavailable:
        """The failure without the driver's words, unless a service of ours wrote them (then it has a reason)."""
        if isinstance(error, errors.Unavailable) and error.reason:
            return error
        return errors.Unavailable(f"the {self.name} does not answer; it may be starting or down, try again")


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything the gateway knows it learns here; it keeps no state of executions itself."""

    store: "Peer[StoreServiceAsyncStub]"
    executor: "Peer[ExecutorServiceAsyncStub]"

    async def watch(self, execution_id: str, after_seq: int) -> AsyncGenerator[events_pb2.Event, None]:
        """Every event after `after_seq`, once, in order; ends after the terminal one. Partial output: see `current`."""
        request = store_pb2.WatchRequest(execution_id=execution_id, after_seq=after_seq)
        responses = self.store.stream(self.store.rpc.Watch(request, metadata=rpc.metadata()))
        try:
            async for response in responses:
                for event in current(response.events):
                    yield event
        finally:
            await responses.aclose()

    async def health(self) -> dict[str, bool]:
        """Which of the two services says SERVING."""
        store, executor = await asyncio.gather(self.store.is_serving(), self.executor.is_serving())
        return {"store": store, "executor": executor}


def current(events: Iterable[events_pb2.Event]) -> list[events_pb2.Event]:
    """Without the partial output of a node that a later event of it makes out of date (spec/gateway.md §9.2.4)."""
    kept: list[events_pb2.Event] = []
    later: set[str] = set()
    for event in reversed(list(events)):
        kind = event.WhichOneof("body") or ""
        if kind == "node_output" and event.node_output.node_id in later:
            continue
        if kind in ("node_output", "node_completed", "node_failed", "node_retrying", "node_aborted"):
            later.add(getattr(event, kind).node_id)
        kept.append(event)
    return kept[::-1]


@asynccontextmanager
async def connected(
    store: str, executor: str, *, read_timeout_s: float, write_timeout_s: float
) -> AsyncIterator[Backend]:
    """Channels to both services; they connect at the first call and again after an outage."""
    async with rpc.open_channel(store) as to_store, rpc.open_channel(executor) as to_executor:
        limits = read_timeout_s, write_timeout_s
        yield Backend(
            Peer("store", StoreServiceStub(to_store), health_pb2_grpc.HealthStub(to_store), *limits),
            Peer("executor", ExecutorServiceStub(to_executor), health_pb2_grpc.HealthStub(to_executor), *limits),
        )
