"""Several stores on one Postgres: cases 3, 4, 10, 12, 13 and 30 of spec/store.md §20 where it takes two of them."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing

import asyncpg
import postgres
import pytest
from store_client import Client, Clock, Session, Store, append_of, completed, event, started
from test_watch import logs

from dipeo_kit import ids, rpc
from dipeo_kit.errors import Conflict, Unavailable
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb
from dipeo_store import admin
from dipeo_store.settings import Settings

Stores = tuple[Store, Store]


@pytest.fixture
def settings(sqlite_settings: Settings, postgres_url: str) -> Settings:
    changes = {"url": postgres_url, "heartbeat_s": 0.2, "lost_s": 0.8, "committers": 2}
    return sqlite_settings.model_copy(update=changes)


@pytest.fixture(params=[True, False], ids=["notify", "poll"])
def notify(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    async with two_stores(settings) as both:
        yield both


@pytest.fixture
async def patient_stores(settings: Settings) -> AsyncIterator[Stores]:
    """For what is not about lost sessions: on a busy machine a heartbeat may wait for long."""
    async with two_stores(settings.model_copy(update={"lost_s": 20})) as both:
        yield both


@contextlib.asynccontextmanager
async def two_stores(settings: Settings) -> AsyncIterator[Stores]:
    both = [
        Store(settings.model_copy(update={"listen": f"{settings.listen}-{name}"}), Clock(), "") for name in ("a", "b")
    ]
    try:
        for store in both:
            await store.start()
        yield both[0], both[1]
    finally:
        for store in both:
            await store.stop()


async def _seqs(events: AsyncIterator[ev.Event]) -> list[int]:
    return [each.seq async for each in events]


async def _write_on_both(stores: Stores, work: pb.Work, batches: int) -> None:
    for number in range(batches):
        store = stores[number % 2]
        result = await store.append(work, *logs(1 + number % 5))
        assert not result.reason, result
    assert not (await stores[0].append(work, event("execution_completed"))).reason


async def _verified(settings: Settings) -> None:
    assert await admin.run("verify", settings, "") == 0


async def test_case_12_readers_at_both_stores_see_the_same_journal(settings: Settings, notify: bool):
    changes = {"notify": notify, "lost_s": 20}
    async with two_stores(settings.model_copy(update=changes)) as (a, b), a.session() as session:
        work = await a.running(session)
        async with session.living(0):
            reading = [asyncio.create_task(_seqs(store.watch(work.execution_id))) for store in (a, b, a, b)]
            await _write_on_both((a, b), work, 60)
            async with asyncio.timeout(5):
                assert await asyncio.gather(*reading) == [list(range(1, work.head_seq + 1))] * 4


@pytest.mark.parametrize("notify", [True], indirect=True)
async def test_what_one_store_commits_is_seen_at_the_other_long_before_the_poll(stores: Stores, notify: bool):
    a, b = stores
    async with a.session() as session, session.living(0):
        work = await a.running(session)
        async with aclosing(b.watch(work.execution_id, work.head_seq)) as events:
            loop = asyncio.get_running_loop()
            waits_s = []
            for _ in range(8):
                waiting = asyncio.create_task(anext(events))
                await asyncio.wait([waiting], timeout=0.05)
                begun = loop.time()
                await a.append(work, *logs(1))
                await waiting
                waits_s.append(loop.time() - begun)
        assert sorted(waits_s)[4] < 0.3, waits_s


async def test_case_13_readers_miss_nothing_when_listeners_are_killed(settings: Settings, patient_stores: Stores):
    a, b = patient_stores
    async with a.session() as session, session.living(0):
        work = await a.running(session)
        reading = asyncio.create_task(_seqs(b.watch(work.execution_id)))
        for _ in range(5):
            await a.append(work, *logs(3))
            await postgres.execute(
                settings.url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify%') AND pid <> pg_backend_pid()",
            )
            await a.append(work, *logs(3))
            await asyncio.wait([reading], timeout=0.1)
        await a.append(work, event("execution_completed"))
        async with asyncio.timeout(5):
            assert await reading == list(range(1, work.head_seq + 1))


@pytest.mark.skipif("DIPEO_TEST_POSTGRES" in os.environ, reason="processes of another server cannot be frozen")
async def test_case_13_readers_miss_nothing_while_listeners_are_frozen_and_others_take_their_place(
    settings: Settings, monkeypatch
):
    monkeypatch.setattr("dipeo_store.backends.postgres_news.PING_S", 0.3)
    monkeypatch.setattr("dipeo_store.backends.postgres_news.PING_TIMEOUT_S", 0.3)
    patient = two_stores(settings.model_copy(update={"lost_s": 20}))
    async with patient as (a, b), a.session() as session, session.living(0):
        work = await a.running(session)
        frozen = await _listeners(settings, 2)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            reading = asyncio.create_task(_seqs(b.watch(work.execution_id)))
            await _write_on_both((a, a), work, 10)
            async with asyncio.timeout(5):
                assert await reading == list(range(1, work.head_seq + 1))
                assert await _listeners(settings, 2, besides=frozen)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)


async def _listeners(settings: Settings, number: int, *, besides: Collection[int] = ()) -> list[int]:
    """The database's processes behind the connections that listen, as soon as there are so many."""
    sql = """
        SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> ALL ($1::int[])
          AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')"""
    db = await asyncpg.connect(settings.url)
    try:
        async with asyncio.timeout(5):
            while len(found := [row[0] for row in await db.fetch(sql, list(besides))]) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found
    finally:
        await db.close()


