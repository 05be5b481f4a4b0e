"""Verify and rebuild on Postgres, beside running stores. (spec/store.md §16.9)"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from dipeo_store.audit import QUERIES, RESET, Snapshot, answers, rebuildable, replayed
from dipeo_store.backends.postgres_database import Access, connect, translated
from dipeo_store.backends.postgres_writes import Transaction


@asynccontextmanager
async def reading(access: Access) -> AsyncIterator["asyncpg.Connection"]:
    """The database at one moment. Raises DatabaseFailed."""
    async with connect(access) as db:
        with translated(access.name):
            async with db.transaction(isolation="repeatable_read", readonly=True):
                yield db


async def executions(db: "asyncpg.Connection") -> AsyncIterator[tuple[int, str]]:
    async for run, execution_id in db.cursor("SELECT id, execution_id FROM executions ORDER BY id", prefetch=1000):
        yield run, execution_id


async def snapshot(db: "asyncpg.Connection", run: int) -> Snapshot:
    rows = {name: await db.fetch(sql.format(run="$1"), run) for name, sql in QUERIES.items()}
    return Snapshot.of({name: [dict(row) for row in found] for name, found in rows.items()})


async def rebuild(tx: Transaction, execution_id: str) -> None:
    """Raises UnknownExecution, IllegalTransition, Terminal, Tampered."""
    run = (await tx.head(execution_id)).execution
    before = await snapshot(tx.db, run)
    tx.changes = replayed(run, execution_id, rebuildable(before))
    tx.changes.events.clear()
    if not before.work:  # the one of an execution that has not ended; flush removes it if it has
        await tx.db.execute(
            "INSERT INTO work (execution, fence, not_before)"
            " SELECT $1, max(fence) + 1, now_us() FROM transitions WHERE execution = $1",
            run,
        )
    for sql in RESET:
        await tx.db.execute(sql.format(run="$1", false="false"), run)
    ended, tx.changes.ended = tx.changes.ended, []
    await tx.flush()
    for interaction_id, answer in answers(before.signals).items():
        await tx.db.execute(
            "UPDATE interactions SET status = $1, closed_at = $2, response = $3, responder = $4"
            " WHERE execution = $5 AND interaction_id = $6 AND status = 'open'",
            *answer.values(),
            run,
            interaction_id,
        )
    tx.changes.ended = ended
    await tx.flush()
