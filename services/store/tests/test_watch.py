"""Conformance cases of following a journal (spec/store.md §16.7, §20)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from store_client import Store, event

from dipeo_kit import ids, rpc
from dipeo_kit.errors import NotFound, Overloaded, Unavailable
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb


def logs(number: int, size: int = 10) -> list[ev.Event]:
    return [event("execution_log", level="info", message="x" * size) for _ in range(number)]


async def _seqs(events: AsyncIterator[ev.Event]) -> list[int]:
    return [each.seq async for each in events]


async def _write(store: Store, work: pb.Work, batches: int) -> None:
    for number in range(batches):
        assert not (await store.append(work, *logs(1 + number % 7))).reason
    await store.append(work, event("execution_completed"))


async def test_case_12_watchers_that_come_at_any_time_see_the_journal_once_and_in_order(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        first = asyncio.create_task(_seqs(store.watch(work.execution_id)))
        writing = asyncio.create_task(_write(store, work, 150))
        later = []
        for after in (0, 1, 50, 200):
            if after:
                async with aclosing(store.watch(work.execution_id, after - 1)) as events:
                    assert (await anext(events)).seq == after  # so far the journal has come
            later.append((after, asyncio.create_task(_seqs(store.watch(work.execution_id, after)))))
        await writing
        assert await first == list(range(1, work.head_seq + 1))
        for after, watching in later:
            assert await watching == list(range(after + 1, work.head_seq + 1))
        assert await _seqs(store.watch(work.execution_id, 7)) == list(range(8, work.head_seq + 1))
        assert await _seqs(store.watch(work.execution_id, work.head_seq)) == []


async def test_a_live_event_carries_exactly_what_the_journal_keeps(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        async with aclosing(store.watch(work.execution_id, work.head_seq)) as events:
            waiting = asyncio.create_task(anext(events))
            await store.append(work, event("execution_log", fields_json=b'{"n": 100000000000000000000, "z": null}'))
            live = await waiting
        (stored,) = await store.journal(work.execution_id, work.head_seq - 1)
        assert (live.event_id, live.seq, live.at) == (stored.event_id, stored.seq, stored.at)
        assert stored.execution_log.fields_json == b'{"n":100000000000000000000,"z":null}'


async def test_watching_something_unknown_is_not_found(store: Store):
    with pytest.raises(NotFound):
        await _seqs(store.watch(ids.new_execution_id()))


class TestSlowReader:
    @pytest.fixture
    def settings(self, settings):
        return settings.model_copy(update={"watch_queue": 20})

    async def test_case_14_a_reader_too_slow_is_told_to_resync_and_misses_nothing(self, store: Store):
        async with store.session() as session:
            work = await store.running(session)
            quick = asyncio.create_task(_seqs(store.watch(work.execution_id)))
            slow = store.stub.Watch(pb.WatchRequest(execution_id=work.execution_id))
            seen = [each.seq for each in (await slow.read()).events]
            for _ in range(200):  # more than the buffers of gRPC hold for one who does not read
                assert not (await store.append(work, *logs(1, size=200_000))).reason
            with pytest.raises(Overloaded) as caught:
                while True:
                    seen += await self._read(slow)
            assert caught.value.reason == "RESYNC_REQUIRED" and str(seen[-1]) in str(caught.value)
            await store.append(work, event("execution_completed"))
            seen += await _seqs(store.watch(work.execution_id, seen[-1]))
            assert seen == list(range(1, work.head_seq + 1)) == await quick

    async def _read(self, call) -> list[int]:
        with rpc.translated():
            return [each.seq for each in (await call.read()).events]


async def test_a_stopping_store_ends_watches_and_sessions_at_once(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        async with aclosing(store.watch(work.execution_id, work.head_seq)) as events:
            watching = asyncio.create_task(anext(events))
            await store.append(work, *logs(1))
            await watching
            waiting = asyncio.create_task(anext(events))
            async with asyncio.timeout(0.8):  # less than the grace of running calls
                await store.stop_serving()
            with pytest.raises(Unavailable):
                await waiting
        with pytest.raises(Unavailable), rpc.translated():
            await session.call.read()