async def test_case_4_four_claimers_at_two_stores_share_400_executions(stores: Stores):
    a, b = stores
    wanted: set[str] = set()

    async def make(store: Store) -> None:
        for _ in range(200):
            wanted.add((await store.create()).execution.execution_id)

    claimed: list[pb.Work] = []

    async def take(session: Session) -> None:
        while len(claimed) < 400:
            await session.free(7)
            claimed.append(await session.work())

    async with a.session("1") as one, a.session("2") as two, b.session("3") as three, b.session("4") as four:
        taking = [asyncio.create_task(take(session)) for session in (one, two, three, four)]
        await asyncio.gather(make(a), make(b))
        async with asyncio.timeout(20):
            while len(claimed) < 400:
                await asyncio.wait(taking, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
        for task in taking:
            task.cancel()
    assert sorted(work.execution_id for work in claimed) == sorted(wanted)
    assert {(work.fence, work.head_seq, work.recovery) for work in claimed} == {(1, 1, False)}


async def test_an_idle_executor_gets_what_the_other_store_took_in(settings: Settings, notify: bool):
    both = two_stores(settings.model_copy(update={"notify": notify}))
    async with both as (a, b), a.session() as session, session.living(1):
        await asyncio.wait([session.pending()], timeout=0.1)
        execution_id = (await b.create()).execution.execution_id
        async with asyncio.timeout(2.0):
            assert (await session.work()).execution_id == execution_id


async def test_a_signal_posted_at_one_store_reaches_the_holder_at_the_other_once(settings: Settings, notify: bool):
    both = two_stores(settings.model_copy(update={"notify": notify}))
    async with both as (a, b), a.session() as session, session.living(0):
        work = await a.running(session)
        posted = [ids.new_hex() for _ in range(3)]
        for signal_id in posted:
            await b.abort(work.execution_id, signal_id)
        async with asyncio.timeout(3.0):
            assert [(await session.next()).signal.signal_id for _ in posted] == posted
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.2):  # a poll later
                await session.next()


async def test_case_3_a_silent_holder_is_fenced_at_every_store(stores: Stores):
    a, b = stores
    async with a.session("silent") as silent, b.session("alive") as alive, alive.living(1):
        stale = await a.running(silent)
        work = await alive.work()
        assert work.execution_id == stale.execution_id and work.fence > stale.fence and work.recovery
        for store in stores:
            assert (await store.append(stale, started("a"))).reason == "FENCED"
        with pytest.raises(Conflict) as caught, rpc.translated():
            while True:
                assert await silent.call.read() is not rpc.aio.EOF
        assert caught.value.reason == "SESSION_LOST"
        assert not (await a.append(work, event("execution_recovered"), started("a"))).reason


async def test_what_a_store_that_is_gone_had_given_out_is_given_anew_by_the_others(stores: Stores):
    a, b = stores
    async with a.session() as session:
        work = await a.running(session)
        await a.stop_serving()  # nothing is taken back: its executors may come to the other store
        async with b.session() as other, other.living(1):
            again = await other.work()
            assert again.execution_id == work.execution_id and again.recovery


async def test_an_executor_goes_on_at_another_store_with_what_it_holds(stores: Stores):
    a, b = stores
    async with a.session() as session:
        work = await a.running(session)
        never_told = (await a.create(session_id=session.session_id)).claim
        await a.append(work, started("a"))
        await a.stop_serving()
        async with resumed(b, session.session_id, work.execution_id) as again, again.living(1):
            assert again.session_id == session.session_id
            assert not (await b.append(work, completed("a"))).reason
            given = await again.work()
            assert given.execution_id == never_told.execution_id and given.fence > never_told.fence
            await b.abort(work.execution_id, "5" * 32)
            assert (await again.next()).signal.signal_id == "5" * 32
            await asyncio.wait([again.pending()], timeout=1.0)  # longer than a lost session has
            assert not (await b.append(work, started("b"))).reason


