"""Everything but appends that writes on SQLite: executions, sessions, the queue, signals, answers.

Each operation runs inside a transaction of the committer; what it raises rolls back only itself. (§16.4-16.6)
"""

from dipeo_store import errors, forks, inbox
from dipeo_store.backends import sqlite_reads as reads
from dipeo_store.backends.rows import AT_ONCE, INTERACTION
from dipeo_store.backends.sqlite_writes import Transaction
from dipeo_store.journal import HandOver
from dipeo_store.model import (
    TERMINAL,
    Answered,
    Created,
    Event,
    Fork,
    Interaction,
    NewExecution,
    Posted,
    Published,
    Signal,
    Work,
)
from dipeo_store.payload import dump

# --- executions ------------------------------------------------------------------------------------------------------


def create(tx: Transaction, new: NewExecution) -> Created:
    """Raises AlreadyExists; with a fork UnknownExecution, NotLegalNow, BadInput."""
    taken: list[Event] = []
    if new.fork is not None:
        new, taken = _forked(tx, new, new.fork)
    if (existing := _existing(tx, new)) is not None:
        return Created(reads.execution(tx.db, existing), created=False, claim=_held_by(tx, existing, new.session_id))
    if new.fork is None:
        tx.db.execute("INSERT OR IGNORE INTO sources (hash, data) VALUES (?, ?)", (new.source_hash, new.source))
    run = tx.db.execute(
        "INSERT INTO executions (execution_id, status, diagram_id, diagram_name, source_hash, origin, principal,"
        " trace_parent, idempotency_key, idempotency_hash, head_seq, created_at, timeout_us)"
        " VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
        (
            new.execution_id,
            new.diagram_id,
            new.diagram_name,
            new.source_hash,
            new.origin,
            new.principal,
            new.trace_parent,
            new.idempotency_key or None,
            new.idempotency_hash,
            tx.now,
            new.timeout_us,
        ),
    ).lastrowid
    event = new.created
    tx.db.execute(
        "INSERT INTO transitions (execution, seq, event_id, type, fence, at, payload) VALUES (?, 1, ?, ?, 0, ?, ?)",
        (run, event.event_id, event.type, event.at, event.payload),
    )
    tx.db.execute("INSERT INTO work (execution, not_before) VALUES (?, ?)", (run, AT_ONCE))
    tx.published.append(Published(new.execution_id, (event,)))
    if taken:
        tx.journal(tx.head(new.execution_id), taken, fence=0)
        tx.flush()
    session = _alive(tx, new.session_id)
    claim = _take(tx, run, session) if run and session else None
    return Created(reads.execution(tx.db, new.execution_id), created=True, claim=claim)


def _forked(tx: Transaction, new: NewExecution, fork: Fork) -> tuple[NewExecution, list[Event]]:
    other = reads.execution(tx.db, fork.execution_id)
    forks.checked(fork, other)
    created, *history = reads.events_before(tx.db, other.id, fork.before_seq)
    taken = forks.taken_over(history, now=tx.now)
    return forks.as_fork(new, other, created, len(taken)), taken


def _existing(tx: Transaction, new: NewExecution) -> str | None:
    """The execution an earlier call with the same key, or the same id, made."""
    found = tx.db.execute(
        "SELECT execution_id, idempotency_hash FROM executions WHERE principal = ? AND idempotency_key = ?",
        (new.principal, new.idempotency_key or None),
    ).fetchone()
    if found:
        inbox.require_same_request(new, found[1])
        return str(found[0])
    found = tx.db.execute(
        "SELECT principal, coalesce(idempotency_key, ''), idempotency_hash, source_hash FROM executions"
        " WHERE execution_id = ?",
        (new.execution_id,),
    ).fetchone()
    if found is None:
        return None
    inbox.require_same_execution(new, found)
    return new.execution_id


def _held_by(tx: Transaction, execution_id: str, session_id: str) -> Work | None:
    head = tx.head(execution_id)
    if not session_id or head.status in TERMINAL or _holder(tx, head.execution) != session_id:
        return None
    return Work(execution_id, head.fence, head.head_seq, recovery=head.status != "pending")


