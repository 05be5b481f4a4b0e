"""Conformance cases of sessions, the queue and hand-over (spec/store.md §16.4, §16.6, §20)."""

import asyncio

import pytest
from store_client import Session, Store, completed, event, started

from dipeo_kit import rpc
from dipeo_kit.errors import BadInput, Conflict
from dipeo_protos.store.v1 import store_pb2 as pb
from dipeo_store import admin


async def test_case_4_each_execution_is_claimed_once_with_one_fence_more(store: Store):
    wanted = {(await store.create()).execution.execution_id for _ in range(400)}
    claimed: list[pb.Work] = []

    async def take(session: Session) -> None:
        while len(claimed) < len(wanted):
            await session.free(3)
            claimed.append(await session.work())

    async with store.session("1") as a, store.session("2") as b, store.session("3") as c, store.session("4") as d:
        takers = [asyncio.create_task(take(session)) for session in (a, b, c, d)]
        async with asyncio.timeout(20):
            while len(claimed) < len(wanted):
                await asyncio.wait(takers, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
        for taker in takers:
            taker.cancel()
        assert sorted(work.execution_id for work in claimed) == sorted(wanted)
        assert {(work.fence, work.head_seq, work.recovery) for work in claimed} == {(1, 1, False)}


async def test_new_work_wakes_an_idle_session_at_once_and_no_more_than_it_has_room_for(store: Store):
    async with store.session() as session:
        await session.free(2)
        made = [(await store.create()).execution.execution_id for _ in range(3)]
        assert [(await session.work()).execution_id for _ in range(2)] == made[:2]
        await session.free(1)
        assert (await session.work()).execution_id == made[2]


async def test_a_submitter_with_room_gets_its_execution_in_the_same_call(store: Store):
    async with store.session() as session:
        created = await store.create(session_id=session.session_id)
        assert (created.claim.fence, created.claim.head_seq, created.claim.recovery) == (1, 1, False)
        assert created.execution.attempts == 1
    assert not (await store.create(session_id="gone")).HasField("claim")


async def test_released_work_goes_to_the_next_at_once_and_its_former_holder_is_fenced(store: Store):
    async with store.session("1") as one, store.session("2") as two:
        work = await store.running(one)
        await two.free(1)
        await one.release(work)
        again = await two.work()
        assert again.execution_id == work.execution_id and again.recovery and again.fence > work.fence
        assert (await store.append(work, started("a"))).reason == "FENCED"


async def test_a_closed_session_gives_back_what_it_holds_without_a_wait(store: Store):
    async with store.session("1") as one, store.session("2") as two:
        works = [await store.running(one) for _ in range(3)]
        await two.free(5)
        await one.close()
        taken = {(await two.work()).execution_id for _ in works}
        assert taken == {work.execution_id for work in works}
        assert (await store.append(works[0], started("a"))).reason == "FENCED"


async def test_a_lost_holder_is_fenced_before_anyone_else_claims(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        session.lose()
        async with asyncio.timeout(5):
            while not (refused := await store.append(work, event("execution_log"))).reason:
                pass
        assert refused.reason == "FENCED"


class TestLateHeartbeat:
    @pytest.fixture
    def settings(self, settings):
        return settings.model_copy(update={"heartbeat_s": 0.1, "lost_s": 0.4})

    async def test_a_session_that_falls_silent_is_lost_and_a_living_one_takes_over(self, store: Store):
        async with store.session("silent") as silent, store.session("alive") as alive:
            assert (silent.opened.heartbeat_s, silent.opened.lost_s) == (0.1, 0.4)
            work = await store.running(silent)

            async def live() -> None:
                while True:
                    await alive.free(1)
                    await asyncio.sleep(0.1)

            living = asyncio.create_task(live())
            try:
                again = await alive.work()
            finally:
                living.cancel()
            assert again.execution_id == work.execution_id and again.recovery
            with pytest.raises(Conflict) as caught, rpc.translated():
                await silent.call.read()
            assert caught.value.reason == "SESSION_LOST"


async def test_case_22_an_execution_that_kills_its_holders_is_given_up_after_five(store: Store):
    execution_id = (await store.create()).execution.execution_id
    waits_s = []
    for attempt in range(1, 6):
        before_s = store.clock.ahead_s
        async with store.session() as session:
            work = await _take(store, session)
            waits_s.append(store.clock.ahead_s - before_s)
            assert work.execution_id == execution_id
            begin = event("execution_started") if attempt == 1 else event("execution_recovered", attempt=attempt)
            assert not (await store.append(work, begin)).reason
            assert (await store.get(execution_id)).execution.attempts == attempt
            session.lose()
            await _unheld(store, work)
    assert waits_s == [0, 0, 5, 30, 120]
    run = (await store.get(execution_id)).execution
    assert (run.status, run.error.code) == (pb.EXECUTION_STATUS_FAILED, "recovery_exhausted")
    assert (await store.types(execution_id))[-1] == "execution_failed"


async def test_case_22_a_holder_that_got_something_done_starts_the_count_anew(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        session.lose()
    for number in range(6):
        async with store.session() as session:
            work = await _take(store, session)
            await store.append(work, event("execution_recovered"), started(f"n{number}"), completed(f"n{number}"))
            session.lose()
            await _unheld(store, work)
    assert await store.status(work.execution_id) == "running"


async def _take(store: Store, session: Session) -> pb.Work:
    """The next work, the clock moved on by as much as it takes: 5, 30, 120 or 600 s."""
    start_s = store.clock.ahead_s
    for wait_s in (0, 5, 30, 120, 600):
        await store.move_clock(start_s + wait_s)
        await session.free(1)
        try:
            async with asyncio.timeout(0.15):
                response = await session.next()
        except TimeoutError:
            continue
        return response.work
    raise AssertionError("no work came")


async def _unheld(store: Store, work: pb.Work) -> None:
    async with asyncio.timeout(5):
        while not (await store.append(work, event("execution_log"))).reason:
            pass


async def test_recovery_brings_source_journal_and_open_signals_to_the_holder_only(store: Store):
    async with store.session() as session:
        work = await store.running(session, source=b"the bundle", variables_json=b'{"topic":"tea"}', options_json=b"{}")
        await store.append(work, started("a"))
        await store.abort(work.execution_id, "5" * 32)
        assert (await session.next()).signal.signal_id == "5" * 32
        header, events = await store.recover(work)
        assert (header.source, header.execution.variables_json) == (b"the bundle", b'{"topic":"tea"}')
        assert [each.seq for each in events] == [1, 2, 3]
        assert events[0].execution_created.variables_json == b'{"topic":"tea"}'
        assert [each.signal_id for each in header.signals] == ["5" * 32]
        work.fence += 1
        with pytest.raises(Conflict) as caught:
            await store.recover(work)
        assert caught.value.reason == "FENCED"


async def test_after_a_restart_of_the_store_work_is_given_at_once_as_recovery(sqlite_store: Store):
    store = sqlite_store  # with one file there is one store; test_replicas.py has the others
    async with store.session() as session:
        work = await store.running(session)
        queued = await store.create()
        await store.restart()
    async with store.session() as session:
        await session.free(5)
        taken = {each.execution_id: each for each in (await session.work(), await session.work())}
        assert taken[work.execution_id].recovery and taken[work.execution_id].fence > work.fence
        assert not taken[queued.execution.execution_id].recovery


async def test_case_30_clocks_that_jump_break_neither_order_nor_leases(store: Store):
    async with store.session() as one, store.session() as two:
        held = await store.running(one)
        for number, ahead_s in enumerate((3600, -3600, 3600, 0)):  # those of executors
            batch = (started(f"n{number}"), completed(f"n{number}"))
            for each in batch:
                each.at.seconds += ahead_s
            assert not (await store.append(held, *batch)).reason
        await store.move_clock(3600)  # that of the store, forth and back
        waiting = [(await store.create()).execution.execution_id]
        await store.move_clock(-3600)
        waiting.append((await store.create()).execution.execution_id)
        await one.release(held)
        await two.free(3)
        taken = [(await two.work()).execution_id for _ in range(3)]
        assert [each for each in taken if each in waiting] == waiting and held.execution_id in taken
        assert [each.seq for each in await store.journal(held.execution_id)] == list(range(1, held.head_seq + 1))
        runs = (await store.get(held.execution_id)).node_runs
        assert [run.node_id for run in runs] == ["n0", "n1", "n2", "n3"]
    assert await admin.run("verify", store.settings, "") == 0


async def test_a_session_must_begin_with_open(store: Store):
    call = store.stub.Session()
    await call.write(pb.SessionRequest(heartbeat=pb.Heartbeat(free_slots=1)))
    with pytest.raises(BadInput), rpc.translated():
        await call.read()
