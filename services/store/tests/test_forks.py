"""A new execution that takes over the journal of an ended one (dipeo.store.v1.Fork)."""

import pytest
from store_client import Session, Store, completed, event, started

from dipeo_kit import ids
from dipeo_kit.errors import BadInput, Conflict, NotFound
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_protos.store.v1 import store_pb2 as pb


async def _ended(store: Store, session: Session) -> list[ev.Event]:
    """created, started, A, a question with its answer, a pause and its end, a message, B failed, the end."""
    work = await store.running(session, variables_json=b'{"tea":"green"}', options_json=b'{"o":1}', diagram_name="d")
    asked, signal = ids.new_hex(), event("signal_consumed", signal_id=ids.new_hex())
    await store.append(work, started("a"), completed("a", output=b'{"x":100000000000000000000}'))
    await store.append(
        work,
        started("ask"),
        event("interaction_opened", interaction_id=asked, node_id="ask", prompt="?"),
        event("interaction_closed", interaction_id=asked, node_id="ask", outcome="answered", response="yes"),
        completed("ask", output=b'"yes"'),
    )
    await store.append(work, signal, event("execution_paused"), event("execution_resumed"))
    await store.append(work, event("execution_log", level="info", message="hello"))
    await store.append(work, event("message_appended", message_id=ids.new_hex(), node_id="a", content="hi"))
    failed = event("node_failed", node_id="b", attempt=1, error=ev.Error(message="no"))
    await store.append(work, started("b"), failed, event("execution_failed", error=ev.Error(message="no")))
    return await store.journal(work.execution_id)


async def _fork(store: Store, other: str, before_seq: int, **more) -> pb.CreateExecutionResponse:
    fork = pb.Fork(execution_id=other, before_seq=before_seq)
    return await store.create(fork=fork, source=b"", **more)


def _seq(journal: list[ev.Event], node: str) -> int:
    return next(each.seq for each in journal if each.node_started.node_id == node)


def _id(journal: list[ev.Event]) -> str:
    return "exec_" + journal[0].event_id


async def test_what_came_before_the_point_is_taken_over_with_its_projections(store: Store):
    async with store.session() as session:
        old = await _ended(store, session)
        created = await _fork(store, _id(old), _seq(old, "b"), session_id=session.session_id, origin="cli")
        work, execution_id = created.claim, created.execution.execution_id
        journal = await store.journal(execution_id)
        taken = ["node_started", "node_completed"]
        taken += ["node_started", "interaction_opened", "interaction_closed", "node_completed", "message_appended"]
        assert [each.WhichOneof("body") for each in journal] == ["execution_created", "execution_started", *taken]
        assert (work.recovery, work.head_seq, work.head_seq) == (True, len(journal), created.execution.head_seq)
        first = journal[0].execution_created
        assert (first.retried_from, first.taken_over, first.origin) == (_id(old), len(taken) + 1, "cli")
        assert (first.variables_json, first.options_json, first.diagram_name) == (b'{"tea":"green"}', b'{"o":1}', "d")
        by_id = {each.event_id: each for each in old}
        for each in journal[2:]:
            assert getattr(each, each.WhichOneof("body")) == getattr(by_id[each.event_id], each.WhichOneof("body"))
        found = await store.get(execution_id)
        assert found.execution.status == pb.EXECUTION_STATUS_RUNNING and found.execution.retried_from == _id(old)
        assert [(run.node_id, run.output_json) for run in found.node_runs] == [
            ("a", b'{"x":100000000000000000000}'),
            ("ask", b'"yes"'),
        ]
        assert [each.status for each in found.interactions] == ["answered"] and found.execution.runs_done == 2
        header, events = await store.recover(work)
        assert header.source == b"nodes: []" and events == journal
        assert not (await store.append(work, started("b"))).reason


async def test_a_question_without_an_answer_stays_behind(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        question = event("interaction_opened", interaction_id=ids.new_hex(), node_id="ask", prompt="?")
        await store.append(work, started("ask"), question, started("b"))
        await store.append(work, event("execution_aborted"))
        created = await _fork(store, work.execution_id, 5)
        assert not (await store.get(created.execution.execution_id)).interactions
        assert (await store.types(created.execution.execution_id))[-1] == "node_started"


async def test_before_the_first_start_everything_begins_anew(store: Store):
    async with store.session() as session:
        old = await _ended(store, session)
        created = await _fork(store, _id(old), 2, session_id=session.session_id)
        assert not created.claim.recovery
        assert await store.types(created.execution.execution_id) == ["execution_created"]


async def test_a_fork_survives_a_restart_and_is_made_once(store: Store):
    async with store.session() as session:
        old = await _ended(store, session)
    new_id = ids.new_execution_id()
    first = await _fork(store, _id(old), _seq(old, "b"), execution_id=new_id)
    await store.restart()
    again = await _fork(store, _id(old), _seq(old, "b"), execution_id=new_id)
    assert first.created and not again.created and again.execution.head_seq == first.execution.head_seq
    async with store.session() as session:
        await session.free(1)
        work = await session.work()
        assert (work.execution_id, work.recovery) == (new_id, True)


async def test_only_what_has_ended_can_be_taken_over(store: Store):
    async with store.session() as session:
        work = await store.running(session)
        with pytest.raises(Conflict, match="running"):
            await _fork(store, work.execution_id, 2)
        old = await _ended(store, session)
        for seq in (0, 1, len(old) + 2):
            with pytest.raises(BadInput, match="before_seq"):
                await _fork(store, _id(old), seq)
        with pytest.raises(NotFound):
            await _fork(store, ids.new_execution_id(), 2)
