"""Retention and deadlines on SQLite: each operation is one transaction of a bearable size. (§16.6, §16.8)"""

import sqlite3
from typing import Any

from dipeo_kit import ids
from dipeo_store import errors
from dipeo_store.backends import sqlite_reads as reads
from dipeo_store.backends.rows import LATE, OF_EXECUTIONS, OLD, SWEPT_BLOBS, SWEPT_EVENTS, SWEPT_EXECUTIONS
from dipeo_store.backends.sqlite_content import Access
from dipeo_store.backends.sqlite_writes import Transaction
from dipeo_store.model import Execution, Signal
from dipeo_store.payload import dump

FREED_PAGES = 1000


class SqliteRetention:
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


def _pin(tx: Transaction, execution_id: str, pinned: bool) -> Execution:
    tx.db.execute("UPDATE executions SET pinned = ? WHERE execution_id = ?", (pinned, execution_id))
    return reads.execution(tx.db, execution_id)


def _remove_ended(tx: Transaction, age_us: int) -> int:
    candidates = tx.db.execute(
        f"SELECT id, head_seq, source_hash FROM executions WHERE {OLD.format(before='?1')} AND NOT pinned"
        " ORDER BY ended_at LIMIT ?2",
        (tx.now - age_us, SWEPT_EXECUTIONS),
    ).fetchall()
    gone: list[Any] = []
    events = 0
    for row in candidates:
        events += row[1]
        if gone and events > SWEPT_EVENTS:
            break
        gone.append(row)
    for table in OF_EXECUTIONS:
        tx.db.executemany(f"DELETE FROM {table} WHERE execution = ?", [(row[0],) for row in gone])
    tx.db.executemany("DELETE FROM executions WHERE id = ?", [(row[0],) for row in gone])
    tx.db.executemany(
        "DELETE FROM sources WHERE hash = ? AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.source_hash = hash)",
        [(row[2],) for row in gone],
    )
    if gone:
        tx.db.execute(f"PRAGMA incremental_vacuum({FREED_PAGES})").fetchall()
    return len(gone)


def _empty_logs(tx: Transaction, age_us: int) -> int:
    """The rows and their seqs stay: a journal has no gaps (I1)."""
    found = tx.db.execute(
        f"SELECT id FROM executions WHERE {OLD.format(before='?1')} AND logs_emptied = 0 AND NOT pinned"
        " ORDER BY ended_at LIMIT ?2",
        (tx.now - age_us, SWEPT_EXECUTIONS),
    ).fetchall()
    tx.db.executemany("UPDATE transitions SET payload = '{}' WHERE execution = ? AND type = 'execution.log'", found)
    tx.db.executemany("UPDATE executions SET logs_emptied = 1 WHERE id = ?", found)
    return len(found)


def _remove_blobs(tx: Transaction, age_us: int) -> int:
    found = tx.db.execute(
        "SELECT hash FROM blobs b WHERE created_at < ?"
        " AND NOT EXISTS (SELECT 1 FROM blob_refs r WHERE r.hash = b.hash) LIMIT ?",
        (tx.now - age_us, SWEPT_BLOBS),
    ).fetchall()
    tx.db.executemany("DELETE FROM blob_chunks WHERE hash = ?", found)
    tx.db.executemany("DELETE FROM blobs WHERE hash = ?", found)
    return len(found)


# --- deadlines -------------------------------------------------------------------------------------------------------

_LATE = f"""
  SELECT e.id, e.execution_id, coalesce(s.session_id, '')
  FROM executions e JOIN work w ON w.execution = e.id LEFT JOIN sessions s ON s.id = w.session
  WHERE {LATE.format(grace=":grace", now=":now", least="min")}
    AND {{signalled}} EXISTS (SELECT 1 FROM signals g WHERE g.execution = e.id AND g.kind = 'abort'
      AND g.created_at < :before)
"""


def _late(db: sqlite3.Connection, signalled: str, grace_us: int, now: int, before: int) -> list[Any]:
    parameters = {"grace": grace_us, "now": now, "before": before}
    return db.execute(_LATE.format(signalled=signalled), parameters).fetchall()


def _abort_late(tx: Transaction, grace_us: int) -> list[tuple[Signal, str]]:
    told = []
    for run, execution_id, holder in _late(tx.db, "NOT", grace_us, tx.now, tx.now + 1):
        signal = Signal(execution_id, ids.new_hex(), "abort", {"reason": "timeout", "principal": "store"})
        tx.db.execute(
            "INSERT INTO signals (execution, signal_id, kind, payload, created_at) VALUES (?, ?, 'abort', ?, ?)",
            (run, signal.signal_id, dump(signal.payload), tx.now),
        )
        told.append((signal, holder))
    return told


def _fail_hung(tx: Transaction, grace_us: int) -> list[str]:
    """Whoever holds it is fenced by the end itself: nothing follows a terminal event."""
    hung = [row[1] for row in _late(tx.db, "", grace_us, tx.now, tx.now - grace_us)]
    for execution_id in hung:
        tx.journal_own(execution_id, ("execution.failed", {"error": errors.TIMEOUT}))
    return hung
