"""Queries on SQLite: each takes a connection inside a read transaction, so that what it returns fits together."""

import sqlite3
import sys
from dataclasses import replace

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


def execution(db: sqlite3.Connection, execution_id: str) -> Execution:
    row = db.execute(f"{EXECUTION} WHERE e.execution_id = ?", (execution_id,)).fetchone()
    if row is None:
        raise errors.UnknownExecution(execution_id)
    found = execution_of(row)
    if not found.result_blob:
        return found
    return replace(found, result=blob_values(db, {found.result_blob})[found.result_blob].decode())


def run_of(db: sqlite3.Connection, execution_id: str) -> tuple[int, str, int]:
    """(id, status, head_seq) of an execution."""
    row = db.execute("SELECT id, status, head_seq FROM executions WHERE execution_id = ?", (execution_id,)).fetchone()
    if row is None:
        raise errors.UnknownExecution(execution_id)
    return row[0], row[1], row[2]


def executions_query(
    wanted: ExecutionFilter, before: tuple[int, int] | None, limit: int
) -> tuple[str, list[str | int | None]]:
    """SQL and parameters of a page, newest first; `before` is (created_at, id) of the last one seen."""
    where, values = ["1"], list[str | int | None]()

    def add(condition: str, *parameters: str | int) -> None:
        where.append(condition)
        values.extend(parameters)

    if wanted.statuses:
        add(f"e.status IN ({','.join('?' * len(wanted.statuses))})", *wanted.statuses)
    if wanted.diagram_id:
        add("e.diagram_id = ?", wanted.diagram_id)
    if wanted.principal:
        add("e.principal = ?", wanted.principal)
    if wanted.started_after is not None:
        add("e.started_at >= ?", wanted.started_after)
    if wanted.started_before is not None:
        add("e.started_at < ?", wanted.started_before)
    if wanted.id_prefix:
        add("e.execution_id >= ? AND e.execution_id < ?", wanted.id_prefix, wanted.id_prefix + "\U0010ffff")
    if before:
        add("(e.created_at, e.id) < (?, ?)", *before)
    sql = f"{EXECUTION} WHERE {' AND '.join(where)} ORDER BY e.created_at DESC, e.id DESC LIMIT ?"
    return sql, [*values, limit]


def executions(
    db: sqlite3.Connection, wanted: ExecutionFilter, before: tuple[int, int] | None, limit: int
) -> list[Execution]:
    return [execution_of(row) for row in db.execute(*executions_query(wanted, before, limit))]


def node_runs(db: sqlite3.Connection, execution_id: str) -> list[NodeRun]:
    """In start order, skipped ones last."""
    rows = db.execute(
        f"{NODE_RUN} WHERE n.execution = ? ORDER BY n.status = 'skipped', n.start_seq, n.id",
        (run_of(db, execution_id)[0],),
    )
    runs = [node_run_of(row) for row in rows]
    values = blob_values(db, blobs.shown(runs))
    return [replace(run, outcome=blobs.filled(run.outcome, values)) for run in runs]


def interactions(db: sqlite3.Connection, execution_id: str, open_only: bool) -> list[Interaction]:
    run = run_of(db, execution_id)[0]
    condition = " AND i.status = 'open'" if open_only else ""
    return [Interaction(*row) for row in db.execute(f"{INTERACTION} WHERE e.id = ?{condition} ORDER BY i.id", (run,))]


def messages(
    db: sqlite3.Connection, execution_id: str, wanted: MessageFilter, after_seq: int, limit: int
) -> list[Message]:
    where, values = "execution = ? AND seq > ?", list[int | str]((run_of(db, execution_id)[0], after_seq))
    if wanted.person_id:
        where, values = f"{where} AND ? IN (person_id, from_id, to_id)", [*values, wanted.person_id]
    if wanted.search:
        where, values = f"{where} AND instr(casefold(content), ?) > 0", [*values, wanted.search.casefold()]
    if wanted.since is not None:
        where, values = f"{where} AND created_at >= ?", [*values, wanted.since]
    rows = db.execute(
        "SELECT seq, message_id, node_id, iteration, person_id, from_id, to_id, role, content, token_count, created_at"
        f" FROM messages WHERE {where} ORDER BY seq LIMIT ?",
        (*values, limit),
    )
    return [Message(*row) for row in rows]


