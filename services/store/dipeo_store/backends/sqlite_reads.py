"""Queries on SQLite: each takes a connection inside a read transaction, so that what it returns fits together."""

import sqlite3
from typing import Any

from dipeo_store import errors
from dipeo_store.model import (
    TERMINAL,
    Event,
    Execution,
    ExecutionFilter,
    Interaction,
    JournalPage,
    Message,
    NodeRun,
    Recovery,
    Signal,
    Usage,
)
from dipeo_store.payload import json_bytes, load

PAGE_BYTES = 1024 * 1024

# variables and options are read from event 1: a copy in executions would be rewritten with every append
_EXECUTION = """
SELECT e.id, e.execution_id, e.status, e.diagram_id, e.diagram_name, e.source_hash, created.payload, e.origin,
  e.principal, e.trace_parent, e.error, e.result, e.result_is_error, e.warnings, e.head_seq, e.attempts,
  e.tokens_in, e.tokens_out, e.tokens_cached, e.runs_done, e.runs_failed, e.created_at, e.started_at, e.ended_at,
  EXISTS (SELECT 1 FROM interactions i WHERE i.execution = e.id AND i.status = 'open')
FROM executions e JOIN transitions created ON created.execution = e.id AND created.seq = 1
"""


def _execution(row: Any) -> Execution:
    id_, execution_id, status, diagram_id, diagram_name, source_hash, created, origin, principal, trace_parent = row[
        :10
    ]
    error, result, result_is_error, warnings, head_seq, attempts, t_in, t_out, t_cached, done, failed = row[10:21]
    created_at, started_at, ended_at, waiting = row[21:]
    body = load(created)
    return Execution(
        id=id_,
        execution_id=execution_id,
        status=status,
        diagram_id=diagram_id,
        diagram_name=diagram_name,
        source_hash=source_hash,
        variables=_text(body, "variables"),
        options=_text(body, "options"),
        origin=origin,
        principal=principal,
        trace_parent=trace_parent,
        error=error,
        result=result,
        result_is_error=bool(result_is_error),
        warnings=tuple(load(warnings)),
        head_seq=head_seq,
        attempts=attempts,
        usage=Usage(t_in, t_out, t_cached),
        runs_done=done,
        runs_failed=failed,
        created_at=created_at,
        started_at=started_at,
        ended_at=ended_at,
        waiting=bool(waiting),
    )


def _text(body: dict[str, Any], key: str) -> str | None:
    return json_bytes(body[key]).decode() if key in body else None


def execution(db: sqlite3.Connection, execution_id: str) -> Execution:
    row = db.execute(f"{_EXECUTION} WHERE e.execution_id = ?", (execution_id,)).fetchone()
    if row is None:
        raise errors.UnknownExecution(execution_id)
    return _execution(row)


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
    if wanted.started_after is not None:
        add("e.started_at >= ?", wanted.started_after)
    if wanted.started_before is not None:
        add("e.started_at < ?", wanted.started_before)
    if wanted.id_prefix:
        add("e.execution_id >= ? AND e.execution_id < ?", wanted.id_prefix, wanted.id_prefix + "\U0010ffff")
    if before:
        add("(e.created_at, e.id) < (?, ?)", *before)
    sql = f"{_EXECUTION} WHERE {' AND '.join(where)} ORDER BY e.created_at DESC, e.id DESC LIMIT ?"
    return sql, [*values, limit]


def executions(
    db: sqlite3.Connection, wanted: ExecutionFilter, before: tuple[int, int] | None, limit: int
) -> list[Execution]:
    return [_execution(row) for row in db.execute(*executions_query(wanted, before, limit))]


def node_runs(db: sqlite3.Connection, execution_id: str) -> list[NodeRun]:
    """In start order, skipped ones last."""
    rows = db.execute(
        """
        SELECT n.node_id, n.label, n.type, n.iteration, n.attempt, n.status,
          n.status = 'running' AND EXISTS (SELECT 1 FROM interactions i WHERE i.execution = n.execution
            AND i.status = 'open' AND i.node_id = n.node_id AND i.iteration = n.iteration),
          n.started_at, n.ended_at, n.tokens_in, n.tokens_out, n.tokens_cached, n.model, n.person_id, n.start_seq,
          t.type, t.payload
        FROM node_runs n LEFT JOIN transitions t ON t.execution = n.execution AND t.seq = n.end_seq
        WHERE n.execution = ? ORDER BY n.status = 'skipped', n.start_seq, n.id
        """,
        (run_of(db, execution_id)[0],),
    )
    return [_node_run(row) for row in rows]


def _node_run(row: Any) -> NodeRun:
    node_id, label, type_, iteration, attempt, status, waiting, started_at, ended_at = row[:9]
    t_in, t_out, t_cached, model, person_id, start_seq, ended_by, outcome = row[9:]
    return NodeRun(
        node_id=node_id,
        label=label,
        type=type_,
        iteration=iteration,
        attempt=attempt,
        status=status,
        waiting=bool(waiting),
        started_at=started_at,
        ended_at=ended_at,
        usage=Usage(t_in, t_out, t_cached),
        model=model,
        person_id=person_id,
        start_seq=start_seq,
        ended_by=ended_by or "",
        outcome=load(outcome) if outcome else {},
    )


INTERACTION = """
SELECT i.interaction_id, e.execution_id, i.node_id, i.label, i.iteration, i.prompt, i.context, i.default_value,
  i.status, i.opened_at, i.expires_at, i.closed_at, i.response, i.responder
FROM interactions i JOIN executions e ON e.id = i.execution
"""


def interactions(db: sqlite3.Connection, execution_id: str, open_only: bool) -> list[Interaction]:
    run = run_of(db, execution_id)[0]
    condition = " AND i.status = 'open'" if open_only else ""
    return [Interaction(*row) for row in db.execute(f"{INTERACTION} WHERE e.id = ?{condition} ORDER BY i.id", (run,))]


def messages(db: sqlite3.Connection, execution_id: str, after_seq: int, limit: int) -> list[Message]:
    rows = db.execute(
        "SELECT seq, message_id, node_id, iteration, person_id, from_id, to_id, role, content, token_count, created_at"
        " FROM messages WHERE execution = ? AND seq > ? ORDER BY seq LIMIT ?",
        (run_of(db, execution_id)[0], after_seq, limit),
    )
    return [Message(*row) for row in rows]


def journal(db: sqlite3.Connection, execution_id: str, after_seq: int, limit: int) -> JournalPage:
    """At most `limit` events and about PAGE_BYTES of payload, but at least one event if there is one."""
    run, status, head_seq = run_of(db, execution_id)
    rows = db.execute(
        "SELECT event_id, type, at, payload, seq FROM transitions WHERE execution = ? AND seq > ? ORDER BY seq LIMIT ?",
        (run, after_seq, limit),
    )
    events: list[Event] = []
    size = 0
    for event_id, type_, at, payload, seq in rows:
        size += len(payload)
        if events and size > PAGE_BYTES:
            break
        events.append(Event(event_id, type_, at, load(payload), payload, seq))
    return JournalPage(tuple(events), head_seq, status in TERMINAL)


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


def next_due(db: sqlite3.Connection) -> int | None:
    """When the next execution without a holder may be taken; None = there is none."""
    due: int | None = db.execute("SELECT min(not_before) FROM work WHERE session IS NULL").fetchone()[0]
    return due