# --- sessions and the queue ------------------------------------------------------------------------------------------


def open_session(tx: Transaction, session_id: str, executor: str, version: str) -> None:
    tx.db.execute(
        "INSERT INTO sessions (session_id, executor, version, state, started_at) VALUES (?, ?, ?, 'alive', ?)",
        (session_id, executor, version, tx.now),
    )


def end_session(tx: Transaction, session_id: str, *, lost: bool, hand_over: HandOver, wait: bool = True) -> None:
    """What it held goes back to the queue. A session that is over already stays as it ended."""
    ended = tx.db.execute(
        "UPDATE sessions SET state = ?, ended_at = ? WHERE session_id = ? AND state = 'alive' RETURNING id",
        ("lost" if lost else "closed", tx.now, session_id),
    ).fetchone()
    for (run,) in tx.db.execute("SELECT execution FROM work WHERE session = ?", ended or (None,)).fetchall():
        _give_back(tx, run, hand_over if lost else None, wait=wait)


def lose_all_sessions(tx: Transaction, *, hand_over: HandOver) -> None:
    """At the start of the one store of this file nobody can still be connected: no need to wait. (decision 31)"""
    for (session_id,) in tx.db.execute("SELECT session_id FROM sessions WHERE state = 'alive'").fetchall():
        end_session(tx, session_id, lost=True, hand_over=hand_over, wait=False)


def claim(tx: Transaction, session_id: str, limit: int) -> list[Work]:
    """Up to `limit` executions that nobody holds, oldest first. Raises SessionLost."""
    session = _alive(tx, session_id)
    if session is None:
        raise errors.SessionLost(f"session {session_id} is over; open a new one")
    ready = tx.db.execute(
        "SELECT execution FROM work WHERE session IS NULL AND not_before <= ?"
        " ORDER BY priority DESC, not_before, execution LIMIT ?",
        (tx.now, limit),
    ).fetchall()
    return [_take(tx, run, session) for (run,) in ready]


def release(tx: Transaction, session_id: str, execution_id: str, fence: int) -> None:
    """Nothing happens when the session does not hold it (any more)."""
    head = tx.head(execution_id)
    if head.claimed and head.fence == fence and _holder(tx, head.execution) == session_id:
        _give_back(tx, head.execution, None, wait=False)


def _alive(tx: Transaction, session_id: str) -> int | None:
    row = tx.db.execute("SELECT id FROM sessions WHERE session_id = ? AND state = 'alive'", (session_id,)).fetchone()
    return row[0] if row else None


def _holder(tx: Transaction, run: int) -> str:
    row = tx.db.execute(
        "SELECT s.session_id FROM work w JOIN sessions s ON s.id = w.session WHERE w.execution = ?", (run,)
    ).fetchone()
    return row[0] if row else ""


def _take(tx: Transaction, run: int, session: int) -> Work:
    execution_id, status, head_seq, done = tx.db.execute(
        "UPDATE executions SET attempts = attempts + 1 WHERE id = ?"
        " RETURNING execution_id, status, head_seq, runs_done",
        (run,),
    ).fetchone()
    (fence,) = tx.db.execute(
        "UPDATE work SET session = ?, fence = fence + 1, done_at_claim = ? WHERE execution = ? RETURNING fence",
        (session, done, run),
    ).fetchone()
    signals = reads.open_signals(tx.db, run, execution_id)
    return Work(execution_id, fence, head_seq, recovery=status != "pending", signals=signals)