def journal(db: sqlite3.Connection, execution_id: str, after_seq: int, limit: int) -> JournalPage:
    """At most `limit` events and about PAGE_BYTES of payload, but at least one event if there is one."""
    run, status, head_seq = run_of(db, execution_id)
    rows = db.execute(
        "SELECT event_id, type, at, payload, seq FROM transitions WHERE execution = ? AND seq > ? ORDER BY seq LIMIT ?",
        (run, after_seq, limit),
    )
    page = blobs.page(map(event_of, rows), PAGE_BYTES)
    return JournalPage(tuple(_complete(db, page)), head_seq, status in TERMINAL)


def journal_bytes(db: sqlite3.Connection, execution_id: str) -> int:
    """Of its events as stored; 0 for an unknown execution."""
    row = db.execute(
        "SELECT coalesce(sum(length(t.payload)), 0) FROM transitions t JOIN executions e ON e.id = t.execution"
        " WHERE e.execution_id = ?",
        (execution_id,),
    ).fetchone()
    return int(row[0])


def events_before(db: sqlite3.Connection, run: int, seq: int) -> list[Event]:
    rows = db.execute(
        "SELECT event_id, type, at, payload, seq FROM transitions WHERE execution = ? AND seq < ? ORDER BY seq",
        (run, seq),
    )
    named = blobs.page(map(event_of, rows), sys.maxsize)
    values = blob_values(db, blobs.needed(event for event in named if event.type.startswith(PROJECTED)))
    return blobs.with_values(named, values)


def _complete(db: sqlite3.Connection, events: list[Event]) -> list[Event]:
    return blobs.with_values(events, blob_values(db, blobs.needed(events)))


def blob_values(db: sqlite3.Connection, hashes: set[str]) -> dict[str, bytes]:
    """Raises Tampered."""
    parts = (
        (hash_, data)
        for hash_ in hashes
        for (data,) in db.execute("SELECT data FROM blob_chunks WHERE hash = ? ORDER BY number", (hash_,))
    )
    return blobs.joined(parts, hashes)


def recovery(db: sqlite3.Connection, execution_id: str, fence: int) -> Recovery:
    """For the holder only. Raises Terminal, Fenced."""
    found = execution(db, execution_id)
    if found.status in TERMINAL:
        raise errors.Terminal(execution_id, found.status)
    current, session = db.execute("SELECT fence, session FROM work WHERE execution = ?", (found.id,)).fetchone()
    if session is None or current != fence:
        raise errors.Fenced(execution_id, fence=fence, current=current)
    (source,) = db.execute("SELECT data FROM sources WHERE hash = ?", (found.source_hash,)).fetchone()
    return Recovery(found, source, open_signals(db, found.id, execution_id))


def open_signals(db: sqlite3.Connection, run: int, execution_id: str) -> tuple[Signal, ...]:
    """Left for the holder and not consumed yet, oldest first."""
    rows = db.execute(
        "SELECT signal_id, kind, payload FROM signals WHERE execution = ? AND consumed_seq IS NULL ORDER BY rowid",
        (run,),
    )
    return tuple(Signal(execution_id, signal_id, kind, load(payload)) for signal_id, kind, payload in rows)


def last_control(db: sqlite3.Connection, run: int) -> str | None:
    """The latest pause or resume that was asked for, consumed or not."""
    row = db.execute(
        "SELECT kind FROM signals WHERE execution = ? AND kind IN ('pause', 'resume') ORDER BY rowid DESC LIMIT 1",
        (run,),
    ).fetchone()
    return row[0] if row else None


def queue(db: sqlite3.Connection) -> tuple[int, int]:
    """How many executions wait for an executor, and how many one holds."""
    waiting, held = db.execute("SELECT count(*) FILTER (WHERE session IS NULL), count(session) FROM work").fetchone()
    return waiting, held


def next_due(db: sqlite3.Connection) -> int | None:
    """When the next execution without a holder may be taken; None = there is none."""
    due: int | None = db.execute("SELECT min(not_before) FROM work WHERE session IS NULL").fetchone()[0]
    return due