async def test_a_session_that_was_given_up_is_not_resumed(stores: Stores):
    a, b = stores
    async with a.session() as session:
        work = await a.running(session)
        session.lose()
    async with b.session() as other, other.living(1):
        await other.work()
        async with resumed(b, session.session_id, work.execution_id) as again:
            assert again.session_id != session.session_id


@contextlib.asynccontextmanager
async def resumed(store: Client, session_id: str, *holding: str) -> AsyncIterator[Session]:
    session = Session(store, "again")
    session.call = store.stub.Session()
    opening = pb.OpenSession(executor="again", resume_session_id=session_id, holding=holding)
    await session.call.write(pb.SessionRequest(open=opening))
    session.opened = (await session.next()).opened
    session.session_id = session.opened.session_id
    try:
        yield session
    finally:
        session.lose()


async def test_case_10_writers_at_both_stores_leave_gapless_journals(settings: Settings, patient_stores: Stores):
    stores = patient_stores

    async def one_run(number: int, session: Session) -> str:
        store = stores[number % 2]
        writer = stores[(number // 2) % 2].writer()
        work = await store.running(session)
        for step in range(20):
            (result,) = await writer.append(append_of(work, started("n", step), completed("n", step)))
            assert not result.reason, result
            work.head_seq = result.head_seq
        await store.append(work, event("execution_completed"))
        return work.execution_id

    async with stores[0].session() as one, stores[1].session() as two, one.living(0), two.living(0):
        sessions = (one, two)
        found = await asyncio.gather(*(one_run(number, sessions[number % 2]) for number in range(50)))
    for execution_id in found:
        assert [each.seq for each in await stores[1].journal(execution_id)] == list(range(1, 44))
    await _verified(settings)


async def test_case_30_the_clocks_of_stores_do_not_matter(settings: Settings, stores: Stores):
    a, b = stores
    a.clock.ahead_s, b.clock.ahead_s = 3600.0, -3600.0
    made = [(await store.create()).execution.execution_id for store in (a, b, a)]
    async with a.session() as one, b.session() as two, one.living(0), two.living(3):
        works = [await two.work() for _ in made]
        assert [work.execution_id for work in works] == made
        for work in works:
            await b.append(work, event("execution_started"), started("n"), completed("n"))
        held = await a.running(one)
        await asyncio.wait([two.pending()], timeout=1.2)  # longer than a lost session has
        assert not (await a.append(held, started("n"))).reason
        one.lose()
        assert (await two.work()).execution_id == held.execution_id
    listed = await rpc.call(a.stub.ListExecutions, pb.ListExecutionsRequest())
    assert [each.execution_id for each in listed.executions] == [held.execution_id, *made[::-1]]
    await _verified(settings)


async def test_appends_survive_every_cut_of_the_connections(settings: Settings):
    """Outcomes that nobody knows are asked for again with the same events (case 2)."""
    went_on = asyncio.Event()

    async def cut() -> None:
        """After every success, however slow the machine: cut by the clock, a busy one would never get anything done."""
        while True:
            await went_on.wait()
            went_on.clear()
            await postgres.execute(
                settings.url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )

    both = two_stores(settings.model_copy(update={"lost_s": 20}))
    async with both as (a, _), a.session() as session:
        works = [await a.running(session) for _ in range(5)]
        cutting = asyncio.create_task(cut())
        acknowledged = await asyncio.gather(*(_insist(a, work, 20, went_on) for work in works))
        assert not cutting.done()
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)
        for work, sent in zip(works, acknowledged, strict=True):
            assert [each.event_id for each in await a.journal(work.execution_id)][2:] == sent
    await _verified(settings)


async def _insist(store: Store, work: pb.Work, steps: int, went_on: asyncio.Event) -> list[str]:
    """Append as an executor does: the same batch until it is answered, which sets the event. The ids in order."""
    sent = []
    writer = store.writer()
    async with asyncio.timeout(20):
        for step in range(steps):
            batch = [started("n", step), completed("n", step)]
            while True:
                try:
                    (result,) = await writer.append(append_of(work, *batch))
                except (Unavailable, asyncio.InvalidStateError):
                    writer = store.writer()
                else:
                    break
            assert not result.reason, result
            work.head_seq = result.head_seq
            sent += [each.event_id for each in batch]
            went_on.set()
    return sent
