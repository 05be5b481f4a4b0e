"""Sessions of executors, and the queue they take from, on Postgres. (spec/store.md §16.4, §16.6)

Each operation is one transaction. What is locked, in this order everywhere: sessions, executions by id, the rest.
"""

from collections.abc import Collection, Sequence
from typing import Any

from dipeo_store import errors
from dipeo_store.backends import postgres_reads as reads
from dipeo_store.backends.postgres_writes import Transaction
from dipeo_store.backends.rows import AT_ONCE
from dipeo_store.journal import HandOver
from dipeo_store.model import Signal, Work

_READY = """
  SELECT e.id FROM work w JOIN executions e ON e.id = w.execution
  WHERE w.session IS NULL AND w.not_before <= now_us()
  ORDER BY w.priority DESC, w.not_before, w.execution LIMIT $2 FOR NO KEY UPDATE OF e, w SKIP LOCKED"""
LEADER_LOCK = 0x64695065_6F000002  # pg_advisory: whoever has it looks for lost sessions


async def open_session(tx: Transaction, session_id: str, executor: str, version: str) -> None:
    await tx.db.execute(
        "INSERT INTO sessions (session_id, executor, version, state, started_at, heartbeat_at)"
        " VALUES ($1, $2, $3, 'alive', now_us(), now_us()) ON CONFLICT DO NOTHING",
        session_id,
        executor,
        version,
    )


async def resume_session(tx: Transaction, session_id: str, holding: Collection[str]) -> bool:
    """Whether it is still alive; then it holds nothing besides `holding`."""
    session = await tx.db.fetchval(
        "UPDATE sessions SET heartbeat_at = now_us() WHERE session_id = $1 AND state = 'alive' RETURNING id", session_id
    )
    if session is None:
        return False
    unknown = await tx.db.fetch(
        "SELECT e.execution_id FROM work w JOIN executions e ON e.id = w.execution"
        " WHERE w.session = $1 AND e.execution_id <> ALL ($2::text[])",
        session,
        list(holding),
    )
    await _give_back(tx, [row[0] for row in unknown], None)
    return True


async def renew(tx: Transaction, session_ids: Collection[str]) -> set[str]:
    """Those of them that are still alive have shown life now."""
    rows = await tx.db.fetch(
        """
        WITH alive AS (SELECT id FROM sessions WHERE session_id = ANY ($1::text[]) AND state = 'alive'
          ORDER BY id FOR NO KEY UPDATE)
        UPDATE sessions SET heartbeat_at = now_us() FROM alive WHERE sessions.id = alive.id RETURNING session_id
        """,
        list(session_ids),
    )
    return {row[0] for row in rows}


async def end_session(tx: Transaction, session_id: str, *, lost: bool, hand_over: HandOver) -> int:
    """What it held goes back to the queue; how many that were. A session that is over already stays as it ended."""
    ended = await tx.db.fetch(
        "UPDATE sessions SET state = $2, ended_at = now_us() WHERE session_id = $1 AND state = 'alive' RETURNING id",
        session_id,
        "lost" if lost else "closed",
    )
    return await _give_back_all(tx, ended, hand_over if lost else None)


async def lose_silent_sessions(tx: Transaction, *, lost_s: float, hand_over: HandOver) -> list[str]:
    """End those that have shown no life for so long, unless another store is at it."""
    if not await tx.db.fetchval("SELECT pg_try_advisory_xact_lock($1)", LEADER_LOCK):
        return []
    ended = await tx.db.fetch(
        """
        WITH silent AS (SELECT id FROM sessions WHERE state = 'alive' AND heartbeat_at < now_us() - $1::bigint
          ORDER BY id FOR NO KEY UPDATE)
        UPDATE sessions SET state = 'lost', ended_at = now_us() FROM silent WHERE sessions.id = silent.id
        RETURNING sessions.id, session_id
        """,
        int(lost_s * 1_000_000),
    )
    await _give_back_all(tx, ended, hand_over)
    return [session_id for _, session_id in ended]


async def claim(tx: Transaction, session_id: str, limit: int) -> list[Work]:
    """Up to `limit` executions that nobody holds, oldest first; what another store is claiming is left to it.

    Raises SessionLost.
    """
    session = await alive(tx, session_id)
    if session is None:
        raise errors.SessionLost(f"session {session_id} is over; open a new one")
    return await take(tx, session, _READY, limit)


