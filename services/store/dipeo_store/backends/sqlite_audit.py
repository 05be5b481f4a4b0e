"""Verify and rebuild on SQLite. (spec/store.md §16.9)"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dipeo_store import errors
from dipeo_store.audit import QUERIES, RESET, Snapshot, answers, rebuildable, replayed
from dipeo_store.backends.sqlite_writes import Transaction


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection]:
    """The file at one moment, also while a store owns it. Raises Unusable."""
    if not file.exists():
        raise errors.Unusable(f"{file} does not exist; nothing was ever stored there")
    db = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        db.execute("BEGIN")
        yield db
    finally:
        db.close()


def executions(db: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    yield from db.execute("SELECT id, execution_id FROM executions ORDER BY id").fetchall()


def snapshot(db: sqlite3.Connection, run: int) -> Snapshot:
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    rows = {name: cursor.execute(sql.format(run="?"), (run,)).fetchall() for name, sql in QUERIES.items()}
    return Snapshot.of({name: [dict(row) for row in found] for name, found in rows.items()})


def rebuild(tx: Transaction, execution_id: str) -> None:
    """Raises UnknownExecution, IllegalTransition, Terminal, Tampered."""
    run = tx.head(execution_id).execution
    before = snapshot(tx.db, run)
    tx.changes = replayed(run, execution_id, rebuildable(before))
    tx.changes.events.clear()
    if not before.work:  # the one of an execution that has not ended; flush removes it if it has
        (fence,) = tx.db.execute("SELECT max(fence) + 1 FROM transitions WHERE execution = ?", (run,)).fetchone()
        tx.db.execute("INSERT INTO work (execution, fence, not_before) VALUES (?, ?, ?)", (run, fence, tx.now))
    for sql in RESET:
        tx.db.execute(sql.format(run="?", false="0"), (run,))
    ended, tx.changes.ended = tx.changes.ended, []
    tx.flush()
    for interaction_id, answer in answers(before.signals).items():
        tx.db.execute(
            "UPDATE interactions SET status = ?, closed_at = ?, response = ?, responder = ?"
            " WHERE execution = ? AND interaction_id = ? AND status = 'open'",
            (*answer.values(), run, interaction_id),
        )
    tx.changes.ended = ended
    tx.flush()
