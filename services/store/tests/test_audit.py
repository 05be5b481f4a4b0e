"""verify and rebuild: the tables say what the journal says, or are made to. (spec/store.md §16.9)"""

import sqlite3

import postgres
import pytest
from store_client import Store, completed, event, started

from dipeo_kit import ids
from dipeo_kit.errors import DataLoss, NotFound
from dipeo_protos.store.v1 import events_pb2 as ev
from dipeo_store import admin
from dipeo_store.settings import Settings


async def _a_bit_of_everything(store: Store) -> str:
    """Executions in every state; the id of one that has rows in every table."""
    async with store.session() as session:
        work = await store.running(session)
        question, unasked = ids.new_hex(), ids.new_hex()
        usage = ev.TokenUsage(input=3, output=2, cached=1)
        await store.append(work, started("a"), completed("a", usage=usage), started("b"))
        large = b'"' + b"v" * 9000 + b'"'
        await store.append(work, started("large"), completed("large", output=large))
        await store.append(work, event("message_appended", message_id=ids.new_hex(), person_id="p", content="l" * 9000))
        await store.append(
            work,
            event("message_appended", message_id=ids.new_hex(), person_id="p", content="tea \0?"),
            event("node_retrying", node_id="b", iteration=0, attempt=2, reason="executor_lost"),
            event("node_failed", node_id="b", attempt=2, error=ev.Error(type="T", message="m")),
            started("ask", type="user_response"),
            event("interaction_opened", interaction_id=question, node_id="ask", label="Ask"),
            event("interaction_opened", interaction_id=unasked, node_id="ask", iteration=1),
        )
        answered = await store.answer(work.execution_id, interaction_id=question, response="yes")
        assert answered.status == "answered"
        for end in ("completed", "failed", "aborted", "maxiter_reached"):
            other = await store.running(session)
            await store.append(other, started("x"), event("node_skipped", node_id="y"))
            result = {"result_json": large} if end == "completed" else {}
            await store.append(other, event(f"execution_{end}", **result))
        await store.create()
        await store.abort((await store.create()).execution.execution_id)
        return work.execution_id


async def _change(settings: Settings, sql: str) -> None:
    if settings.is_postgres:
        await postgres.execute(settings.url, sql)
    else:
        with sqlite3.connect(settings.file) as db:
            db.execute(sql)
        db.close()


async def _verify(settings: Settings, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    code = await admin.run("verify", settings, "")
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("exec_")]
    assert code == bool(found)
    return found


async def test_what_the_store_wrote_verifies_while_it_runs(store: Store, settings, capsys):
    await _a_bit_of_everything(store)
    assert await _verify(settings, capsys) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE executions SET tokens_in = 99", "tokens_in is 99, the journal says 3"),
        ("UPDATE executions SET status = 'pending'", "status is 'pending', the journal says 'running'"),
        ("UPDATE node_runs SET status = 'aborted' WHERE node_id = 'a'", "a/0/1: status is 'aborted'"),
        ("DELETE FROM node_runs WHERE node_id = 'b'", "node_runs b/0/2: is missing"),
        ("DELETE FROM messages WHERE seq > 8", "messages 9: is missing"),
        ("UPDATE interactions SET response = 'no'", "response is 'no', the journal says 'yes'"),
        ("DELETE FROM work", "has not ended, and work says otherwise"),
    ],
)
async def test_every_damage_to_a_projection_is_named_and_rebuilt(store: Store, settings, capsys, damage, said):
    execution_id = await _a_bit_of_everything(store)
    await store.stop()
    table_of_executions = " id = " if " executions " in damage else " execution = "
    of_it = f"{table_of_executions}(SELECT id FROM executions WHERE execution_id = '{execution_id}')"
    await _change(settings, f"{damage} {'AND' if 'WHERE' in damage else 'WHERE'}{of_it}")
    found = await _verify(settings, capsys)
    assert any(said in line for line in found) and all(execution_id in line for line in found), found
    assert await admin.run("rebuild", settings, execution_id) == 0
    assert await _verify(settings, capsys) == []


async def test_a_damaged_value_is_named_and_nothing_is_rebuilt_from_it(store: Store, settings, capsys):
    execution_id = await _a_bit_of_everything(store)
    await store.stop()
    await _change(settings, "DELETE FROM blob_chunks")
    found = await _verify(settings, capsys)
    assert any(execution_id in line and "damaged or missing" in line for line in found)
    with pytest.raises(DataLoss):
        await admin.run("rebuild", settings, execution_id)


async def test_a_gap_in_the_journal_is_named(store: Store, settings, capsys):
    execution_id = await _a_bit_of_everything(store)
    await store.stop()
    await _change(settings, "DELETE FROM transitions WHERE seq = 4")
    assert any("without a gap" in line and execution_id in line for line in await _verify(settings, capsys))


async def test_an_unknown_execution_cannot_be_rebuilt(store: Store, settings):
    await store.stop()
    with pytest.raises(NotFound):
        await admin.run("rebuild", settings, ids.new_execution_id())


async def test_migrate_says_what_it_did(store: Store, settings, capsys):
    await store.stop()
    assert await admin.run("migrate", settings, "") == 0
    assert "up to date" in capsys.readouterr().out
