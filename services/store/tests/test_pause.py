"""Pausing and resuming as the store sees it (spec/store.md §16.1, §16.5, §20; gateway contract 10.2)."""

import pytest
from store_client import Session, Store, completed, event, started

from dipeo_kit import ids, rpc
from dipeo_kit.errors import BadInput, Conflict
from dipeo_protos.store.v1 import store_pb2 as pb


async def _post(store: Store, execution_id: str, **kind) -> pb.Execution:
    request = pb.PostSignalRequest(execution_id=execution_id, signal_id=ids.new_hex(), **kind)
    return (await rpc.call(store.stub.PostSignal, request)).execution


async def _pause(store: Store, execution_id: str) -> pb.Execution:
    return await _post(store, execution_id, pause=pb.Pause(reason="lunch", principal="ann"))


async def _resume(store: Store, execution_id: str) -> pb.Execution:
    return await _post(store, execution_id, resume=pb.Resume(principal="ann"))


async def _paused(store: Store, session: Session) -> pb.Work:
    work = await store.running(session)
    await _pause(store, work.execution_id)
    signal = (await session.next()).signal
    result = await store.append(
        work, event("signal_consumed", signal_id=signal.signal_id), event("execution_paused", reason="lunch")
    )
    assert not result.reason
    return work


async def test_a_pause_reaches_the_holder_and_asked_again_is_nothing_new(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        for _ in range(3):
            assert (await _pause(store, work.execution_id)).status == pb.EXECUTION_STATUS_RUNNING
        signal = (await session.next()).signal
        assert (signal.pause.reason, signal.pause.principal) == ("lunch", "ann")
        header, _ = await store.recover(work)
        assert len(header.signals) == 1
        await _resume(store, work.execution_id)
        await _resume(store, work.execution_id)
        assert (await session.next()).signal.resume.principal == "ann"
        header, _ = await store.recover(work)
        assert [each.WhichOneof("kind") for each in header.signals] == ["pause", "resume"]


async def test_only_what_is_paused_or_about_to_be_can_be_resumed(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        with pytest.raises(Conflict, match="not paused"):
            await _resume(store, work.execution_id)
        work = await _paused(store, session)
        assert (await _resume(store, work.execution_id)).status == pb.EXECUTION_STATUS_PAUSED
        await store.append(work, event("execution_resumed"))
        assert await store.status(work.execution_id) == "running"


async def test_a_pending_execution_keeps_its_pause_for_its_first_holder(store: Store):
    execution_id = (await store.create()).execution.execution_id
    assert (await _pause(store, execution_id)).status == pb.EXECUTION_STATUS_PENDING
    async with store.session() as session:
        await session.free(1)
        work = await session.work()
        assert (work.execution_id, work.recovery) == (execution_id, False)
        assert (await session.next()).signal.HasField("pause")


async def test_case_8_a_terminal_execution_takes_neither_pause_nor_resume(store: Store):
    async with store.session() as session:
        work = await _paused(store, session)
        await store.append(work, event("execution_aborted"))
        before = await store.journal(work.execution_id)
        for ask in (_pause, _resume):
            with pytest.raises(Conflict, match="has ended"):
                await ask(store, work.execution_id)
        for late in ("execution_paused", "execution_resumed"):
            assert (await store.append(work, event(late))).reason == "TERMINAL"
        assert await store.journal(work.execution_id) == before


@pytest.mark.parametrize("refused", ["execution_paused", "node_started", "execution_started"])
async def test_case_9_while_paused_nothing_starts(store: Store, refused: str):
    async with store.session() as session:
        work = await _paused(store, session)
        late = started("late") if refused == "node_started" else event(refused)
        assert (await store.append(work, late)).reason == "TRANSITION"
        assert await store.status(work.execution_id) == "paused"


async def test_case_9_running_cannot_be_resumed_and_paused_may_end(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        assert (await store.append(work, event("execution_resumed"))).reason == "TRANSITION"
        for end in ("execution_completed", "execution_failed", "execution_aborted", "execution_maxiter_reached"):
            work = await _paused(store, session)
            assert not (await store.append(work, event(end))).reason


async def test_a_paused_execution_is_still_paused_after_another_took_it_over(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        await store.append(work, started("ask", type="user_response"))
        await store.append(work, event("execution_paused"))
        session.lose()
    async with store.session() as session:
        await session.free(1)
        work = await session.work()
        again = event("node_retrying", node_id="ask", attempt=2, reason="executor_lost")
        assert not (await store.append(work, event("execution_recovered", attempt=2), again)).reason
        assert await store.status(work.execution_id) == "paused"
        assert not (await store.append(work, completed("ask", attempt=2))).reason


async def test_a_signal_is_exactly_one_thing(store: Store):
    execution_id = (await store.create()).execution.execution_id
    with pytest.raises(BadInput, match="one of abort, pause, resume"):
        await _post(store, execution_id, pause=pb.Pause(), resume=pb.Resume())
    with pytest.raises(BadInput, match="one of abort, pause, resume"):
        await _post(store, execution_id)