def _give_back(tx: Transaction, run: int, hand_over: HandOver | None, *, wait: bool) -> None:
    """Unclaim, fencing the old holder at once; `hand_over` when it was lost. After too many losses it fails."""
    execution_id, status, done, done_at_claim, losses = tx.db.execute(
        "SELECT e.execution_id, e.status, e.runs_done, w.done_at_claim, w.losses"
        " FROM work w JOIN executions e ON e.id = w.execution WHERE w.execution = ?",
        (run,),
    ).fetchone()
    wait_us = 0
    if hand_over:
        losses = hand_over.losses(losses, progressed=done > done_at_claim)
        wait_us = hand_over.wait_us(losses) if wait else 0
    tx.db.execute(
        "UPDATE work SET session = NULL, fence = fence + 1, losses = ?, not_before = ? WHERE execution = ?",
        (losses, tx.now + wait_us if wait_us else AT_ONCE, run),
    )
    if hand_over and (end := hand_over.exhausted(losses)):
        tx.journal_own(execution_id, ("execution.failed", end))
    elif status == "pending":
        aborts = [signal for signal in reads.open_signals(tx.db, run, execution_id) if signal.kind == "abort"]
        if aborts:
            _abort(tx, aborts[0])


# --- signals and answers ---------------------------------------------------------------------------------------------


def post_signal(tx: Transaction, signal: Signal) -> Posted:
    """Raises UnknownExecution, NotLegalNow."""
    head = tx.head(signal.execution_id)
    repeated = tx.db.execute(
        "SELECT 1 FROM signals WHERE execution = ? AND signal_id = ?", (head.execution, signal.signal_id)
    ).fetchone()
    if not repeated:
        if head.status in TERMINAL:
            raise errors.NotLegalNow(f"execution {signal.execution_id} has ended ({head.status})")
        if signal.kind in ("pause", "resume") and not inbox.changes_control(
            signal.execution_id, reads.last_control(tx.db, head.execution), signal.kind
        ):
            return Posted(reads.execution(tx.db, signal.execution_id), signal, holder="")
        _leave(tx, head.execution, signal)
        if signal.kind == "abort" and head.status == "pending" and not head.claimed:
            _abort(tx, signal)
    holder = "" if repeated else _holder(tx, head.execution)
    return Posted(reads.execution(tx.db, signal.execution_id), signal, holder)


def _leave(tx: Transaction, run: int, signal: Signal) -> None:
    tx.db.execute(
        "INSERT INTO signals (execution, signal_id, kind, payload, created_at) VALUES (?, ?, ?, ?, ?)",
        (run, signal.signal_id, signal.kind, dump(signal.payload), tx.now),
    )


def _abort(tx: Transaction, signal: Signal) -> None:
    """Nothing runs, so the store can end it alone."""
    tx.journal_own(
        signal.execution_id,
        ("signal.consumed", {"signal_id": signal.signal_id}),
        ("execution.aborted", dict(signal.payload)),
    )


def answer(
    tx: Transaction, execution_id: str, *, node: str, interaction_id: str, response: str, responder: str
) -> Answered:
    """Raises UnknownExecution, NothingAsked, NotLegalNow, BadInput."""
    head = tx.head(execution_id)
    asked = _asked(tx, head.execution, execution_id, node=node, interaction_id=interaction_id)
    if not inbox.answers_anew(asked, response=response, responder=responder, now=tx.now):
        return Answered(asked, None, "")
    tx.db.execute(
        "UPDATE interactions SET status = 'answered', closed_at = ?, response = ?, responder = ?"
        " WHERE execution = ? AND interaction_id = ?",
        (tx.now, response, responder, head.execution, asked.interaction_id),
    )
    signal = inbox.answer_signal(asked, response=response, responder=responder)
    _leave(tx, head.execution, signal)
    answered = asked._replace(status="answered", closed_at=tx.now, response=response, responder=responder)
    return Answered(answered, signal, _holder(tx, head.execution))


def _asked(tx: Transaction, run: int, execution_id: str, *, node: str, interaction_id: str) -> Interaction:
    """The question of that id, else the node's open one, else its last one."""
    inbox.require_named(node, interaction_id)
    if interaction_id:
        row = tx.db.execute(
            f"{INTERACTION} WHERE i.execution = ? AND i.interaction_id = ?", (run, interaction_id)
        ).fetchone()
    else:
        row = tx.db.execute(
            f"{INTERACTION} WHERE i.execution = ? AND (i.node_id = ? OR i.label = ?)"
            " ORDER BY i.status = 'open' DESC, i.id DESC LIMIT 1",
            (run, node, node),
        ).fetchone()
    return inbox.question(row, execution_id, interaction_id or node)
