"""Conformance cases of signals and questions (spec/store.md §16.5, §20)."""

import asyncio
import time

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from store_client import Session, Store, event, started

from dipeo_kit import ids
from dipeo_kit.errors import BadInput, Conflict, NotFound
from dipeo_protos.store.v1 import store_pb2 as pb


async def _asking(store: Store, session: Session, **fields) -> tuple[pb.Work, str]:
    """An execution whose node `ask` (label Ask) waits for a human."""
    work = await store.running(session)
    question = {"interaction_id": ids.new_hex(), "node_id": "ask", "label": "Ask", "prompt": "Tea?"} | fields
    await store.append(work, started("ask", type="user_response"), event("interaction_opened", **question))
    return work, question["interaction_id"]


async def test_case_18_the_first_of_two_answers_wins_and_reaches_the_holder(store: Store):
    async with store.session() as session:
        work, interaction_id = await _asking(store, session)
        before = await store.get(work.execution_id)
        assert before.execution.waiting and before.node_runs[0].waiting
        outcomes = await asyncio.gather(
            *(store.answer(work.execution_id, node_id="Ask", response=text, responder=text) for text in ("yes", "no")),
            return_exceptions=True,
        )
        (won,) = [each for each in outcomes if isinstance(each, pb.Interaction)]
        (lost,) = [each for each in outcomes if isinstance(each, Conflict)]
        assert lost.reason == "CONFLICT" and won.interaction_id == interaction_id and won.status == "answered"
        signal = (await session.next()).signal
        assert (signal.answer.interaction_id, signal.answer.response) == (interaction_id, won.response)
        await store.append(
            work,
            event("signal_consumed", signal_id=signal.signal_id),
            event(
                "interaction_closed",
                interaction_id=interaction_id,
                node_id="ask",
                outcome="answered",
                response=won.response,
            ),
        )
        header, _ = await store.recover(work)
        assert list(header.signals) == [] and not header.execution.waiting


async def test_an_answer_sent_again_because_its_reply_was_lost_is_no_second_one(store: Store):
    async with store.session() as session:
        work, _ = await _asking(store, session)
        given = {"node_id": "Ask", "response": "yes", "responder": "ann"}
        first = await store.answer(work.execution_id, **given)
        assert await store.answer(work.execution_id, **given) == first
        for other in ({"response": "no"}, {"responder": "bob"}):
            with pytest.raises(Conflict, match="answered already"):
                await store.answer(work.execution_id, **given | other)
        header, _ = await store.recover(work)
        assert [each.answer.response for each in header.signals] == ["yes"]
        await store.append(work, event("signal_consumed", signal_id=header.signals[0].signal_id))
        assert (await session.next()).signal.answer.response == "yes"
        assert await store.answer(work.execution_id, **given) == first
        assert list((await store.recover(work))[0].signals) == []


async def test_a_choice_is_answered_with_one_of_its_options(store: Store):
    async with store.session() as session:
        work, interaction_id = await _asking(store, session, options=["tea", "coffee"], sensitive=True)
        (asked,) = (await store.get(work.execution_id)).interactions
        assert (list(asked.options), asked.sensitive) == (["tea", "coffee"], True)
        with pytest.raises(BadInput, match="one of tea, coffee"):
            await store.answer(work.execution_id, interaction_id=interaction_id, response="milk", responder="a")
        answered = await store.answer(work.execution_id, interaction_id=interaction_id, response="tea", responder="a")
        assert (answered.status, answered.response) == ("answered", "tea")
        plain, _ = await _asking(store, session)
        (asked,) = (await store.get(plain.execution_id)).interactions
        assert (list(asked.options), asked.sensitive) == ([], False)


async def test_case_18_an_answer_survives_the_loss_of_the_executor(store: Store):
    async with store.session() as session:
        work, _ = await _asking(store, session)
        session.lose()
    await store.answer(work.execution_id, node_id="ask", response="yes")
    async with store.session() as session:
        await session.free(1)
        again = await session.work()
        assert (await session.next()).signal.answer.response == "yes"
        header, _ = await store.recover(again)
        assert [each.answer.response for each in header.signals] == ["yes"]


async def test_case_18_an_answer_after_the_expiry_is_a_conflict(store: Store):
    async with store.session() as session:
        soon = Timestamp(seconds=int(time.time()) + 60)
        work, _ = await _asking(store, session, expires_at=soon)
        await store.move_clock(61)
        with pytest.raises(Conflict, match="expired"):
            await store.answer(work.execution_id, node_id="ask", response="late")


async def test_answering_where_nothing_was_asked_is_not_found(store: Store):
    async with store.session() as session:
        work, interaction_id = await _asking(store, session)
        with pytest.raises(NotFound, match='"other"'):
            await store.answer(work.execution_id, node_id="other", response="x")
        with pytest.raises(NotFound):
            await store.answer(ids.new_execution_id(), node_id="ask", response="x")
        with pytest.raises(BadInput):
            await store.answer(work.execution_id, response="x")
        with pytest.raises(BadInput, match="at most"):
            await store.answer(work.execution_id, interaction_id=interaction_id, response="x" * 300_000)
        assert (await store.answer(work.execution_id, interaction_id=interaction_id, response="x")).response == "x"


async def test_the_end_of_an_execution_cancels_its_open_questions(store: Store):
    async with store.session() as session:
        work, _ = await _asking(store, session)
        await store.append(work, event("execution_aborted", reason="enough"))
        response = await store.get(work.execution_id)
        assert [each.status for each in response.interactions] == ["cancelled"]
        with pytest.raises(Conflict):
            await store.answer(work.execution_id, node_id="ask", response="x")


async def test_case_19_an_unclaimed_pending_execution_is_aborted_without_any_executor(store: Store):
    execution_id = (await store.create()).execution.execution_id
    signal_id = ids.new_hex()
    async with asyncio.timeout(1):
        aborted = await store.abort(execution_id, signal_id)
    assert aborted.status == pb.EXECUTION_STATUS_ABORTED
    assert await store.types(execution_id) == ["execution_created", "signal_consumed", "execution_aborted"]
    assert (await store.abort(execution_id, signal_id)).status == pb.EXECUTION_STATUS_ABORTED  # repeated: no conflict
    with pytest.raises(Conflict):
        await store.abort(execution_id)
    async with store.session() as session:
        await session.free(1)
        other = (await store.create()).execution.execution_id
        assert (await session.work()).execution_id == other


async def test_an_abort_that_the_first_holder_never_saw_ends_a_pending_execution(store: Store):
    async with store.session() as session:
        execution_id = (await store.create(session_id=session.session_id)).execution.execution_id
        assert (await store.abort(execution_id)).status == pb.EXECUTION_STATUS_PENDING
        session.lose()
        await store.eventually(execution_id, "execution_aborted")


async def test_a_signal_is_left_once_and_stays_until_it_is_consumed(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        signal_id = ids.new_hex()
        for _ in range(3):
            assert (await store.abort(work.execution_id, signal_id)).status == pb.EXECUTION_STATUS_RUNNING
        assert (await session.next()).signal.abort.reason == "stop it"
        session.lose()
    async with store.session() as session:
        await session.free(1)
        work = await session.work()
        signal = (await session.next()).signal
        assert signal.signal_id == signal_id
        end = (event("signal_consumed", signal_id=signal_id), event("execution_aborted", reason="stop it"))
        assert not (await store.append(work, *end)).reason
    assert await store.status(work.execution_id) == "aborted"
