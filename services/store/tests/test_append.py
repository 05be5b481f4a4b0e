"""Conformance cases of appending (spec/store.md §20), through the real service."""

import asyncio
import contextlib

import pytest
from store_client import Session, Store, Writer, append_of, completed, event, started

from dipeo_kit import ids
from dipeo_kit.errors import Conflict
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb
from dipeo_store import admin


async def test_case_1_resending_a_batch_changes_nothing_also_after_a_restart(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        batch = (started("a"), completed("a"), started("b"))
        before = work.head_seq
        assert (await store.append(work, *batch)).head_seq == before + 3
        for _ in range(10):
            again = await store.append(work, *batch, expected_seq=before)
            assert (again.reason, again.duplicate, again.head_seq) == ("", True, before + 3)
    await store.restart()
    async with store.session() as session:
        await session.free(1)
        work = await session.work()
        again = await store.append(work, *batch, expected_seq=before)
        assert (again.reason, again.duplicate, again.head_seq) == ("", True, before + 3)
    assert [each.seq for each in await store.journal(work.execution_id)] == list(range(1, before + 4))


async def test_case_1_a_repeat_of_the_terminal_batch_is_a_duplicate_though_nobody_holds_it(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        end = event("execution_completed", result_json=b"{}")
        assert not (await store.append(work, end)).duplicate
        again = await store.append(work, end)
        assert (again.reason, again.duplicate, again.head_seq) == ("", True, work.head_seq)


async def test_case_2_a_writer_that_lost_the_reply_gets_the_committed_seqs(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        batch = (started("a"), completed("a"))
        cut = store.stub.Append()
        await cut.write(pb.AppendRequest(appends=[append_of(work, *batch)]))
        await store.eventually(work.execution_id, "node_completed")
        cut.cancel()
        again = await store.append(work, *batch)
        assert (again.reason, again.duplicate, again.head_seq) == ("", True, 4)
        assert await store.types(work.execution_id) == [
            "execution_created", "execution_started", "node_started", "node_completed",
        ]  # fmt: skip


async def test_case_3_a_stale_fence_changes_nothing(store: Store):
    async with store.session() as old:
        stale = await store.running(old)
        old.lose()
        async with store.session() as new:
            await new.free(1)
            work = await new.work()
            assert work.execution_id == stale.execution_id and work.fence > stale.fence and work.recovery
            refused = await store.append(stale, started("a"))
            assert refused.reason == "FENCED" and str(work.fence) in refused.message
            assert not (await store.append(work, event("execution_recovered", attempt=2), started("a"))).reason
            assert (await store.append(stale, started("b"), expected_seq=work.head_seq)).reason == "FENCED"
    assert await store.types(work.execution_id) == [
        "execution_created", "execution_started", "execution_recovered", "node_started",
    ]  # fmt: skip


async def test_case_3_a_fence_is_refused_even_for_a_duplicate(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        batch = (started("a"),)
        await store.append(work, *batch)
        stale = pb.Work(execution_id=work.execution_id, fence=work.fence - 1, head_seq=2)
        assert (await store.append(stale, *batch)).reason == "FENCED"


async def test_a_writer_that_is_behind_is_told_the_head(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        await store.append(work, started("a"))
        refused = await store.append(work, started("b"), expected_seq=work.head_seq - 1)
        assert (refused.reason, refused.head_seq) == ("SEQ_MISMATCH", work.head_seq)


async def test_an_unknown_execution_and_an_unreadable_event_are_refused_alone(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        unknown = pb.Work(execution_id=ids.new_execution_id(), fence=1, head_seq=1)
        not_json = event("node_completed", node_id="a", attempt=1, output_json=b"{nope")
        results = await store.writer().append(
            append_of(unknown, started("a")),
            append_of(work, not_json),
            append_of(work, ev.Event(event_id=ids.new_hex())),
            append_of(work, ev.Event(event_id="short", execution_log=ev.ExecutionLog(message="x"))),
            append_of(work, started("a")),
        )
        assert [each.reason for each in results] == ["NOT_FOUND", "INVALID", "INVALID", "INVALID", ""]


async def test_an_event_beyond_the_limit_is_refused_and_a_value_of_one_mebibyte_is_kept(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        mebibyte = b'"' + b"x" * (1024 * 1024 - 2) + b'"'
        await store.append(work, started("a"), started("b"))
        assert not (await store.append(work, completed("a", output=mebibyte))).reason
        assert (await store.append(work, completed("b", output=b"[" + b",".join([mebibyte] * 34) + b"]"))).reason == (
            "TOO_LARGE"
        )
        assert (await store.journal(work.execution_id))[-1].node_completed.output_json == mebibyte


@pytest.mark.parametrize("end", ["completed", "failed", "aborted", "maxiter_reached"])
async def test_case_8_nothing_follows_the_terminal_event(store: Store, end: str):
    async with store.session() as session:
        work = await store.running(session)
        await store.append(work, started("a"))
        await store.append(work, event(f"execution_{end}"))
        before = await store.get(work.execution_id)
        for late in (completed("a"), event("execution_failed"), event("execution_completed"), event("execution_log")):
            assert (await store.append(work, late)).reason == "TERMINAL"
        with pytest.raises(Conflict) as caught:
            await store.abort(work.execution_id)
        assert caught.value.reason == "CONFLICT"
        assert await store.get(work.execution_id) == before
        assert before.execution.head_seq == 4 and before.execution.HasField("ended_at")
        assert before.node_runs[0].status == pb.NODE_RUN_STATUS_ABORTED


async def test_an_end_without_a_time_is_an_end_and_nobody_gets_the_execution_any_more(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        end = event("execution_completed", result_json=b"{}")
        end.ClearField("at")
        assert not (await store.append(work, end)).reason
        assert await store.sql("SELECT * FROM work") == []


async def test_case_8_events_behind_a_terminal_one_in_the_same_batch_refuse_the_batch(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        assert (await store.append(work, event("execution_completed"), started("a"))).reason == "TERMINAL"
        assert await store.status(work.execution_id) == "running"


async def _one_run(store: Store, session: Session, writer: Writer, events: int) -> str:
    """Append `events` events, two at a time, and end."""
    work = await store.running(session)
    for number in range(events // 2):
        node = f"n{number % 5}"
        batch = (started(node, number // 5), completed(node, number // 5, usage=ev.TokenUsage(input=2, output=1)))
        (result,) = await writer.append(append_of(work, *batch))
        assert result.reason == ""
        work.head_seq = result.head_seq
    await store.append(work, event("execution_completed"))
    return work.execution_id


@pytest.mark.parametrize("events", [40, pytest.param(200, marks=pytest.mark.nightly)])
async def test_case_10_many_writers_at_once_leave_gapless_journals_and_right_projections(store: Store, events: int):
    runs = 50
    async with contextlib.AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(store.session(str(number))) for number in range(10)]
        writers = [store.writer() for _ in sessions]
        found = await asyncio.gather(*(_one_run(store, sessions[n % 10], writers[n % 10], events) for n in range(runs)))
    for execution_id in found:
        journal = await store.journal(execution_id)
        assert [each.seq for each in journal] == list(range(1, events + 4))
        response = await store.get(execution_id)
        run = response.execution
        assert (run.head_seq, run.runs_done, run.usage.input, run.usage.output) == (
            events + 3, events // 2, events, events // 2,
        )  # fmt: skip
        rebuilt = {
            (each.node_started.node_id, each.node_started.iteration): each.seq
            for each in journal
            if each.HasField("node_started")
        }
        assert {(each.node_id, each.iteration): each.start_seq for each in response.node_runs} == rebuilt
        assert {each.status for each in response.node_runs} == {pb.NODE_RUN_STATUS_COMPLETED}
    assert await admin.run("verify", store.settings, "") == 0


async def test_case_11_one_bad_append_of_a_group_is_refused_alone(store: Store):
    async with store.session() as session:
        works = [await store.running(session) for _ in range(8)]
        taken = started("a")
        await store.append(works[3], taken)
        twice = started("b")
        twice.event_id = taken.event_id  # only the database can see it
        batches = [[started("b")] for _ in works]
        batches[3] = [twice]
        batches[5] = [completed("never started")]
        results = await store.writer().append(
            *(append_of(work, *batch) for work, batch in zip(works, batches, strict=True))
        )
        assert [each.reason for each in results] == ["", "", "", "TRANSITION", "", "TRANSITION", "", ""]
        for work, result in zip(works, results, strict=True):
            assert (await store.types(work.execution_id)).count("node_started") == (
                1 if not result.reason or work is works[3] else 0
            )


async def test_a_node_run_that_was_there_before_is_not_started_again_and_its_group_goes_on(store: Store):
    async with store.session() as session:
        ended, running, other = [await store.running(session) for _ in range(3)]
        await store.append(ended, started("a"), completed("a"))
        await store.append(running, started("a"))
        results = await store.writer().append(
            append_of(ended, started("a")), append_of(other, started("a")), append_of(running, started("a"))
        )
        assert [each.reason for each in results] == ["TRANSITION", "", "TRANSITION"]
        assert "already completed" in results[0].message and "already running" in results[2].message
        assert not (await store.append(ended, started("b"))).reason


async def test_several_appends_of_one_execution_in_one_request_follow_each_other(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        results = await store.writer().append(
            append_of(work, started("a")),
            append_of(work, completed("a"), expected_seq=3),
            append_of(work, completed("a"), expected_seq=4),
            append_of(work, started("b"), expected_seq=4),
        )
        assert [each.reason for each in results] == ["", "", "TRANSITION", ""]
        assert [each.head_seq for each in results if not each.reason] == [3, 4, 5]


async def test_a_journal_that_is_full_in_bytes_takes_its_end_only_also_after_a_restart(store: Store):
    await store.stop()
    store.settings = store.settings.model_copy(update={"max_journal_mb": 1})
    await store.start()
    async with store.session() as session:
        work = await store.running(session)
        lines = [event("execution_log", message="x" * 8000) for _ in range(130)]
        assert not (await store.append(work, *lines)).reason
        large = b'"' + b"v" * 2_000_000 + b'"'  # a blob is no part of the journal
        assert not (await store.append(work, started("a"), completed("a", output=large))).reason
        full = await store.append(work, event("execution_log", message="y" * 8000))
        assert full.reason == "JOURNAL_FULL" and "1 MiB" in full.message
    await store.restart()
    async with store.session() as session:
        await session.free(1)
        work = await session.work()
        assert (await store.append(work, event("execution_log", message="y" * 8000))).reason == "JOURNAL_FULL"
        assert not (await store.append(work, event("execution_log", message="fits"))).reason
        assert not (await store.append(work, event("execution_failed"))).reason


async def test_a_journal_that_is_full_takes_its_end_only(store: Store):
    await store.stop()
    store.settings = store.settings.model_copy(update={"max_events": 100})
    await store.start()
    async with store.session() as session:
        work = await store.running(session)
        assert not (await store.append(work, *(event("execution_log", message=str(n)) for n in range(98)))).reason
        refused = await store.append(work, started("a"))
        assert refused.reason == "JOURNAL_FULL" and "100" in refused.message
        assert not (await store.append(work, event("execution_failed"))).reason
        assert len(await store.journal(work.execution_id)) == 101
