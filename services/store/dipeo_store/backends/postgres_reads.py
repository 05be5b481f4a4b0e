"""Queries on Postgres. Each statement sees one moment; what must fit together is one statement."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from dipeo_store import blobs, errors
from dipeo_store.backends.rows import (
    EXECUTION,
    INTERACTION,
    NODE_RUN,
    PAGE_BYTES,
    PROJECTED,
    event_of,
    execution_of,
    node_run_of,
)
from dipeo_store.model import (
    TERMINAL,
    Event,
    Execution,
    ExecutionFilter,
    Interaction,
    JournalPage,
    Message,
    MessageFilter,
    NodeRun,
    Recovery,
    Signal,
)
from dipeo_store.payload import load


async def execution(db: asyncpg.Connection, execution_id: str) -> Execution:
    row = await db.fetchrow(f"{EXECUTION} WHERE e.execution_id = $1", execution_id)
    if row is None:
        raise errors.UnknownExecution(execution_id)
    found = execution_of(row)
    if not found.result_blob:
        return found
    values = await blob_values(db, {found.result_blob})
    return replace(found, result=values[found.result_blob].decode())


async def run_of(db: asyncpg.Connection, execution_id: str) -> int:
    run: int | None = await db.fetchval("SELECT id FROM executions WHERE execution_id = $1", execution_id)
    if run is None:
        raise errors.UnknownExecution(execution_id)
    return run


def executions_query(
    wanted: ExecutionFilter, before: tuple[int, int] | None, limit: int
) -> tuple[str, list[str | int | list[str]]]:
    """SQL and parameters of a page, newest first; `before` is (created_at, id) of the last one seen."""
    where, values = ["true"], list[str | int | list[str]]()

    def add(condition: str, *parameters: str | int | list[str]) -> None:
        where.append(condition.format(*(f"${len(values) + number}" for number in range(1, len(parameters) + 1))))
        values.extend(parameters)

    if wanted.statuses:
        add("e.status = ANY ({}::text[])", list(wanted.statuses))
    if wanted.diagram_id:
        add("e.diagram_id = {}", wanted.diagram_id)
    if wanted.principal:
        add("e.principal = {}", wanted.principal)
    if wanted.started_after is not None:
        add("e.started_at >= {}", wanted.started_after)
    if wanted.started_before is not None:
        add("e.started_at < {}", wanted.started_before)
    if wanted.id_prefix:
        add("e.execution_id >= {} AND e.execution_id < {}", wanted.id_prefix, wanted.id_prefix + "\U0010ffff")
    if before:
        add("(e.created_at, e.id) < ({}::bigint, {}::bigint)", *before)
    sql = f"{EXECUTION} WHERE {' AND '.join(where)} ORDER BY e.created_at DESC, e.id DESC LIMIT {int(limit)}"
    return sql, values


async def executions(
    db: asyncpg.Connection, wanted: ExecutionFilter, before: tuple[int, int] | None, limit: int
) -> list[Execution]:
    sql, values = executions_query(wanted, before, limit)
    return [execution_of(row) for row in await db.fetch(sql, *values)]


async def node_runs(db: asyncpg.Connection, execution_id: str) -> list[NodeRun]:
    """In start order, skipped ones last."""
    sql = f"{NODE_RUN} WHERE n.execution = $1 ORDER BY n.status = 'skipped', n.start_seq, n.id"
    runs = [node_run_of(row) for row in await db.fetch(sql, await run_of(db, execution_id))]
    values = await blob_values(db, blobs.shown(runs))
    return [replace(run, outcome=blobs.filled(run.outcome, values)) for run in runs]


async def interactions(db: asyncpg.Connection, execution_id: str, open_only: bool) -> list[Interaction]:
    condition = " AND i.status = 'open'" if open_only else ""
    sql = f"{INTERACTION} WHERE e.id = $1{condition} ORDER BY i.id"
    return [Interaction(*row) for row in await db.fetch(sql, await run_of(db, execution_id))]


async def messages(
    db: asyncpg.Connection, execution_id: str, wanted: MessageFilter, after_seq: int, limit: int
) -> list[Message]:
    rows = await db.fetch(
        "SELECT seq, message_id, node_id, iteration, person_id, from_id, to_id, role, content, token_count, created_at"
        " FROM messages WHERE execution = $1 AND seq > $2 AND ($4 = '' OR $4 IN (person_id, from_id, to_id))"
        " AND ($5 = '' OR position(lower($5) IN lower(content)) > 0) AND ($6::bigint IS NULL OR created_at >= $6)"
        " ORDER BY seq LIMIT $3",
        await run_of(db, execution_id),
        after_seq,
        limit,
        *wanted,
    )
    return [Message(*row) for row in rows]


async def journal(db: asyncpg.Connection, execution_id: str, after_seq: int, limit: int) -> JournalPage:
    """At most `limit` events and about PAGE_BYTES of payload, but at least one event if there is one."""
    rows = await db.fetch(
        """
        SELECT e.status, e.head_seq, t.event_id, t.type, t.at, t.payload, t.seq
        FROM executions e LEFT JOIN LATERAL (
          SELECT *, sum(length(payload)) OVER (ORDER BY seq) AS size FROM (
            SELECT event_id, type, at, payload, seq FROM transitions
            WHERE execution = e.id AND seq > $2 ORDER BY seq LIMIT $3) page
        ) t ON t.size <= $4 OR t.seq = $2 + 1
        WHERE e.execution_id = $1 ORDER BY t.seq
        """,
        execution_id,
        after_seq,
        limit,
        PAGE_BYTES,
    )
    if not rows:
        raise errors.UnknownExecution(execution_id)
    status, head_seq = rows[0][:2]
    page = blobs.page((event_of(row[2:]) for row in rows if row[2] is not None), PAGE_BYTES)
    values = await blob_values(db, blobs.needed(page))
    return JournalPage(tuple(blobs.with_values(page, values)), head_seq, status in TERMINAL)


async def journal_bytes(db: asyncpg.Connection, execution_id: str) -> int:
    """Of its events as stored; 0 for an unknown execution."""
    size = await db.fetchval(
        "SELECT coalesce(sum(length(t.payload)), 0) FROM transitions t JOIN executions e ON e.id = t.execution"
        " WHERE e.execution_id = $1",
        execution_id,
    )
    return int(size)


async def blob_values(db: asyncpg.Connection, hashes: set[str]) -> dict[str, bytes]:
    """Raises Tampered."""
    if not hashes:
        return {}
    rows = await db.fetch(
        "SELECT hash, data FROM blob_chunks WHERE hash = ANY ($1::text[]) ORDER BY hash, number", list(hashes)
    )
    return blobs.joined(((row[0], row[1]) for row in rows), hashes)


async def recovery(db: asyncpg.Connection, execution_id: str, fence: int) -> Recovery:
    """For the holder only. Raises Terminal, Fenced."""
    found = await execution(db, execution_id)
    work = await db.fetchrow("SELECT fence, session FROM work WHERE execution = $1", found.id)
    if work is None:
        raise errors.Terminal(execution_id, (await execution(db, execution_id)).status)
    if work["session"] is None or work["fence"] != fence:
        raise errors.Fenced(execution_id, fence=fence, current=work["fence"])
    source = await db.fetchval("SELECT data FROM sources WHERE hash = $1", found.source_hash)
    signals = await open_signals(db, [found.id])
    return Recovery(found, source, tuple(signals))


async def open_signals(db: asyncpg.Connection, runs: Sequence[int]) -> list[Signal]:
    """Left for the holders and not consumed yet, oldest first."""
    rows = await db.fetch(
        "SELECT e.execution_id, s.signal_id, s.kind, s.payload FROM signals s JOIN executions e ON e.id = s.execution"
        " WHERE s.execution = ANY ($1::bigint[]) AND s.consumed_seq IS NULL ORDER BY s.id",
        runs,
    )
    return [_signal(row) for row in rows]


def _signal(row: Any) -> Signal:
    execution_id, signal_id, kind, payload = row
    return Signal(execution_id, signal_id, kind, load(payload))


async def last_control(db: asyncpg.Connection, run: int) -> str | None:
    """The latest pause or resume that was asked for, consumed or not."""
    kind: str | None = await db.fetchval(
        "SELECT kind FROM signals WHERE execution = $1 AND kind IN ('pause', 'resume') ORDER BY id DESC LIMIT 1", run
    )
    return kind


async def events_before(db: asyncpg.Connection, run: int, seq: int) -> list[Event]:
    rows = await db.fetch(
        "SELECT event_id, type, at, payload, seq FROM transitions WHERE execution = $1 AND seq < $2 ORDER BY seq",
        run,
        seq,
    )
    named = blobs.page(map(event_of, rows), sys.maxsize)
    values = await blob_values(db, blobs.needed(event for event in named if event.type.startswith(PROJECTED)))
    return blobs.with_values(named, values)


async def next_due_s(db: asyncpg.Connection) -> float | None:
    """Seconds until the next execution without a holder may be taken, by the database's clock; None = there is none."""
    wait_us: int | None = await db.fetchval("SELECT min(not_before) - now_us() FROM work WHERE session IS NULL")
    return None if wait_us is None else wait_us / 1_000_000


