"""Following a journal: history first, then live, gapless, resumable (spec/gateway.md §9.2)."""

from collections.abc import AsyncGenerator
from typing import Any

from dipeo_gateway import observed
from dipeo_gateway.backend import Backend, current
from dipeo_gateway.context import Activity
from dipeo_gateway.executions import summary
from dipeo_gateway.faults import StreamBroken
from dipeo_gateway.types import ExecutionStateType, ExecutionUpdateType
from dipeo_gateway.updates import Mapper, as_json
from dipeo_kit import errors, rpc
from dipeo_protos.store.v1 import events_pb2, store_pb2


async def follow(
    backend: Backend, activity: Activity, execution_id: str, last_seq: int
) -> AsyncGenerator[ExecutionUpdateType, None]:
    """One update per event after `last_seq`; ends after the terminal one. Raises StreamBroken."""
    mapper = Mapper(execution_id)
    events = backend.watch(execution_id, last_seq)
    seen = last_seq
    activity.subscribers += 1
    observed.subscriptions.set(activity.subscribers)
    try:
        async for event in events:
            yield await _mapped(backend, mapper, event)
            seen = event.seq
    except errors.DipeoError as error:
        raise StreamBroken(error, seen) from error
    finally:
        activity.subscribers -= 1
        observed.subscriptions.set(activity.subscribers)
        activity.seen()
        await events.aclose()


async def summaries(
    backend: Backend, activity: Activity, request: store_pb2.WatchExecutionsRequest
) -> AsyncGenerator[list[ExecutionStateType], None]:
    """Executions as they change. Raises StreamBroken."""
    responses = backend.store.stream(backend.store.rpc.WatchExecutions(request, metadata=rpc.metadata()))
    activity.subscribers += 1
    try:
        async for response in responses:
            yield [summary(each) for each in response.executions]
    except errors.DipeoError as error:
        raise StreamBroken(error, 0) from error
    finally:
        activity.subscribers -= 1
        activity.seen()
        await responses.aclose()


async def page(backend: Backend, execution_id: str, after_seq: int, limit: int) -> dict[str, Any]:
    """A piece of the journal in the shape of the updates. Raises NotFound."""
    request = store_pb2.ReadJournalRequest(execution_id=execution_id, after_seq=after_seq, limit=limit)
    response = await backend.store.read(backend.store.rpc.ReadJournal, request)
    mapper = Mapper(execution_id)
    return {
        "events": [as_json(await _mapped(backend, mapper, event)) for event in current(response.events)],
        "head_seq": response.head_seq,
        "terminal": response.terminal,
    }


async def until(backend: Backend, execution_id: str, after_seq: int, kind: str = "") -> None:
    """Return after an event of this kind, as the proto names it, at the latest after the terminal one."""
    events = backend.watch(execution_id, after_seq)
    try:
        async for event in events:
            if event.WhichOneof("body") == kind:
                return
    finally:
        await events.aclose()


async def _mapped(backend: Backend, mapper: Mapper, event: events_pb2.Event) -> ExecutionUpdateType:
    """The update of an event; a reader who came in the middle is told first which nodes had started."""
    if not mapper.knows(event):
        request = store_pb2.GetExecutionRequest(execution_id=mapper.execution_id, include_node_runs=True)
        mapper.learn((await backend.store.read(backend.store.rpc.GetExecution, request)).node_runs)
    return mapper.update(event)
