"""Writing on SQLite: what one transaction of the committer does. Runs on the writer's thread only."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dipeo_kit import ids
from dipeo_kit.errors import DipeoError
from dipeo_store import errors
from dipeo_store.changes import Changes, EventRow, InteractionOpened, MessageRow, RunOpened
from dipeo_store.committer import Committed
from dipeo_store.journal import (
    Head,
    Heads,
    RunFacts,
    RunKey,
    interactions_named,
    judge,
    keep,
    needs_history,
    runs_named,
)
from dipeo_store.model import Append, Appended, Event, Published
from dipeo_store.payload import dump
from dipeo_store.projection import project

Operation = Callable[["Transaction"], Any]
Unit = Append | Operation


def _insert(table: str, row: type[EventRow | RunOpened | MessageRow | InteractionOpened]) -> str:
    return f"INSERT INTO {table} ({', '.join(row._fields)}) VALUES ({', '.join('?' * len(row._fields))})"


# one statement per list of Changes, placeholders in the order of the row's fields
_STATEMENTS = {
    "events": _insert("transitions", EventRow),
    "opened": _insert("node_runs", RunOpened),
    "closed": """
        UPDATE node_runs SET status = ?, end_seq = ?, ended_at = ?, tokens_in = ?, tokens_out = ?, tokens_cached = ?,
          cost_usd = ?, unpriced = ?, model = ?
        WHERE execution = ? AND node_id = ? AND iteration = ? AND attempt = ?""",
    "messages": _insert("messages", MessageRow),
    "asked": _insert("interactions", InteractionOpened),
    "settled": """
        UPDATE interactions SET status = ?, closed_at = ?, response = ?, responder = ?
        WHERE execution = ? AND interaction_id = ?""",
    "consumed": """
        UPDATE signals SET consumed_seq = ? WHERE execution = ? AND signal_id = ? AND consumed_seq IS NULL""",
    "advanced": """
        UPDATE executions SET head_seq = ?, tokens_in = tokens_in + ?, tokens_out = tokens_out + ?,
          tokens_cached = tokens_cached + ?, cost_usd = cost_usd + ?, unpriced = unpriced + ?,
          runs_done = runs_done + ?, runs_failed = runs_failed + ? WHERE id = ?""",
    "statuses": """
        UPDATE executions SET status = ?, started_at = coalesce(started_at, ?) WHERE id = ?""",
    "ended": """
        UPDATE executions SET status = ?, ended_at = ?, error = ?, result = ?, result_is_error = ?, warnings = ?,
          skipped_node_ids = ? WHERE id = ?""",
    "results": "UPDATE executions SET result_blob = ?, result_bytes = ? WHERE id = ?",
    "blobs": "INSERT OR IGNORE INTO blobs (hash, size, created_at) VALUES (?, ?, ?)",
    "chunks": "INSERT OR IGNORE INTO blob_chunks (hash, number, data) VALUES (?, ?, ?)",
    "blob_refs": "INSERT OR IGNORE INTO blob_refs (execution, hash) VALUES (?, ?)",
}
_AT_THE_END = (
    "UPDATE node_runs SET status = 'aborted', ended_at = ? WHERE execution = ? AND status = 'running'",
    "UPDATE interactions SET status = 'cancelled', closed_at = ? WHERE execution = ? AND status = 'open'",
    "DELETE FROM work WHERE ? IS NOT NULL AND execution = ?",
)
_HEAD = (
    "SELECT e.id, e.execution_id, e.status, e.head_seq, coalesce(w.fence, 0), w.session IS NOT NULL"
    " FROM executions e LEFT JOIN work w ON w.execution = e.id"
)


def commit(
    db: sqlite3.Connection, units: Sequence[Unit], *, now: int, heads: Heads | None = None, careful: bool = False
) -> Committed:
    """All units in one transaction; a unit that is refused leaves no trace and harms no other.

    `heads` is kept from one call to the next by whoever alone writes to the database: what was known at the end of the
    last. Raises sqlite3.Error when the database itself fails.
    """
    heads = {} if heads is None else heads
    try:
        return Transaction(db, now, heads, careful).run(units)
    except sqlite3.IntegrityError as error:
        # a rule that only a constraint knows, e.g. an event id used twice: find the unit that broke it
        if not careful:
            parts = [commit(db, [unit], now=now, heads=heads, careful=True) for unit in units]
            return Committed([part.outcomes[0] for part in parts], [each for part in parts for each in part.published])
        subject = units[0].execution_id if isinstance(units[0], Append) else "?"
        return Committed([errors.IllegalTransition(subject, "an event", f"an id in it is taken ({error})")], [])


@dataclass(slots=True)
class Transaction:
    """One transaction in the making; operations of sqlite_inbox.py get it as their argument."""

    db: sqlite3.Connection
    now: int
    heads: Heads
    careful: bool = False  # ask before, rather than let a constraint refuse the whole transaction
    changes: Changes = field(default_factory=Changes)
    published: list[Published] = field(default_factory=list)

    def run(self, units: Sequence[Unit]) -> Committed:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [self._append(unit) if isinstance(unit, Append) else self._operate(unit) for unit in units]
            self.flush()
            self.db.execute("COMMIT")
        except BaseException:
            self.heads.clear()
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        keep(self.heads, self.published)
        return Committed(outcomes, self.published)

    def _operate(self, operation: Operation) -> Any:
        self.flush()
        self.heads.clear()
        published = len(self.published)
        self.db.execute("SAVEPOINT operation")
        try:
            return operation(self)
        except DipeoError as error:
            self.db.execute("ROLLBACK TO operation")
            del self.published[published:]
            return error
        finally:
            if self.db.in_transaction:
                self.db.execute("RELEASE operation")
            self.heads.clear()

    def _append(self, append: Append) -> Appended | DipeoError:
        try:
            head = self.heads.get(append.execution_id) or self.head(append.execution_id)
            known = self._known(head, append) if needs_history(head, append) else {}
            verdict = judge(head, append, known)
            return verdict or self.journal(head, append.events, fence=append.fence)
        except DipeoError as error:
            return error

    def journal(self, head: Head, events: Sequence[Event], *, fence: int) -> Appended:
        """Project judged events; the rows are written by the next flush. Raises IllegalTransition, Terminal."""
        self._load_facts(head, events)
        after, placed, _ = project(head, events, fence, self.changes)
        self.heads[head.execution_id] = after
        self.published.append(Published(head.execution_id, placed))
        return Appended(after.head_seq, duplicate=False)

    def journal_own(self, execution_id: str, *events: tuple[str, dict[str, Any]]) -> None:
        """Events (type, body) that the store itself writes, as a holder of its own for this one moment."""
        made = [Event(bytes.fromhex(ids.new_hex()), type_, self.now, body, dump(body)) for type_, body in events]
        head = self.head(execution_id)
        self.journal(head, made, fence=head.fence + 1)
        self.flush()

    def head(self, execution_id: str) -> Head:
        row = self.db.execute(f"{_HEAD} WHERE e.execution_id = ?", (execution_id,)).fetchone()
        if row is None:
            raise errors.UnknownExecution(execution_id)
        run, execution_id, status, head_seq, fence, claimed = row
        head = Head(run, execution_id, status, head_seq, fence, bool(claimed))
        self.heads[execution_id] = head
        return head

    def _known(self, head: Head, append: Append) -> dict[bytes, int]:
        self.flush()
        found: dict[bytes, int] = {}
        for event in append.events:
            row = self.db.execute(
                "SELECT seq FROM transitions WHERE execution = ? AND event_id = ?", (head.execution, event.event_id)
            ).fetchone()
            if row:
                found[event.event_id] = row[0]
        return found

    def _load_facts(self, head: Head, events: Sequence[Event]) -> None:
        """Rows that earlier appends of this transaction opened are in the head already, though not written yet."""
        for key in runs_named(events, careful=self.careful) - head.runs.keys():
            row = self.db.execute(
                "SELECT status, label, type, person_id FROM node_runs"
                " WHERE execution = ? AND node_id = ? AND iteration = ? AND attempt = ?",
                (head.execution, *key),
            ).fetchone()
            if row:
                head.runs[RunKey(*key)] = RunFacts(*row)
        for interaction_id in interactions_named(events) - head.interactions.keys():
            row = self.db.execute(
                "SELECT status FROM interactions WHERE execution = ? AND interaction_id = ?",
                (head.execution, interaction_id),
            ).fetchone()
            if row:
                head.interactions[interaction_id] = row[0]

    def flush(self) -> None:
        """Write the rows gathered so far, one executemany per table."""
        changes, self.changes = self.changes, Changes()
        for name, sql in _STATEMENTS.items():
            if rows := getattr(changes, name):
                self.db.executemany(sql, rows)
        for sql in _AT_THE_END if changes.ended else ():
            self.db.executemany(sql, [(row.ended_at, row.execution) for row in changes.ended])