async def queue(db: asyncpg.Connection) -> tuple[int, int]:
    """How many executions wait for an executor, and how many one holds."""
    row = await db.fetchrow("SELECT count(*) FILTER (WHERE session IS NULL), count(session) FROM work")
    return row[0], row[1]


# --- what other stores on this database did --------------------------------------------------------------------------


async def heads(db: asyncpg.Connection, execution_ids: Sequence[str]) -> dict[str, int]:
    """The last seq of each."""
    rows = await db.fetch(
        "SELECT execution_id, head_seq FROM executions WHERE execution_id = ANY ($1::text[])", execution_ids
    )
    return dict(map(tuple, rows))


async def signals_of(db: asyncpg.Connection, session_ids: Sequence[str]) -> dict[str, list[Signal]]:
    """What is left for the holders, by session."""
    rows = await db.fetch(
        """
        SELECT s.session_id, e.execution_id, g.signal_id, g.kind, g.payload
        FROM sessions s JOIN work w ON w.session = s.id JOIN signals g ON g.execution = w.execution
        JOIN executions e ON e.id = w.execution
        WHERE s.session_id = ANY ($1::text[]) AND g.consumed_seq IS NULL ORDER BY g.id
        """,
        session_ids,
    )
    found: dict[str, list[Signal]] = {session_id: [] for session_id in session_ids}
    for session_id, *signal in rows:
        found[session_id].append(_signal(signal))
    return found
