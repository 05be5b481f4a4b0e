"""The two services behind this edge."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dipeo_kit import errors, peers, rpc
from dipeo_kit.peers import Peer
from dipeo_protos.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from dipeo_protos.store.v1 import events_pb2, store_pb2
from dipeo_protos.store.v1.store_pb2_grpc import StoreServiceStub

if TYPE_CHECKING:  # these two exist in the stubs only
    from dipeo_protos.executor.v1.executor_pb2_grpc import ExecutorServiceAsyncStub
    from dipeo_protos.store.v1.store_pb2_grpc import StoreServiceAsyncStub

CALL_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Backend:
    """`await backend.store.read(backend.store.rpc.GetExecution, request)`."""

    store: "Peer[StoreServiceAsyncStub]"
    executor: "Peer[ExecutorServiceAsyncStub]"

    async def watch(self, execution_id: str, after_seq: int) -> AsyncGenerator[events_pb2.Event, None]:
        """Every event after `after_seq`, once, in order; ends after the terminal one."""
        request = store_pb2.WatchRequest(execution_id=execution_id, after_seq=after_seq)
        async with aclosing(self.store.stream(self.store.rpc.Watch(request, metadata=rpc.metadata()))) as responses:
            async for response in responses:
                for event in response.events:
                    yield event

    async def execution(self, execution_id: str, *, details: bool = True) -> store_pb2.GetExecutionResponse:
        request = store_pb2.GetExecutionRequest(
            execution_id=execution_id, include_node_runs=details, include_interactions=details
        )
        return await self.store.read(self.store.rpc.GetExecution, request)

    async def health(self) -> dict[str, bool]:
        """Which of the two services says SERVING."""
        store, executor = await asyncio.gather(self.store.is_serving(), self.executor.is_serving())
        return {"store": store, "executor": executor}


@asynccontextmanager
async def connected(store: str, executor: str) -> AsyncIterator[Backend]:
    """Channels to both services; they connect at the first call and again after an outage."""
    limits = {"read_timeout_s": CALL_TIMEOUT_S, "write_timeout_s": CALL_TIMEOUT_S}
    async with (
        peers.connected("store", store, StoreServiceStub, **limits) as to_store,
        peers.connected("executor", executor, ExecutorServiceStub, **limits) as to_executor,
    ):
        yield Backend(to_store, to_executor)


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
