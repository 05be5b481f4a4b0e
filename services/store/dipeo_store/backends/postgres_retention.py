"""Retention and deadlines on Postgres: each operation is one transaction of a bearable size. (§16.6, §16.8)

Several stores may sweep at once: what another one is at, is skipped.
"""

from typing import Any

from dipeo_kit import ids
from dipeo_store import errors
from dipeo_store.backends import postgres_reads as reads
from dipeo_store.backends.postgres_content import Access
from dipeo_store.backends.postgres_writes import Transaction
from dipeo_store.backends.rows import LATE, OF_EXECUTIONS, OLD, SWEPT_BLOBS, SWEPT_EVENTS, SWEPT_EXECUTIONS
from dipeo_store.model import Execution, Signal
from dipeo_store.payload import dump

_OLD = OLD.format(before="now_us() - $1::bigint")


class PostgresRetention:
    """Part of dipeo_store.backends.content.Content."""

    async def pin(self: Access, execution_id: str, pinned: bool) -> Execution:
        return await self._operate(_pin, execution_id, pinned)

    async def remove_ended(self: Access, age_us: int) -> int:
        return await self._operate(_remove_ended, age_us)

    async def empty_logs(self: Access, age_us: int) -> int:
        return await self._operate(_empty_logs, age_us)

    async def remove_blobs(self: Access, age_us: int) -> int:
        return await self._operate(_remove_blobs, age_us)

    async def abort_late(self: Access, grace_us: int) -> list[tuple[Signal, str]]:
        return await self._operate(_abort_late, grace_us)

    async def fail_hung(self: Access, grace_us: int) -> list[str]:
        return await self._operate(_fail_hung, grace_us)


async def _pin(tx: Transaction, execution_id: str, pinned: bool) -> Execution:
    await tx.db.execute("UPDATE executions SET pinned = $2 WHERE execution_id = $1", execution_id, pinned)
    return await reads.execution(tx.db, execution_id)


async def _remove_ended(tx: Transaction, age_us: int) -> int:
    rows = await tx.db.fetch(
        f"""
        WITH old AS MATERIALIZED (
          SELECT id, head_seq, source_hash FROM executions WHERE {_OLD} AND NOT pinned
          ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        SELECT id, source_hash FROM (
          SELECT id, source_hash, sum(head_seq) OVER (ORDER BY id) AS events, row_number() OVER (ORDER BY id) AS number
          FROM old) counted
        WHERE events <= $3 OR number = 1
        """,
        age_us,
        SWEPT_EXECUTIONS,
        SWEPT_EVENTS,
    )
    runs = [row[0] for row in rows]
    for table in OF_EXECUTIONS if runs else ():
        await tx.db.execute(f"DELETE FROM {table} WHERE execution = ANY ($1::bigint[])", runs)
    if runs:
        await tx.db.execute("DELETE FROM executions WHERE id = ANY ($1::bigint[])", runs)
        await _remove_sources(tx, sorted({row[1] for row in rows}))
    return len(runs)


async def _remove_sources(tx: Transaction, hashes: list[str]) -> None:
    """The rows are locked first: whoever creates an execution of such a source meanwhile comes before or after us."""
    await tx.db.execute("SELECT 1 FROM sources WHERE hash = ANY ($1::text[]) ORDER BY hash FOR UPDATE", hashes)
    await tx.db.execute(
        "DELETE FROM sources WHERE hash = ANY ($1::text[])"
        " AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.source_hash = sources.hash)",
        hashes,
    )


async def _empty_logs(tx: Transaction, age_us: int) -> int:
    """The rows and their seqs stay: a journal has no gaps (I1)."""
    rows = await tx.db.fetch(
        f"SELECT id FROM executions WHERE {_OLD} AND NOT logs_emptied AND NOT pinned"
        " ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        age_us,
        SWEPT_EXECUTIONS,
    )
    runs = [row[0] for row in rows]
    if runs:
        await tx.db.execute(
            "UPDATE transitions SET payload = '{}' WHERE type = 'execution.log' AND execution = ANY ($1::bigint[])",
            runs,
        )
        await tx.db.execute("UPDATE executions SET logs_emptied = true WHERE id = ANY ($1::bigint[])", runs)
    return len(runs)


async def _remove_blobs(tx: Transaction, age_us: int) -> int:
    """Whoever refers to a blob touches its row first (postgres_statements.py): locked and asked again, it may go."""
    rows = await tx.db.fetch(
        """
        SELECT hash FROM blobs b WHERE created_at < now_us() - $1::bigint
          AND NOT EXISTS (SELECT 1 FROM blob_refs r WHERE r.hash = b.hash)
        LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        age_us,
        SWEPT_BLOBS,
    )
    gone = await tx.db.fetch(
        "DELETE FROM blobs b WHERE hash = ANY ($1::text[])"
        " AND NOT EXISTS (SELECT 1 FROM blob_refs r WHERE r.hash = b.hash) RETURNING hash",
        [row[0] for row in rows],
    )
    await tx.db.execute("DELETE FROM blob_chunks WHERE hash = ANY ($1::text[])", [row[0] for row in gone])
    return len(gone)


# --- deadlines -------------------------------------------------------------------------------------------------------

_LATE = f"""
  SELECT e.id, e.execution_id, coalesce((SELECT s.session_id FROM sessions s WHERE s.id = w.session), '')
  FROM executions e JOIN work w ON w.execution = e.id
  WHERE {LATE.format(grace="$1::bigint", now="now_us()", least="least")}
    AND {{signalled}} EXISTS (SELECT 1 FROM signals g WHERE g.execution = e.id AND g.kind = 'abort'
      AND g.created_at < now_us() - $2::bigint)
  ORDER BY e.id FOR NO KEY UPDATE OF e, w SKIP LOCKED
"""


async def _late(tx: Transaction, signalled: str, grace_us: int, signal_age_us: int) -> list[Any]:
    found: list[Any] = await tx.db.fetch(_LATE.format(signalled=signalled), grace_us, signal_age_us)
    return found


async def _abort_late(tx: Transaction, grace_us: int) -> list[tuple[Signal, str]]:
    told = []
    for run, execution_id, holder in await _late(tx, "NOT", grace_us, -1):
        signal = Signal(execution_id, ids.new_hex(), "abort", {"reason": "timeout", "principal": "store"})
        await tx.db.execute(
            "INSERT INTO signals (execution, signal_id, kind, payload, created_at)"
            " VALUES ($1, $2, 'abort', $3, now_us())",
            run,
            signal.signal_id,
            dump(signal.payload),
        )
        told.append((signal, holder))
    return told


async def _fail_hung(tx: Transaction, grace_us: int) -> list[str]:
    """Whoever holds it is fenced by the end itself: nothing follows a terminal event."""
    hung = [row[1] for row in await _late(tx, "", grace_us, grace_us)]
    for execution_id in hung:
        await tx.journal_own(await tx.head(execution_id), ("execution.failed", {"error": errors.TIMEOUT}))
    return hung
