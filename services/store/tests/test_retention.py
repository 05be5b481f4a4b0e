"""What goes after a while and what stays; deadlines the store enforces (spec/store.md §16.6, §16.8, §20)."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from store_client import PATIENCE_S, Session, Store, completed, event, started

from dipeo_kit import ids, rpc
from dipeo_kit.errors import NotFound
from dipeo_protos.store.v1 import content_pb2
from dipeo_protos.store.v1 import store_pb2 as pb

DAY_S = 24 * 3600
LARGE = b'"' + b"v" * 20_000 + b'"'
TABLES = ("executions", "transitions", "node_runs", "messages", "signals", "interactions", "blob_refs")


async def _retain(store: Store) -> tuple[int, int, int]:
    removed = await rpc.call(store.stub.Retain, pb.RetainRequest())
    return removed.executions_removed, removed.logs_emptied, removed.blobs_removed


async def _pin(store: Store, execution_id: str, pinned: bool = True) -> pb.Execution:
    request = pb.PinExecutionRequest(execution_id=execution_id, pinned=pinned)
    return (await rpc.call(store.stub.PinExecution, request)).execution


async def _ended(store: Store, session: Session, output: bytes = LARGE, **fields: Any) -> str:
    """With rows in every table."""
    work = await store.running(session, **fields)
    asked = ids.new_hex()
    await store.append(work, started("a"), completed("a", output=output))
    await store.append(work, event("message_appended", message_id=ids.new_hex(), content="hi"))
    await store.append(work, started("q"), event("interaction_opened", interaction_id=asked, node_id="q"))
    await store.answer(work.execution_id, interaction_id=asked, response="yes")
    await store.append(work, event("execution_log", level="info", message="a secret of the past"))
    await store.append(work, event("execution_completed"))
    return work.execution_id


async def _rows(store: Store, tables: Iterable[str]) -> dict[str, int]:
    """How many rows there are; the database is read directly."""
    sql = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables)
    return dict(await store.sql(sql))


async def test_case_26_what_ended_long_ago_goes_with_all_that_is_its_own(store: Store):
    async with store.session() as session:
        gone = [await _ended(store, session) for _ in range(3)]
        assert await _retain(store) == (0, 0, 0)
        await store.move_clock(29 * DAY_S)
        assert (await _retain(store))[0] == 0
        await store.move_clock(31 * DAY_S)
        removed = await _retain(store)
        assert removed[0] == 3 and removed[2] == 1
        for execution_id in gone:
            with pytest.raises(NotFound):
                await store.get(execution_id)
        left = await _rows(store, (*TABLES, "sources", "blobs", "blob_chunks"))
        assert set(left.values()) == {0}, left


async def test_case_30_an_executor_whose_clock_is_wrong_loses_nothing_to_the_sweeper(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        end = event("execution_completed")
        end.at.FromSeconds(0)  # 1970: a machine without a battery
        assert not (await store.append(work, end)).reason
        assert (await _retain(store))[:2] == (0, 0)
        await store.move_clock(31 * DAY_S)
        assert (await _retain(store))[0] == 1


async def test_case_26_pinned_and_live_ones_stay_and_so_does_what_they_share(store: Store):
    async with store.session() as session:
        pinned = await _ended(store, session, source=b"shared")
        gone = await _ended(store, session, source=b"shared")
        waiting = (await store.create(source=b"shared")).execution.execution_id
        assert (await _pin(store, pinned)).pinned
    await store.move_clock(40 * DAY_S)
    removed = await _retain(store)
    assert (removed[0], removed[2]) == (1, 0)  # the blob is that of the pinned one too
    with pytest.raises(NotFound):
        await store.journal(gone)
    journal = await store.journal(pinned)
    assert any(each.node_completed.output_json == LARGE for each in journal)
    assert any(each.execution_log.message for each in journal)
    assert await store.status(waiting) == "pending"
    await _pin(store, pinned, pinned=False)
    assert (await _retain(store))[0] == 1
    with pytest.raises(NotFound):
        await _pin(store, pinned)


async def test_case_26_logs_lose_their_texts_earlier_and_the_journal_keeps_its_seqs(store: Store):
    async with store.session() as session:
        execution_id = await _ended(store, session)
        before = await store.journal(execution_id)
        await store.move_clock(8 * DAY_S)
        assert await _retain(store) == (0, 1, 0)
        assert await _retain(store) == (0, 0, 0)
        after = await store.journal(execution_id)
    assert [each.seq for each in after] == [each.seq for each in before]
    changed = [late for late, early in zip(after, before, strict=True) if late != early]
    assert [each.WhichOneof("body") for each in changed] == ["execution_log"]
    assert changed[0].execution_log.message == ""


async def test_an_upload_that_nothing_refers_to_goes_after_a_day(store: Store):
    call = store.stub.PutBlob()
    await call.write(content_pb2.PutBlobRequest(hash=_ABC, data=b"abc"))
    await call.done_writing()
    assert (await call.read()).size_bytes == 3
    assert (await _retain(store))[2] == 0
    await store.move_clock(2 * DAY_S)
    assert (await _retain(store))[2] == 1


_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


async def test_the_sweeper_works_by_itself(store: Store):
    async with store.session() as session:
        execution_id = await _ended(store, session)
    await store.move_clock(31 * DAY_S)
    await store.stop()
    store.settings = store.settings.model_copy(update={"sweep_s": 0.05})
    await store.start()
    with pytest.raises(NotFound):
        async for _ in store.watch(execution_id):
            pass
        while True:
            await store.get(execution_id)


async def _until_ended(store: Store, execution_id: str) -> None:
    async for _ in store.watch(execution_id):
        pass


async def test_case_21_at_its_deadline_a_run_is_aborted_and_when_its_holder_hangs_ended(store: Store, monkeypatch):
    monkeypatch.setattr("dipeo_store.retention.DEADLINE_SWEEP_S", 0.05)
    await store.restart()
    async with store.session() as session:
        work = await store.running(session, timeout_s=10)
        unlimited = await store.running(session)
        await store.move_clock(35)
        assert await store.status(work.execution_id) == "running"  # the executor itself may still end it
        await store.move_clock(45)
        signal = (await session.next()).signal
        assert (signal.execution_id, signal.abort.reason) == (work.execution_id, "timeout")
        assert await store.status(work.execution_id) == "running"
        await store.move_clock(80)
        await _until_ended(store, work.execution_id)
        error = (await store.get(work.execution_id)).execution.error
        assert error.code == "timeout" and "deadline" in error.message
        assert (await store.append(work, started("late"))).reason == "TERMINAL"
        assert not (await store.append(unlimited, started("a"))).reason


async def test_case_21_a_run_that_nobody_holds_ends_after_its_deadline_too(store: Store, monkeypatch):
    monkeypatch.setattr("dipeo_store.retention.DEADLINE_SWEEP_S", 0.05)
    await store.restart()
    async with store.session() as session:
        work = await store.running(session, timeout_s=10)
        await session.close()
    await store.move_clock(45)
    await _until_signalled(store, work.execution_id)
    await store.move_clock(80)
    await _until_ended(store, work.execution_id)
    assert (await store.get(work.execution_id)).execution.error.code == "timeout"


async def _until_signalled(store: Store, execution_id: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not (await _rows(store, ["signals"]))["signals"]:  # noqa: ASYNC110 the store does it by itself
            await asyncio.sleep(0.02)


async def test_case_21_time_for_humans_and_pauses_does_not_count(store: Store, monkeypatch):
    monkeypatch.setattr("dipeo_store.retention.DEADLINE_SWEEP_S", 0.05)
    await store.restart()
    async with store.session() as session:
        asking = await store.running(session, timeout_s=100)
        question = event("interaction_opened", interaction_id=ids.new_hex(), node_id="q")
        await store.append(asking, started("q"), question)
        paused = await store.running(session, timeout_s=100)
        await store.append(paused, event("execution_paused"))
        other = await store.running(session, timeout_s=100)
        await store.move_clock(1000)
        assert await _aborted(session) == other.execution_id  # the only one
        await store.answer(asking.execution_id, node_id="q", response="at last")
        assert (await session.next()).signal.HasField("answer")
        resumed = event("execution_resumed")
        resumed.at.seconds += 1000
        await store.append(paused, resumed)
        await store.move_clock(1090)  # 90 of 100 s are spent
        last = await store.running(session, timeout_s=1)
        await store.move_clock(1125)
        assert await _aborted(session) == last.execution_id  # again the only one
        await store.move_clock(1150)
        assert {await _aborted(session), await _aborted(session)} == {asking.execution_id, paused.execution_id}
        await store.move_clock(1200)
        for late in (asking, paused):
            await _until_ended(store, late.execution_id)
            assert (await store.get(late.execution_id)).execution.error.code == "timeout"


async def _aborted(session: Session) -> str:
    signal = (await session.next()).signal
    assert signal.abort.reason == "timeout", signal
    return str(signal.execution_id)


async def test_messages_are_found_by_person_text_and_time_in_pages(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        texts = [("ann", "bob", "GRÜNER Tee"), ("bob", "ann", "coffee %"), ("ann", "carl", "grüner salat")] * 2
        for sender, receiver, text in texts:
            message = {"message_id": ids.new_hex(), "from_id": sender, "to_id": receiver, "content": text}
            await store.append(work, event("message_appended", **message))

        async def found(**fields: Any) -> list[str]:
            texts, token = [], ""
            while True:
                request = pb.ListMessagesRequest(
                    execution_id=work.execution_id, page_size=2, page_token=token, **fields
                )
                response = await rpc.call(store.stub.ListMessages, request)
                texts += [each.content for each in response.messages]
                token = response.next_page_token
                if not token:
                    return texts

        assert await found() == [text for _, _, text in texts]
        assert await found(person_id="bob") == ["GRÜNER Tee", "coffee %"] * 2
        assert await found(search="grüner") == ["GRÜNER Tee", "grüner salat"] * 2
        assert await found(search="%") == ["coffee %"] * 2
        assert await found(search="grüner", person_id="carl") == ["grüner salat"] * 2
        late = pb.ListMessagesRequest().since
        late.GetCurrentTime()
        late.seconds += 60
        assert await found(since=late) == []
