"""Following all executions at once (spec/store.md §16.7, WatchExecutions)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from store_client import PATIENCE_S, Store, completed, event, started

from dipeo_kit import rpc
from dipeo_kit.errors import Unavailable
from dipeo_protos.store.v1 import store_pb2 as pb

RUNNING, COMPLETED = pb.EXECUTION_STATUS_RUNNING, pb.EXECUTION_STATUS_COMPLETED


async def _watch(store: Store, **fields) -> AsyncIterator[list[pb.Execution]]:
    with rpc.translated():
        async for response in store.stub.WatchExecutions(pb.WatchExecutionsRequest(**fields)):
            yield list(response.executions)


async def _next(stream: AsyncIterator[list[pb.Execution]]) -> list[pb.Execution]:
    async with asyncio.timeout(PATIENCE_S):
        return await anext(stream)


async def test_first_what_runs_then_what_changes(store: Store):
    async with store.session() as session:
        work = await store.running(session, diagram_id="a", variables_json=b'{"x":1}')
        stream = _watch(store)
        (first,) = await _next(stream)
        assert (first.execution_id, first.status, first.head_seq) == (work.execution_id, RUNNING, 2)
        assert not first.variables_json
        await store.append(work, started("n"), completed("n"))
        (second,) = await _next(stream)
        assert (second.execution_id, second.head_seq, second.runs_done) == (work.execution_id, 4, 1)
        await store.append(work, event("execution_completed"))
        other = await store.create()
        seen = await _next(stream)
        if len(seen) == 1:
            seen += await _next(stream)
        assert {(each.execution_id, each.status) for each in seen} == {
            (work.execution_id, COMPLETED),
            (other.execution.execution_id, pb.EXECUTION_STATUS_PENDING),
        }


async def test_case_30_an_end_is_seen_though_the_executor_has_it_long_ago(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        stream = _watch(store)
        await _next(stream)
        end = event("execution_completed")
        end.at.seconds -= 3600
        await store.append(work, end)
        (seen,) = await _next(stream)
        assert (seen.execution_id, seen.status) == (work.execution_id, COMPLETED)
        other = (await store.create()).execution
        (seen,) = await _next(stream)  # and once
        assert seen.execution_id == other.execution_id


async def test_many_changes_within_a_second_are_one(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        stream = _watch(store)
        await _next(stream)
        for n in range(20):
            await store.append(work, started("n", n), completed("n", n))
        (seen,) = await _next(stream)
        while seen.head_seq < 42:
            (seen,) = await _next(stream)
        assert seen.runs_done == 20


async def test_a_filter_and_what_leaves_it(store: Store):
    async with store.session() as session:
        stream = _watch(store, statuses=[RUNNING], diagram_id="a")
        assert await _next(stream) == []
        await store.running(session, diagram_id="b")
        await store.create(diagram_id="a")
        work = await store.running(session, diagram_id="a")
        (seen,) = await _next(stream)
        assert seen.execution_id == work.execution_id
        await store.append(work, event("execution_completed"))
        (gone,) = await _next(stream)
        assert (gone.execution_id, gone.status) == (work.execution_id, COMPLETED)


async def test_the_stream_ends_with_the_store(store: Store):
    stream = _watch(store)
    await _next(stream)
    await store.stop_serving()
    with pytest.raises(Unavailable):
        await _next(stream)
