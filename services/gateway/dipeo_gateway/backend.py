"""The two services behind the gateway."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dipeo_kit import peers, rpc
from dipeo_kit.peers import Peer
from dipeo_protos.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from dipeo_protos.store.v1 import events_pb2, store_pb2
from dipeo_protos.store.v1.store_pb2_grpc import StoreServiceStub

if TYPE_CHECKING:  # these two exist in the stubs only
    from dipeo_protos.executor.v1.executor_pb2_grpc import ExecutorServiceAsyncStub
    from dipeo_protos.store.v1.store_pb2_grpc import StoreServiceAsyncStub


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
    limits = {"read_timeout_s": read_timeout_s, "write_timeout_s": write_timeout_s}
    async with (
        peers.connected("store", store, StoreServiceStub, **limits) as to_store,
        peers.connected("executor", executor, ExecutorServiceStub, **limits) as to_executor,
    ):
        yield Backend(to_store, to_executor)