async def release(tx: Transaction, session_id: str, execution_id: str, fence: int) -> None:
    """Nothing happens when the session does not hold it (any more)."""
    head = await tx.head(execution_id)
    if head.claimed and head.fence == fence and await holder(tx, head.execution) == session_id:
        await _give_back(tx, [execution_id], None)


async def alive(tx: Transaction, session_id: str) -> int | None:
    """A session that stays alive until the end of this transaction."""
    session: int | None = await tx.db.fetchval(
        "SELECT id FROM sessions WHERE session_id = $1 AND state = 'alive' FOR SHARE", session_id
    )
    return session


async def holder(tx: Transaction, run: int) -> str:
    holder: str | None = await tx.db.fetchval(
        "SELECT s.session_id FROM work w JOIN sessions s ON s.id = w.session WHERE w.execution = $1", run
    )
    return holder or ""


async def take(tx: Transaction, session: int, pick: str, parameter: int) -> list[Work]:
    """Give what `pick` selects and locks to a session, oldest first."""
    rows = await tx.db.fetch(
        f"""
        WITH pick AS MATERIALIZED ({pick}), taken AS (
          UPDATE executions SET attempts = attempts + 1 FROM pick WHERE executions.id = pick.id
          RETURNING executions.id, execution_id, status, head_seq, runs_done)
        UPDATE work SET session = $1, fence = fence + 1, done_at_claim = taken.runs_done
        FROM taken WHERE work.execution = taken.id
        RETURNING -priority, not_before, taken.id, execution_id, fence, head_seq, status
        """,
        session,
        parameter,
    )
    signals: dict[str, list[Signal]] = {}
    for signal in await reads.open_signals(tx.db, [row[2] for row in rows]) if rows else ():
        signals.setdefault(signal.execution_id, []).append(signal)
    return [
        Work(execution_id, fence, head_seq, status != "pending", tuple(signals.get(execution_id, ())))
        for *_, execution_id, fence, head_seq, status in sorted(map(tuple, rows))
    ]


async def _give_back_all(tx: Transaction, sessions: Sequence[Any], hand_over: HandOver | None) -> int:
    """Everything these sessions held; rows of (id, …)."""
    held = await tx.db.fetch(
        "SELECT e.execution_id FROM work w JOIN executions e ON e.id = w.execution"
        " WHERE w.session = ANY ($1::bigint[])",
        [row[0] for row in sessions],
    )
    return await _give_back(tx, [row[0] for row in held], hand_over)


async def _give_back(tx: Transaction, execution_ids: list[str], hand_over: HandOver | None) -> int:
    """Unclaim, fencing the old holder at once; `hand_over` when it was lost. After too many losses they fail."""
    if not execution_ids:
        return 0
    await tx.lock(set(execution_ids))
    rows = await tx.db.fetch(
        "SELECT e.execution_id, e.id, e.status, w.losses, e.runs_done > w.done_at_claim"
        " FROM work w JOIN executions e ON e.id = w.execution WHERE e.execution_id = ANY ($1::text[])",
        execution_ids,
    )
    losses = {
        run: hand_over.losses(before, progressed=progressed) if hand_over else before
        for _, run, _, before, progressed in rows
    }
    await tx.db.execute(
        "UPDATE work SET session = NULL, fence = fence + 1, losses = new.losses,"
        f" not_before = CASE new.wait WHEN 0 THEN {AT_ONCE} ELSE now_us() + new.wait END"
        " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (execution, losses, wait)"
        " WHERE work.execution = new.execution",
        list(losses),
        list(losses.values()),
        [hand_over.wait_us(number) if hand_over else 0 for number in losses.values()],
    )
    for execution_id, run, status, *_ in rows:
        if hand_over and (end := hand_over.exhausted(losses[run])):
            await tx.journal_own(tx.found(execution_id), ("execution.failed", end))
        elif status == "pending":
            aborts = [signal for signal in await reads.open_signals(tx.db, [run]) if signal.kind == "abort"]
            if aborts:
                await abort(tx, aborts[0])
    return len(rows)


async def abort(tx: Transaction, signal: Signal) -> None:
    """Nothing runs, so the store can end it alone."""
    await tx.journal_own(
        tx.found(signal.execution_id),
        ("signal.consumed", {"signal_id": signal.signal_id}),
        ("execution.aborted", dict(signal.payload)),
    )
